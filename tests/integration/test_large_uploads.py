"""`serverless-pypi upload` brings files of any size to an index, over a folder and over a bucket."""

import json
import os
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from indexer.store.base import ObjectStore
from indexer.store.s3 import S3Store
from pypi_lambda.publish.announced import PART_BYTES
from pypi_lambda.terminal.sending import Sender, SendingFailed
from tests.aws.lambda_site import running_function
from tests.integration.clients import Clients
from tests.integration.commands import Finished, clean_environ, run, run_command
from tests.integration.running import Server, eventually
from tests.support.builders import PASSWORD, USERNAME, put_user
from tests.support.distributions import add_record, make_metadata, make_sdist, make_wheel
from tests.support.servers import BUCKET, S3Server, program


@pytest.fixture
def name() -> str:
    """A project's name that is normalised and no other test's."""
    return f"own-{uuid4().hex}"


def write_large_wheel(folder: Path, name: str, *, size: int) -> Path:
    """Write a wheel with so many random bytes in it."""
    stem = name.replace("-", "_")
    path = folder / f"{stem}-1.0-py3-none-any.whl"
    info = f"{stem}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo(f"{stem}/data.bin"), "w", force_zip64=True) as content:
            for _ in range(size // 2**20):
                content.write(os.urandom(2**20))
        archive.writestr(f"{info}/METADATA", make_metadata(name, "1.0"))
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
    add_record(path, info)
    return path


def upload(server: Server, *arguments: str) -> Finished:
    credentials = ("-u", server.user.name, "-p", server.user.password)
    return run_command(server.place, "upload", "--repository-url", server.url, *credentials, *arguments)


def find_parts(store: ObjectStore) -> list[str]:
    return sorted(stat.key for stat in store.list("incoming/") if stat.key.endswith(".part"))


def test_wheel_and_sdist(name: str, shared_server: Server, clients: Clients, tmp_path: Path) -> None:
    """Files go in, are there at once for pip, and again change nothing."""
    wheel, sdist = make_wheel(name, "1.0"), make_sdist(name, "1.0")
    files = []
    for made in (wheel, sdist):
        path = tmp_path / made.filename
        path.write_bytes(made.content)
        files.append(str(path))
    output = upload(shared_server, *files).succeeded()
    assert f"{wheel.filename} is published" in output
    page = shared_server.get_page(name)
    assert [file["hashes"]["sha256"] for file in page["files"]] == [wheel.sha256, sdist.sha256]
    upload(shared_server, *files).succeeded()
    assert shared_server.get_page(name) == page
    assert clients.install("pip", shared_server.index, name) == {name: "1.0"}


def test_large_wheel_that_broke_off(name: str, shared_server: Server, clients: Clients, tmp_path: Path) -> None:
    """A client that is killed goes on where it was; the file is whole, and no part of it stays."""
    path = write_large_wheel(tmp_path, name, size=3 * PART_BYTES)
    store = shared_server.place.open()
    command = [program("serverless-pypi"), "upload", "--repository-url", shared_server.url, str(path)]
    environ = clean_environ({"TWINE_USERNAME": shared_server.user.name, "TWINE_PASSWORD": shared_server.user.password})
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        eventually(lambda: bool(find_parts(store)) or client.poll() is not None)
        client.send_signal(signal.SIGKILL)
    arrived = find_parts(store)
    assert 0 < len(arrived) < 4
    before = {key: stat.modified for key in arrived if (stat := store.stat(key)) is not None}
    assert before
    upload(shared_server, str(path)).succeeded()
    assert find_parts(store) == []
    (file,) = shared_server.get_page(name)["files"]
    assert file["size"] == path.stat().st_size
    assert clients.install("uv", shared_server.index, name) == {name: "1.0"}


@pytest.mark.parametrize("shared_server", ["folder"], indirect=True)
class TestRefused:
    """What goes wrong is said in a sentence, with an exit code."""

    def test_no_distribution(self, shared_server: Server, tmp_path: Path) -> None:
        """A file that is none is named before anything is sent, and the others go in."""
        name = f"own-{uuid4().hex}"
        broken, wheel = tmp_path / "broken-1.0-py3-none-any.whl", make_wheel(name, "1.0")
        broken.write_bytes(b"no zip")
        (tmp_path / wheel.filename).write_bytes(wheel.content)
        output = upload(shared_server, str(broken), str(tmp_path / wheel.filename)).failed(1)
        assert "broken-1.0-py3-none-any.whl" in output
        assert shared_server.get_filenames(name) == [wheel.filename]

    def test_other_content(self, shared_server: Server, tmp_path: Path) -> None:
        """A name that is taken by other content is refused, or passed over when that is wanted."""
        name = f"own-{uuid4().hex}"
        wheel = make_wheel(name, "1.0")
        shared_server.upload(wheel)
        path = tmp_path / wheel.filename
        path.write_bytes(make_wheel(name, "1.0", requires_python=">=3.8").content)
        assert "File already exists" in upload(shared_server, str(path)).failed(1)
        assert "passed over" in upload(shared_server, "--skip-existing", str(path)).succeeded()

    @pytest.mark.parametrize(
        ("make_arguments", "code", "sentence"),
        [
            (lambda server, file: ("--repository-url", server.url, "-u", "x", "-p", "y", file), 1, "password is wrong"),
            (lambda server, file: ("--repository-url", "ftp://x/", "-p", "y", file), 2, "http or https"),
            (lambda server, file: ("--repository-url", server.url, "-p", "y", "missing.whl"), 2, "does not exist"),
            (lambda server, file: ("-p", "y", file), 2, "Missing option '--repository-url'"),
        ],
    )
    def test_wrong_input(
        self,
        make_arguments: Callable[[Server, str], tuple[str, ...]],
        code: int,
        sentence: str,
        shared_server: Server,
        tmp_path: Path,
    ) -> None:
        """Wrong credentials end with 1, wrong options with 2."""
        wheel = make_wheel(f"own-{uuid4().hex}", "1.0")
        (tmp_path / wheel.filename).write_bytes(wheel.content)
        arguments = make_arguments(shared_server, str(tmp_path / wheel.filename))
        assert sentence in run_command(shared_server.place, "upload", *arguments).failed(code)


def test_through_the_function(
    name: str, seaweedfs: S3Server, function_code: Path, clients: Clients, tmp_path: Path
) -> None:
    """A file that no front door lets through goes to the bucket; an invocation of its own checks and publishes it."""
    prefix = uuid4().hex
    store = S3Store(BUCKET, prefix, environ=seaweedfs.environ)
    put_user(store)
    environ = {
        **seaweedfs.environ,
        "BUCKET": BUCKET,
        "REPO_BASE_PREFIX": prefix,
        "UPSTREAM_INDEX_URL": "http://127.0.0.1:9/simple/",
    }
    path = write_large_wheel(tmp_path, name, size=PART_BYTES)
    broken = tmp_path / "broken" / path.name.replace("-1.0-", "-2.0-")
    broken.parent.mkdir()
    broken.write_bytes(path.read_bytes())  # its name says 2.0, its metadata 1.0: only the function is to notice
    with running_function(function_code, tmp_path / "site", environ=environ) as site:
        done = run(
            [program("serverless-pypi"), "upload", "--repository-url", site.front.url, str(path)],
            environ={"TWINE_USERNAME": USERNAME, "TWINE_PASSWORD": PASSWORD},
        )
        assert f"{path.name} is published" in done.succeeded()
        site.service.wait_idle()  # the file is there a moment before the invocation that published it has ended
        asked = [json.loads(record.payload) for record in site.service.records("Event")]
        assert ["publishParts"] in [list(payload) for payload in asked]
        assert clients.install("pip", site.index, name) == {name: "1.0"}
        sender = Sender(site.front.url, username=USERNAME, password=PASSWORD, sleep=lambda seconds: time.sleep(0.1))
        with pytest.raises(SendingFailed, match=r"2\.0"):
            sender.send_unchecked(broken, on_progress=lambda done, total: None)
        site.service.wait_idle()
    assert find_parts(store) == []
