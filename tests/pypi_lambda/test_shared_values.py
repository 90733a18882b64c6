"""What a process keeps in memory is bounded, and what was used last stays."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from pypi_lambda.shared import Cache


def test_kept() -> None:
    """What was put is found, under its key alone."""
    cache: Cache[str, str] = Cache(10)
    cache.put("a", "A", cost=1)
    assert (cache.find("a"), cache.find("b")) == ("A", None)


def test_replaced() -> None:
    """A new value takes the place and the cost of the old one."""
    cache: Cache[str, str] = Cache(10)
    for _ in range(20):
        cache.put("a", "A", cost=5)
    cache.put("b", "B", cost=5)
    cache.put("a", "A2", cost=4)
    assert (cache.find("a"), cache.find("b")) == ("A2", "B")


def test_the_longest_unused_goes() -> None:
    """Over the budget, what was longest neither put nor found goes first."""
    cache: Cache[str, str] = Cache(3)
    for key in "abc":
        cache.put(key, key, cost=1)
    cache.find("a")
    cache.put("d", "d", cost=1)
    assert [cache.find(key) for key in "abcd"] == ["a", None, "c", "d"]


def test_too_dear() -> None:
    """A value that alone is over the budget is not kept, and drives nothing out but what it replaces."""
    cache: Cache[str, str] = Cache(3)
    for key in "ab":
        cache.put(key, key, cost=1)
    cache.put("a", "dear", cost=4)
    assert (cache.find("a"), cache.find("b")) == (None, "b")


def test_forgotten() -> None:
    """What was forgotten is not found and costs nothing; forgetting what is not there is harmless."""
    cache: Cache[str, str] = Cache(1)
    cache.put("a", "A", cost=1)
    cache.forget("a")
    cache.forget("a")
    assert cache.find("a") is None
    cache.put("b", "B", cost=1)
    assert cache.find("b") == "B"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12))))
def test_never_over_the_budget(puts: list[tuple[int, int]]) -> None:
    """Whatever is put, what is kept costs no more than the budget, and it is the latest of its key."""
    cache: Cache[int, int] = Cache(10)
    latest: dict[int, int] = {}
    for key, cost in puts:
        cache.put(key, cost, cost=cost)
        latest[key] = cost
    kept = {key: value for key in range(6) if (value := cache.find(key)) is not None}
    assert sum(kept.values()) <= 10
    assert kept.items() <= latest.items()
    if puts and puts[-1][1] <= 10:
        assert puts[-1][0] in kept


def test_shared_by_threads() -> None:
    """Threads that use it together never find a value that is not the key's."""
    cache: Cache[int, int] = Cache(50)

    def use(start: int) -> bool:
        right = True
        for number in range(start, start + 3_000):
            key = number % 100
            cache.put(key, key, cost=1)
            cache.forget((key + 50) % 100)
            right = right and cache.find(key) in (key, None)
        return right

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(use, range(4)))
