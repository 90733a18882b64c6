"""What is filled in on an upstream's page: only what it leaves out, and for as long as it does."""

from typing import Any

import pytest

from indexer.names import Filename
from indexer.upstream.fills import advertised, filled, filled_facts, with_fills_of

WHEEL = Filename("six-1.0-py3-none-any.whl")
TIME = "2026-01-02T03:04:05.000000Z"
LATER = "2026-05-06T07:08:09.000000Z"
DIGEST = "ab" * 32


def make_entry(**changes: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"filename": WHEEL, "url": WHEEL, "hashes": {"sha256": DIGEST}}
    return entry | {key[0] + key[1:].replace("_", "-"): value for key, value in changes.items()}


def make_page(*files: dict[str, Any]) -> Any:
    return {"meta": {"api-version": "1.4"}, "name": "six", "versions": ["1.0"], "files": list(files)}


def fill(page: Any, **values: Any) -> Any:
    found = {"size": None, "upload_time": None, "metadata": None} | values
    return filled(page, WHEEL, **found)


def test_what_is_missing_is_filled_in() -> None:
    """Size and time stand where the upstream would have them, and the entry says that they are ours."""
    other = make_entry(filename="six-1.0.tar.gz")
    assert fill(make_page(make_entry(yanked=True), other), size=7, upload_time=TIME) == make_page(
        make_entry(yanked=True, size=7, upload_time=TIME, _filled=["size", "upload-time"]), other
    )


def test_what_the_upstream_says_stays() -> None:
    """The upstream's word is not replaced by ours."""
    page = make_page(make_entry(size=7, upload_time=TIME, core_metadata=True))
    assert fill(page, size=7, upload_time=LATER) == page


def test_a_wrong_size() -> None:
    """The size of the file with the announced digest is right, whatever the upstream goes on saying of it."""
    page = fill(make_page(make_entry(size=6)), size=7)
    assert page == make_page(make_entry(size=7, _filled=["size"]))
    assert with_fills_of(make_page(make_entry(size=6)), page) == page
    unproved = make_page(make_entry(size=6, hashes={"md5": "ab" * 16}))
    assert fill(unproved, size=7) == unproved


@pytest.mark.parametrize("metadata", [False, {"sha256": "cd" * 32}])
@pytest.mark.parametrize("said", [True, {"sha256": "ab" * 32}, {"sha512": "ab" * 64}, False])
def test_what_the_file_has_outranks_the_upstream(said: Any, metadata: Any) -> None:
    """What was found in the wheel stands in the place of what the upstream says, on its next page, too."""
    page = make_page(make_entry(core_metadata=said))
    told = fill(page, metadata=metadata)
    assert told["files"][0]["core-metadata"] == metadata
    assert with_fills_of(page, told) == told


def test_of_another_file_nothing_was_found() -> None:
    """A wheel with another digest may have other metadata: the upstream's word counts again."""
    told = fill(make_page(make_entry(core_metadata=True)), metadata=False)
    changed = make_page(make_entry(core_metadata=True, hashes={"sha256": "cd" * 32}))
    assert with_fills_of(changed, told) == changed


def test_ours_can_be_bettered() -> None:
    """What we said once is replaced by what we learnt since."""
    page = fill(make_page(make_entry()), size=7, upload_time=TIME)
    assert fill(page, size=8) == fill(make_page(make_entry()), size=8, upload_time=TIME)


@pytest.mark.parametrize("metadata", [None, False])
def test_metadata_that_we_announced(metadata: bool | None) -> None:
    """Where we announced metadata by ourselves, that is taken back once a wheel turns out to have none."""
    page = fill(make_page(advertised(make_entry())), size=7, metadata=metadata)
    assert page == make_page(make_entry(size=7, core_metadata=metadata is None, _filled=["size", "core-metadata"]))


class TestNextPage:
    """The upstream's page after something was filled in."""

    def before(self, **hashes: str) -> Any:
        entry = advertised(make_entry(**({"hashes": hashes} if hashes else {})))
        return fill(make_page(entry), size=7, upload_time=TIME, metadata=False)

    def test_an_unchanged_page(self) -> None:
        """The same page of the upstream is the same page of ours, key by key in the same order."""
        page = with_fills_of(make_page(advertised(make_entry())), self.before())
        assert repr(page) == repr(self.before())

    def test_the_upstream_says_it_now(self) -> None:
        """What the upstream says meanwhile is what counts; the rest stays filled in."""
        theirs = {"upload_time": LATER, "core_metadata": {"sha256": "cd"}}
        before = fill(make_page(advertised(make_entry())), size=7, upload_time=TIME)
        page = with_fills_of(make_page(make_entry(**theirs)), before)
        assert page == make_page(make_entry(**theirs, size=7, _filled=["size"]))

    @pytest.mark.parametrize(
        ("hashes", "is_same"),
        [
            ({"sha256": DIGEST, "md5": "1"}, True),
            ({"md5": "1"}, True),
            ({}, True),
            ({"sha256": "cd" * 32}, False),
            ({"sha256": "cd" * 32, "md5": "1"}, False),
        ],
    )
    def test_another_file(self, hashes: dict[str, str], is_same: bool) -> None:
        """A file with another digest is another file, of which nothing is known."""
        page = with_fills_of(make_page(make_entry(hashes=hashes)), self.before(sha256=DIGEST))
        assert ("size" in page["files"][0]) == is_same

    def test_a_file_that_is_gone(self) -> None:
        """Nothing is said of files that the upstream lists no longer."""
        assert with_fills_of(make_page(), self.before()) == make_page()


def test_facts_are_known_by_file() -> None:
    """The times and sizes that we filled in, and no others, are returned by file name."""
    page = fill(make_page(make_entry(), make_entry(filename="x.zip", upload_time=LATER)), upload_time=TIME)
    assert filled_facts(page) == {WHEEL: {"upload_time": TIME}}
    assert filled_facts(fill(page, size=7)) == {WHEEL: {"size": 7, "upload_time": TIME}}
    assert filled_facts(make_page(advertised(make_entry()))) == {}
