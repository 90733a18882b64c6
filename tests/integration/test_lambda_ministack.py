"""The function under ministack's Lambda: its own real boto3 calls against an emulated control plane.

ministack carries out for real what the function asks for: asynchronous invocations, changes of the configuration that
replace its workers, and S3's notifications. What it does not check: signatures and IAM (the function may do anything
here), the limits on sizes, that a second change of the configuration is refused while one is in progress, AWS's timing,
and the events of front doors, which are built here by the documentation's rules instead of by ministack.
"""

import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from indexer.derive.rebuild import load_snapshot
from indexer.log.log import ORIGIN, Log
from indexer.simple.page import Renderer
from indexer.store.s3 import S3Store
from pypi_lambda.front_doors.table import FUNCTION_URL
from tests.aws.answer_readers import read_answer
from tests.aws.event_builders import function_url
from tests.aws.lambda_environment import make_runtime
from tests.integration.running import eventually
from tests.support.builders import basic, put_user, upload_form
from tests.support.distributions import make_wheel
from tests.support.servers import BUCKET, S3Server, free_ports, running

PREFIX = "the folder"
WHEEL = make_wheel("demo", "1.0+local.1")

# What a custom runtime begins with; AWS's own begins in the same way.
BOOTSTRAP = """\
#!/bin/sh
export PYTHONPATH={code}:{runtime} PYTHONDONTWRITEBYTECODE=1
exec {python} -S -m awslambdaric "$_HANDLER"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulated:
    """ministack with our function in it."""

    server: S3Server
    functions: Any  # a boto3 client
    store: S3Store

    @property
    def description(self) -> str:
        configuration = self.functions.get_function_configuration(FunctionName="pypi")
        return str(configuration["Description"])

    def call(self, event: object) -> Any:
        """Invoke the function and return what it returned."""
        answer = self.functions.invoke(FunctionName="pypi", Payload=json.dumps(event).encode())
        payload = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def rebuilt(self, seq: int) -> bool:
        """Tell whether the snapshot is at this event, and the containers were replaced for it."""
        is_there = load_snapshot(self.store, Renderer()).snapshot.head.seq == seq
        return is_there and self.description.startswith(f"snapshot {seq} of ")


@pytest.fixture(scope="module")
def emulated(function_code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    folder = tmp_path_factory.mktemp("ministack-lambda")
    (port,) = free_ports(1)
    server = S3Server(endpoint=f"http://127.0.0.1:{port}")
    environ = {
        **server.environ,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,lambda,iam,sts,logs",
        "LAMBDA_EXECUTOR": "local",
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PATH": os.defpath,
    }
    with running([_find_ministack()], folder / "log", environ=environ) as process:
        clients = {name: _client(server, name) for name in ("s3", "lambda")}
        eventually(lambda: process.poll() is not None or _has_bucket(clients["s3"]))
        arn = _create_function(clients["lambda"], function_code, make_runtime(folder / "runtime"))
        _notify(clients["s3"], arn)
        store = S3Store(BUCKET, PREFIX, environ=server.environ)
        put_user(store)
        yield Emulated(server=server, functions=clients["lambda"], store=store)
        for client in clients.values():
            client.close()


def _find_ministack() -> str:
    venv = Path(os.environ.get("MINISTACK_VENV", Path(__file__).parents[2] / ".venv-ministack"))
    return str(venv / "bin" / "ministack")


def _client(server: S3Server, name: str) -> Any:
    return boto3.client(
        name,
        endpoint_url=server.endpoint,
        aws_access_key_id=server.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.environ["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, read_timeout=300),
    )


def _has_bucket(client: Any) -> bool:
    try:
        client.create_bucket(Bucket=BUCKET)
    except (BotoCoreError, ClientError):
        return False
    return True


def _create_function(client: Any, code: Path, runtime: Path) -> str:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("bootstrap", BOOTSTRAP.format(code=code, runtime=runtime, python=sys.executable))
    created = client.create_function(
        FunctionName="pypi",
        Runtime="provided.al2023",
        Role="arn:aws:iam::000000000000:role/pypi",
        Handler="pypi_lambda.handler.handler",
        Code={"ZipFile": buffer.getvalue()},
        Timeout=30,
        MemorySize=1024,
        Environment={
            "Variables": {
                "BUCKET": BUCKET,
                "REPO_BASE_PREFIX": PREFIX,
                "UPSTREAM_INDEX_URL": "http://127.0.0.1:9/simple/",  # where nothing listens
            }
        },
    )
    return str(created["FunctionArn"])


def _notify(client: Any, arn: str) -> None:
    rules = {"Key": {"FilterRules": [{"Name": "prefix", "Value": f"{PREFIX}/incoming/"}]}}
    client.put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": rules}
            ]
        },
    )


def test_drop_box_to_fresh_containers(emulated: Emulated) -> None:
    """A file in the drop box is published on S3's notification; the function rebuilds and changes its configuration."""
    assert emulated.call({"warm": True}) == {"warm": True, "seq": 0}
    emulated.store.put(f"incoming/by ada/{WHEEL.filename}", WHEEL.content)
    eventually(lambda: emulated.rebuilt(1))
    assert list(emulated.store.list("incoming/")) == []
    assert emulated.call({"warm": True}) == {"warm": True, "seq": 1}
    event = function_url(path=f"/simple/demo/{WHEEL.filename}.metadata", headers=[("Authorization", basic())])
    status, _, body = read_answer(FUNCTION_URL, emulated.call(event))
    assert (status, body) == (200, WHEEL.metadata)


def test_upload_to_fresh_containers(emulated: Emulated) -> None:
    """After an upload the function invokes itself, rebuilds, and changes its configuration."""
    body, content_type = upload_form(make_wheel("other", "1.0"))
    headers = [("Content-Type", content_type), ("Authorization", basic())]
    event = function_url(method="POST", headers=headers, body=body)
    assert read_answer(FUNCTION_URL, emulated.call(event))[0] == 200
    seq = len(list(Log(emulated.store).read_after(ORIGIN)))
    eventually(lambda: emulated.rebuilt(seq))
