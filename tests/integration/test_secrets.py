"""The upstream's credentials stay between the server and the upstream."""

import gzip
import zlib
from base64 import b64encode
from pathlib import Path

import pytest

from indexer.frame import BadFrame, unpack
from tests.integration.catalog import SHARED, publish_catalog
from tests.integration.clients import Clients
from tests.integration.commands import Place, run_command
from tests.integration.running import Server, serving
from tests.support.fake_upstream import FakeUpstream

USERNAME = "upstream-user"
PASSWORD = "pass/word-of:upstream"
# As it is, as it stands in a URL, and as it is sent.
TRACES = (PASSWORD, "pass%2Fword-of%3Aupstream", b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode())


def _traces(text: str) -> list[str]:
    return [trace for trace in TRACES if trace in text]


def _read_all(server: Server) -> str:
    """Return all answers to all that leads upstream, with their headers."""
    paths = [
        "/simple/",
        "/simple/demo-shared/",
        f"/simple/demo-shared/{SHARED.filename}",
        f"/simple/demo-shared/{SHARED.filename}.metadata",
        "/simple/demo-python/",
        "/simple/demo-python/nothing-1.0.tar.gz",
        "/simple/demo-nothing/",
    ]
    answers = [server.get(path, headers={"Accept": accept}) for path in paths for accept in ("text/html", "*/*")]
    return "\n".join(f"{answer.status_code} {answer.headers} {answer.text}" for answer in answers)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_credentials_of_the_upstream(place: Place, logs: Path, clients: Clients) -> None:
    """They appear in no answer, log line, output, argument of a process, or stored object: up, refused, or down."""
    with FakeUpstream(credentials=(USERNAME, PASSWORD)) as upstream:
        publish_catalog(upstream)
        url = upstream.url
        assert _traces(url)
        with serving(place, logs, upstream=url, LOGGING_LEVEL="DEBUG") as server:
            server.await_reindexed()
            assert clients.install("pip", server.index, "demo-app")["Demo.App"] == "1.0"
            shown = _read_all(server)
            upstream.credentials = ("another", "password")
            shown += _read_all(server)
            shown += run_command(place, "reindex", UPSTREAM_INDEX_URL=url, LOGGING_LEVEL="DEBUG").failed(1)
            upstream.stop()
            shown += _read_all(server)
            shown += run_command(place, "reindex", UPSTREAM_INDEX_URL=url, LOGGING_LEVEL="DEBUG").failed(1)
            shown += "\n".join(server.find_processes().values())
        assert "demo-app" in server.log
    assert _traces(shown + server.output + server.log) == []
    folder = Path(place.environ["BUCKET"].removeprefix("file://"))
    contents = {path: unpacked(path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    assert {path for path, content in contents.items() if _traces(content.decode("latin-1"))} == set()


def unpacked(content: bytes) -> bytes:
    """Return what an object holds, decompressed where it is compressed."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        pass
    try:
        return unpack(content, limit=100_000_000)
    except BadFrame:
        return content
