"""What the upstream last said about a page, as it is stored beside the page. Pure.

The check is the commit of a stored page: it names the digests of the page and of its sources, so a reader that finds them
at odds, because two processes wrote at once, knows that it holds neither.
"""

from dataclasses import dataclass

import orjson

from indexer.errors import CorruptObject

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What the upstream last said about a page.

    Attributes:
        page_digest: of the stored, compressed page that this is about.
        sources_digest: of the stored addresses of its files.
        renderer: how that page was rendered.
        at: seconds since the epoch.
        fresh_seconds: for how long from then on it need not be asked.
    """

    page_digest: str
    sources_digest: str
    renderer: str
    at: float
    fresh_seconds: int
    etag: str | None
    last_modified: str | None


def encode_check(check: Check) -> bytes:
    """Return the check's bytes."""
    return orjson.dumps(
        {
            "v": FORMAT_VERSION,
            "page": check.page_digest,
            "sources": check.sources_digest,
            "renderer": check.renderer,
            "at": check.at,
            "fresh": check.fresh_seconds,
            "etag": check.etag,
            "last_modified": check.last_modified,
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
        document = orjson.loads(body)
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
        )
    except (ValueError, TypeError, LookupError) as fault:
        raise CorruptObject(key, f"no readable check of a page: {fault}") from fault


def _text_or_none(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"a validator is text, not {value!r}")
