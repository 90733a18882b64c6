"""The built zip as a Lambda function over a real S3 server, used by real tools through real HTTP.

What is not AWS's own here: the service that starts environments (tests/aws/lambda_runtime.py), the API through which
the function controls itself (tests/aws/lambda_control.py), the front doors (tests/aws/lambda_front.py) and S3
(SeaweedFS). So no timing of AWS's is shown, no IAM, and no TLS.
"""

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote_plus

import pytest
import requests

from deploy.settings_file import encode_settings
from indexer.derive.claim import CLAIM_AGE, GATHER_SECONDS
from indexer.derive.rebuild import load_snapshot
from indexer.log.log import ORIGIN, Log
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.store.s3 import S3Store
from pypi_lambda.front_doors.table import EDGE_ORIGIN, EDGE_VIEWER, FUNCTION_URL
from tests.aws.lambda_control import CONFLICT, INVOKE, INVOKE_DENIED, THROTTLED, UPDATE, UPDATE_DENIED
from tests.aws.lambda_site import LambdaSite, running_function
from tests.integration.clients import Clients
from tests.pypi_lambda.function.test_notifications import notification
from tests.support.builders import PASSWORD, USERNAME, put_user, upload_form
from tests.support.distributions import Distribution, make_wheel
from tests.support.servers import BUCKET, FaultProxy, HttpFault, S3Server, program

RENDERER = Renderer()


@pytest.fixture
def prefix() -> str:
    """The folder in the bucket that is this test's own."""
    return f"{uuid.uuid4().hex}/with space"


@pytest.fixture
def store(seaweedfs: S3Server, prefix: str) -> ObjectStore:
    """What the function's store holds: a user who may upload."""
    store = S3Store(BUCKET, prefix, environ=seaweedfs.environ)
    put_user(store)
    return store


@contextmanager
def running(server: S3Server, prefix: str, code: Path, folder: Path, **details: Any) -> Iterator[LambdaSite]:
    environ = {
        **server.environ,
        "BUCKET": BUCKET,
        "REPO_BASE_PREFIX": prefix,
        "UPSTREAM_INDEX_URL": "http://127.0.0.1:9/simple/",  # where nothing listens
    }
    with running_function(code, folder / "site", environ=environ, **details) as site:
        yield site


@pytest.fixture
def site(
    seaweedfs: S3Server, store: ObjectStore, prefix: str, function_code: Path, tmp_path: Path
) -> Iterator[LambdaSite]:
    with running(seaweedfs, prefix, function_code, tmp_path) as site:
        yield site


def twine(clients: Clients, url: str, *distributions: Distribution) -> str:
    folder = clients.new_folder("dist")
    for distribution in distributions:
        (folder / distribution.filename).write_bytes(distribution.content)
    options = ["--non-interactive", "--disable-progress-bar", "--repository-url", f"{url}/"]
    files = sorted(str(path) for path in folder.iterdir())
    done = clients.run(program("twine"), "upload", *options, "-u", USERNAME, "-p", PASSWORD, *files)
    return done.succeeded()


def upload(site: LambdaSite, distribution: Distribution) -> Any:
    body, content_type = upload_form(distribution)
    return site.ask(FUNCTION_URL, "POST", "/", headers=[("Content-Type", content_type)], body=body)


def filenames(site: LambdaSite, project: str) -> list[str]:
    answer = site.ask(
        FUNCTION_URL, "GET", f"/simple/{project}/", headers=[("Accept", "application/vnd.pypi.simple.v1+json")]
    )
    return [file["filename"] for file in answer.json()["files"]] if answer.status == 200 else []


def events_of(store: ObjectStore) -> int:
    return len(list(Log(store).read_after(ORIGIN)))


def snapshot_seq(store: ObjectStore) -> int:
    return load_snapshot(store, RENDERER).snapshot.head.seq


# From one container to all


def test_upload_to_one_install_from_the_others(site: LambdaSite, store: ObjectStore, clients: Clients) -> None:
    """What twine uploads to one container, pip and uv install from the others at once; then all are replaced."""
    site.service.start(3)
    before = site.service.environments
    twine(clients, site.front.url, make_wheel("demo", "1.0"))
    (uploaded_to,) = {record.outcome.environment for record in site.service.records("RequestResponse")}
    for tool in ("pip", "uv"):
        assert clients.install(tool, site.index, "demo") == {"demo": "1.0"}
    asked = {record.outcome.environment for record in site.service.records("RequestResponse")}
    assert asked > {uploaded_to}
    site.service.wait_idle()
    assert site.service.updates == 1
    assert set(before).isdisjoint(site.service.environments)
    assert snapshot_seq(store) == 1
    assert [record.payload for record in site.service.records("Event")] == [b'{"rebuild": 1}']
    assert clients.install("uv", site.index, "--no-cache", "demo") == {"demo": "1.0"}
    assert max(record.depth for record in site.service.history) <= 2


def test_new_version_is_seen_at_once(site: LambdaSite) -> None:
    """Each container, whatever it has in memory, lists a new file in its first answer after the upload."""
    site.service.start(4)
    for number in range(1, 5):
        for _ in range(4):
            assert len(filenames(site, "demo")) == number - 1
        assert upload(site, make_wheel("demo", f"{number}.0")).status == 200
        assert [len(filenames(site, "demo")) for _ in range(4)] == [number] * 4
    assert len({record.outcome.environment for record in site.service.records("RequestResponse")}) >= 4


def test_init_reads_the_snapshot(
    seaweedfs: S3Server, store: ObjectStore, prefix: str, function_code: Path, tmp_path: Path
) -> None:
    """In the init phase, before any request, the snapshot is fetched, and nothing else."""
    with FaultProxy(seaweedfs) as proxy, running(proxy.front, prefix, function_code, tmp_path) as site:
        upload(site, make_wheel("demo", "1.0"))
        site.service.wait_idle()
        site.service.update(description="no environment is left")
        proxy.requests.clear()
        site.service.start(1)
        seen = [(method, path.rpartition(f"{prefix.rpartition('/')[2]}/")[2]) for method, path in proxy.requests]
        assert [(method, path.rpartition("space/")[2]) for method, path in seen] == [("GET", "snapshot.msgpack.zst")]


def test_bucket_that_is_not_there(seaweedfs: S3Server, prefix: str, function_code: Path, tmp_path: Path) -> None:
    """A bucket that does not exist ends the init phase in a sentence that says so."""
    environ = {**seaweedfs.environ, "BUCKET": "no-such-bucket"}
    with running_function(function_code, tmp_path / "site", environ=environ) as site:
        outcome = site.service.invoke(b"{}")
    answer = outcome.json()
    assert isinstance(answer, dict)
    assert (outcome.error, answer["errorType"]) == ("StoreUnavailable", "StoreUnavailable")
    assert "the bucket does not exist" in answer["errorMessage"]


# Rebuilds and the configuration


def test_burst(
    seaweedfs: S3Server,
    store: ObjectStore,
    prefix: str,
    function_code: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A hundred uploads make few rebuilds and fewer changes of the configuration, and none is lost."""
    began = monotonic()
    wheels = [make_wheel(f"burst-{number % 10}", f"{number}.0") for number in range(100)]
    statuses: list[int] = []
    with running(seaweedfs, prefix, function_code, tmp_path, max_environments=6, update_seconds=3.0) as site:

        def upload_some(share: list[Distribution]) -> None:
            for wheel in share:
                while (status := try_upload(site, wheel)) == 429:  # few containers, and all are busy
                    sleep(0.05)
                statuses.append(status)

        threads = [Thread(target=upload_some, args=(wheels[number::4],)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        site.service.wait_idle()
        events = [record.outcome.json() for record in site.service.records("Event")]
        rebuilds = [event for event in events if isinstance(event, dict) and event["changed"]]
        with capsys.disabled():
            print(  # noqa: T201  # figures for whoever reads the output
                f"\n{len(wheels)} uploads: {len(events)} invocations, {len(rebuilds)} rebuilds, "
                f"{site.service.updates} changes of the configuration, {len(site.service.started)} environments"
            )
        assert (statuses, len(events)) == ([200] * 100, 100)
        # Each gathers for two seconds before the next one can begin, or, should it be held up, is overtaken by one.
        seconds = monotonic() - began
        most = 1 + seconds / GATHER_SECONDS + seconds / CLAIM_AGE.total_seconds()
        assert site.service.updates <= len(rebuilds) <= most
        assert sum(len(filenames(site, f"burst-{number}")) for number in range(10)) == 100
    assert snapshot_seq(store) == events_of(store) == 100


@pytest.mark.parametrize("fault", [CONFLICT, THROTTLED], ids=lambda fault: str(fault.status))
def test_configuration_is_busy(fault: Any, site: LambdaSite, store: ObjectStore) -> None:
    """A refused change of the configuration is tried again; the upload waits for nothing of that."""
    site.control.inject(fault)
    assert upload(site, make_wheel("demo", "1.0")).status == 200
    site.service.wait_idle()
    assert (site.control.calls[UPDATE, fault.status], site.control.calls[UPDATE, 200]) == (1, 1)
    assert snapshot_seq(store) == 1


def test_missing_permissions(site: LambdaSite, store: ObjectStore) -> None:
    """Without the permissions all works but the rebuild, and the log has the missing statement once per container."""
    site.control.inject(INVOKE_DENIED, UPDATE_DENIED)
    for version in ("1.0", "2.0", "3.0"):
        assert upload(site, make_wheel("demo", version)).status == 200
    assert len(filenames(site, "demo")) == 3
    assert (site.control.calls[INVOKE, 403], events_of(store), snapshot_seq(store)) == (3, 3, 0)
    assert site.service.call("reindex")["seq"] == 3
    (environment,) = site.service.environments
    log = site.service.read_log(environment)
    for action in ("lambda:InvokeFunction", "lambda:UpdateFunctionConfiguration"):
        statement = {"Effect": "Allow", "Action": action, "Resource": "arn:aws:lambda:us-east-1:*:function:pypi"}
        assert log.count(json.dumps(statement)) == 1


# Containers that die


class Held(Event):
    """Set to let a request of the store go on; tells when it has arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.arrived.set()
        return super().wait(timeout)


def try_upload(site: LambdaSite, distribution: Distribution) -> int:
    """Upload a file through real HTTP and return the status."""
    body, content_type = upload_form(distribution)
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Content-Type": content_type}
        return session.post(f"{site.front.url}/", data=body, headers=headers, auth=(USERNAME, PASSWORD)).status_code


@pytest.mark.parametrize("carried_out", [False, True], ids=["lost", "carried-out"])
@pytest.mark.parametrize("path", ["2.0-py3-none-any.whl", ".whl.metadata", "/log/"])
def test_killed_during_an_upload(
    path: str,
    carried_out: bool,
    seaweedfs: S3Server,
    store: ObjectStore,
    prefix: str,
    function_code: Path,
    tmp_path: Path,
) -> None:
    """Whichever write a container dies in: what was published stays, and the same upload again goes through."""
    old, new = make_wheel("demo", "1.0"), make_wheel("demo", "2.0")
    with FaultProxy(seaweedfs) as proxy, running(proxy.front, prefix, function_code, tmp_path) as site:
        site.control.inject(INVOKE_DENIED)  # so that there is one container, and no rebuild
        assert upload(site, old).status == 200
        held = Held()
        proxy.inject(HttpFault(method="PUT", path=path, hold=held, forward=carried_out))
        answers: list[int] = []
        thread = Thread(target=lambda: answers.append(try_upload(site, new)))
        thread.start()
        assert held.arrived.wait(30)
        (busy,) = site.service.environments
        site.service.kill(busy)
        thread.join()
        assert (answers, filenames(site, "demo")) == ([502], [old.filename])
        held.set()
        assert upload(site, new).status == 200
        assert filenames(site, "demo") == [old.filename, new.filename]
        site.service.kill(*site.service.environments)
        assert filenames(site, "demo") == [old.filename, new.filename]
    assert store.get(f"projects/demo/{new.filename}").body == new.content
    assert events_of(store) == 2


@pytest.mark.parametrize("path", ["/pages/", "/snapshot.msgpack.zst"])
def test_killed_during_a_rebuild(
    path: str, seaweedfs: S3Server, store: ObjectStore, prefix: str, function_code: Path, tmp_path: Path
) -> None:
    """Whichever write of a rebuild a container dies in: answers are right meanwhile, and Lambda's next try ends it."""
    wheel = make_wheel("demo", "1.0")
    with FaultProxy(seaweedfs) as proxy, running(proxy.front, prefix, function_code, tmp_path) as site:
        held = Held()
        proxy.inject(HttpFault(method="PUT", path=path, hold=held))
        assert upload(site, wheel).status == 200
        (uploaded_to,) = {record.outcome.environment for record in site.service.records("RequestResponse")}
        assert held.arrived.wait(30)
        assert filenames(site, "demo") == [wheel.filename]
        (busy,) = set(site.service.environments) - {uploaded_to}
        site.service.kill(busy)
        held.set()
        site.service.wait_idle()
        assert [record.outcome.error for record in site.service.records("Event")] == ["Runtime.ExitError", None]
        assert filenames(site, "demo") == [wheel.filename]
        assert site.service.updates == 1
    assert snapshot_seq(store) == 1


def test_killed_while_gathering(
    seaweedfs: S3Server, store: ObjectStore, prefix: str, function_code: Path, tmp_path: Path
) -> None:
    """A container that dies with the claim to rebuild leaves answers right; a reindex does not wait for claims."""
    with FaultProxy(seaweedfs) as proxy, running(proxy.front, prefix, function_code, tmp_path) as site:
        held = Held()
        proxy.inject(HttpFault(method="PUT", path="/rebuilding/", hold=held, forward=True))
        assert upload(site, make_wheel("demo", "1.0")).status == 200
        assert held.arrived.wait(30)
        (uploaded_to,) = {record.outcome.environment for record in site.service.records("RequestResponse")}
        (busy,) = set(site.service.environments) - {uploaded_to}
        site.service.kill(busy)
        held.set()
        assert upload(site, make_wheel("demo", "2.0")).status == 200
        site.service.wait_idle()
        assert len(filenames(site, "demo")) == 2
        assert site.service.call("reindex")["seq"] == 2
    assert snapshot_seq(store) == 2


# The drop box


def put_incoming(store: ObjectStore, site: LambdaSite, prefix: str, *keys: str, content: bytes) -> None:
    """Put a file into the drop box, and have S3 tell the function of it as it does."""
    for key in keys:
        store.put(key, content)
    quoted = [quote_plus(f"{prefix}/{key}", safe="/") for key in keys]
    site.service.invoke_event(json.dumps(notification(*quoted, bucket=BUCKET)).encode())


def test_drop_box(site: LambdaSite, store: ObjectStore, prefix: str, clients: Clients) -> None:
    """A file put under incoming/ is published at once and can be installed; it is in the drop box no more."""
    wheel = make_wheel("demo", "1.0+local.1")
    put_incoming(store, site, prefix, f"incoming/by ada/{wheel.filename}", content=wheel.content)
    site.service.wait_idle()
    assert filenames(site, "demo") == [wheel.filename]
    assert clients.install("pip", site.index, "demo") == {"demo": "1.0+local.1"}
    assert list(store.list("incoming/")) == []
    assert snapshot_seq(store) == 1


def test_drop_box_told_twice_at_once(site: LambdaSite, store: ObjectStore, prefix: str) -> None:
    """Notifications come at least once: the same one again, also at the same time, changes nothing."""
    wheel = make_wheel("demo", "1.0")
    key = f"incoming/{wheel.filename}"
    store.put(key, wheel.content)
    event = json.dumps(notification(quote_plus(f"{prefix}/{key}", safe="/"), bucket=BUCKET)).encode()
    site.service.start(3)
    for _ in range(3):
        site.service.invoke_event(event)
    site.service.wait_idle()
    assert (filenames(site, "demo"), events_of(store)) == ([wheel.filename], 1)
    assert (list(store.list("incoming/")), site.service.dropped) == ([], [])


def test_drop_box_refuses(site: LambdaSite, store: ObjectStore, prefix: str) -> None:
    """What cannot be published stays, with a text beside it that says why; telling of it fails nothing."""
    put_incoming(store, site, prefix, "incoming/demo-1.0-py3-none-any.whl", content=b"no wheel")
    site.service.wait_idle()
    kept, reason = store.list("incoming/")
    assert (kept.key, reason.key) == (
        "incoming/demo-1.0-py3-none-any.whl",
        "incoming/demo-1.0-py3-none-any.whl.rejected.txt",
    )
    assert store.get(reason.key).body.startswith(b"invalid content ")
    assert (events_of(store), site.service.dropped) == (0, [])


# At the edge


def test_baked_settings(
    seaweedfs: S3Server, store: ObjectStore, prefix: str, function_code: Path, tmp_path: Path
) -> None:
    """With its settings in the zip the function needs none from the environment, which at the edge has none."""
    code = tmp_path / "task"
    shutil.copytree(function_code, code, symlinks=True)
    baked = {"BUCKET": BUCKET, "REPO_BASE_PREFIX": prefix, "BUCKET_REGION": "us-east-1", "LOGGING_LEVEL": "ERROR"}
    (code / "pypi_lambda" / "baked_settings.json").write_bytes(encode_settings(baked))
    name = "us-east-1.pypi"
    with running_function(code, tmp_path / "site", environ=seaweedfs.environ, name=name, region="eu-central-1") as site:
        wheel = make_wheel("demo", "1.0")
        body, content_type = upload_form(wheel)
        answer = site.ask(EDGE_ORIGIN, "POST", "/", headers=[("Content-Type", content_type)], body=body)
        assert answer.status == 200
        found = site.ask(EDGE_VIEWER, "GET", f"/simple/demo/{wheel.filename}")
        assert found.status == 302
    assert events_of(store) == 1
