"""A call that goes on in another thread while its caller does something else."""

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def begin(call: Callable[[], T]) -> Callable[[], T]:
    """Begin the call, and return what waits for its end and then returns, or raises, what the call did."""
    results: list[T] = []
    faults: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as fault:  # raised below, in the waiting thread
            faults.append(fault)

    def wait() -> T:
        thread.join()
        if faults:
            raise faults[0]
        return results[0]

    thread = Thread(target=work, daemon=True)
    thread.start()
    return wait
