"""The store in memory that benchmarks and tests count round trips over: the contract of every store; how it counts."""

import pytest

from benchmarks.memory_store import MemoryStore
from indexer.store.base import AT_ONCE
from tests.support.store_contract import StoreContract


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class TestMemory(StoreContract):
    """The contract, in memory."""


def test_calls_side_by_side_are_one_round_trip(store: MemoryStore) -> None:
    """What `gather` runs counts as one round trip, each call on its own as one, and signing as none."""
    store.gather(lambda: store.find("a/1"), lambda: store.put("a/2", b"x"), lambda: store.signed_url("a/2", seconds=60))
    store.find("a/2")
    assert store.round_trips == 2
    assert store.asked == [("find", "a/1"), ("put", "a/2"), ("find", "a/2")]


def test_what_is_found_together_is_a_round_trip_a_batch(store: MemoryStore) -> None:
    """Many objects that are asked for in one call cost a round trip for each batch of them."""
    assert len(list(store.find_all(f"a/{number}" for number in range(2 * AT_ONCE + 1)))) == 2 * AT_ONCE + 1
    assert store.round_trips == 3
