"""How often a warm function waits for the store: once where it is strict, not at all where its view may be stale."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.captured import PIP_PAGE, get_event, upload_event
from benchmarks.memory_store import MemoryStore
from benchmarks.warm import LARGE, PRIVATE, SMALL, STALENESS_SECONDS, Function, make_cases, prepared
from tests.support.distributions import make_wheel

Site = tuple[MemoryStore, str, dict[str, Any]]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    store = MemoryStore()
    with prepared(store, {LARGE: 100, SMALL: 4}) as (url, pages):
        yield store, url, dict(pages)


def _round_trips(site: Site, *, max_staleness_seconds: float) -> dict[str, int]:
    """Ask everything twice, and return how many round trips each second time took."""
    store, url, pages = site
    function = Function(store, url, max_staleness_seconds=max_staleness_seconds)
    found = {}
    for case in make_cases(function, pages):
        assert function(case.event)["statusCode"] == case.status[0]
        before = store.round_trips
        function(case.event)
        found[case.title] = store.round_trips - before
    return found


def test_a_strict_function_waits_for_the_store_once_whatever_it_is_asked(site: Site) -> None:
    """What a read needs of the store is asked side by side with the log and the user's record."""
    found = _round_trips(site, max_staleness_seconds=0.0)
    assert found == dict.fromkeys(found, 1)


def test_a_function_whose_view_may_be_stale_answers_again_without_the_store(site: Site) -> None:
    """What was answered within the permitted time is answered again without a question to the store."""
    found = _round_trips(site, max_staleness_seconds=STALENESS_SECONDS)
    assert found == dict.fromkeys(found, 0)


def test_the_first_to_read_after_an_upload_waits_for_the_log_s_end_and_the_project_too(site: Site) -> None:
    """The new event comes with the rest; that it is the last one, and what came before it, take a round trip each."""
    store, url, _ = site
    uploader, reader = (Function(store, url, max_staleness_seconds=0.0) for _ in range(2))
    page = get_event(f"/simple/{PRIVATE}/", PIP_PAGE)
    assert reader(page)["statusCode"] == 200
    assert uploader(upload_event(make_wheel(PRIVATE, "2.0")))["statusCode"] == 200
    before = store.round_trips
    assert reader(page)["statusCode"] == 200
    assert store.round_trips - before == 3
