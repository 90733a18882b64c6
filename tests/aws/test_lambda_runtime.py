"""The stand-in for the Lambda service, shown with functions of a few lines under the real runtime client."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest

from tests.aws.lambda_control import CONFLICT, GET, INVOKE, INVOKE_DENIED, UPDATE, ControlPlane
from tests.aws.lambda_environment import MAX_RESPONSE_BYTES, Function, make_runtime
from tests.aws.lambda_invocations import FunctionError, RequestTooLarge, TooManyRequests, UpdateInProgress
from tests.aws.lambda_runtime import EVENT_TRIES, LOOP_DEPTH, MAX_EVENT_BYTES, MAX_REQUEST_BYTES, LambdaService

# What each test's function is: it does as the event says.
PUPPET = """
import os, sys, time

calls = 0

def handler(event, context):
    global calls
    calls += 1
    print("called with", event)
    if not isinstance(event, dict):
        return event
    if "size" in event:
        return "x" * event["size"]
    if "length" in event:
        return len(event["length"])
    if "raise" in event:
        raise ValueError(event["raise"])
    if "exit" in event:
        os._exit(event["exit"])
    if "await" in event:
        open(event["arrived"], "w").close()
        while not os.path.exists(event["await"]):
            time.sleep(0.005)
    if "environ" in event:
        return {name: os.environ.get(name) for name in event["environ"]}
    if "import" in event:
        __import__(event["import"])
    if "context" in event:
        return [context.function_name, context.aws_request_id, context.get_remaining_time_in_millis() > 0]
    return {"pid": os.getpid(), "calls": calls}
"""

Make = Callable[..., LambdaService]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes services whose function is the puppet, or other code."""
    runtime = make_runtime(tmp_path / "runtime")

    with ExitStack() as stack:

        def make_service(code: str = PUPPET, *, max_environments: int = 4, **changes: Any) -> LambdaService:
            folder = tmp_path / "code"
            folder.mkdir(exist_ok=True)
            (folder / "puppet.py").write_text(code)
            update_seconds = changes.pop("update_seconds", 0.0)
            function = Function(
                code=(folder,), runtime=runtime, environ=changes.pop("environ", {}), handler="puppet.handler", **changes
            )
            return stack.enter_context(
                LambdaService(
                    function, folder=tmp_path, max_environments=max_environments, update_seconds=update_seconds
                )
            )

        yield make_service


class Held:
    """An invocation that goes on until it is released, and a thread that waits for it."""

    def __init__(self, service: LambdaService, folder: Path) -> None:
        self._release = folder / "release"
        self._arrived = folder / "arrived"
        event = {"await": str(self._release), "arrived": str(self._arrived)}
        self.outcomes: list[Any] = []
        self._thread = Thread(target=lambda: self.outcomes.append(service.invoke(json.dumps(event).encode())))
        self._thread.start()
        while not self._arrived.exists():
            self._thread.join(0.005)

    def release(self) -> Any:
        self._release.touch()
        return self.wait()

    def wait(self) -> Any:
        self._thread.join()
        return self.outcomes[0]


def test_environment_is_kept(make: Make) -> None:
    """An environment handles one event after another, without starting anew."""
    service = make()
    first, second = service.call({}), service.call({})
    assert (first["calls"], second["calls"], first["pid"] == second["pid"]) == (1, 2, True)


def test_init_seconds(make: Make) -> None:
    """The first invocation of an environment tells how long its init phase took, later ones waited for none."""
    service = make("import time\ntime.sleep(0.1)\ndef handler(event, context): pass\n")
    cold, warm = service.invoke(b"{}"), service.invoke(b"{}")
    assert cold.init_seconds is not None
    assert cold.init_seconds > 0.1
    assert warm.init_seconds is None


def test_environment_variables(make: Make) -> None:
    """The function sees its own variables and the service's, and none of this process's."""
    found = make(environ={"MINE": "1"}).call({"environ": ["MINE", "HOME", "AWS_LAMBDA_FUNCTION_NAME", "AWS_REGION"]})
    assert found == {"MINE": "1", "HOME": None, "AWS_LAMBDA_FUNCTION_NAME": "pypi", "AWS_REGION": "us-east-1"}


def test_packages_of_this_machine_are_hidden(make: Make) -> None:
    """What the zip does not hold and the runtime does not bring cannot be imported."""
    service = make()
    service.call({"import": "boto3"})
    with pytest.raises(FunctionError, match="No module named 'obstore'"):
        service.call({"import": "obstore"})


def test_context(make: Make) -> None:
    """The handler's context has the function's name, the request's id and the time that is left."""
    name, request_id, has_time = make().call({"context": True})
    assert (name, len(request_id), has_time) == ("pypi", 36, True)


def test_function_raises(make: Make) -> None:
    """What the function raises comes back with its type and text, and the environment lives on."""
    service = make()
    with pytest.raises(FunctionError) as raised:
        service.call({"raise": "no"})
    answer = raised.value.outcome.json()
    assert isinstance(answer, dict)
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "no")
    assert service.call({})["calls"] == 2


def test_init_error(make: Make) -> None:
    """A module that raises while it is imported fails the invocation with its sentence; the next one starts anew."""
    service = make("raise ValueError('BUCKET is wrong')")
    for _ in range(2):
        with pytest.raises(FunctionError, match="BUCKET is wrong"):
            service.call({})
    assert len({record.outcome.environment for record in service.history}) == 2


def test_init_timeout(make: Make) -> None:
    """An init phase that takes too long fails the invocation."""
    service = make("import time\ntime.sleep(60)\n", init_seconds=0.3)
    with pytest.raises(FunctionError, match="Timedout"):
        service.call({})


def test_invocation_timeout(make: Make, tmp_path: Path) -> None:
    """An invocation that takes too long fails, and its environment is gone."""
    service = make(timeout_seconds=0.2)
    with pytest.raises(FunctionError, match="Task timed out"):
        service.call({"await": str(tmp_path / "never"), "arrived": str(tmp_path / "arrived")})
    assert service.environments == ()


def test_process_exits(make: Make) -> None:
    """A process that ends fails its invocation; the next invocation gets another."""
    service = make()
    with pytest.raises(FunctionError, match="Runtime exited with 3"):
        service.call({"exit": 3})
    assert service.call({})["calls"] == 1


def test_killed_in_the_middle(make: Make, tmp_path: Path) -> None:
    """An environment can be killed while it works."""
    service = make()
    held = Held(service, tmp_path)
    (environment,) = service.environments
    service.kill(environment)
    assert held.wait().error == "Runtime.ExitError"
    assert not service.environments


def test_request_limit(make: Make) -> None:
    """An event of 6 MB arrives, one byte more is refused."""
    service = make()
    frame = len(json.dumps({"length": ""}))
    assert service.call({"length": "x" * (MAX_REQUEST_BYTES - frame)}) == MAX_REQUEST_BYTES - frame
    with pytest.raises(RequestTooLarge):
        service.call({"length": "x" * (MAX_REQUEST_BYTES - frame + 1)})


def test_response_limit(make: Make) -> None:
    """An answer of the limit's length arrives, a longer one is an error."""
    service = make()
    assert len(service.call({"size": MAX_RESPONSE_BYTES - 2})) == MAX_RESPONSE_BYTES - 2
    with pytest.raises(FunctionError, match="exceeded maximum allowed payload size"):
        service.call({"size": MAX_RESPONSE_BYTES})
    assert service.call({})["calls"] == 1


def test_concurrency(make: Make, tmp_path: Path) -> None:
    """While an environment is busy another one starts, up to the maximum; then invocations are refused."""
    service = make(max_environments=2)
    held = Held(service, tmp_path)
    assert service.call({})["calls"] == 1
    assert len(service.environments) == 2
    other = tmp_path / "other"
    other.mkdir()
    second = Held(service, other)
    with pytest.raises(TooManyRequests):
        service.call({})
    held.release()
    second.release()
    assert len({record.outcome.environment for record in service.history}) == 2


def test_started_ahead(make: Make) -> None:
    """Environments that were started ahead take turns."""
    service = make()
    service.start(3)
    assert len({service.call({})["pid"] for _ in range(3)}) == 3
    assert service.call({})["calls"] == 2


def test_configuration_change_replaces_environments(make: Make, tmp_path: Path) -> None:
    """After a change, idle environments are gone at once and a busy one when it is done; new ones have the change."""
    service = make()
    service.start(2)
    held = Held(service, tmp_path)
    busy = {record.outcome.environment for record in service.history}
    service.update(environ={"MINE": "new"})
    assert len(service.environments) == 1
    held.release()
    assert not service.environments
    assert service.call({"environ": ["MINE"]}) == {"MINE": "new"}
    assert busy.isdisjoint(service.environments)


def test_update_in_progress(make: Make) -> None:
    """A change is refused while another one is in progress."""
    service = make(update_seconds=60.0)
    service.update(description="one")
    with pytest.raises(UpdateInProgress):
        service.update(description="two")
    assert (service.function.description, service.updates) == ("one", 1)


def test_events(make: Make) -> None:
    """An event is handled once, when it succeeds."""
    service = make()
    for number in range(8):
        service.invoke_event(json.dumps(number).encode())
    service.wait_idle()
    assert sorted(record.payload for record in service.records("Event")) == [b"%d" % number for number in range(8)]
    assert len(service.environments) <= 4


def test_event_is_retried(make: Make) -> None:
    """An event that fails is tried three times in all, then dropped."""
    service = make()
    service.invoke_event(b'{"raise": "no"}')
    service.wait_idle()
    assert [record.attempt for record in service.records("Event")] == [1, 2, EVENT_TRIES]
    assert [dropped.payload for dropped in service.dropped] == [b'{"raise": "no"}']


def test_event_limit(make: Make) -> None:
    """An event of more than 1 MB is refused."""
    with pytest.raises(RequestTooLarge):
        make().invoke_event(b" " * (MAX_EVENT_BYTES + 1))


def test_event_of_a_killed_environment_is_retried(make: Make, tmp_path: Path) -> None:
    """An event whose environment is killed is handled by another one."""
    service = make()
    release, arrived = tmp_path / "release", tmp_path / "arrived"
    service.invoke_event(json.dumps({"await": str(release), "arrived": str(arrived)}).encode())
    while not arrived.exists():
        sleep(0.005)
    (environment,) = service.environments
    service.kill(environment)
    release.touch()
    service.wait_idle()
    assert [record.outcome.error for record in service.records("Event")] == ["Runtime.ExitError", None]


def test_frozen_between_invocations(make: Make) -> None:
    """What the function leaves running in the background stands still until the next invocation."""
    code = """
import os, threading, time
ticked = threading.Event()
longest = 0.0
def tick():
    global longest
    before = time.monotonic()
    while True:
        time.sleep(0.001)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
        ticked.set()
def handler(event, context):
    if event == "start":
        threading.Thread(target=tick, daemon=True).start()
    ticked.clear()
    ticked.wait()
    return [os.getpid(), longest]
"""
    service = make(code)
    pid, _ = service.call("start")
    while " T " not in Path(f"/proc/{pid}/stat").read_text():
        sleep(0.005)
    sleep(0.3)
    assert service.call("look")[1] >= 0.3


def test_logs(make: Make) -> None:
    """What the function prints can be read, by environment, also when that is gone."""
    service = make()
    service.call({"hello": 1})
    (environment,) = service.environments
    service.update(description="new")
    assert "called with {'hello': 1}" in service.read_log(environment)


def client_of(control: ControlPlane) -> Any:
    """Return a boto3 client that talks to the control plane and retries nothing."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "lambda",
        endpoint_url=control.url,
        region_name="us-east-1",
        aws_access_key_id="testkey",
        aws_secret_access_key="testsecret",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_control_plane(make: Make) -> None:
    """boto3's calls reach the function: both kinds of invocation, and its configuration."""
    service = make()
    with ControlPlane(service) as control:
        client = client_of(control)
        answer = client.invoke(FunctionName="pypi", Payload=b'{"length": "four"}')
        assert (answer["StatusCode"], json.loads(answer["Payload"].read())) == (200, 4)
        failed = client.invoke(FunctionName="pypi", Payload=b'{"raise": "no"}')
        assert (failed["FunctionError"], json.loads(failed["Payload"].read())["errorMessage"]) == ("Unhandled", "no")
        accepted = client.invoke(FunctionName="pypi", InvocationType="Event", Payload=b'"event"')
        assert accepted["StatusCode"] == 202
        service.wait_idle()
        assert [record.payload for record in service.records("Event")] == [b'"event"']
        client.update_function_configuration(FunctionName="pypi", Description="newer")
        assert client.get_function_configuration(FunctionName="pypi")["Description"] == "newer"
        assert control.calls == {(INVOKE, 200): 2, (INVOKE, 202): 1, (UPDATE, 200): 1, (GET, 200): 1}
        client.close()


def test_control_plane_faults(make: Make) -> None:
    """Injected answers are what boto3 takes for Lambda's own, as often as they were asked for."""
    with ControlPlane(make()) as control:
        client = client_of(control)
        control.inject(CONFLICT, INVOKE_DENIED)
        with pytest.raises(client.exceptions.ResourceConflictException):
            client.update_function_configuration(FunctionName="pypi", Description="a")
        client.update_function_configuration(FunctionName="pypi", Description="b")
        for _ in range(2):
            with pytest.raises(client.exceptions.ClientError, match="AccessDeniedException"):
                client.invoke(FunctionName="pypi", Payload=b"{}")
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_function_configuration(FunctionName="other")
        client.close()


def test_control_plane_update_in_progress(make: Make) -> None:
    """A second change at once is a conflict."""
    with ControlPlane(make(update_seconds=60.0)) as control:
        client = client_of(control)
        client.update_function_configuration(FunctionName="pypi", Description="a")
        with pytest.raises(client.exceptions.ResourceConflictException):
            client.update_function_configuration(FunctionName="pypi", Description="b")
        client.close()


def test_loop_is_cut(make: Make, tmp_path: Path) -> None:
    """A function that goes on invoking itself through the AWS SDK is stopped, as Lambda stops it."""
    code = """
def handler(event, context):
    import boto3
    client = boto3.client("lambda")
    client.invoke(FunctionName=context.function_name, InvocationType="Event", Payload=b"{}")
    client.close()
"""
    with ControlPlane() as control:
        environ = {
            "AWS_ENDPOINT_URL_LAMBDA": control.url,
            "AWS_ACCESS_KEY_ID": "testkey",
            "AWS_SECRET_ACCESS_KEY": "testsecret",
        }
        control.service = service = make(code, environ=environ)
        service.invoke_event(b"{}")
        service.wait_idle()
    assert sorted(record.depth for record in service.records("Event")) == list(range(1, LOOP_DEPTH + 1))
    assert len(service.dropped) == 1
