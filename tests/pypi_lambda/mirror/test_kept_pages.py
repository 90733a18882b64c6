"""Checks come back, what does not belong together is known to be old, and nobody's change is lost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.memory_store import MemoryStore
from indexer.errors import CorruptObject, StoreUnavailable
from indexer.json_bytes import encode_json
from indexer.names import Filename, ProjectName
from indexer.simple.page import compress
from indexer.store.base import Stored
from indexer.store.folder import FolderStore
from indexer.store.reads import Reads, read_ahead
from indexer.upstream.sources import Source, encode_sources
from indexer.value import replace
from pypi_lambda.mirror.check import CONFIRM_SECONDS, Check, decode_check, digest_of, encode_check
from pypi_lambda.mirror.kept_pages import KeptPage, KeptPages, Listed, Revision
from pypi_lambda.view.index import page_of
from tests.support.adversary import Adversary, Call, Crash, Fault, Mischief

NAME = ProjectName("six")
BODY = compress(b'{"files": []}')
OTHER = compress(b'{"files": [], "other": true}')
SOURCES = {Filename("six-1.tar.gz"): Source(url="https://upstream.example/1", hashes={}, size=1, metadata=False)}

checks = st.builds(
    Check,
    page_digest=st.text("0123456789abcdef"),
    sources_digest=st.text("0123456789abcdef"),
    renderer=st.sampled_from(["1", "1h"]),
    at=st.floats(allow_nan=False, allow_infinity=False),
    fresh_seconds=st.integers(0, 86_400),
    etag=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    last_modified=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    missing_since=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


def check(*, body: bytes = BODY, **changes: object) -> Check:
    values: dict[str, object] = {
        "page_digest": digest_of(body),
        "sources_digest": digest_of(encode_sources(SOURCES)),
        "renderer": "1",
        "at": 1_000.5,
        "fresh_seconds": 600,
        "etag": '"1"',
        "last_modified": None,
        "missing_since": None,
    }
    return Check(**(values | changes))  # type: ignore[arg-type]  # what tests pass is theirs to get right


def kept(*, body: bytes = BODY, **changes: object) -> KeptPage:
    return KeptPage(page=page_of(body), check=check(body=body, **changes))


def mine_after(before: KeptPage) -> bytes:
    return compress(encode_json({"files": [], "after": before.page.etag}))


def stored(body: bytes) -> Stored:
    return Stored(body=body, etag='"1"')


@given(checks)
def test_checks_come_back(written: Check) -> None:
    """What was encoded is what is decoded."""
    assert decode_check("a key", encode_check(written)) == written


def test_every_truncated_check_is_refused() -> None:
    """No beginning of a check is one."""
    body = encode_check(check())
    for length in range(len(body)):
        with pytest.raises(CorruptObject, match="a key"):
            decode_check("a key", body[:length])


@pytest.mark.parametrize(
    "body",
    [b"null", b"[]", b"7", b'{"v": 1}', b'{"v": 2}', encode_check(check()).replace(b"1000.5", b'"x"')]
    + [encode_check(check()).replace(b'"\\"1\\""', value) for value in (b"5", b"[]", b"true")]
    + [encode_check(check()).replace(b":600", value) for value in (b":1e999", b":null")]
    + [encode_check(check()).replace(b'_since":null', b'_since":[]')],
)
def test_what_is_no_check_is_refused(body: bytes) -> None:
    """An unknown version, a field of another type or a missing one is an error that names the key."""
    with pytest.raises(CorruptObject, match="a key"):
        decode_check("a key", body)


class TestKeptPages:
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path)

    @pytest.fixture
    def pages(self, store: FolderStore) -> KeptPages:
        return KeptPages(store, renderer_tag="1")

    def read(self, pages: KeptPages, store: FolderStore) -> KeptPage | None:
        return pages.find(NAME, read_ahead(store, pages.keys(NAME)))

    def put(self, pages: KeptPages, page: KeptPage, sources: Mapping[Filename, Source] = SOURCES) -> KeptPage | None:
        listed = Listed(sources=sources, body=encode_sources(sources))
        return pages.update(NAME, lambda before: Revision(kept=page, sources=listed))

    def test_what_was_put_is_found(self, pages: KeptPages, store: FolderStore) -> None:
        """A page comes back with its check and its sources."""
        assert self.put(pages, kept()) == self.read(pages, store) == kept()
        assert pages.find_sources(NAME, check()) == SOURCES

    def test_revised(self, pages: KeptPages, store: FolderStore) -> None:
        """What is stored is what was made of what was there; what did not change is not written again."""
        self.put(pages, kept())
        watched = Adversary(store)
        KeptPages(watched, renderer_tag="1").update(
            NAME, lambda before: Revision(kept=replace(before or kept(body=OTHER), check=check(at=2_000.0)))
        )
        assert self.read(pages, store) == kept(at=2_000.0)
        assert [call.method for call in watched.calls if call.method not in ("find", "gather")] == ["replace"]

    def test_left_as_it_is(self, pages: KeptPages, store: FolderStore) -> None:
        """A revision that finds nothing to change returns what is there, and writes nothing."""
        self.put(pages, kept())
        watched = Adversary(store)
        assert KeptPages(watched, renderer_tag="1").update(NAME, lambda before: None) == kept()
        assert {call.method for call in watched.calls} <= {"find", "gather"}

    def test_removed(self, pages: KeptPages, store: FolderStore) -> None:
        """A page that was taken out of use is not found, and can come back."""
        self.put(pages, kept())
        assert pages.update(NAME, lambda before: Revision(kept=None)) is None
        assert self.read(pages, store) is None
        self.put(pages, kept(body=OTHER))
        assert self.read(pages, store) == kept(body=OTHER)

    @pytest.mark.parametrize("key", ["upstream/pages/six.json.gz", "upstream/pages/six.check"])
    def test_another_process_is_faster(self, pages: KeptPages, store: FolderStore, key: str) -> None:
        """What another process writes while a revision is under way is what it is decided from anew."""
        self.put(pages, kept())
        seen: list[KeptPage | None] = []

        def revise(before: KeptPage | None) -> Revision:
            seen.append(before)
            if len(seen) == 1:
                changes: dict[str, Any] = {"body": OTHER} if key.endswith("gz") else {"etag": '"2"'}
                self.put(pages, kept(**changes))
            assert before is not None
            body = mine_after(before)
            return Revision(kept=kept(body=body, etag=before.check.etag))

        after = pages.update(NAME, revise)
        assert (seen[0], after) == (kept(), self.read(pages, store))
        assert seen[-1] != seen[0]
        assert after is not None
        assert seen[-1] is not None
        assert after.page.body == mine_after(seen[-1])
        assert after.check.etag == ('"1"' if key.endswith("gz") else '"2"')

    def test_another_process_makes_it_needless(self, pages: KeptPages, store: FolderStore) -> None:
        """A page that was put already is taken back when what another process said meanwhile leaves nothing to do."""
        self.put(pages, kept())
        revisions = [Revision(kept=kept(body=OTHER, at=2_000.0)), None]

        def revise(before: KeptPage | None) -> Revision | None:
            revision = revisions.pop(0)
            if revision is not None:
                self.put(pages, kept(at=3_000.0))
            return revision

        assert pages.update(NAME, revise) == kept(at=3_000.0) == self.read(pages, store)

    def test_another_process_is_always_faster(self, pages: KeptPages) -> None:
        """A change that never gets through is a failure of the store, after a number of tries."""
        numbers = iter(range(1_000))

        def revise(before: KeptPage | None) -> Revision:
            self.put(pages, kept(at=float(next(numbers))))
            return Revision(kept=kept(body=OTHER))

        with pytest.raises(StoreUnavailable):
            pages.update(NAME, revise)
        assert next(numbers) < 30

    @pytest.mark.parametrize("mischief", [Mischief.CRASH_BEFORE, Mischief.CRASH_AFTER])
    @pytest.mark.parametrize("key", ["json.gz", "sources", "check"])
    def test_died_in_between(self, pages: KeptPages, store: FolderStore, mischief: Mischief, key: str) -> None:
        """Wherever a process dies, there is a page: the old one, the new one, or one of unknown age."""
        self.put(pages, kept())

        def is_write(call: Call) -> bool:
            return call.method in ("put", "replace") and call.key.endswith(key)

        dying = KeptPages(Adversary(store, Fault(mischief, when=is_write)), renderer_tag="1")
        with pytest.raises(Crash):
            self.put(dying, kept(body=OTHER, at=2_000.0), {})
        found = self.read(pages, store)
        assert found is not None
        assert (found.check.at, found.page.body) in [(1_000.5, BODY), (2_000.0, OTHER), (0.0, OTHER)]
        self.put(pages, kept(body=OTHER, at=3_000.0))
        assert self.read(pages, store) == kept(body=OTHER, at=3_000.0)

    @pytest.mark.parametrize(
        ("body", "said"),
        [(None, encode_check(check())), (BODY, None), (BODY[:-1], encode_check(check(body=BODY[:-1])))],
        ids=["no page", "no check", "half a page"],
    )
    def test_none(self, pages: KeptPages, body: bytes | None, said: bytes | None) -> None:
        """Without a whole page, or without a check, there is none."""
        assert self.found(pages, body, said) is None

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (OTHER, encode_check(check())),
            (BODY, encode_check(check(renderer="1h"))),
            (BODY, b"no check"),
        ],
        ids=["another page", "another renderer", "a damaged check"],
    )
    def test_at_odds(self, pages: KeptPages, body: bytes, said: bytes) -> None:
        """Of a page whose check is of another one nothing is known but what it says, so it is never fresh."""
        found = self.found(pages, body, said)
        assert found is not None
        unknown = check(
            body=body, sources_digest="", renderer="", at=0.0, fresh_seconds=0, etag=None, last_modified=None
        )
        assert (found.page, found.check) == (page_of(body), unknown)
        assert not found.check.is_fresh(0.0)

    def found(self, pages: KeptPages, body: bytes | None, said: bytes | None) -> KeptPage | None:
        contents = dict(zip(pages.keys(NAME), (body, said), strict=True))
        objects = {key: None if content is None else stored(content) for key, content in contents.items()}
        return pages.find(NAME, Reads(store=MemoryStore(), objects=objects, stats={}))

    @pytest.mark.parametrize("body", [None, b"", encode_sources(SOURCES)[:-1], encode_sources({})])
    def test_lost_sources(self, pages: KeptPages, store: FolderStore, body: bytes | None) -> None:
        """Sources that are missing or not those of the page are none, but where they were at hand before."""
        self.put(pages, kept())
        store.delete("upstream/pages/six.sources")
        if body is not None:
            store.put("upstream/pages/six.sources", body)
        assert KeptPages(store, renderer_tag="1").find_sources(NAME, check()) is None
        assert pages.find_sources(NAME, check()) == SOURCES

    def test_sources_are_read_once(self, pages: KeptPages, store: FolderStore) -> None:
        """Sources that were read once are at hand, until the page has others."""
        self.put(pages, kept())
        watched = Adversary(store)
        reading = KeptPages(watched, renderer_tag="1")
        assert [reading.find_sources(NAME, check()) for _ in range(3)] == [SOURCES] * 3
        assert len(watched.calls) == 1
        assert reading.find_sources(NAME, check(sources_digest=digest_of(b"others"))) is None

    def test_sources_of_another_format(self, pages: KeptPages, store: FolderStore) -> None:
        """Sources that another version of this program wrote are none, though they are what the check says."""
        body = b"of another format"
        store.put("upstream/pages/six.sources", body)
        assert pages.find_sources(NAME, check(sources_digest=digest_of(body))) is None


@pytest.mark.parametrize(
    ("missing_since", "at", "is_fresh"),
    [
        (None, 1_000.0, False),
        (None, 1_000.5, True),
        (None, 1_600.0, True),
        (None, 1_600.5, False),
        (5_000.0, 1_100.0, False),
        (5_000.0, 5_000.0, True),
        (5_000.0, 5_000.0 + CONFIRM_SECONDS, False),
    ],
)
def test_freshness(missing_since: float | None, at: float, is_fresh: bool) -> None:
    """The upstream need not be asked while its word holds, or until a doubt is to be confirmed; never in the past."""
    assert check(missing_since=missing_since).is_fresh(at) == is_fresh
