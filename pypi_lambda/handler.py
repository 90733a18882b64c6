"""The entry point of the Lambda function: `pypi_lambda.handler.handler`.

Importing this module is the function's init phase: it reads the settings, connects to the store and loads the snapshot.
It is the one module whose import does something.

An event is told apart by its shape alone: a request through a front door, a notification of the store, a command;
whatever else it is keeps the container warm.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from indexer.events import timestamp
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.control import Control
from pypi_lambda.gateways import FrontDoor, find_front_door, read_request, write_response
from pypi_lambda.http import InternalError, RequestError
from pypi_lambda.notifications import find_created
from pypi_lambda.remote import RemoteIngestions, RemoteRebuilds
from pypi_lambda.service import Service, make_service
from pypi_lambda.settings import Settings, load_environ, read_settings

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
        self._control = control
        self._sleep = sleep

    def __call__(self, event: object) -> object:
        """Answer an invocation.

        Raises:
            IndexerError: a command is refused or failed; Lambda hands its sentence to the caller.
        """
        door = find_front_door(event)
        if door is not None:
            return self._answer(door, event)
        created = find_created(event, bucket=_bucket(self._settings), prefix=self._settings.repo_base_prefix)
        if created is not None:
            return self._take(created)
        return self._run(event)

    def _answer(self, door: FrontDoor, event: Any) -> object:
        try:
            request = read_request(door, event, base_path=self._settings.api_gateway_base_path)
            return write_response(door, self._service.app(request))
        except RequestError as error:
            response = error.response()
        except Exception:
            logger.exception("a request failed")
            response = InternalError().response()
        return write_response(door, response)

    def _take(self, created: tuple[str, ...]) -> object:
        from pypi_lambda.dropbox import INCOMING_PREFIX, take

        publisher = self._service.make_publisher()
        messages = [take(self._service.store, publisher, key) for key in created if key.startswith(INCOMING_PREFIX)]
        return {"incoming": [message for message in messages if message is not None]}

    def _run(self, event: object) -> object:
        """Carry out the command that an event is; one that means nothing keeps the container warm."""
        from pypi_lambda.commands import find_command

        command = find_command(event)
        if command is None:
            return {"warm": True, "seq": self._service.index.refresh().current.head.seq}
        from pypi_lambda.context import Context

        logger.info("%r", command)
        context = Context(
            service=self._service,
            settings=self._settings,
            now=utc_now,
            new_id=new_id,
            sleep=self._sleep,
            by="command",
            on_rebuilt=self._after,
        )
        done = command.run(context)
        logger.info("done: %s", type(command).__name__)
        return done

    def _after(self, seq: int) -> None:
        self._service.index.reload()
        self._control.bump(f"snapshot {seq} of {timestamp(utc_now())}")


def _bucket(settings: Settings) -> str:
    return settings.bucket.removeprefix("s3://").rstrip("/")


def _initialise() -> Function:
    settings = read_settings(load_environ(os.environ))
    logging.getLogger().setLevel(settings.logging_level)
    control = Control(os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""), sleep=time.sleep)
    service = make_service(
        settings,
        rebuilds=RemoteRebuilds(control, clock=time.monotonic),
        ingestions=RemoteIngestions(control, clock=time.monotonic),
    )
    return Function(settings, service, control, sleep=time.sleep)


_function = _initialise()


def handler(event: object, context: object) -> object:
    """Answer an invocation of the function."""
    return _function(event)
