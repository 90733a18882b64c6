"""Whom requests on behalf of an index may reach, and that nobody else hears of them."""

import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from indexer.errors import PrivateAddress, UpstreamUnavailable
from indexer.names import ProjectName
from indexer.upstream.client import Upstream
from indexer.upstream.reach import Reach, is_public, is_public_host
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream

SIX = ProjectName("six")
PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::1", "::ffff:1.1.1.1"]
PRIVATE = [
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1"),
    *("192.0.2.1", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"),
    *("::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1", "fec0::1"),
]


@pytest.fixture
def fake() -> Iterator[FakeUpstream]:
    """The index."""
    with FakeUpstream() as fake:
        yield fake


@pytest.fixture
def other() -> Iterator[FakeUpstream]:
    """Another server on this machine, which answers everything."""
    with FakeUpstream() as other:
        other.override(body=b"secret")
        yield other


def make_upstream(fake: FakeUpstream, *private_hosts: str) -> Upstream:
    return Upstream(fake.url, user_agent="tests", private_hosts=frozenset(private_hosts))


def read(upstream: Upstream, url: str) -> bytes | None:
    with upstream.open_file(url, limit=1_000_000) as download:
        return None if download is None else b"".join(download.chunks)


def host_of(server: FakeUpstream) -> str:
    return server.origin.removeprefix("http://")


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    """Addresses of the public internet are known as such, also where they stand inside others."""
    assert is_public(address)
    assert is_public_host(address.partition("%")[0], 443)


@pytest.mark.parametrize("address", PRIVATE)
def test_private(address: str) -> None:
    """Addresses that mean this machine, its network or its cloud are not public, in whatever clothes."""
    assert not is_public(address)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]"])
def test_names_of_this_machine(host: str) -> None:
    """What a host is called does not matter: `127.1` is this machine, too."""
    with pytest.raises(PrivateAddress):
        Reach("https://upstream.example/").check_host("http", host.strip("[]"), 80)
    assert not is_public_host(host.strip("[]"), 80)


def test_unknown_host() -> None:
    """A host that nobody knows is not taken for a public one."""
    assert not is_public_host("upstream.invalid", 443)


class TestWhoIsAsked:
    def test_file_elsewhere(self, fake: FakeUpstream, other: FakeUpstream) -> None:
        """A file that the listing places at another port of this machine is refused, and nobody is asked for it."""
        with pytest.raises(PrivateAddress) as caught:
            read(make_upstream(fake), f"{other.origin}/six.whl")
        assert caught.value.host == "127.0.0.1"
        assert "UPSTREAM_PRIVATE_HOSTS" in str(caught.value)
        assert other.requests == []

    def test_redirect(self, fake: FakeUpstream, other: FakeUpstream) -> None:
        """A redirect, of a page or of a file, is followed to no private address."""
        fake.override(status=302, headers={"Location": f"{other.origin}/latest/meta-data/"})
        upstream = make_upstream(fake)
        for ask in (lambda: upstream.fetch_page(SIX), lambda: read(upstream, f"{fake.origin}/six.whl")):
            with pytest.raises(PrivateAddress):
                ask()
        assert other.requests == []

    @pytest.mark.parametrize(
        "link", ["http://localhost:{port}/x", "http://127.1:{port}/x", "http://[::ffff:7f00:1]:{port}/x"]
    )
    def test_names(self, fake: FakeUpstream, other: FakeUpstream, link: str) -> None:
        """Another name of this machine leads to it no more than its address does."""
        with pytest.raises(PrivateAddress):
            read(make_upstream(fake), link.format(port=host_of(other).partition(":")[2]))
        assert other.requests == []

    def test_tls(self, fake: FakeUpstream) -> None:
        """On a connection with TLS nothing is sent to a private address, not even the name of who is asked for."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with pytest.raises(PrivateAddress):
                read(make_upstream(fake), f"https://localhost:{listener.getsockname()[1]}/six.whl")
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()

    def test_rebinding(self, fake: FakeUpstream, other: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name that is public when it is looked up, and private when it is connected to, is told nothing."""
        real, asked = socket.getaddrinfo, threading.Event()
        public = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", 80))

        def look_up(host: Any, port: Any, *arguments: Any, **keywords: Any) -> Any:
            if host != "rebinding.example":
                return real(host, port, *arguments, **keywords)
            if keywords.get("flags") == socket.AI_NUMERICHOST:
                raise socket.gaierror
            if asked.is_set():
                return real("127.0.0.1", port, *arguments, **keywords)
            asked.set()
            return [public]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with pytest.raises(PrivateAddress):
            read(make_upstream(fake), f"http://rebinding.example:{host_of(other).partition(':')[2]}/six.whl")
        assert asked.is_set()
        assert other.requests == []


class TestWhoMayBe:
    def test_the_index_itself(self, fake: FakeUpstream) -> None:
        """The index's own origin is asked for pages and files wherever it is."""
        wheel = make_wheel("six")
        path = fake.add(wheel)
        upstream = make_upstream(fake)
        assert upstream.fetch_page(SIX) is not None
        assert read(upstream, fake.origin + path) == wheel.content

    @pytest.mark.parametrize("form", ["{host}", "{host}:{port}"])
    def test_named(self, fake: FakeUpstream, other: FakeUpstream, form: str) -> None:
        """A host that the setting names, at any port or at one, is asked."""
        host, _, port = host_of(other).partition(":")
        assert read(make_upstream(fake, form.format(host=host, port=port)), f"{other.origin}/x") == b"secret"

    @pytest.mark.parametrize("named", ["127.0.0.1:1", "localhost", "127.0.0.2"])
    def test_others_are_not(self, fake: FakeUpstream, other: FakeUpstream, named: str) -> None:
        """Naming one host, or one port of it, allows no other."""
        with pytest.raises(PrivateAddress):
            read(make_upstream(fake, named), f"{other.origin}/x")
        assert other.requests == []

    def test_another_scheme_is_another_origin(self, fake: FakeUpstream) -> None:
        """The index's host and port count with its scheme only."""
        with pytest.raises(PrivateAddress):
            read(make_upstream(fake), fake.origin.replace("http:", "https:") + "/x")

    def test_brackets(self) -> None:
        """An IPv6 address is named in the brackets that it has in URLs."""
        reach = Reach("https://upstream.example/", private_hosts=frozenset({"[::1]:8080"}))
        reach.check_host("http", "::1", 8080)
        with pytest.raises(PrivateAddress):
            reach.check_host("http", "::1", 8081)


class TestProxy:
    @pytest.fixture
    def proxied(self, fake: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
        """An upstream that only a proxy can reach; the proxy is on this machine, and plays the upstream itself."""
        monkeypatch.setenv("http_proxy", fake.origin)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        return Upstream("http://upstream.example/simple/", user_agent="tests")

    def test_names_are_the_proxy_s(self, fake: FakeUpstream, proxied: Upstream) -> None:
        """Through a proxy of the environment, wherever that is, a name is asked for without being looked up here."""
        fake.override(body=b"content")
        assert read(proxied, "http://files.upstream.example/six.whl") == b"content"
        assert fake.requests == [("GET", "http://files.upstream.example/six.whl")]

    @pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "127.1", "[::1]"])
    def test_addresses_are_ours(self, fake: FakeUpstream, proxied: Upstream, host: str) -> None:
        """A proxy is asked for no private address."""
        with pytest.raises(PrivateAddress):
            read(proxied, f"http://{host}/six.whl")
        assert fake.requests == []


class _Handler(BaseHTTPRequestHandler):
    """Answers everything, on a connection for each request."""

    def do_GET(self) -> None:
        self.send_response_only(200)
        self.end_headers()
        self.wfile.write(b"content")

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def url(authority: trustme.CA) -> Iterator[str]:
    """A file on a server of localhost, with a certificate of this authority's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}/six.whl"
        finally:
            server.shutdown()
            thread.join()


class TestTls:
    @pytest.fixture
    def bundle(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The file that names whom we trust."""
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "bundle.pem"))
        return tmp_path / "bundle.pem"

    def test_known_authority(self, url: str, authority: trustme.CA, bundle: Path) -> None:
        """A server is trusted whose authority is in the bundle, which is read once."""
        authority.cert_pem.write_to_path(str(bundle))
        upstream = Upstream(url, user_agent="tests")
        assert read(upstream, url) == b"content"
        bundle.write_text("no certificates")
        assert read(upstream, url) == b"content"

    def test_unknown_authority(self, url: str, bundle: Path) -> None:
        """A server whose authority is not in the bundle is refused, each time."""
        trustme.CA().cert_pem.write_to_path(str(bundle))
        upstream = Upstream(url, user_agent="tests")
        for _ in range(2):
            with pytest.raises(UpstreamUnavailable, match="cannot be reached"):
                read(upstream, url)

    def test_another_name(self, url: str, authority: trustme.CA, bundle: Path) -> None:
        """A server is refused whose certificate is another host's."""
        authority.cert_pem.write_to_path(str(bundle))
        elsewhere = url.replace("localhost", "127.0.0.1")
        with pytest.raises(UpstreamUnavailable):
            read(Upstream(elsewhere, user_agent="tests"), elsewhere)


def test_who_may_be_sent_there(fake: FakeUpstream) -> None:
    """A client may be sent to a public host, and to none of an index that wants credentials."""
    anonymous, guarded = make_upstream(fake), Upstream("https://u:p@upstream.example/", user_agent="tests")
    assert anonymous.is_for_anybody("https://1.1.1.1/six.whl")
    assert not anonymous.is_for_anybody(f"{fake.origin}/six.whl")
    assert not make_upstream(fake, "127.0.0.1").is_for_anybody(f"{fake.origin}/six.whl")
    assert not guarded.is_for_anybody("https://1.1.1.1/six.whl")


def test_it_is_a_fault_of_the_upstream() -> None:
    """Whoever can go on without the upstream, as with a stored page, can do so here."""
    assert issubclass(PrivateAddress, UpstreamUnavailable)
