"""TLS to the store: a server's certificate is checked against the roots in the one file that the function names."""

import os
import ssl
from collections.abc import Iterator, MutableMapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import trustme

from indexer.errors import StoreUnavailable
from indexer.store.s3 import S3Store
from pypi_lambda.function.certificates import BUNDLES, name_bundle
from tests.support.servers import BUCKET


class Answering(BaseHTTPRequestHandler):
    """Has one object under every key."""

    def do_GET(self) -> None:
        self.send_response_only(200)
        for name, value in {
            "Content-Length": "4",
            "ETag": '"1"',
            "Last-Modified": "Mon, 23 Nov 2026 00:00:00 GMT",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"body")

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def endpoint(authority: trustme.CA) -> Iterator[str]:
    """The URL of a server with a certificate of this authority's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def open_store(endpoint: str) -> S3Store:
    secrets = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    return S3Store(BUCKET, "", environ={"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", **secrets})


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> MutableMapping[str, str]:
    """The process's environment, in which nothing is named; as it was, after the test."""
    monkeypatch.setenv("SSL_CERT_FILE", "")  # so that it is taken back
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return os.environ


class TestName:
    def test_first_that_is_there(self, environ: MutableMapping[str, str], tmp_path: Path) -> None:
        """The first bundle that exists is named."""
        for name in ("b", "c"):
            (tmp_path / name).touch()
        name_bundle(environ, tuple(str(tmp_path / name) for name in "abc"))
        assert environ["SSL_CERT_FILE"] == str(tmp_path / "b")

    def test_none_is_there(self, environ: MutableMapping[str, str], tmp_path: Path) -> None:
        """Where no bundle is known, the client finds the system's certificates by itself."""
        name_bundle(environ, (str(tmp_path / "a"),))
        assert "SSL_CERT_FILE" not in environ

    @pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
    def test_what_is_named_stays(self, name: str, tmp_path: Path) -> None:
        """Whoever names certificates of their own keeps them, and no others are added."""
        given = {name: "/of/our/own"}
        name_bundle(given, (str(tmp_path),))
        assert given == {name: "/of/our/own"}


class TestTrust:
    def test_known_authority(
        self, endpoint: str, authority: trustme.CA, environ: MutableMapping[str, str], tmp_path: Path
    ) -> None:
        """A server is trusted whose authority is in the bundle."""
        authority.cert_pem.write_to_path(str(tmp_path / "bundle.pem"))
        name_bundle(environ, (str(tmp_path / "bundle.pem"),))
        assert open_store(endpoint).get("key").body == b"body"

    def test_unknown_authority(self, endpoint: str, environ: MutableMapping[str, str], tmp_path: Path) -> None:
        """A server is refused whose authority is not in the bundle."""
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "bundle.pem"))
        name_bundle(environ, (str(tmp_path / "bundle.pem"),))
        with pytest.raises(StoreUnavailable):
            open_store(endpoint).get("key")

    def test_system_bundle(self, endpoint: str, environ: MutableMapping[str, str]) -> None:
        """With the system's own bundle a client can be made, and trusts no authority that is not in it."""
        name_bundle(environ)
        assert environ["SSL_CERT_FILE"] in BUNDLES
        with pytest.raises(StoreUnavailable):
            open_store(endpoint).get("key")
