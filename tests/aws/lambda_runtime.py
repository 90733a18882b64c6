"""The Lambda service as far as this function can tell: environments that come and go, two kinds of invocation, limits.

Runs the function's real code under AWS's own runtime client. Stands in for no part of the function, and knows nothing
of pytest: benchmarks use it too. What it cannot show is AWS's timing: how soon old environments go, how long events
wait.

"Understanding the Lambda execution environment lifecycle", "Asynchronous invocation", "Lambda quotas", "Using Lambda
recursive loop detection" in the AWS Lambda developer guide.
"""

import itertools
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Condition, Event, Thread, current_thread
from typing import Any, Self

from tests.aws.lambda_environment import Environment, Function
from tests.aws.lambda_invocations import (
    FunctionError,
    Invocation,
    Outcome,
    Record,
    RequestTooLarge,
    TooManyRequests,
    UpdateInProgress,
)

MAX_REQUEST_BYTES = 6_291_456  # 6 MB
MAX_EVENT_BYTES = 1_048_576  # 1 MB, of an asynchronous invocation
EVENT_TRIES = 3  # "if the function returns an error, Lambda attempts to run it two more times"
LOOP_DEPTH = 16  # "approximately 16 times" in one chain, then Lambda drops the event
RETRY_PAUSES_SECONDS = (0.05, 0.1)  # there it is one minute, then two
WAIT_SECONDS = 600.0  # for what is under way to end; far longer than anything here takes


class LambdaService:
    """One function, while it is entered.

    Args:
        folder: where the environments' logs go.
        max_environments: the function's reserved concurrency.
        update_seconds: how long a change of the configuration is in progress.

    Attributes:
        history: what was carried out, in the order in which it ended.
        updates: how often the configuration was changed.
        dropped: events that came out of a loop, or failed each time.
    """

    def __init__(
        self, function: Function, *, folder: Path, max_environments: int = 10, update_seconds: float = 0.0
    ) -> None:
        self.function = function
        self.history: list[Record] = []
        self.updates = 0
        self.dropped: list[Invocation] = []
        self._folder = folder
        self._max_environments = max_environments
        self._update_seconds = update_seconds
        self._updating_until = 0.0
        self._generation = 1
        self._numbers = itertools.count(1)
        self._ids = itertools.count(1)
        self._changed = Condition()
        self._environments: dict[str, Environment] = {}
        self._logs: dict[str, Path] = {}
        self._idle: deque[Environment] = deque()
        self._starting = 0
        self._events: set[Thread] = set()
        self._closing = Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        with self._changed:
            environments, events = list(self._environments.values()), list(self._events)
            self._changed.notify_all()
        for environment in environments:
            environment.kill()
        for event in events:
            event.join()
        for environment in environments:
            environment.close()

    def invoke(self, payload: bytes, *, depth: int = 1, client_context: str = "") -> Outcome:
        """Invoke the function and wait for what becomes of it.

        Raises:
            RequestTooLarge, TooManyRequests: as the service answers 413 and 429.
        """
        if len(payload) > MAX_REQUEST_BYTES:
            raise RequestTooLarge(f"Request must be smaller than {MAX_REQUEST_BYTES} bytes for the Invoke operation")
        invocation = Invocation(id=self._new_id(), payload=payload, depth=depth, client_context=client_context)
        return self._run(invocation, "RequestResponse", attempt=1)

    def call(self, event: object) -> Any:
        """Invoke the function with a JSON value and return what it returned.

        Raises:
            FunctionError: it failed.
        """
        outcome = self.invoke(json.dumps(event).encode())
        if outcome.error is not None:
            raise FunctionError(outcome)
        return outcome.json()

    def invoke_event(self, payload: bytes, *, depth: int = 1) -> None:
        """Have the function invoked soon, three times at most until it succeeds.

        Raises:
            RequestTooLarge: as the service answers 413.
        """
        if len(payload) > MAX_EVENT_BYTES:
            raise RequestTooLarge(f"Request must be smaller than {MAX_EVENT_BYTES} bytes for the Invoke operation")
        invocation = Invocation(id=self._new_id(), payload=payload, depth=depth)
        if depth > LOOP_DEPTH:
            self.dropped.append(invocation)
            return
        thread = Thread(target=self._run_event, args=(invocation,), daemon=True)
        with self._changed:
            self._events.add(thread)
        thread.start()

    def start(self, count: int) -> None:
        """Have so many idle environments."""
        while len(self._idle) < count:
            with self._changed:
                self._starting += 1
            self._release(self._spawn())

    def update(self, *, description: str | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Change the configuration: environments of the former one take nothing more.

        Raises:
            UpdateInProgress: another change is not over yet.
        """
        with self._changed:
            now = time.monotonic()
            if now < self._updating_until:
                raise UpdateInProgress
            self._updating_until = now + self._update_seconds
            function = self.function
            self.function = replace(
                function,
                description=function.description if description is None else description,
                environ=function.environ if environ is None else environ,
            )
            self.updates += 1
            self._generation += 1
            retired = list(self._idle)
            self._idle.clear()
        for environment in retired:
            self._retire(environment)

    @property
    def environments(self) -> tuple[str, ...]:
        """The ids of the environments that there are."""
        with self._changed:
            return tuple(self._environments)

    @property
    def started(self) -> tuple[str, ...]:
        """The ids of all environments that there ever were."""
        with self._changed:
            return tuple(self._logs)

    @property
    def init_seconds(self) -> Mapping[str, float]:
        """How long each environment's init phase took."""
        with self._changed:
            found = {each.id: each.init_seconds for each in self._environments.values()}
        return {name: seconds for name, seconds in found.items() if seconds is not None}

    def kill(self, environment: str) -> None:
        """End an environment's process, whatever it is doing."""
        with self._changed:
            self._environments[environment].kill()

    def read_log(self, environment: str) -> str:
        """Return what an environment printed; it may be gone by now."""
        return self._logs[environment].read_text("utf-8", "replace")

    def read_logs(self) -> str:
        """Return what all environments printed, one after another."""
        return "".join(self.read_log(environment) for environment in list(self._logs))

    def wait_idle(self) -> None:
        """Wait until no event is under way or waiting."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._events, timeout=WAIT_SECONDS):
                raise TimeoutError(f"{len(self._events)} events did not end within {WAIT_SECONDS} s")

    def records(self, kind: str) -> list[Record]:
        """Return the invocations of one kind."""
        return [record for record in list(self.history) if record.kind == kind]

    def _new_id(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._ids):012x}"

    def _run_event(self, invocation: Invocation) -> None:
        try:
            for attempt in range(1, EVENT_TRIES + 1):
                if self._run(invocation, "Event", attempt=attempt).error is None or self._closing.is_set():
                    return
                self._closing.wait((*RETRY_PAUSES_SECONDS, 0)[attempt - 1])
            self.dropped.append(invocation)
        except _Closed:
            return
        finally:
            with self._changed:
                self._events = self._events - {current_thread()}
                self._changed.notify_all()

    def _run(self, invocation: Invocation, kind: str, *, attempt: int) -> Outcome:
        started = time.perf_counter()
        environment = self._find_idle(wait=kind == "Event")
        is_cold = environment is None
        environment = environment or self._spawn()
        try:
            outcome = environment.invoke(invocation)
        finally:
            self._release(environment)
        if is_cold:
            outcome = replace(outcome, init_seconds=environment.init_seconds)
        self.history.append(
            Record(
                kind=kind,
                payload=invocation.payload,
                depth=invocation.depth,
                attempt=attempt,
                outcome=outcome,
                seconds=time.perf_counter() - started,
            )
        )
        return outcome

    def _find_idle(self, *, wait: bool) -> Environment | None:
        """Return the environment that has been idle for longest, or None when the caller is to start one."""
        with self._changed:
            while not self._closing.is_set():
                while self._idle:
                    environment = self._idle.popleft()
                    if environment.is_alive:
                        return environment
                    self._forget(environment)
                if len(self._environments) + self._starting < self._max_environments:
                    self._starting += 1
                    return None
                if not wait:
                    raise TooManyRequests
                self._changed.wait()
            raise _Closed

    def _spawn(self) -> Environment:
        name = f"environment-{next(self._numbers)}"
        log = self._folder / f"{name}.log"
        with self._changed:
            environment = Environment(self.function, id=name, generation=self._generation, log=log)
        log.touch()
        environment.start()
        with self._changed:
            self._starting -= 1
            self._logs[name] = log
            self._environments[name] = environment
            if self._closing.is_set():
                environment.kill()
        return environment

    def _release(self, environment: Environment) -> None:
        with self._changed:
            keep = environment.is_alive and environment.generation == self._generation and not self._closing.is_set()
            if keep:
                self._idle.append(environment)
                self._changed.notify()
        if not keep:
            self._retire(environment)

    def _retire(self, environment: Environment) -> None:
        environment.close()
        with self._changed:
            self._forget(environment)

    def _forget(self, environment: Environment) -> None:
        self._environments.pop(environment.id, None)
        self._changed.notify()


class _Closed(Exception):
    """The service is closing; nothing more is carried out."""
