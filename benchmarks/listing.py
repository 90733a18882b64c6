"""How long the root listing takes, from the first byte sent to the last received: as in production, 927,000 names.

    python -m benchmarks.listing [--quick]

A real `serverless-pypi serve` over a folder, whose list of names was read before by a reindex; the upstream is down.
Asked over loopback: the first request of a process, the next ones, and the first after a project was uploaded; as JSON
and HTML, compressed and not. Each answer is checked to have all names. A process's first request also pays for the
password's hash. The server's processor time is told beside the seconds, which depend on what else the machine does.

Prints a table and writes `benchmarks/results/listing.json`. Linux only.
"""

import argparse
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.data import PASSWORD, PRIVATE_PROJECTS, UPSTREAM_NAMES, USERNAME, Shape, make_store
from benchmarks.processes import HOST, cpu_seconds, free_port, running, settle
from benchmarks.report import ROOT, Table, write_results
from indexer.keys import user_key
from indexer.store.folder import FolderStore
from pypi_lambda.access.auth import hash_password
from pypi_lambda.access.records import UserRecord, encode_user
from tests.support.builders import basic, upload_form
from tests.support.distributions import make_wheel

QUICK_NAMES, QUICK_PROJECTS = 50_000, 100
STARTS, REPEATED = 3, 3
SETTLE_SECONDS = 8.0
ASK_SECONDS = 60.0
CLI = (sys.executable, "-P", "-m", "pypi_lambda.cli")
NOWHERE = "http://127.0.0.1:9/simple/"  # the port of the discard service, where nobody listens
FORMATS = {"JSON": "application/vnd.pypi.simple.v1+json", "HTML": "text/html"}
ENCODINGS = {"gzip": "gzip", "as text": "identity"}
MARKS = {"JSON": b'"name":', "HTML": b"</a>"}  # one for each name
WHEN = ("first", "next", "new name")
_READ_BYTES = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request took; `when` is one of `WHEN`."""

    format: str
    encoding: str
    when: str
    seconds: float
    first_byte_seconds: float
    cpu_seconds: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server."""

    port: int
    pid: int


@contextmanager
def serving(folder: Path) -> Iterator[Running]:
    """Run `serve` over the folder, and give it once it answers and its start is over."""
    port = free_port()
    command = [*CLI, "serve", f"--port={port}"]
    log = folder.with_name("serve.txt")
    with running(command, environ=_environ(folder), folder=ROOT, log=log, is_ready=lambda: _answers(port)) as process:
        settle(process.pid, seconds=SETTLE_SECONDS)
        yield Running(port=port, pid=process.pid)


def _environ(folder: Path) -> dict[str, str]:
    settings = {"BUCKET": folder.as_uri(), "UPSTREAM_INDEX_URL": NOWHERE, "LOGGING_LEVEL": "ERROR"}
    return {**settings, "PYTHONPATH": str(ROOT)}


def _answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection(HOST, port, timeout=ASK_SECONDS)
        connection.request("GET", "/health")
        connection.getresponse().read()
    except OSError:
        return False
    return True


def ask(server: Running, page_format: str, encoding: str, when: str, *, names: int) -> Asked:
    """Ask for the listing, and make sure that it has so many names at least."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=ASK_SECONDS)
    connection.connect()
    used = cpu_seconds(server.pid)
    headers = {"Accept": FORMATS[page_format], "Accept-Encoding": ENCODINGS[encoding]}
    began = time.perf_counter()
    connection.request("GET", "/simple/", headers={**headers, "Authorization": basic(USERNAME, PASSWORD)})
    response = connection.getresponse()
    first_byte = time.perf_counter()
    body = b"".join(iter(lambda: response.read(_READ_BYTES), b""))
    ended = time.perf_counter()
    text = zlib.decompress(body, zlib.MAX_WBITS | 16) if response.headers["Content-Encoding"] == "gzip" else body
    found = text.count(MARKS[page_format])
    if response.status != 200 or found < names:
        raise RuntimeError(f"{response.status}: {found:,} names instead of {names:,}")
    return Asked(
        format=page_format,
        encoding=encoding,
        when=when,
        seconds=ended - began,
        first_byte_seconds=first_byte - began,
        cpu_seconds=cpu_seconds(server.pid) - used,
        size=len(body),
    )


def upload(port: int, name: str) -> None:
    """Publish the first file of a project."""
    body, content_type = upload_form(make_wheel(name, "1.0"))
    connection = http.client.HTTPConnection(HOST, port, timeout=ASK_SECONDS)
    headers = {"Content-Type": content_type, "Authorization": basic(USERNAME, PASSWORD)}
    connection.request("POST", "/", body=body, headers=headers)
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"the upload was answered {response.status}: {response.read().decode()}")


def measure(folder: Path, shape: Shape) -> Iterator[Asked]:
    """Yield what each request took; each format and encoding has a process of its own."""
    names = shape.names + shape.projects
    for page_format in FORMATS:
        for encoding in ENCODINGS:
            for start in range(STARTS):
                with serving(folder) as server:
                    yield ask(server, page_format, encoding, "first", names=names)
                    for number in range(REPEATED):
                        yield ask(server, page_format, encoding, "next", names=names)
                        upload(server.port, f"new-{page_format}-{encoding}-{start}-{number}".replace(" ", "-").lower())
                        yield ask(server, page_format, encoding, "new name", names=names + number + 1)


def fill(folder: Path, shape: Shape) -> None:
    """Have the index in the folder, with a user, and its listings as a reindex leaves them."""
    shutil.copytree(make_store(shape), folder)
    record = UserRecord(hash=hash_password(PASSWORD), upload=True)
    FolderStore(folder).put(user_key(USERNAME), encode_user(record))
    environ = {**os.environ, **_environ(folder)}
    subprocess.run([*CLI, "reindex"], env=environ, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)


def table(asked: list[Asked]) -> Table:
    """Return the middle of each kind, in seconds."""
    rows: list[tuple[str | float | None, ...]] = []
    for page_format in FORMATS:
        for encoding in ENCODINGS:
            kind = [each for each in asked if (each.format, each.encoding) == (page_format, encoding)]
            cells: list[str | float | None] = []
            for when in WHEN:
                of_when = [each for each in kind if each.when == when]
                cells += [round(median(each.seconds for each in of_when), 3)]
                cells += [round(median(each.cpu_seconds for each in of_when), 2)]
            rows.append((page_format, encoding, round(kind[0].size / 1e6, 1), *cells))
    columns = [column for when in WHEN for column in (when, f"{when}, CPU")]
    return Table(columns=("listing", "sent", "MB", *columns), rows=tuple(rows))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer names: for a look, not for citing")
    quick: bool = parser.parse_args().quick
    shape = Shape(
        names=QUICK_NAMES if quick else UPSTREAM_NAMES, projects=QUICK_PROJECTS if quick else PRIVATE_PROJECTS
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        fill(folder, shape)
        asked = list(measure(folder, shape))
    print(table(asked).plain())
    print(write_results("listing", {"shape": asdict(shape), "asked": [asdict(each) for each in asked]}, quick=quick))


if __name__ == "__main__":
    main()
