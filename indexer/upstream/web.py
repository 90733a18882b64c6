"""GET over HTTP on behalf of one index: its credentials, redirects, timeouts, limits.

Owns the session and turns every fault of the network into `UpstreamUnavailable`, whose text never has credentials or a
query. Knows nothing of what is fetched: that is `indexer.upstream.client`'s, its only user. Whom it may reach is
`indexer.upstream.reach`'s to say.

requests is imported by the first call: it costs 120 ms, and most requests to us never come here.

RFC 9110 (redirects), RFC 7617 (Basic).
"""

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING

from indexer.errors import UpstreamRefused, UpstreamUnavailable
from indexer.upstream.url import IndexUrl, absolute_url, origin, shown_url
from indexer.value import field, value

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS = 5.0  # two retransmissions of a lost SYN (after 1 s and 3 s) and some
READ_SECONDS = 15.0  # with the connect time below the 29 s of API Gateway, so that the client still gets our answer
MAX_REDIRECTS = 5  # http → https → normalised name → storage is three
CHUNK_BYTES = 262_144  # 256 KiB: above it nothing gets faster
MIN_RETRY_AFTER_SECONDS = 1
MAX_RETRY_AFTER_SECONDS = 3_600  # an upstream may not park us for longer than an hour

OnAnswer = Callable[[float, int], None]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS_REFUSED = frozenset({401, 403})
_FORBIDDEN = frozenset({403, 451})
REASON_SECONDS = 2.0  # what has not come by then of the text of a refusal is not waited for


@value
class Answer:
    """What came back: status and headers, and a body that is read on demand.

    Attributes:
        url: where it came from after all redirects, without credentials.
        secrets: patterns of what we sent, and must not be shown to anybody.
    """

    url: str
    response: "requests.Response"
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status_code

    def find(self, header: str) -> str | None:
        """Return a header's value, or None when it is absent; its name in any case."""
        value = self.response.headers.get(header)
        return None if value is None else str(value)

    @property
    def content_length(self) -> int | None:
        """How many bytes the body has on the wire; None when that is not announced."""
        value = self.find("content-length") or ""
        return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None

    def require(self, status: int) -> None:
        """Check that this is the answer one can go on with.

        Raises:
            UpstreamRefused: the upstream forbids it, with a reason.
            UpstreamUnavailable: it has another status.
        """
        if self.status == status:
            return
        if self.status in _FORBIDDEN and (given := self._find_refusal()) is not None:
            raise UpstreamRefused(given)
        hint = "; are its credentials right?" if self.status in _CREDENTIALS_REFUSED else ""
        reason = f"{shown_url(self.url)} answered {self.status}{hint}"
        retry_after = (self.find("retry-after") or "").strip()
        if not re.fullmatch(r"[0-9]{1,9}", retry_after):
            raise UpstreamUnavailable(reason)
        seconds = min(max(int(retry_after), MIN_RETRY_AFTER_SECONDS), MAX_RETRY_AFTER_SECONDS)
        raise UpstreamUnavailable(reason, retry_after_seconds=seconds)

    def _find_refusal(self) -> str | None:
        """Return why the upstream refuses this, or None where it does not say."""
        import urllib3

        from indexer.upstream.refusals import MAX_READ_BYTES, find_reason

        body, began = b"", perf_counter()
        try:
            for chunk in self.response.raw.stream(MAX_READ_BYTES, decode_content=True):
                body += chunk
                if len(body) >= MAX_READ_BYTES or perf_counter() - began > REASON_SECONDS:
                    break
        except (urllib3.exceptions.HTTPError, OSError):
            pass  # what came counts
        phrase = str(self.response.reason or "")
        return find_reason(self.find("content-type") or "", body[:MAX_READ_BYTES], phrase, secrets=self.secrets)

    def check_size(self, size: int | None, *, limit: int) -> None:
        """Check a size, where it is known.

        Raises:
            UpstreamUnavailable: it is above the limit.
        """
        if size is not None and size > limit:
            raise UpstreamUnavailable(f"{shown_url(self.url)} is larger than the {limit:,} bytes that are read of it")

    def chunks(self, *, limit: int, decompress: bool) -> Iterator[bytes]:
        """Yield the body in pieces.

        Args:
            limit: how many bytes, decompressed ones where that is asked for, may come.
            decompress: undo the Content-Encoding.

        Raises:
            UpstreamUnavailable: it is longer than the limit, or shorter than was announced.
        """
        import urllib3

        self.check_size(self.content_length, limit=limit)
        done = 0
        try:
            for chunk in self.response.raw.stream(CHUNK_BYTES, decode_content=decompress):
                done += len(chunk)
                self.check_size(done, limit=limit)
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _fault(self.url, error, stage="broke off") from None


class Web:
    """The connections to one index and to wherever it points. May be used by several threads at once.

    Args:
        index: whose credentials to send, to its own origin alone.
        user_agent: what we call ourselves.
        private_hosts: `host` or `host:port` that may be asked although their addresses are private.
        on_answer: called after each request with the seconds until its answer began, and the answer's status, 0 for
            none.
    """

    def __init__(
        self,
        index: IndexUrl,
        *,
        user_agent: str,
        private_hosts: frozenset[str] = frozenset(),
        on_answer: OnAnswer = lambda seconds, status: None,
    ) -> None:
        self._index = index
        self._on_answer = on_answer
        self._user_agent = user_agent
        self._private_hosts = private_hosts
        self._lock = threading.Lock()

    @contextmanager
    def open(self, url: str, *, headers: Mapping[str, str], read_seconds: float = READ_SECONDS) -> Iterator[Answer]:
        """Send a GET, follow redirects, and give the answer, whatever its status.

        Args:
            read_seconds: how long the other side may be silent.

        Raises:
            UpstreamUnavailable: there is no answer.
        """
        target = absolute_url(url)
        for _ in range(MAX_REDIRECTS + 1):
            if target is None:
                raise UpstreamUnavailable(f"{shown_url(url)} leads to what is no http or https URL")
            url = target
            # The loop is ours because requests' own reads the body of a redirect, of any length.
            with self._timed(url, headers, read_seconds) as response:
                location = response.headers.get("location")
                if response.status_code not in _REDIRECTS or location is None:
                    yield Answer(url=url, response=response, secrets=self._index.secrets)
                    return
            target = absolute_url(location.encode("latin-1", "replace").decode("utf-8", "replace"), base=url)
        raise UpstreamUnavailable(f"{shown_url(url)} redirects more than {MAX_REDIRECTS} times")

    def check_reach(self, url: str) -> None:
        """Make sure that a URL's host may be asked; its name is looked up, and nothing is sent there.

        Raises:
            PrivateAddress: it may not.
        """
        from requests.utils import get_environ_proxies, select_proxy

        from indexer.upstream.reach import Reach

        reach = Reach(self._index.root, private_hosts=self._private_hosts)
        if select_proxy(url, get_environ_proxies(url)):
            reach.check_literal(url)
        else:
            reach.check_host(*origin(url))

    def close(self) -> None:
        """Close the connections that are kept open."""
        with self._lock:
            session: requests.Session | None = self.__dict__.pop("_made_session", None)
        if session is not None:
            session.close()

    def _timed(self, url: str, headers: Mapping[str, str], read_seconds: float) -> "requests.Response":
        began, status = perf_counter(), 0
        try:
            response = self._send(url, headers, read_seconds)
            status = response.status_code
        finally:
            self._on_answer(perf_counter() - began, status)
        return response

    def _send(self, url: str, headers: Mapping[str, str], read_seconds: float) -> "requests.Response":
        import requests
        import urllib3

        def attempt() -> requests.Response:
            return self._session.get(
                url,
                headers=headers,
                auth=self._authorize,
                stream=True,
                timeout=(CONNECT_SECONDS, read_seconds),
            )

        try:
            try:
                return attempt()
            except (requests.Timeout, requests.exceptions.SSLError, requests.exceptions.ProxyError):
                raise
            except requests.ConnectionError:
                # A kept connection that died while the process slept (Lambda freezes it) is noticed only by using it.
                return attempt()
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:  # the latter of an impossible host
            raise _fault(url, error, stage="cannot be reached") from None  # its text has the query

    def _authorize(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        """Add our credentials where they belong; that there is an `auth` at all keeps requests from reading netrc."""
        if self._index.authorization and origin(request.url or "") == origin(self._index.root):
            request.headers["Authorization"] = self._index.authorization
        return request

    @property
    def _session(self) -> "requests.Session":
        with self._lock:
            return self._made_session

    @cached_property
    def _made_session(self) -> "requests.Session":
        from http.cookiejar import DefaultCookiePolicy

        import requests

        from indexer.upstream.reach import Reach, ReachAdapter

        class Session(requests.Session):
            def get_redirect_target(self, _response: requests.Response) -> None:
                """Find none: even with `allow_redirects=False` requests would read the redirect to prepare the next."""

        # urllib3 logs URLs with their queries, where signatures live: each one at DEBUG, odd ones at WARNING.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        session = Session()
        adapter = ReachAdapter(Reach(self._index.root, private_hosts=self._private_hosts))
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        session.headers.clear()
        session.headers["User-Agent"] = self._user_agent
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session


def _fault(url: str, error: Exception, *, stage: str) -> UpstreamUnavailable:
    import requests
    import urllib3

    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return UpstreamUnavailable(f"{shown_url(url)} did not answer in time")
    return UpstreamUnavailable(f"{shown_url(url)} {stage}: {_root_cause(error)}")


def _root_cause(error: BaseException) -> str:
    """Return the system's or TLS's own words: those of requests and urllib3 contain the URL with its query."""
    import requests

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException) and cause.strerror:
            return str(cause.strerror)
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
