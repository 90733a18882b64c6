"""Rebuilds in the Lambda function: asked for by invoking the function itself, so that no answer waits for one."""

from collections.abc import Callable
from threading import Lock

from pypi_lambda.commands import FROM_ZERO
from pypi_lambda.control import Control

REPAIR_EVERY_SECONDS = 600.0  # a container that keeps finding damage asks for a repair no more often


class RemoteRebuilds:
    """Asks for rebuilds.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, control: Control, *, clock: Callable[[], float]) -> None:
        self._control = control
        self._clock = clock
        self._lock = Lock()
        self._repair_at: float | None = None

    def request(self, seq: int) -> None:
        """Have the snapshot brought up to event `seq` at least, soon."""
        self._control.invoke({"rebuild": seq})

    def request_repair(self) -> None:
        """Have everything derived written again, soon."""
        now = self._clock()
        with self._lock:
            if self._repair_at is not None and now - self._repair_at < REPAIR_EVERY_SECONDS:
                return
            self._repair_at = now
        self._control.invoke({"rebuild": FROM_ZERO})
