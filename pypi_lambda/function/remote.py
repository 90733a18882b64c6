"""What the function has itself do by invoking itself: rebuilds, which no answer waits for, and taking in large files.

A container is frozen when it has answered, and whatever goes on in it. So what a client does not wait for is another
invocation's work.
"""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from pypi_lambda.function.control import Control
from pypi_lambda.mirror.ingestion import WAIT_SECONDS, Ingestions, Result, StillArriving
from pypi_lambda.shared import Cache, TakesLonger

if TYPE_CHECKING:
    from pypi_lambda.publish.announced import Announced

INLINE_BYTES = 33_554_432  # 32 MiB in WAIT_SECONDS, less in less: what also a small function and a slow upstream manage
ASK_EVERY_SECONDS = 60.0  # clients come back every few seconds while a file arrives
MAX_ASKED = 1_024
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
        from indexer.derive.claim import FROM_ZERO

        self._control.invoke({"rebuild": FROM_ZERO})


class RemoteIngestions(Ingestions):
    """Takes small files in while the client waits, and has large ones taken in by an invocation of their own.

    Args:
        clock: monotonic seconds.
        wait_seconds: how long a request waits for a small one.
    """

    sends_away = True

    def __init__(self, control: Control, *, clock: Callable[[], float], wait_seconds: float = WAIT_SECONDS) -> None:
        super().__init__(wait_seconds=wait_seconds)
        self._asked = _Asked(control, clock)

    def run(
        self, key: str, work: Callable[[], Result], *, size: int | None = None, seconds: float | None = None
    ) -> Result:
        """Do the work here when it is little, else ask for it; see `Ingestions.run`."""
        if size is not None and size > INLINE_BYTES * self._patience(seconds) / WAIT_SECONDS:
            self._ask(key)
            raise StillArriving(key)
        try:
            return super().run(key, work, size=size, seconds=seconds)
        except StillArriving:
            self._ask(key)
            raise

    def _ask(self, key: str) -> None:
        _, project, filename = key.split("/")
        self._asked.ask(key, {"ingest": {"project": project, "filename": filename}})


class RemoteCommits:
    """Puts small uploads in parts together while the client waits, and has large ones done by an invocation.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, control: Control, *, clock: Callable[[], float]) -> None:
        self._asked = _Asked(control, clock)

    def run(self, announced: "Announced", username: str, work: Callable[[], str], *, client: str) -> str:
        """Do the work here when it is little, else ask for it; see `pypi_lambda.publish.parts.Commits`."""
        if announced.size <= INLINE_BYTES:
            return work()
        argument = {
            "username": username,
            "filename": announced.filename,
            "size": announced.size,
            "sha256": announced.sha256,
            "client": client,
        }
        self._asked.ask(f"{username}/{announced.filename}/{announced.sha256}", {"publishParts": argument})
        raise TakesLonger


class _Asked:
    """What this container asked for, each no more often than clients come back in a minute."""

    def __init__(self, control: Control, clock: Callable[[], float]) -> None:
        self._control = control
        self._clock = clock
        self._at: Cache[str, float] = Cache(MAX_ASKED)

    def ask(self, key: str, payload: object) -> None:
        """Have the function invoked with this payload, unless that was asked for a moment ago."""
        now = self._clock()
        asked_at = self._at.find(key)
        if asked_at is None or now - asked_at >= ASK_EVERY_SECONDS:
            self._at.put(key, now, cost=1)
            self._control.invoke(payload)
