"""The least that any application under our server does: sends bytes that it holds. What is faster is not to be had.

    python -m benchmarks.ceiling PORT FOLDER

Answers `/name` with the folder's `name.json.gz`, whoever asks, under granian as the index itself is run.

PEP 3333.
"""

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.processes import HOST
from benchmarks.upstream import JSON_TYPE

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SUFFIX = ".json.gz"


def make_application(folder: Path) -> "WSGIApplication":
    """Return the application that sends what the folder has."""
    bodies = {f"/{file.name.removesuffix(SUFFIX)}": file.read_bytes() for file in folder.glob(f"*{SUFFIX}")}

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        body = bodies[environ["PATH_INFO"]]
        length = ("Content-Length", str(len(body)))
        start_response("200 OK", [("Content-Type", JSON_TYPE), ("Content-Encoding", "gzip"), length])
        return [body]

    return application


def serve(port: int, folder: Path) -> None:
    """Serve until SIGTERM."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels

    from pypi_lambda.server.granian import RUNTIME_THREADS, THREADS

    server = Granian(
        "ceiling",
        address=HOST,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        runtime_threads=RUNTIME_THREADS,
        blocking_threads=THREADS,
        log_level=LogLevels.error,
    )
    server.serve(target_loader=partial(make_application, folder), wrap_loader=False)


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
