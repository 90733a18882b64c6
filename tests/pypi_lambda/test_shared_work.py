"""Work shared by requests: once for all, with one outcome for all, and no longer than one can wait."""

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from indexer.errors import UpstreamUnavailable
from pypi_lambda.shared import SharedWork, TakesLonger
from tests.support.mirrors import PATIENCE_SECONDS, eventually


def test_one_run_for_all() -> None:
    """Who comes while a run is under way gets its result; who comes later begins another one."""
    shared: SharedWork[int] = SharedWork()
    begun, release, runs = Event(), Event(), iter(range(100))

    def work() -> int:
        begun.set()
        release.wait(PATIENCE_SECONDS)
        return next(runs)

    with ThreadPoolExecutor(4) as threads:
        results = [threads.submit(shared.run, "key", work, wait_seconds=PATIENCE_SECONDS)]
        assert begun.wait(PATIENCE_SECONDS)
        with pytest.raises(TakesLonger):
            shared.run("key", work, wait_seconds=0)
        release.set()
        assert [result.result() for result in results] == [0]
    assert shared.run("key", work, wait_seconds=PATIENCE_SECONDS) == 1


def test_other_keys_do_not_wait() -> None:
    """Runs of other keys go on side by side."""
    shared: SharedWork[str] = SharedWork()
    release = Event()

    def work() -> str:
        release.wait(PATIENCE_SECONDS)
        return "slow"

    with pytest.raises(TakesLonger):
        shared.run("slow", work, wait_seconds=0)
    assert shared.run("quick", lambda: "quick", wait_seconds=PATIENCE_SECONDS) == "quick"
    release.set()


def test_it_goes_on_unwatched() -> None:
    """A run that nobody waits for comes to its end."""
    shared: SharedWork[None] = SharedWork()
    release, done = Event(), Event()

    def work() -> None:
        release.wait(PATIENCE_SECONDS)
        done.set()

    with pytest.raises(TakesLonger):
        shared.run("key", work, wait_seconds=0)
    release.set()
    assert done.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize(("fault", "is_bug"), [(UpstreamUnavailable("down"), False), (ValueError("a bug"), True)])
def test_a_fault(fault: Exception, is_bug: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A fault is raised to who waits, and a bug is in the log, too; the next run begins afresh."""
    shared: SharedWork[int] = SharedWork()

    def work() -> int:
        raise fault

    with caplog.at_level(logging.ERROR), pytest.raises(type(fault)) as caught:
        shared.run("key", work, wait_seconds=PATIENCE_SECONDS)
    assert caught.value is fault
    assert ("a bug" in caplog.text) == is_bug
    eventually(lambda: shared.run("key", lambda: 1, wait_seconds=PATIENCE_SECONDS) == 1)
