"""Commands run as the command line and the Lambda function run them: over a store, with a service of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from indexer.errors import InvalidValue
from indexer.log.log import ORIGIN, Log
from indexer.store.base import ObjectStore
from indexer.value import replace
from pypi_lambda.app.service import make_service
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.command.context import Context, Progress, no_progress
from pypi_lambda.manage.registry import parse_command
from pypi_lambda.settings import Settings
from tests.support.builders import contents

NO_UPSTREAM = "http://127.0.0.1:1/simple/"


@contextmanager
def running_context(
    store: ObjectStore, *, upstream: str = NO_UPSTREAM, on_progress: Progress = no_progress, **settings: Any
) -> Iterator[Context]:
    """Give what commands work with; its rebuilds have ended afterwards."""
    made = replace(Settings(bucket="file://./unused", upstream_index_url=upstream), **settings)
    service = make_service(made, store=store)
    try:
        yield Context(
            service=service,
            settings=made,
            now=utc_now,
            new_id=new_id,
            sleep=lambda seconds: None,
            by="ann",
            on_rebuilt=lambda seq: None,
            on_progress=on_progress,
        )
    finally:
        service.rebuilder.wait()


def run_command(store: ObjectStore, name: str, argument: object = None, **context: Any) -> dict[str, Any]:
    """Run a command by its name, and return its result."""
    with running_context(store, **context) as found:
        return dict(parse_command(name, argument).run(found))


def changes(store: ObjectStore) -> list[object]:
    """Return what happened after the first event."""
    return [event.change for event in Log(store).read_after(ORIGIN) if event.seq > 1]


def refusal(store: ObjectStore, name: str, argument: object) -> str:
    """Return the sentence with which a command is refused, and make sure that it changed nothing."""
    before = contents(store)
    with pytest.raises(InvalidValue) as caught:
        run_command(store, name, argument)
    assert contents(store) == before
    return str(caught.value)
