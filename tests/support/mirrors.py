"""Mirrors for tests: over a store and a fake upstream, with a clock that tests move."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Condition
from typing import Any

import orjson

from indexer.names import ProjectName
from indexer.simple.page import Renderer, decompress
from indexer.store.base import ObjectStore
from indexer.store.reads import Reads
from indexer.store.reads import read_ahead as read_keys
from indexer.upstream.client import Upstream
from pypi_lambda.mirror.files import Mirror
from pypi_lambda.mirror.ingestion import WAIT_SECONDS, Ingestions
from pypi_lambda.mirror.pages import MirroredPages
from tests.support.fake_upstream import FakeUpstream

SIX = ProjectName("six")
PATIENCE_SECONDS = 300  # for what takes milliseconds, on a machine that does much else; a test that fails must end


class Clock:
    """A clock that goes on by a microsecond with every look at it, and counts the looks."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 23, 10, 20, 30, tzinfo=UTC)
        self._looked = Condition()
        self.looks = 0

    def __call__(self) -> datetime:
        with self._looked:
            self._now += timedelta(microseconds=1)
            self.looks += 1
            self._looked.notify_all()
            return self._now

    def advance(self, seconds: float) -> None:
        with self._looked:
            self._now += timedelta(seconds=seconds)

    def wait_for(self, looks: int) -> None:
        """Wait until so many looks were taken."""
        with self._looked:
            assert self._looked.wait_for(lambda: self.looks >= looks, timeout=PATIENCE_SECONDS)


@contextmanager
def mirroring(
    store: ObjectStore,
    upstream: FakeUpstream,
    *,
    now: Clock | None = None,
    renderer: Renderer | None = None,
    wait_seconds: float = WAIT_SECONDS,
    page_wait_seconds: float = PATIENCE_SECONDS,
) -> Iterator[Mirror]:
    """Run a mirror, as one process has it.

    Args:
        wait_seconds: for how long a request waits for a file.
        page_wait_seconds: for how long it waits for a page.
    """
    client = Upstream(upstream.url, user_agent="tests")
    pages = MirroredPages(
        store,
        renderer or Renderer(),
        make_upstream=lambda: client,
        now=now or Clock(),
        wait_seconds=page_wait_seconds,
        revalidate_seconds=page_wait_seconds,
    )
    try:
        yield Mirror(store, pages, ingestions=Ingestions(wait_seconds=wait_seconds))
    finally:
        client.close()


def eventually(condition: Callable[[], bool]) -> None:
    """Return when the condition, on what another thread does, is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


def read_page(mirror: Mirror, store: ObjectStore, name: ProjectName = SIX) -> dict[str, Any] | None:
    """Read a JSON page as the app does: what is stored is read before it is asked for."""
    ahead = read_ahead(mirror, store, name)
    page = mirror.pages.find_page(name, "json", ahead)
    if page is None:
        return None
    content: dict[str, Any] = orjson.loads(decompress("", page.body))
    return content


def read_ahead(mirror: Mirror, store: ObjectStore, name: ProjectName = SIX) -> Reads:
    return read_keys(store, mirror.pages.keys_to_read(name))
