"""The function's hold on itself, through real boto3 calls that a stand-in for Lambda's API answers."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from pypi_lambda.function.control import PAUSES_SECONDS, Control
from pypi_lambda.function.remote import REPAIR_EVERY_SECONDS, RemoteRebuilds
from pypi_lambda.manage.index import Rebuild
from pypi_lambda.manage.registry import find_command
from tests.aws.lambda_control import CONFLICT, INVOKE, INVOKE_DENIED, THROTTLED, UPDATE, UPDATE_DENIED, ControlPlane
from tests.aws.lambda_environment import Function, make_runtime
from tests.aws.lambda_runtime import LambdaService

INVOKE_THROTTLED = replace(THROTTLED, operation=INVOKE)
BROKEN = replace(CONFLICT, status=500, code="ServiceException")


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """A function named `pypi` that returns its event, and the API that controls it."""
    (tmp_path / "echo.py").write_text("def handler(event, context):\n    return event\n")
    runtime = make_runtime(tmp_path / "runtime")
    function = Function(code=(tmp_path,), runtime=runtime, environ={}, handler="echo.handler")
    with LambdaService(function, folder=tmp_path) as service, ControlPlane(service) as plane:
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials that it has seen
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", plane.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testkey")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testsecret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        yield plane


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def control(plane: ControlPlane, slept: list[float]) -> Control:
    return Control("pypi", sleep=slept.append)


def service_of(plane: ControlPlane) -> LambdaService:
    assert plane.service is not None
    return plane.service


def test_invoke(plane: ControlPlane, control: Control) -> None:
    """The function is invoked with the payload, and nobody waits for what it does."""
    control.invoke({"rebuild": 42})
    service_of(plane).wait_idle()
    (record,) = service_of(plane).history
    assert (record.kind, json.loads(record.payload)) == ("Event", {"rebuild": 42})


def test_bump(plane: ControlPlane, control: Control) -> None:
    """The function's description is changed, which replaces its environments."""
    control.bump("snapshot 42")
    assert (service_of(plane).function.description, service_of(plane).updates) == ("snapshot 42", 1)


def test_name_at_the_edge(plane: ControlPlane, slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica at the edge, whose name begins with the home region, controls the function there."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    control = Control("us-east-1.pypi", sleep=slept.append)
    control.bump("snapshot 42")
    assert service_of(plane).updates == 1


@pytest.mark.parametrize("fault", [CONFLICT, THROTTLED])
def test_bump_is_retried(
    fault: object, plane: ControlPlane, control: Control, slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """While another update is in progress, or too much is asked, it is tried again a little later."""
    assert isinstance(fault, type(CONFLICT))
    plane.inject(replace(fault, times=2))
    control.bump("snapshot 42")
    assert (service_of(plane).updates, slept, caplog.messages) == (1, [*PAUSES_SECONDS[:2]], [])


@pytest.mark.parametrize("fault", [CONFLICT, THROTTLED])
def test_bump_is_given_up(
    fault: object, plane: ControlPlane, control: Control, slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """After a few tries it is left undone, with a line in the log: nothing depends on it."""
    assert isinstance(fault, type(CONFLICT))
    plane.inject(replace(fault, times=None))
    control.bump("snapshot 42")
    assert plane.calls == {(UPDATE, fault.status): 1 + len(PAUSES_SECONDS)}
    assert slept == [*PAUSES_SECONDS]
    (message,) = caplog.messages
    assert message.startswith("lambda:UpdateFunctionConfiguration was left undone, and nothing depends on it: ")
    assert fault.code in message


def test_invoke_is_retried(plane: ControlPlane, control: Control, slept: list[float]) -> None:
    """An invocation that is throttled is tried again."""
    plane.inject(INVOKE_THROTTLED)
    control.invoke({"rebuild": 1})
    service_of(plane).wait_idle()
    assert (len(service_of(plane).history), slept) == (1, [PAUSES_SECONDS[0]])


def test_other_faults(
    plane: ControlPlane, control: Control, slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """Any other answer is not retried."""
    plane.inject(replace(BROKEN, times=None))
    control.bump("snapshot 42")
    assert (slept, plane.calls[UPDATE, 500]) == ([], 1)
    assert "ServiceException" in caplog.text


@pytest.mark.parametrize(
    ("fault", "action"),
    [(INVOKE_DENIED, "lambda:InvokeFunction"), (UPDATE_DENIED, "lambda:UpdateFunctionConfiguration")],
)
def test_missing_permission(
    fault: object, action: str, plane: ControlPlane, control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once, and only once, which IAM statement the function's role lacks, word for word."""
    assert isinstance(fault, type(CONFLICT))
    plane.inject(fault)
    for _ in range(3):
        control.invoke({"rebuild": 1})
        control.bump("snapshot")
    (message,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    prose, _, statement = message.partition(": ")
    assert prose == "the function's role lacks a permission; add this statement"
    assert json.loads(statement) == {
        "Effect": "Allow",
        "Action": action,
        "Resource": "arn:aws:lambda:eu-west-1:*:function:pypi",
    }


def test_no_answer(plane: ControlPlane, caplog: pytest.LogCaptureFixture, slept: list[float]) -> None:
    """Where Lambda's API cannot be reached at all, that is a line in the log."""
    plane.__exit__()
    control = Control("pypi", sleep=slept.append)
    control.invoke({"rebuild": 1})
    (message,) = caplog.messages
    assert message.startswith("lambda:InvokeFunction failed, and nothing depends on it: ")
    plane.__enter__()


def test_no_credentials(
    control: Control, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Likewise where there are no credentials."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    control.invoke({"rebuild": 1})
    assert caplog.messages == ["lambda:InvokeFunction failed, and nothing depends on it: Unable to locate credentials"]


def test_rebuilds(plane: ControlPlane, control: Control) -> None:
    """What asks for a rebuild or a repair sends what the function understands as one; repairs once in a while."""
    now = 1000.0
    rebuilds = RemoteRebuilds(control, clock=lambda: now)
    rebuilds.request(42)
    rebuilds.request_repair()
    now += REPAIR_EVERY_SECONDS - 1
    rebuilds.request_repair()
    now += 1
    rebuilds.request_repair()
    service_of(plane).wait_idle()
    commands = [find_command(json.loads(record.payload)) for record in service_of(plane).history]
    assert sorted(commands, key=repr) == [Rebuild(up_to=42), Rebuild(up_to=None), Rebuild(up_to=None)]
