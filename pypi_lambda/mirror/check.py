"""What the upstream last said about a mirrored page, as it lies beside the page."""

from typing import TYPE_CHECKING

from indexer.errors import CorruptObject
from indexer.json_bytes import decode_json, encode_json
from indexer.quick_hashes import blake2b
from indexer.value import value

if TYPE_CHECKING:
    pass

FORMAT_VERSION = 2
# A 404 after a page is asked about again after so long, and believed only then: the restarts, half-deployed releases
# and failing lookups for which whole indexes answer 404 for a while take a minute or two.
CONFIRM_SECONDS = 300


@value
class Check:
    """What the upstream last said about a page.

    Attributes:
        page_digest: of the stored, compressed page that this is about.
        sources_digest: of the stored addresses of its files.
        renderer: how that page was rendered.
        at: seconds since the epoch.
        fresh_seconds: for how long from then on it need not be asked.
        missing_since: when it said for the first time since then that there is no such project, in the same seconds.
    """

    page_digest: str
    sources_digest: str
    renderer: str
    at: float
    fresh_seconds: int
    etag: str | None
    last_modified: str | None
    missing_since: float | None

    @property
    def said_at(self) -> float:
        """When the last of this was said."""
        return max(self.at, self.missing_since or self.at)

    def is_fresh(self, at: float) -> bool:
        """Tell whether the upstream need not be asked at this time."""
        if self.missing_since is not None:
            return 0 <= at - self.missing_since < CONFIRM_SECONDS
        return 0 <= at - self.at < self.fresh_seconds


def digest_of(body: bytes) -> str:
    """Return the digest by which a check names what it is about."""
    return blake2b(body, digest_size=16).hexdigest()


def encode_check(check: Check) -> bytes:
    """Return the check's bytes."""
    return encode_json(
        {
            "v": FORMAT_VERSION,
            "page": check.page_digest,
            "sources": check.sources_digest,
            "renderer": check.renderer,
            "at": check.at,
            "fresh": check.fresh_seconds,
            "etag": check.etag,
            "last_modified": check.last_modified,
            "missing_since": check.missing_since,
        }
    )


def decode_check(key: str, body: bytes) -> Check:
    """Return the check.

    Args:
        key: where the bytes were stored, for the error.

    Raises:
        CorruptObject: they are none, or of another version.
    """
    try:
        document = decode_json(body)
        if document["v"] != FORMAT_VERSION:
            raise ValueError(f"unknown version {document['v']!r}")
        return Check(
            page_digest=document["page"],
            sources_digest=document["sources"],
            renderer=document["renderer"],
            at=float(document["at"]),
            fresh_seconds=int(document["fresh"]),
            etag=_text_or_none(document["etag"]),
            last_modified=_text_or_none(document["last_modified"]),
            missing_since=None if document["missing_since"] is None else float(document["missing_since"]),
        )
    except (ValueError, TypeError, LookupError, OverflowError) as fault:
        raise CorruptObject(key, f"no readable check of a page: {fault}") from fault


def _text_or_none(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"a validator is text, not {value!r}")
