"""Whom a request may reach: the index itself, hosts that the administrator named, and the public internet.

An index's listing names the hosts of its files, and a redirect names another. So whoever controls an index could have
us ask what only we can reach: the metadata service of the cloud, a database, this machine (server-side request
forgery). What counts is the address that a connection is made to: a name is looked up before, and the connection is
looked at again before anything is sent on it, since a name may mean something else the next time (DNS rebinding).

Imported with requests, by the first call that leaves this process.

RFC 6890 (special-purpose addresses), RFC 4291 and 6052 (IPv4 inside IPv6).
"""

import socket
import ssl
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Lock
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from indexer.errors import PrivateAddress
from indexer.upstream.url import origin

# "The Well-Known Prefix MUST NOT be used to represent non-global IPv4 addresses" (RFC 6052), which gateways may ignore.
_NAT64 = IPv6Network("64:ff9b::/96")
KEPT_CONNECTIONS = 32  # to each host: a server process asks by as many threads, and what is not kept needs a handshake


class Reach:
    """Tells whom requests on behalf of one index may reach.

    Args:
        root: the index's URL; its own origin may be anywhere.
        private_hosts: `host` or `host:port`, in lower case, that may be anywhere, too.
    """

    def __init__(self, root: str, *, private_hosts: frozenset[str] = frozenset()) -> None:
        self._origin = origin(root)
        self._private_hosts = private_hosts

    def check_literal(self, url: str) -> None:
        """Check a URL without looking up its host: all that can be done where a proxy will do that.

        Raises:
            PrivateAddress: its host is an address that may not be reached.
        """
        scheme, host, port = origin(url)
        self._check(scheme, host, port, flags=socket.AI_NUMERICHOST)

    def check_host(self, scheme: str, host: str, port: int) -> None:
        """Look a host up and check each of its addresses.

        Raises:
            PrivateAddress: one of them may not be reached.
        """
        self._check(scheme, host, port, flags=0)

    def check_peer(self, scheme: str, host: str, port: int, address: str) -> None:
        """Check the address that a connection to a host has at its other end.

        Raises:
            PrivateAddress: it may not be reached.
        """
        if not is_public(address) and not self._is_named(scheme, host, port):
            raise PrivateAddress(host)

    def _check(self, scheme: str, host: str, port: int, *, flags: int) -> None:
        if self._is_named(scheme, host, port):
            return
        for address in _addresses(host, port, flags):
            self.check_peer(scheme, host, port, address)

    def _is_named(self, scheme: str, host: str, port: int) -> bool:
        host = host.lower()
        shown = f"[{host}]" if ":" in host else host
        return (scheme, host, port) == self._origin or not self._private_hosts.isdisjoint({shown, f"{shown}:{port}"})


class ReachAdapter(HTTPAdapter):
    """Connects where it may. Through a proxy it is the proxy that connects, to what `check_literal` let through."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._tls = _SharedContext(ssl.PROTOCOL_TLS_CLIENT)
        super().__init__(pool_maxsize=KEPT_CONNECTIONS)

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*arguments, ssl_context=self._tls, **keywords)
        self.poolmanager.pool_classes_by_scheme = _pool_classes(self._reach)

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        """Return the pools of connections through a proxy."""
        return super().proxy_manager_for(proxy, ssl_context=self._tls, **keywords)

    def send(self, request: PreparedRequest, *arguments: Any, **keywords: Any) -> Response:
        """Send a request."""
        self._reach.check_literal(request.url or "")
        return super().send(request, *arguments, **keywords)


class _SharedContext(ssl.SSLContext):
    """What all connections trust. urllib3 says that anew for each one, and reading the authorities takes 25 ms."""

    def __init__(self, protocol: int) -> None:
        self.hostname_checks_common_name = False  # as urllib3 has it in a context of its own
        self._said: set[object] = set()
        self._lock = Lock()

    def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        """Trust these authorities, read once."""
        with self._lock:
            if (cafile, capath, cadata) not in self._said:
                super().load_verify_locations(cafile, capath, cadata)
                self._said.add((cafile, capath, cadata))

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        """Offer these protocols; once, because a handshake that begins meanwhile reads them."""
        with self._lock:
            if tuple(alpn_protocols) not in self._said:
                super().set_alpn_protocols(alpn_protocols)
                self._said.add(tuple(alpn_protocols))


def _pool_classes(reach: Reach) -> dict[str, type[HTTPConnectionPool]]:
    # `_new_conn` is urllib3's own name, but the only place before a TLS handshake tells who is asked for.
    class PlainConnection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            reach.check_host("http", self.host, _port(self))
            return _checked(reach, "http", self, super()._new_conn())

    class TlsConnection(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            reach.check_host("https", self.host, _port(self))
            return _checked(reach, "https", self, super()._new_conn())

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": PlainPool, "https": TlsPool}


def _port(connection: HTTPConnection) -> int:
    return connection.port or connection.default_port


def _checked(reach: Reach, scheme: str, connection: HTTPConnection, connected: socket.socket) -> socket.socket:
    try:
        reach.check_peer(scheme, connection.host, _port(connection), str(connected.getpeername()[0]))
    except BaseException:
        connected.close()
        raise
    return connected


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet's."""
    parsed = _unwrapped(ip_address(address.partition("%")[0]))
    # `is_global` is true of multicast, of most addresses that nobody was given yet, and of IPv6's old private ones.
    odd = parsed.is_multicast or parsed.is_reserved or (isinstance(parsed, IPv6Address) and parsed.is_site_local)
    return parsed.is_global and not odd


def is_public_host(host: str, port: int) -> bool:
    """Tell whether a host is known, and all its addresses are the public internet's."""
    addresses = _addresses(host, port, 0)
    return bool(addresses) and all(map(is_public, addresses))


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address leads to, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _addresses(host: str, port: int, flags: int) -> list[str]:
    """Return a host's addresses, none where it has none: then connecting fails, and says why."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):  # the latter of a label that is too long
        return []
    return [str(entry[4][0]) for entry in found]
