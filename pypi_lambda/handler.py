"""The entry point of the Lambda function: `pypi_lambda.handler.handler`.

Importing this module is the function's init phase: it reads the settings, connects to the store and loads the snapshot.
It is the one module whose import does something.

An event is told apart by its shape alone: a request through a front door, a notification of the store, a command;
whatever else it is keeps the container warm.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, assert_never

from indexer.claim import rebuild_up_to
from indexer.events import timestamp
from indexer.rebuild import Rebuilt, rebuild
from indexer.root import repair_root
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.commands import Command, Ingest, PutUser, Rebuild, Reindex, RemoveUser, find_command
from pypi_lambda.control import Control
from pypi_lambda.gateways import FrontDoor, find_front_door, read_request, write_response
from pypi_lambda.http import InternalError, RequestError
from pypi_lambda.notifications import find_created
from pypi_lambda.remote import RemoteIngestions, RemoteRebuilds
from pypi_lambda.service import Service, make_service, make_upstream, renderer_of
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
        command = find_command(event)
        if command is not None:
            return self._run(command)
        return {"warm": True, "seq": self._service.index.refresh().current.head.seq}

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

    def _run(self, command: Command) -> Mapping[str, object]:
        logger.info("%r", command)
        match command:
            case Reindex():
                done = self._reindex()
            case Rebuild():
                done = self._rebuild(command)
            case PutUser():
                self._users().put(command.username, command.password, upload=command.upload)
                done = {"put": command.username, "upload": command.upload}
            case RemoveUser():
                done = {"removed": command.username, "existed": self._users().remove(command.username)}
            case Ingest():
                self._service.mirror.take_in(command.project, command.filename)
                done = {"ingested": f"{command.project}/{command.filename}"}
            case _:
                assert_never(command)
        logger.info("done: %s", done)
        return done

    def _reindex(self) -> Mapping[str, object]:
        from indexer.reindex import reindex
        from pypi_lambda.dropbox import take_all

        taken = take_all(self._service.store, self._service.make_publisher())
        done = reindex(
            self._service.store,
            make_upstream(self._settings),
            renderer_of(self._settings),
            now=utc_now,
            new_id=new_id,
            by="reindex",
        )
        self._after(done.rebuilt)
        return {
            "seq": done.rebuilt.snapshot.head.seq,
            "upstream": done.upstream_count,
            "upstreamFault": done.upstream_fault,
            "incoming": taken,
            "adopted": list(done.adopted),
            "refused": {refusal.key: refusal.reason for refusal in done.refused},
        }

    def _rebuild(self, command: Rebuild) -> Mapping[str, object]:
        store, renderer = self._service.store, renderer_of(self._settings)
        if command.seq is None:
            done = rebuild(store, renderer, from_zero=True)
            repair_root(store, done.snapshot)
        else:
            done = rebuild_up_to(store, renderer, command.seq, now=utc_now, sleep=self._sleep)
        self._after(done)
        return {"seq": done.snapshot.head.seq, "changed": done.changed, "pages": done.pages}

    def _after(self, done: Rebuilt) -> None:
        if done.changed:
            self._service.index.reload()
            self._control.bump(f"snapshot {done.snapshot.head.seq} of {timestamp(utc_now())}")

    def _users(self) -> Any:
        from pypi_lambda.admin import Users

        return Users(self._service.store, now=utc_now, new_id=new_id, by="command")


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
