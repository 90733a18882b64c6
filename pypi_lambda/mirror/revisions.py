"""What an answer of the upstream makes of the page that is kept, and what is filled in on it afterwards. Pure,
but for lines in the log.

Each revision is decided from what lies in the store at that moment, which may be newer than what the upstream was asked
about: another process may have asked later, or filled something in.

RFC 9111 (freshness, validation).
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from indexer.digests import Hashes
from indexer.errors import UpstreamNonsense
from indexer.json_bytes import decode_json, encode_json
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, compress, decompress
from indexer.simple.wire import ProjectPage
from indexer.upstream.fills import filled, filled_facts, with_fills_of
from indexer.upstream.sources import Source, encode_sources
from indexer.value import replace, value
from pypi_lambda.mirror.check import CONFIRM_SECONDS, Check, digest_of
from pypi_lambda.mirror.kept_pages import KeptPage, Listed, Revision
from pypi_lambda.view.index import Page, page_of

if TYPE_CHECKING:
    from indexer.upstream.client import Fetched, NotModified
    from indexer.upstream.listing import Listing

DEFAULT_FRESH_SECONDS = 600  # what the public index itself says; used where an upstream says nothing
MAX_FRESH_SECONDS = 86_400  # an upstream may not keep a new release from us for longer than a day
# How far the clocks of two processes may be apart, and how long an answer may take to be written down. A check from
# beyond that is of a clock that is wrong.
CLOCKS_SECONDS = 60
MAX_LOGGED = 5  # of the files that a page is served without; the page names more

logger = logging.getLogger(__name__)


@value
class Asked:
    """A question to the upstream: when it was asked and answered, in seconds since the epoch."""

    at: float
    answered_at: float

    def is_older_than(self, check: Check) -> bool:
        """Tell whether another process got an answer after this was asked; its word is as good."""
        return self.at <= check.at < self.answered_at + CLOCKS_SECONDS


def reviser_of(
    name: ProjectName,
    answer: "Fetched | NotModified | None",
    *,
    asked: Asked,
    asked_about: KeptPage | None,
    renderer: Renderer,
    anew: bool,
) -> Callable[[KeptPage | None], Revision | None]:
    """Return what makes a revision of the page that lies in the store, as the upstream's answer has it.

    Args:
        asked_about: the page whose validators were sent, if there was one.
        anew: whether the sources must be written even if they should be there.

    Raises:
        UpstreamNonsense: the answer is no answer to what was asked, or no page.
    """
    from indexer.upstream.client import NotModified
    from indexer.upstream.listing import parse_listing

    if answer is None:
        return partial(revise_missing, asked=asked)
    if isinstance(answer, NotModified):
        if asked_about is None:
            raise UpstreamNonsense(f"it answered 304 for {name}, and nothing was asked conditionally")
        return partial(revise_unchanged, asked=asked, asked_about=asked_about, answer=answer)
    listing = parse_listing(name, answer.content, content_type=answer.content_type, url=answer.url)
    for dropped in listing.dropped[:MAX_LOGGED]:
        logger.warning("left out of the page of %s: %r: %s", name, dropped.filename[:300], dropped.reason)
    if listing.dropped:
        logger.warning("the upstream's page of %s has %d files that cannot be served", name, len(listing.dropped))
    return partial(revise_with_page, asked=asked, fetched=answer, listing=listing, renderer=renderer, anew=anew)


def revise_with_page(
    before: KeptPage | None,
    *,
    asked: Asked,
    fetched: "Fetched",
    listing: "Listing",
    renderer: Renderer,
    anew: bool,
) -> Revision | None:
    """Return what a page of the upstream makes of the page before: it, with what was filled in there.

    Args:
        anew: whether the sources must be written even if they should be there.
    """
    if before is not None and not anew and asked.is_older_than(before.check):
        return None
    page = listing.page if before is None else with_fills_of(listing.page, _content(before.page))
    body = compress(encode_json(page))
    sources = _listed(listing.sources, page)
    check = Check(
        page_digest=digest_of(body),
        sources_digest=digest_of(sources.body),
        renderer=renderer.mirror_tag,
        at=asked.answered_at,
        fresh_seconds=_fresh_seconds(fetched.max_age_seconds),
        etag=fetched.etag,
        last_modified=fetched.last_modified,
        missing_since=None,
    )
    is_there = before is not None and not anew and before.check.sources_digest == check.sources_digest
    return Revision(kept=KeptPage(page=page_of(body), check=check), sources=None if is_there else sources)


def revise_unchanged(
    before: KeptPage | None, *, asked: Asked, asked_about: KeptPage, answer: "NotModified"
) -> Revision | None:
    """Return what it makes of the page before that the page asked about is unchanged."""
    if before is not None and asked.is_older_than(before.check):
        return None
    if before is None or _validators(before.check) != _validators(asked_about.check):
        before = asked_about if before is None else _with_fills_of(asked_about, before)
    fresh_seconds = _fresh_seconds(answer.max_age_seconds)
    check = replace(before.check, at=asked.answered_at, fresh_seconds=fresh_seconds, missing_since=None)
    return Revision(kept=KeptPage(page=before.page, check=check))


def revise_missing(before: KeptPage | None, *, asked: Asked) -> Revision | None:
    """Return what it makes of the page before that the upstream has no such project: a doubt, and the end once the
    doubt is confirmed.
    """
    if before is None or asked.is_older_than(before.check):
        return None
    since = before.check.missing_since
    if since is None or since > asked.answered_at:
        return Revision(kept=replace(before, check=replace(before.check, missing_since=asked.answered_at)))
    return None if asked.answered_at - since < CONFIRM_SECONDS else Revision(kept=None)


def revise_file(
    before: KeptPage | None,
    sources: Mapping[Filename, Source] | None,
    filename: Filename,
    *,
    size: int | None,
    upload_time: str | None,
    metadata: bool | Hashes | None,
) -> Revision | None:
    """Return what it makes of the page before that this was learnt about one of its files.

    Args:
        sources: of that page, where they are at hand.
        size, upload_time, metadata: as for `indexer.upstream.fills.filled`.
    """
    if before is None:
        return None
    content = _content(before.page)
    page = filled(content, filename, size=size, upload_time=upload_time, metadata=metadata)
    if page == content:
        return None
    body = compress(encode_json(page))
    check = replace(before.check, page_digest=digest_of(body))
    if sources is None:
        return Revision(kept=KeptPage(page=page_of(body), check=check))
    listed = _listed(sources, page)
    check = replace(check, sources_digest=digest_of(listed.body))
    return Revision(kept=KeptPage(page=page_of(body), check=check), sources=listed)


def _with_fills_of(kept: KeptPage, other: KeptPage) -> KeptPage:
    body = compress(encode_json(with_fills_of(_content(kept.page), _content(other.page))))
    return KeptPage(page=page_of(body), check=replace(kept.check, page_digest=digest_of(body)))


def _content(page: Page) -> ProjectPage:
    content: ProjectPage = decode_json(decompress("a page", page.body))
    return content


def _listed(sources: Mapping[Filename, Source], page: ProjectPage) -> Listed:
    """Return where the files come from, with the sizes and upload times that were filled in on the page."""
    facts = filled_facts(page)
    known = {name: replace(sources[name], **facts[name]) for name in facts if name in sources}
    sources = {**sources, **known}
    return Listed(sources=sources, body=encode_sources(sources))


def _validators(check: Check) -> tuple[str | None, str | None]:
    return check.etag, check.last_modified


def _fresh_seconds(max_age_seconds: int | None) -> int:
    return DEFAULT_FRESH_SECONDS if max_age_seconds is None else min(max_age_seconds, MAX_FRESH_SECONDS)
