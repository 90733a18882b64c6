"""The whole function as it is deployed: the unpacked zip, the service that runs it, what it controls itself through,
and a front door.

with running_function(code, tmp_path, environ=...) as site:
    site.ask(ALB, "GET", "/simple/demo/")
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pypi_lambda.front_doors.table import FUNCTION_URL, FrontDoor
from tests.aws.answer_readers import read_answer
from tests.aws.event_builders import BUILDERS
from tests.aws.lambda_control import ControlPlane
from tests.aws.lambda_environment import Function, make_runtime
from tests.aws.lambda_front import Front
from tests.aws.lambda_runtime import LambdaService
from tests.support.builders import PASSWORD, USERNAME, basic


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the client gets; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaSite:
    """A running function."""

    service: LambdaService
    control: ControlPlane
    front: Front

    @property
    def index(self) -> str:
        """The index URL through the front door, with the credentials of the user of tests/support/builders.py."""
        return self.index_of(self.front)

    def index_of(self, front: Front) -> str:
        address = front.url.removeprefix("http://")
        return f"http://{quote(USERNAME)}:{quote(PASSWORD)}@{address}/simple/"

    def ask(
        self,
        door: FrontDoor,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        authorization: str | None = "",
        **details: Any,
    ) -> Answer:
        """Send a request through a front door, without HTTP.

        Args:
            authorization: the header; the user's by default, None for none.
            details: more arguments of the door's event builder.
        """
        sent = [*headers]
        if authorization is not None:
            sent.append(("Authorization", authorization or basic()))
        event = BUILDERS[door](method=method, path=path, query=query, headers=sent, body=body, **details)
        status, found, content = read_answer(door, self.service.call(event), method=method)
        return Answer(status=status, headers={name.lower(): value for name, value in found}, body=content)


@contextmanager
def running_function(
    code: Path,
    folder: Path,
    *,
    environ: Mapping[str, str],
    door: FrontDoor = FUNCTION_URL,
    max_environments: int = 10,
    update_seconds: float = 0.0,
    **changes: Any,
) -> Iterator[LambdaSite]:
    """Run the function while the block runs.

    Args:
        folder: for logs, one of its own.
        environ: its settings, and the AWS variables of whoever is to be its S3.
        changes: more of the `Function`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runtime = make_runtime(folder / "runtime")
    with ControlPlane() as control:
        credentials = {"AWS_ACCESS_KEY_ID": "testkey", "AWS_SECRET_ACCESS_KEY": "testsecret"}
        environ = {**credentials, **environ, "AWS_ENDPOINT_URL_LAMBDA": control.url}
        function = Function(code=(code,), runtime=runtime, environ=environ, **changes)
        with LambdaService(
            function, folder=folder, max_environments=max_environments, update_seconds=update_seconds
        ) as service:
            control.service = service
            with Front(service, door) as front:
                yield LambdaSite(service=service, control=control, front=front)
