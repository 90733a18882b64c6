"""What the Lambda function does with an invocation.

An event is told apart by its shape alone: a request through a front door, a notification of the store, a command, or
another service's, which is refused; whatever else it is keeps the container warm.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from indexer.log.events import timestamp
from indexer.store.base import ObjectStore, Stored
from indexer.value import replace
from pypi_lambda.app.app import make_app
from pypi_lambda.app.service import Service, make_service
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.front_doors.answers import write_response
from pypi_lambda.front_doors.requests import read_request
from pypi_lambda.front_doors.table import FrontDoor, find_front_door
from pypi_lambda.function.control import Control
from pypi_lambda.function.remote import RemoteCommits, RemoteIngestions, RemoteRebuilds
from pypi_lambda.http.faults import InternalError, RequestError
from pypi_lambda.settings import Settings

if TYPE_CHECKING:
    from pypi_lambda.metrics.emf import MetricLines

MAX_SECONDS = 900.0  # Lambda's own limit
MAX_CALLER_LENGTH = 200
logger = logging.getLogger(__name__)


class Function:
    """The function in one container.

    Args:
        sleep: waits for seconds.
    """

    def __init__(
        self, settings: Settings, service: Service, control: Control, *, sleep: Callable[[float], None]
    ) -> None:
        self._settings = settings
        self._service = service
        self._app = make_app(service)
        self._control = control
        self._sleep = sleep
        self._lines: MetricLines | None = None

    def handle(self, event: object, context: object) -> object:
        """Answer an invocation as Lambda's runtime hands it over."""
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        seconds = MAX_SECONDS if remaining is None else remaining() / 1_000
        return self(event, seconds=seconds, caller=_caller(context))

    def __call__(self, event: object, *, seconds: float = MAX_SECONDS, caller: str = "") -> object:
        """Answer an invocation.

        Args:
            seconds: until Lambda ends it.
            caller: what an invoker says of itself, for the log of events.

        Raises:
            IndexerError: a command is refused or failed; Lambda hands its sentence to the caller.
        """
        try:
            return self._carry_out(event, seconds, caller)
        finally:
            if self._settings.metrics:
                self._report()

    def _report(self) -> None:
        if self._lines is None:
            from pypi_lambda.metrics.emf import MetricLines

            self._lines = MetricLines(os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""))
        tail_length = self._service.index.view.tail_length
        at_ms = int(utc_now().timestamp() * 1_000)
        metrics = self._service.metrics
        line = self._lines.line(metrics.read(), metrics.read_counts(), {"TailLength": tail_length}, at_ms=at_ms)
        print(line)  # noqa: T201 - as it is: Lambda's own formats would wrap it

    def _carry_out(self, event: object, seconds: float, caller: str) -> object:
        door = find_front_door(event)
        if door is not None:
            return self._answer(door, event, seconds)
        from pypi_lambda.function.notifications import find_created

        created = find_created(event, bucket=_bucket(self._settings), prefix=self._settings.repo_base_prefix)
        if created is not None:
            return self._take(created)
        return self._run(event, caller)

    def _answer(self, door: FrontDoor, event: Any, seconds: float) -> object:
        try:
            request = read_request(door, event, base_path=self._settings.api_gateway_base_path)
            response = self._app(replace(request, seconds=min(seconds, door.seconds)))
            return write_response(door, response)
        except RequestError as error:
            response = error.response()
        except Exception:
            logger.exception("a request failed")
            response = InternalError().response()
        return write_response(door, response)

    def _take(self, created: tuple[str, ...]) -> object:
        from indexer.keys import INCOMING
        from pypi_lambda.publish.dropbox import take

        publisher = self._service.publisher
        messages = [take(self._service.store, publisher, key) for key in created if key.startswith(INCOMING)]
        return {"incoming": [message for message in messages if message is not None]}

    def _run(self, event: object, caller: str) -> object:
        """Carry out the command that an event is; one that means nothing keeps the container warm."""
        from pypi_lambda.function.senders import refuse_foreign
        from pypi_lambda.manage.registry import find_command

        refuse_foreign(event)

        command = find_command(event)
        if command is None:
            return {"warm": True, "seq": self._service.index.refresh().current.head.seq}
        from pypi_lambda.command.context import Context

        logger.info("%r", command)
        context = Context(
            service=self._service,
            settings=self._settings,
            now=utc_now,
            new_id=new_id,
            sleep=self._sleep,
            by="command",
            client=caller,
            on_rebuilt=self._after,
        )
        began = time.perf_counter()
        try:
            return command.run(context)
        finally:
            seconds = time.perf_counter() - began
            self._service.metrics.time("commands", seconds, ("kind", type(command).__name__))
            logger.info("%s took %.3f s", type(command).__name__, seconds)

    def _after(self, seq: int) -> None:
        self._service.index.reload()
        self._control.bump(f"snapshot {seq} of {timestamp(utc_now())}")


def make_function(settings: Settings, store: ObjectStore, find_snapshot: Callable[[], Stored | None]) -> Function:
    """Return the function over this store.

    Args:
        find_snapshot: returns what lies under `SNAPSHOT_KEY`; called once.
    """
    began = time.perf_counter()
    control = Control(os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""), sleep=time.sleep)
    service = make_service(
        settings,
        store=store,
        find_snapshot=find_snapshot,
        rebuilds=RemoteRebuilds(control, clock=time.monotonic),
        ingestions=RemoteIngestions(control, clock=time.monotonic),
        commits=RemoteCommits(control, clock=time.monotonic),
    )
    service.metrics.time("load", time.perf_counter() - began)
    service.metrics.time("init", _age_seconds())
    return Function(settings, service, control, sleep=time.sleep)


def _bucket(settings: Settings) -> str:
    return settings.bucket.removeprefix("s3://").rstrip("/")


def _age_seconds() -> float:
    """Return for how long this process has been there."""
    with open("/proc/self/stat", "rb") as file:
        started = int(file.read().rpartition(b")")[2].split()[19])  # "starttime", the 22nd, in clock ticks since boot
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")


def _caller(context: object) -> str:
    """Return what an invoker says of itself in the client context; whoever may invoke may say, and do, anything."""
    custom = getattr(getattr(context, "client_context", None), "custom", None)
    said = custom.get("caller") if isinstance(custom, dict) else None
    return said[:MAX_CALLER_LENGTH] if isinstance(said, str) and said.isprintable() else ""
