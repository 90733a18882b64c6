"""The upstream index: its list of names, its project pages, its files. All outbound HTTP of this project begins here.

Owns what an index is asked and within which limits. How a request travels is `indexer.upstream.web`'s; what a page
means is `indexer.upstream.listing`'s and `indexer.upstream.root_page`'s.

PEP 503, PEP 691 (pages), RFC 9110 (conditional and range requests), RFC 9111 (Cache-Control).
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from itertools import islice

from indexer.errors import PrivateAddress, UpstreamUnavailable
from indexer.names import ProjectName
from indexer.upstream.url import origin, parse_index_url, shown_url
from indexer.upstream.web import Answer, OnAnswer, Web
from indexer.value import value

logger = logging.getLogger(__name__)

READ_NAMES_SECONDS = 60.0  # some indexes build the whole root page before its first byte; nobody waits for it online
MAX_PAGE_BYTES = 67_108_864  # 64 MiB: the page of a project with 4,415 files is 2 MB of JSON
MAX_NAMES_BYTES = 805_306_368  # 768 MiB: ten million names are 0.5 GB of HTML, the public index 40 MB; read as a stream

_PAGE_HEADERS = {
    "Accept": "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1",
    "Accept-Encoding": "gzip",  # and no more: what urllib3 offers by itself depends on what else is installed
}
_FILE_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}
_ABSENT = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_MAX_AGE = re.compile(r'(s-maxage|max-age)="?(\d{1,9})"?')
_AGE = re.compile(r"\d{1,9}")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


@value
class Fetched:
    """A project page as the upstream sent it.

    Attributes:
        content_type: with its parameters; empty when there was none.
        url: where it was in the end, for its relative links; without credentials.
        max_age_seconds: for how long from now on the upstream calls it fresh; None when it does not say.
    """

    content: bytes
    content_type: str
    url: str
    etag: str | None
    last_modified: str | None
    max_age_seconds: int | None


@value
class NotModified:
    """The upstream's word that the page is still the one whose validators were sent."""

    max_age_seconds: int | None


@value
class Download:
    """A file on its way.

    Attributes:
        size: in bytes, where the upstream says so.
        chunks: its content as stored there, not decompressed unless that was asked for.
        last_modified: the header.
    """

    size: int | None
    content_type: str | None
    chunks: Iterator[bytes]
    last_modified: str | None


@value
class Part:
    """Bytes from within a file.

    Attributes:
        start: the offset of the first one.
        file_size: of the whole file.
    """

    body: bytes
    start: int
    file_size: int


class Upstream:
    """One index to mirror. May be used by several threads at once.

    Args:
        index_url: the URL of its root page; may carry credentials, which only its own origin is ever sent.
        user_agent: what we call ourselves there.
        private_hosts, on_answer: as `indexer.upstream.web.Web` has them.

    Raises:
        InvalidValue: the URL is none.
    """

    def __init__(
        self,
        index_url: str,
        *,
        user_agent: str,
        private_hosts: frozenset[str] = frozenset(),
        on_answer: OnAnswer = lambda seconds, status: None,
    ) -> None:
        index = parse_index_url(index_url)
        self._root = index.root
        self._is_anonymous = index.authorization is None
        self._web = Web(index, user_agent=user_agent, private_hosts=private_hosts, on_answer=on_answer)

    def __repr__(self) -> str:
        return f"Upstream({self._root!r})"

    @property
    def index_url(self) -> str:
        """The URL of the root page, ending in `/`, without credentials."""
        return self._root

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._web.close()

    def fetch_names(
        self, *, expected_at_least: int = 1, on_progress: Callable[[int, int | None], None] | None = None
    ) -> Iterator[ProjectName]:
        """Yield the normalised name of every project of the upstream, in its order, possibly repeated.

        The list is whole only when the iterator ends normally: a page that breaks off is noticed at its end.

        Args:
            expected_at_least: fewer names are a fault: something else was answered in the list's place.
            on_progress: called with the bytes read so far and, where known, the bytes in all.

        Raises:
            UpstreamUnavailable: the list cannot be had whole.
        """
        from indexer.upstream.root_page import NotARootPage, RootPage

        page = RootPage()
        with self._web.open(self._root, headers=_PAGE_HEADERS, read_seconds=READ_NAMES_SECONDS) as answer:
            answer.require(HTTPStatus.OK)
            try:
                yield from page.read(answer.find("content-type") or "", _watched(answer, on_progress))
            except NotARootPage as error:
                raise UpstreamUnavailable(f"the root page {shown_url(answer.url)} {error.reason}") from None
        if page.names < expected_at_least:
            raise UpstreamUnavailable(
                f"the root page {shown_url(answer.url)} lists {page.names:,} projects; "
                f"at least {expected_at_least:,} were expected"
            )
        if page.skipped:
            logger.info("the upstream's root page has %d links to what cannot be a project", page.skipped)

    def fetch_page(
        self, project: ProjectName, *, etag: str | None = None, last_modified: str | None = None
    ) -> Fetched | NotModified | None:
        """Return a project's page, or None when the upstream has no such project.

        Args:
            etag: a validator of the copy at hand, if there is one; so is `last_modified`.

        Raises:
            UpstreamUnavailable: it cannot be had.
        """
        validators = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        conditions = {name: value for name, value in validators.items() if value is not None}
        with self._web.open(f"{self._root}{project}/", headers=_PAGE_HEADERS | conditions) as answer:
            if answer.status in _ABSENT:
                return None
            max_age_seconds = _max_age_seconds(answer.find("cache-control") or "", answer.find("age") or "")
            if conditions and answer.status == HTTPStatus.NOT_MODIFIED:
                return NotModified(max_age_seconds=max_age_seconds)
            answer.require(HTTPStatus.OK)
            return Fetched(
                content=b"".join(answer.chunks(limit=MAX_PAGE_BYTES, decompress=True)),
                content_type=answer.find("content-type") or "",
                url=answer.url,
                etag=answer.find("etag"),
                last_modified=answer.find("last-modified"),
                max_age_seconds=max_age_seconds,
            )

    @contextmanager
    def open_file(self, url: str, *, limit: int, decompress: bool = False) -> Iterator[Download | None]:
        """Give a file, or None when there is none at this URL; its chunks are read inside the `with`.

        Args:
            url: absolute, http or https.
            limit: bytes it may have; more are a fault.
            decompress: undo a Content-Encoding, which was not asked for.

        Raises:
            UpstreamUnavailable: it cannot be had; also while its chunks are read.
        """
        with self._web.open(url, headers=_FILE_HEADERS) as answer:
            if answer.status in _ABSENT:
                yield None
                return
            answer.require(HTTPStatus.OK)
            answer.check_size(answer.content_length, limit=limit)
            yield Download(
                size=answer.content_length,
                content_type=answer.find("content-type"),
                chunks=answer.chunks(limit=limit, decompress=decompress),
                last_modified=answer.find("last-modified"),
            )

    def fetch_part(self, url: str, *, start: int | None, length: int) -> Part | None:
        """Return some bytes of a file, fewer where it ends, or None when the server answers with anything but these.

        Args:
            start: the offset of the first one; None for the last ones of the file.

        Raises:
            UpstreamUnavailable: there is no answer, or it broke off.
        """
        wanted = f"-{length}" if start is None else f"{start}-{start + length - 1}"
        with self._web.open(url, headers=_FILE_HEADERS | {"Range": f"bytes={wanted}"}) as answer:
            given = _CONTENT_RANGE.fullmatch(answer.find("content-range") or "")
            if answer.status != HTTPStatus.PARTIAL_CONTENT or given is None:
                return None
            first, last, file_size = map(int, given.groups())
            expected = max(0, file_size - length) if start is None else start
            if (first, last) != (expected, min(expected + length, file_size) - 1):
                return None
            body = b"".join(answer.chunks(limit=length, decompress=False))
            return Part(body=body, start=first, file_size=file_size) if len(body) == last - first + 1 else None

    def find_private_hosts(self, urls: Iterable[str], limit: int) -> tuple[str, ...]:
        """Return the hosts, of the first `limit` that these URLs name, that may not be asked."""
        found = []
        for url in islice({origin(url): url for url in urls}.values(), limit):
            try:
                self._web.check_reach(url)
            except PrivateAddress as fault:
                found.append(fault.host)
        return tuple(dict.fromkeys(found))

    def is_for_anybody(self, url: str) -> bool:
        """Tell whether anybody may be sent to a file's URL: no credentials are needed, and its host is public."""
        from indexer.upstream.reach import is_public_host

        _, host, port = origin(url)
        return self._is_anonymous and is_public_host(host, port)


def _watched(answer: Answer, on_progress: Callable[[int, int | None], None] | None) -> Iterator[bytes]:
    total = answer.content_length if answer.find("content-encoding") is None else None
    done = 0
    for chunk in answer.chunks(limit=MAX_NAMES_BYTES, decompress=True):
        done += len(chunk)
        if on_progress is not None:
            on_progress(done, total)
        yield chunk


def _max_age_seconds(cache_control: str, age: str) -> int | None:
    """Return for how long from now on an answer is fresh (RFC 9111, 4.2: a shared cache prefers s-maxage).

    `no-store`, `private` and `must-revalidate` do not keep a page from being stored and served when the upstream is
    down: they come by default from frameworks on which indexes are built, and mirroring is what we were set up for.
    """
    directives = [directive.strip().lower() for directive in cache_control.split(",")]
    if "no-cache" in directives or "no-store" in directives:
        return 0
    lifetimes = {found[1]: int(found[2]) for directive in directives if (found := _MAX_AGE.fullmatch(directive))}
    lifetime = lifetimes.get("s-maxage", lifetimes.get("max-age"))
    if lifetime is None:
        return None
    return max(0, lifetime - int(age)) if _AGE.fullmatch(age) else lifetime
