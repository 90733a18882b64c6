"""The one upstream that every measured index is fed from: two projects' pages, made once, answered as fast as possible,
so that an index that asks its upstream on every request is not measured by the upstream's slowness.

    python -m benchmarks.upstream PORT

Answers JSON or HTML by `Accept`, gzip by `Accept-Encoding`, and 304 to the entity tag, as the public index does. The
files that its pages name do not exist. `/asked` tells how often its pages were asked for.
"""

import gzip
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.pages import LARGE, SMALL, make_page
from benchmarks.processes import HOST

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "text/html; charset=utf-8"
FRESH_SECONDS = 600  # what the public index says


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    content_type: str
    etag: str
    plain: bytes
    compressed: bytes


def make_application(port: int) -> "WSGIApplication":
    """Return the upstream as a WSGI application.

    Args:
        port: where it will listen: its pages name files by their whole address, as the public index's do.
    """
    documents = _documents(f"http://{HOST}:{port}")
    asked = [0]

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        found = documents.get(environ["PATH_INFO"])
        if found is None:
            is_count = environ["PATH_INFO"] == "/asked"
            body = str(asked[0]).encode() if is_count else b"no such thing"
            status = "200 OK" if is_count else "404 Not Found"
            start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
            return [body]
        asked[0] += 1  # it has one thread
        document = found[JSON_TYPE in environ.get("HTTP_ACCEPT", "")]
        headers = [
            ("Content-Type", document.content_type),
            ("ETag", document.etag),
            ("Cache-Control", f"max-age={FRESH_SECONDS}, public"),
            ("Vary", "Accept, Accept-Encoding"),
            ("X-PyPI-Last-Serial", "36000000"),
        ]
        if environ.get("HTTP_IF_NONE_MATCH") == document.etag:
            start_response("304 Not Modified", headers)
            return []
        body = document.plain
        if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            body = document.compressed
            headers.append(("Content-Encoding", "gzip"))
        start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return application


def _documents(origin: str) -> Mapping[str, tuple[_Document, _Document]]:
    """Return each path's documents, HTML and JSON."""
    pages = [make_page(name, files, origin=origin) for name, files in (LARGE, SMALL)]
    names = [page.name for page in pages]
    root = orjson.dumps(
        {
            "meta": {"_last-serial": 36_000_000, "api-version": "1.4"},
            "projects": [{"_last-serial": 36_000_000, "name": name} for name in names],
        }
    )
    links = "".join(f'<a href="/simple/{name}/">{name}</a>\n' for name in names)
    root_html = f"<!DOCTYPE html>\n<html>\n<body>\n{links}</body>\n</html>\n".encode()
    return {
        "/simple/": (_document(HTML_TYPE, root_html), _document(JSON_TYPE, root)),
        **{
            f"/simple/{page.name}/": (_document(HTML_TYPE, page.html), _document(JSON_TYPE, page.json))
            for page in pages
        },
    }


def _document(content_type: str, plain: bytes) -> _Document:
    etag = f'"{sha256(plain).hexdigest()[:32]}"'
    return _Document(content_type=content_type, etag=etag, plain=plain, compressed=gzip.compress(plain, 6, mtime=0))


def serve(port: int) -> None:
    """Serve until SIGTERM."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels

    server: Any = Granian(
        "upstream",
        address=HOST,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        blocking_threads=1,
        websockets=False,
        log_level=LogLevels.error,
    )
    server.serve(target_loader=lambda: make_application(port), wrap_loader=False)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
