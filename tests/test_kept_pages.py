"""Checks come back, and what does not belong together is not taken for a page."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import CorruptObject
from indexer.folder import FolderStore
from indexer.names import Filename, ProjectName
from indexer.simple import compress
from indexer.sources import Source, encode_sources
from indexer.store import Stored
from indexer.value import replace
from pypi_lambda.index import page_of
from pypi_lambda.kept_pages import Check, KeptPage, KeptPages, decode_check, digest_of, encode_check

NAME = ProjectName("six")
BODY = compress(b'{"files": []}')
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
    }
    return Check(**(values | changes))  # type: ignore[arg-type]  # what tests pass is theirs to get right


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
    [b"null", b"[]", b"7", b'{"v": 2}', b'{"v": 1}', encode_check(check()).replace(b"1000.5", b'"x"')]
    + [encode_check(check()).replace(b'"\\"1\\""', value) for value in (b"5", b"[]", b"true")]
    + [encode_check(check()).replace(b":600", value) for value in (b":1e999", b":null")],
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
        return pages.find(NAME, {key: store.find(key) for key in pages.keys(NAME)})

    def test_what_was_put_is_found(self, pages: KeptPages, store: FolderStore) -> None:
        """A page comes back with its check and its sources."""
        kept = KeptPage(page=page_of(BODY), check=check())
        pages.put(NAME, kept, encode_sources(SOURCES), None)
        assert self.read(pages, store) == kept
        assert pages.find_sources(NAME, kept.check) == SOURCES

    def test_a_new_check(self, pages: KeptPages, store: FolderStore) -> None:
        """A check that is put alone is about the page that is there."""
        kept = KeptPage(page=page_of(BODY), check=check())
        pages.put(NAME, kept, encode_sources(SOURCES), None)
        pages.put_check(NAME, replace(kept.check, at=2_000.0))
        assert self.read(pages, store) == replace(kept, check=check(at=2_000.0))

    def test_removed(self, pages: KeptPages, store: FolderStore) -> None:
        """A page that was taken out of use is not found."""
        pages.put(NAME, KeptPage(page=page_of(BODY), check=check()), encode_sources(SOURCES), None)
        pages.remove(NAME)
        assert self.read(pages, store) is None

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (None, encode_check(check())),
            (BODY, None),
            (BODY[:-1], encode_check(check(body=BODY[:-1]))),
            (compress(b"another page"), encode_check(check())),
            (BODY, encode_check(check(renderer="1h"))),
            (BODY, b"no check"),
        ],
        ids=["no page", "no check", "half a page", "another page", "another renderer", "a damaged check"],
    )
    def test_at_odds(self, pages: KeptPages, body: bytes | None, said: bytes | None) -> None:
        """A page and a check that are not whole, or not of one another, are no page."""
        contents = dict(zip(pages.keys(NAME), (body, said), strict=True))
        found = {key: None if content is None else stored(content) for key, content in contents.items()}
        assert pages.find(NAME, found) is None

    @pytest.mark.parametrize("body", [None, b"", encode_sources(SOURCES)[:-1], encode_sources({})])
    def test_lost_sources(self, pages: KeptPages, store: FolderStore, body: bytes | None) -> None:
        """Sources that are missing or not those of the page are none."""
        kept = KeptPage(page=page_of(BODY), check=check())
        pages.put(NAME, kept, encode_sources(SOURCES), None)
        store.delete("upstream/pages/six.sources")
        if body is not None:
            store.put("upstream/pages/six.sources", body)
        assert pages.find_sources(NAME, kept.check) is None

    def test_sources_of_another_format(self, pages: KeptPages, store: FolderStore) -> None:
        """Sources that another version of this program wrote are none, though they are what the check says."""
        body = b"of another format"
        store.put("upstream/pages/six.sources", body)
        assert pages.find_sources(NAME, check(sources_digest=digest_of(body))) is None
