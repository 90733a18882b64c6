"""Rebuilds in the background: none is lost, few are made, and none disturbs anybody."""

import logging
from threading import Event

import pytest

from indexer.derive.rebuild import load_snapshot
from indexer.log.log import head_of
from indexer.simple.page import Renderer
from indexer.store.folder import FolderStore
from pypi_lambda.app.rebuilder import Rebuilder
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.builders import added, contents, write_log
from tests.support.mirrors import PATIENCE_SECONDS

RENDERER = Renderer()
SNAPSHOT = "snapshot.msgpack.zst"


def seq(store: FolderStore) -> int:
    return load_snapshot(store, RENDERER).snapshot.head.seq


def test_requested(store: FolderStore) -> None:
    """After a request the snapshot comes to the end of the log, and whoever wants to know is told."""
    told = Event()
    rebuilder = Rebuilder(store, RENDERER)
    rebuilder.on_rebuilt = told.set
    write_log(store, added("demo"))
    rebuilder.request(1)
    rebuilder.wait()
    assert (seq(store), told.is_set()) == (1, True)


def test_nothing_to_do(store: FolderStore) -> None:
    """A rebuild that changes nothing tells nobody, and waiting for none returns."""
    rebuilder = Rebuilder(store, RENDERER)
    rebuilder.wait()
    rebuilder.request(0)
    rebuilder.wait()
    told = Event()
    rebuilder.on_rebuilt = told.set
    rebuilder.request(0)
    rebuilder.wait()
    assert not told.is_set()


def test_many_requests_few_rebuilds(store: FolderStore) -> None:
    """What is asked for while a rebuild is under way is one more, that sees all of it."""
    held = Fault(Mischief.SLOW, when=lambda call: call.method == "put_new" and call.key == SNAPSHOT)
    adversary = Adversary(store, held)
    rebuilder = Rebuilder(adversary, RENDERER)
    events = write_log(store, added("demo"))
    rebuilder.request(1)
    assert held.reached.wait(PATIENCE_SECONDS)
    write_log(store, *(added(f"demo-{number}") for number in range(20)), after=head_of(events[-1]))
    for number in range(20):
        rebuilder.request(number)
    held.release.set()
    rebuilder.wait()
    assert seq(store) == 21
    writes = [call.method for call in adversary.calls if call.key == SNAPSHOT and call.method != "find"]
    assert writes == ["put_new", "replace"]


def test_repair(store: FolderStore) -> None:
    """A repair writes again what is damaged, also when the log has nothing new."""
    rebuilder = Rebuilder(store, RENDERER)
    write_log(store, added("demo"))
    rebuilder.request(1)
    rebuilder.wait()
    whole = contents(store, "pages/")
    for key in whole:
        store.put(key, b"damaged")
    rebuilder.request(1)
    rebuilder.wait()
    assert contents(store, "pages/") != whole
    rebuilder.request_repair()
    rebuilder.wait()
    assert contents(store, "pages/") == whole


def test_a_repair_is_not_lost(store: FolderStore) -> None:
    """A repair that is asked for during a rebuild, with plain requests around it, is made."""
    write_log(store, added("demo"))
    held = Fault(Mischief.SLOW, when=lambda call: call.method == "put_new" and call.key == SNAPSHOT)
    rebuilder = Rebuilder(Adversary(store, held), RENDERER)
    rebuilder.request(1)
    assert held.reached.wait(PATIENCE_SECONDS)
    whole = contents(store, "pages/")
    for key in whole:
        store.put(key, b"damaged")
    rebuilder.request(1)
    rebuilder.request_repair()
    rebuilder.request(1)
    held.release.set()
    rebuilder.wait()
    assert contents(store, "pages/") == whole


@pytest.mark.parametrize("told_of_a_bug", [False, True])
def test_failures(store: FolderStore, told_of_a_bug: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A rebuild that fails is logged and disturbs nobody; the next one works."""
    failing = Adversary(store) if told_of_a_bug else Adversary(store, Fault(Mischief.UNAVAILABLE, at=0))
    rebuilder = Rebuilder(failing, RENDERER)
    if told_of_a_bug:
        rebuilder.on_rebuilt = lambda: 1 / 0
    write_log(store, added("demo"))
    with caplog.at_level(logging.ERROR):
        rebuilder.request(1)
        rebuilder.wait()
    assert "the rebuild failed, and nothing depends on it" in caplog.text
    rebuilder.on_rebuilt = lambda: None
    rebuilder.request(1)
    rebuilder.wait()
    assert seq(store) == 1
