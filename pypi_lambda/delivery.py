"""Sending an object of the store: by a redirect to a signed URL where the store signs, else by the app, with ranges.

HEAD is always answered here: a signed URL is good for one method, and pip's lazy wheels fail on a redirected HEAD.

RFC 9110 (13 conditional requests, 14 ranges), RFC 8246 (immutable).
"""

from collections.abc import Callable

from indexer.errors import Missing
from indexer.store import CACHE_FOREVER, ObjectStore, Stat
from pypi_lambda.cache import Cache
from pypi_lambda.http import NO_SNIFFING, NotFound, Request, Response, not_modified, parse_range

SIGNED_SECONDS = 900  # a slow client starts late; the download itself may take longer than that
# The same URL for a while, so that pip, which caches by final URL, finds what it has; two thirds leave 5 minutes at
# least.
REUSED_SECONDS = 600
MAX_SIGNED = 4_096  # URLs of about 500 bytes kept per process
IMMUTABLE = ("Cache-Control", CACHE_FOREVER)


class Delivery:
    """Sends files that never change.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, store: ObjectStore, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._signed: Cache[str, tuple[str, float]] = Cache(MAX_SIGNED)

    def send(self, request: Request, key: str, stat: Stat | None = None) -> Response:
        """Return the response with the object's content, or that leads to it.

        Args:
            stat: what is known of the object, if it was asked.

        Raises:
            NotFound: there is no such object.
            RangeNotSatisfiable: it is shorter than the range asked for.
        """
        if request.method == "GET" and (url := self._signed_url(key)) is not None:
            return Response(status=302, headers=(("Location", url), ("Cache-Control", "private, max-age=0")))
        stat = stat or self._store.stat(key)
        if stat is None:
            raise NotFound("the file is listed but not stored; tell the administrator")
        etag = f'"{stat.etag.strip(chr(34))}"'
        validators = (("ETag", etag), IMMUTABLE, ("Accept-Ranges", "bytes"))
        if not_modified(request.headers.get("if-none-match"), etag):
            return Response(status=304, headers=validators)
        headers = (*validators, ("Content-Type", "application/octet-stream"), NO_SNIFFING)
        if request.method == "HEAD":
            return Response(status=200, headers=(*headers, ("Content-Length", str(stat.size))))
        return self._send_bytes(request, stat, etag, headers)

    def announce(self, size: int) -> Response:
        """Return the answer to HEAD for a file that is not here yet, but will be for whoever asks for its bytes."""
        headers = (IMMUTABLE, ("Accept-Ranges", "bytes"), ("Content-Type", "application/octet-stream"), NO_SNIFFING)
        return Response(status=200, headers=(*headers, ("Content-Length", str(size))))

    def _send_bytes(self, request: Request, stat: Stat, etag: str, headers: tuple[tuple[str, str], ...]) -> Response:
        # "If-Range: the recipient MUST ignore the Range header field if the validator does not match"
        wanted = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
        part = parse_range(wanted, stat.size)
        start, end = part or (0, stat.size)
        try:
            body = self._store.read(stat.key, start=start, end=end)
        except Missing:
            raise NotFound("the file is gone") from None
        length = ("Content-Length", str(end - start))
        if part is None:
            return Response(status=200, headers=(*headers, length), body=body)
        content_range = ("Content-Range", f"bytes {start}-{end - 1}/{stat.size}")
        return Response(status=206, headers=(*headers, length, content_range), body=body)

    def _signed_url(self, key: str) -> str | None:
        now = self._clock()
        kept = self._signed.find(key)
        if kept is not None and now < kept[1]:
            return kept[0]
        url = self._store.signed_url(key, seconds=SIGNED_SECONDS)
        if url is not None:
            self._signed.put(key, (url, now + REUSED_SECONDS), cost=1)
        return url
