"""The function's entry point, from the built zip under the real runtime client, over a folder."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.derive.rebuild import rebuild
from indexer.keys import user_key
from indexer.log.log import ORIGIN, Log
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from pypi_lambda.front_doors.table import (
    EDGE_ORIGIN,
    EDGE_VIEWER,
    FRONT_DOORS,
    HTTP_API_1,
    HTTP_API_2,
    REST_API,
    FrontDoor,
)
from pypi_lambda.function.remote import INLINE_BYTES
from tests.aws.event_builders import BUILDERS
from tests.aws.lambda_control import INVOKE, INVOKE_DENIED
from tests.aws.lambda_invocations import FunctionError
from tests.aws.lambda_site import LambdaSite, running_function
from tests.pypi_lambda.function.test_notifications import notification, rule_event
from tests.pypi_lambda.manage.test_registry import S3_TEST_EVENT, SCHEDULED_EVENT
from tests.support.builders import USERNAME, added, basic, contents, put_user, upload_form, write_log
from tests.support.distributions import Distribution, make_metadata, make_wheel
from tests.support.fake_upstream import FakeUpstream

WHEEL = make_wheel("demo", "1.0")
JSON = ("Accept", "application/vnd.pypi.simple.v1+json")
each_door = pytest.mark.parametrize("door", FRONT_DOORS, ids=lambda door: door.name)


def folder_environ(folder: Path, **more: str) -> dict[str, str]:
    return {"BUCKET": f"file://{folder}", "UPSTREAM_INDEX_URL": "http://127.0.0.1:9/simple/", **more}


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """What the function's store holds: a user who may upload."""
    store = FolderStore(tmp_path / "data")
    put_user(store)
    return store


@pytest.fixture
def site(function_code: Path, store: ObjectStore, tmp_path: Path) -> Iterator[LambdaSite]:
    with running_function(function_code, tmp_path / "site", environ=folder_environ(tmp_path / "data")) as site:
        yield site


@pytest.fixture(scope="module")
def shared_site(function_code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaSite]:
    """A site with one published wheel, for tests that do not mind what others did there."""
    folder = tmp_path_factory.mktemp("shared")
    put_user(FolderStore(folder / "data"))
    with running_function(function_code, folder / "site", environ=folder_environ(folder / "data")) as site:
        assert upload(site, FRONT_DOORS[0], WHEEL).status == 200
        yield site


@pytest.fixture(scope="module")
def shared_site_below(function_code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LambdaSite]:
    """Likewise, with a base path."""
    folder = tmp_path_factory.mktemp("shared")
    put_user(FolderStore(folder / "data"))
    environ = folder_environ(folder / "data", API_GATEWAY_BASE_PATH="/pypi")
    with running_function(function_code, folder / "site", environ=environ) as site:
        yield site


def upload(site: LambdaSite, door: FrontDoor, distribution: Distribution, path: str = "/") -> Any:
    body, content_type = upload_form(distribution)
    return site.ask(door, "POST", path, headers=[("Content-Type", content_type)], body=body)


def failure(site: LambdaSite, event: object) -> tuple[str, str]:
    """Return the type and the sentence of the error with which an invocation fails."""
    with pytest.raises(FunctionError) as raised:
        site.service.call(event)
    answer = raised.value.outcome.json()
    assert isinstance(answer, dict)
    return answer["errorType"], answer["errorMessage"]


# Init


def test_init(site: LambdaSite, store: ObjectStore) -> None:
    """The init phase loads the snapshot: the first invocation needs it no more."""
    write_log(store, added("demo"))
    rebuild(store, Renderer())
    site.service.start(1)
    store.put("snapshot.msgpack.zst", b"damaged since")
    assert site.service.call({}) == {"warm": True, "seq": 1}
    assert "damaged" not in site.service.read_logs()


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"BUCKET": ""}, "invalid BUCKET '': a bucket as 'name' or 's3://name', or a folder as 'file:///folder'"),
        ({"BUCKET": "No/Bucket"}, "invalid BUCKET 'No/Bucket': a bucket as 'name'"),
        ({"LOGGING_LEVEL": "loud"}, "invalid LOGGING_LEVEL 'loud': one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ({"UPSTREAM_INDEX_URL": "ftp://me:secret@x/"}, "invalid UPSTREAM_INDEX_URL "),
        ({"API_GATEWAY_BASE_PATH": "/a?b"}, "invalid API_GATEWAY_BASE_PATH '/a?b': a path such as '/pypi'"),
    ],
)
def test_wrong_settings(environ: dict[str, str], sentence: str, function_code: Path, tmp_path: Path) -> None:
    """Wrong settings end the init phase with one sentence that names the setting, its value and what is accepted."""
    wrong = folder_environ(tmp_path, **environ)
    with running_function(function_code, tmp_path / "site", environ=wrong) as site:
        kind, message = failure(site, {})
        log = site.service.read_logs()
    assert (kind, message[: len(sentence)]) == ("InvalidValue", sentence)
    assert log.count(sentence) == 1
    assert "secret" not in log


def test_store_that_does_not_answer(function_code: Path, tmp_path: Path) -> None:
    """A store that cannot be reached ends the init phase, within its ten seconds, with a sentence that says so."""
    environ = {"BUCKET": "mybucket", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    with running_function(function_code, tmp_path / "site", environ=environ) as site:
        kind, message = failure(site, {})
    assert kind == "StoreUnavailable"
    assert message.startswith("the store failed: ")


# Events that keep the container warm


@pytest.mark.parametrize("event", [{}, None, "", [], {"warm": True}, SCHEDULED_EVENT, S3_TEST_EVENT], ids=repr)
def test_warm(event: object, shared_site: LambdaSite) -> None:
    """What a scheduler sends, or S3 when a notification is set up, is answered with the number of the last event."""
    answer = shared_site.service.call(event)
    assert sorted(answer) == ["seq", "warm"]
    assert answer["warm"] is True
    assert isinstance(answer["seq"], int)


def test_warm_refreshes(site: LambdaSite, store: ObjectStore) -> None:
    """Keeping a container warm brings its view up to date."""
    assert site.service.call({"warm": True}) == {"warm": True, "seq": 0}
    write_log(store, added("demo"), added("other"))
    assert site.service.call({"warm": True}) == {"warm": True, "seq": 2}
    assert len(site.service.environments) == 1


# Commands


def test_reindex(function_code: Path, store: ObjectStore, tmp_path: Path) -> None:
    """`reindex`, text or object, reads the upstream's list, adopts files, empties the drop box, and says so."""
    wheel, incoming = make_wheel("demo", "1.0"), make_wheel("other", "1.0")
    store.put(f"projects/demo/{wheel.filename}", wheel.content)
    store.put("projects/demo/notes.txt", b"?")
    store.put(f"incoming/{incoming.filename}", incoming.content)
    with FakeUpstream() as upstream:
        upstream.names = ["six", "numpy"]
        environ = folder_environ(tmp_path / "data", UPSTREAM_INDEX_URL=upstream.url)
        with running_function(function_code, tmp_path / "site", environ=environ) as site:
            first, again = site.service.call("reindex"), site.service.call({"reindex": {}})
    refused = {"projects/demo/notes.txt": first["refused"]["projects/demo/notes.txt"]}
    assert first == {
        "seq": 3,
        "upstream": 2,
        "upstreamFault": None,
        "privateHosts": [],
        "incoming": [f"{incoming.filename} is published"],
        "adopted": [f"projects/demo/{wheel.filename}"],
        "refused": refused,
        "deleted": first["deleted"],
    }
    assert {amount["objects"] for amount in first["deleted"].values()} == {0}
    assert again == {**first, "incoming": [], "adopted": []}
    assert "notes.txt" in refused["projects/demo/notes.txt"]


def test_reindex_without_upstream(site: LambdaSite) -> None:
    """An upstream that fails is told, and stops nothing else."""
    done = site.service.call("reindex")
    assert (done["seq"], done["upstream"]) == (0, None)
    assert done["upstreamFault"].startswith("the upstream index failed: ")


def test_moving_in(function_code: Path, store: ObjectStore, tmp_path: Path) -> None:
    """A 0.0.6 bucket is taken over, and another index's projects are brought over, by invocations."""
    wheel, theirs = make_wheel("demo", "1.0"), make_wheel("acme-core", "1.0")
    store.put(f"projects/demo/{wheel.filename}", wheel.content)
    with FakeUpstream() as other:
        other.add(theirs, yanked="broken")
        with running_function(function_code, tmp_path / "site", environ=folder_environ(tmp_path / "data")) as site:
            adopted = site.service.call("adopt")
            brought = site.service.call({"importIndex": {"url": other.url, "projects": ["acme-*"]}})
            page = json.loads(site.ask(FRONT_DOORS[0], "GET", "/simple/acme-core/", headers=[JSON]).body)
            log = site.service.read_logs()
    assert (adopted["adopted"], adopted["users"]) == ([f"projects/demo/{wheel.filename}"], 1)
    assert brought["published"] == [f"projects/acme-core/{theirs.filename}"]
    assert [(file["filename"], file["yanked"]) for file in page["files"]] == [(theirs.filename, "broken")]
    assert other.url not in log


def test_page_for_people(site: LambdaSite) -> None:
    """A browser gets a project's page with its README rendered, by what is in the zip alone."""
    head = make_metadata("demo", "1.0").decode().rstrip("\n")
    for version, kind, text in (("1.0", "text/markdown", "**bold**"), ("2.0", "text/x-rst", "**bold**")):
        metadata = f"{head.replace('1.0', version)}\nDescription-Content-Type: {kind}\n\n{text}\n".encode()
        assert upload(site, FRONT_DOORS[0], make_wheel("demo", version, metadata=metadata)).status == 200
        page = site.ask(FRONT_DOORS[0], "GET", "/project/demo/", headers=[("Accept", "text/html")])
        assert (page.status, "<strong>bold</strong>" in page.text) == (200, True), page.text


def test_metrics(function_code: Path, store: ObjectStore, tmp_path: Path) -> None:
    """Where that is wanted, each invocation ends with a line of metrics, the first with those of the cold start."""
    environ = folder_environ(tmp_path / "data", METRICS="1")
    with running_function(function_code, tmp_path / "site", environ=environ) as site:
        site.ask(FRONT_DOORS[0], "GET", "/simple/demo/")
        site.service.call({"rebuild": 0})
        lines = [json.loads(line) for line in site.service.read_logs().splitlines() if line.startswith('{"_aws"')]
    first, second = lines
    assert (first["Kind"], first["Requests"], first["ColdStarts"], first["ClientErrors"]) == ("project", 1, 1, 0)
    assert first["InitDuration"] > first["LoadDuration"] > 0
    assert (second["Kind"], second["Commands"], "ColdStarts" in second) == ("Rebuild", 1, False)


def test_large_mirrored_file(function_code: Path, store: ObjectStore, tmp_path: Path) -> None:
    """A file that takes longer than a client waits is taken in once, by an invocation of its own."""
    content = bytes(INLINE_BYTES + 1)
    path = "/simple/big/big-1.0.tar.gz"
    with FakeUpstream() as upstream:
        upstream.add_file("big", "big-1.0.tar.gz", content)
        environ = folder_environ(tmp_path / "data", UPSTREAM_INDEX_URL=upstream.url)
        with running_function(function_code, tmp_path / "site", environ=environ) as site:
            answers = [site.ask(FRONT_DOORS[0], "GET", path) for _ in range(2)]
            site.service.wait_idle()
            arrived = site.ask(FRONT_DOORS[0], "HEAD", path)
        fetched = [target for _, target in upstream.requests if target.endswith("big-1.0.tar.gz")]
    assert [(answer.status, answer.headers["retry-after"]) for answer in answers] == [(503, "5"), (503, "5")]
    assert (arrived.status, arrived.headers["content-length"], len(fetched)) == (200, str(len(content)), 1)


PUBLIC = "https://1.1.1.1/files/big-1.0.tar.gz"  # nobody is asked there: that is the asynchronous invocation's work


@pytest.mark.parametrize(
    ("credentials", "changes", "status"),
    [
        (None, {}, 302),
        (("user", "secret"), {}, 503),
        (None, {"hashes": {"md5": "0" * 32}}, 503),
        (None, {"url": "http://10.0.0.1/big-1.0.tar.gz"}, 503),
    ],
    ids=["sent there", "credentials", "no sha256", "private"],
)
def test_large_file_meanwhile(
    credentials: tuple[str, str] | None,
    changes: dict[str, Any],
    status: int,
    function_code: Path,
    store: ObjectStore,
    tmp_path: Path,
) -> None:
    """While a large file is taken in, a client is sent to the upstream if it can fetch and check the file there."""
    with FakeUpstream(credentials=credentials) as upstream:
        upstream.add_file("big", "big-1.0.tar.gz", b"", **{"url": PUBLIC, "size": INLINE_BYTES + 1, **changes})
        environ = folder_environ(tmp_path / "data", UPSTREAM_INDEX_URL=upstream.url)
        with running_function(function_code, tmp_path / "site", environ=environ) as site:
            site.control.inject(INVOKE_DENIED)
            answer = site.ask(FRONT_DOORS[0], "GET", "/simple/big/big-1.0.tar.gz")
            assert site.control.calls[INVOKE, 403] == 1
    sent_to = {302: PUBLIC, 503: None}[status]
    assert (answer.status, answer.headers.get("location")) == (status, sent_to)
    assert ("retry-after" in answer.headers) == (status == 503)


def test_front_door_without_time(function_code: Path, store: ObjectStore, tmp_path: Path) -> None:
    """Through a door that waits five seconds, less is taken in before the answer than through one that waits long."""
    content = bytes(INLINE_BYTES // 2)
    with FakeUpstream() as upstream:
        upstream.add_file("big", "big-1.0.tar.gz", content)
        environ = folder_environ(tmp_path / "data", UPSTREAM_INDEX_URL=upstream.url)
        with running_function(function_code, tmp_path / "site", environ=environ) as site:
            site.control.inject(INVOKE_DENIED)
            path, some = "/simple/big/big-1.0.tar.gz", [("Range", "bytes=0-3")]
            statuses = [site.ask(door, "GET", path, headers=some).status for door in (EDGE_VIEWER, REST_API)]
    assert statuses == [503, 206]


def test_put_and_remove_user(site: LambdaSite, store: ObjectStore) -> None:
    """A user is added, may do what was said, and is gone once removed; the log of events keeps no password."""
    user = {"username": "ada", "password": "secret of ada", "upload": False}
    assert site.service.call({"putUser": user}) == {
        "put": "ada",
        "upload": False,
        "projects": [],
        "changed": True,
    }
    credentials = basic("ada", "secret of ada")
    door = FRONT_DOORS[0]
    assert site.ask(door, "GET", "/", authorization=credentials).status == 301
    body, content_type = upload_form(make_wheel())
    headers = [("Content-Type", content_type)]
    assert site.ask(door, "POST", "/", headers=headers, body=body, authorization=credentials).status == 403
    assert site.service.call({"removeUser": "ada"}) == {"removed": "ada", "existed": True}
    assert site.service.call({"removeUser": "ada"}) == {"removed": "ada", "existed": False}
    assert site.ask(door, "GET", "/", authorization=credentials).status == 401
    told = b"".join(contents(store, "log/").values()) + site.service.read_logs().encode()
    assert b"secret of ada" not in told


def test_users_of_the_predecessor(site: LambdaSite) -> None:
    """A password that 0.0.6 could not have had is refused, in a sentence that does not show it."""
    kind, message = failure(site, {"putUser": {"username": "a:b", "password": "secret", "upload": True}})
    assert (kind, message) == ("InvalidValue", "invalid username 'a:b': 1 to 128 printable characters without ':'")
    kind, message = failure(site, {"putUser": {"username": "ada", "password": "sec\nret", "upload": True}})
    assert (kind, message) == ("InvalidValue", "invalid password '(not shown)': 1 to 1,024 printable characters")


def test_rebuild(site: LambdaSite, store: ObjectStore) -> None:
    """`rebuild` brings the snapshot up to an event and says so; where that changed it, containers are replaced."""
    write_log(store, added("demo"), added("demo", version="2.0"))
    assert site.service.call({"rebuild": 2}) == {"seq": 2, "changed": True, "pages": 1}
    assert site.service.call({"rebuild": 2}) == {"seq": 2, "changed": False, "pages": 0}
    assert site.service.updates == 1
    assert site.service.function.description.startswith("snapshot 2 of ")
    assert len({record.outcome.environment for record in site.service.history}) == 2


def test_repair(site: LambdaSite, store: ObjectStore) -> None:
    """`rebuild` from zero writes everything derived again, byte for byte."""
    write_log(store, added("demo"), added("other"))
    site.service.call({"rebuild": 2})
    derived = {**contents(store, "pages/"), "snapshot.msgpack.zst": store.get("snapshot.msgpack.zst").body}
    for key in derived:
        store.put(key, b"damaged")
    assert site.service.call({"rebuild": "from zero"}) == {"seq": 2, "changed": True, "pages": 2}
    assert {key: store.get(key).body for key in derived} == derived


def test_verify(site: LambdaSite, store: ObjectStore) -> None:
    """`verify` through the function names what is damaged, repairs what is derived, and replaces the containers."""
    site.service.call("reindex")
    assert upload(site, FRONT_DOORS[0], WHEEL).status == 200
    site.service.call("reindex")
    assert site.service.call({"verify": {"deep": True}})["damage"] == 0
    before, updates = contents(store, "pages/"), site.service.updates
    store.put(min(before), b"damaged")
    store.delete(f"projects/demo/{WHEEL.filename}")
    done = site.service.call({"verify": {"repair": True}})
    assert {finding["key"] for finding in done["findings"] if finding["severity"] != "note"} == {
        min(before),
        f"projects/demo/{WHEEL.filename}",
    }
    assert contents(store, "pages/") == before
    assert site.service.updates == updates + 1
    assert site.service.call({"stats": {}})["projects"] == 1
    assert site.service.call({"gc": {"dryRun": True}})["objects"] == 0


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ("reindexx", "invalid command 'reindexx': one of reindex, rebuild, ingest"),
        ({"deleteEverything": True}, "invalid command 'deleteEverything': one of reindex, rebuild, ingest"),
        ({"rebuild": "now"}, "invalid rebuild 'now': an event's number, or 'from zero'"),
        (
            {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
            "invalid event 'Amazon SQS (aws:sqs)': this function",
        ),
        ({"source": "aws.ec2", "detail-type": "x"}, "invalid event 'Amazon EventBridge (aws.ec2, x)': this function"),
    ],
)
def test_refused(event: object, sentence: str, shared_site: LambdaSite) -> None:
    """A command that is none is refused by name."""
    kind, message = failure(shared_site, event)
    assert (kind, message[: len(sentence)]) == ("InvalidValue", sentence)


@pytest.mark.parametrize("build", [rule_event, notification], ids=["EventBridge", "S3"])
def test_drop_box(site: LambdaSite, store: ObjectStore, tmp_path: Path, build: Callable[..., dict[str, Any]]) -> None:
    """What is put under `incoming/` is published when S3, or a rule of EventBridge, tells of it."""
    key = f"incoming/{WHEEL.filename}"
    store.put(key, WHEEL.content)
    event = build(key, bucket=f"file://{tmp_path / 'data'}")
    assert site.service.call(event) == {"incoming": [f"{WHEEL.filename} is published"]}
    assert site.service.call(event) == {"incoming": []}


def test_commands_as_events(site: LambdaSite, store: ObjectStore) -> None:
    """An event invocation does the same, and the log says what was done."""
    user = {"username": "ada", "password": "secret of ada", "upload": True}
    for command in ({"putUser": user}, "reindex", {"rebuild": 1}, {"removeUser": USERNAME}):
        site.service.invoke_event(json.dumps(command).encode())
        site.service.wait_idle()
    log = site.service.read_logs()
    assert "PutUser(username='ada', upload=True, projects=())" in log
    assert "PutUser took " in log
    assert "Reindex took " in log
    assert "Rebuild took " in log
    assert "RemoveUser took " in log
    assert store.find(user_key(USERNAME)) is None
    assert site.service.dropped == []


def test_refused_event(site: LambdaSite) -> None:
    """A command that is none fails as an event, too, and the log has the sentence."""
    site.service.invoke_event(b'"reindexx"')
    site.service.wait_idle()
    assert len(site.service.dropped) == 1
    assert "invalid command 'reindexx': one of " in site.service.read_logs()


# Requests through each front door


@each_door
def test_unauthenticated(door: FrontDoor, shared_site: LambdaSite) -> None:
    """Nothing but the health check is answered without credentials."""
    health = shared_site.ask(door, "GET", "/health", authorization=None)
    assert (health.status, set(health.json())) == (
        200,
        {"status", "version", "seq", "upstreamListAgeSeconds", "reasons"},
    )
    refused = shared_site.ask(door, "GET", "/simple/", authorization=None)
    assert (refused.status, refused.text) == (401, "a username and password are needed\n")
    assert refused.headers["www-authenticate"].startswith("Basic realm=")


@each_door
def test_upload_and_download(door: FrontDoor, shared_site: LambdaSite) -> None:
    """A file is uploaded, listed at once, and comes back; `+` and `!` in its name may be percent-encoded or not."""
    name = f"own-{FRONT_DOORS.index(door)}"
    wheel = make_wheel(name, "1!2.0+local.1")
    uploaded = upload(shared_site, door, wheel)
    assert (uploaded.status, uploaded.text) == (200, f"{wheel.filename} is published\n")
    page = shared_site.ask(door, "GET", f"/simple/{name}/", headers=[JSON])
    (file,) = page.json()["files"]
    assert (page.status, file["filename"], file["hashes"]["sha256"]) == (200, wheel.filename, wheel.sha256)
    quoted = wheel.filename.replace("+", "%2B").replace("!", "%21")
    for path in {wheel.filename, quoted, file["url"]}:
        found = shared_site.ask(door, "GET", f"/simple/{name}/{path}")
        assert (found.status, found.body) == (200, wheel.content)
        metadata = shared_site.ask(door, "GET", f"/simple/{name}/{path}.metadata")
        assert (metadata.status, metadata.body) == (200, wheel.metadata)


@each_door
def test_upload_paths(door: FrontDoor, shared_site: LambdaSite) -> None:
    """Uploads are taken at each of the addresses that tools use, with and without the slash at the end."""
    for path in ("/", "/simple/", "/legacy/", "/simple", "/legacy"):
        answer = upload(shared_site, door, WHEEL, path)
        assert (path, answer.status, answer.text) == (path, 200, f"{WHEEL.filename} is published\n")


@each_door
def test_below_a_base_path(door: FrontDoor, shared_site_below: LambdaSite) -> None:
    """Behind a base path everything works below it, and redirects lead below it."""
    name = f"own-{FRONT_DOORS.index(door)}"
    wheel = make_wheel(name, "1.0+local.1")
    assert upload(shared_site_below, door, wheel, "/pypi/").status == 200
    found = shared_site_below.ask(door, "GET", f"/pypi/simple/{name}/{wheel.filename}")
    assert (found.status, found.body) == (200, wheel.content)
    moved = shared_site_below.ask(door, "GET", f"/pypi/simple/{name}")
    stage = "/live" if door is REST_API else ""
    assert (moved.status, moved.headers["location"]) == (301, f"{stage}/pypi/simple/{name}/")


@pytest.mark.parametrize("door", [HTTP_API_1, HTTP_API_2, REST_API], ids=lambda door: door.name)
def test_below_a_stage(door: FrontDoor, shared_site: LambdaSite) -> None:
    """Behind a stage with a name everything works below it, and redirects lead below it."""
    moved = shared_site.ask(door, "GET", "/simple/demo", stage="dev")
    assert (moved.status, moved.headers["location"]) == (301, "/dev/simple/demo/")
    assert shared_site.ask(door, "GET", "/simple/demo/", stage="dev").status == 200


@each_door
def test_head(door: FrontDoor, shared_site: LambdaSite) -> None:
    """HEAD of a file is answered with its size."""
    found = shared_site.ask(door, "HEAD", f"/simple/demo/{WHEEL.filename}")
    assert (found.status, found.body, found.headers["accept-ranges"]) == (200, b"", "bytes")
    if door not in (EDGE_VIEWER, EDGE_ORIGIN):  # where the function may not say it
        assert found.headers["content-length"] == str(len(WHEEL.content))


@each_door
def test_compressed_page(door: FrontDoor, shared_site: LambdaSite) -> None:
    """A page comes compressed to those who take it, and not at all to those who have it."""
    plain = shared_site.ask(door, "GET", "/simple/demo/", headers=[JSON])
    packed = shared_site.ask(door, "GET", "/simple/demo/", headers=[JSON, ("Accept-Encoding", "gzip, deflate")])
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    same = shared_site.ask(door, "GET", "/simple/demo/", headers=[JSON, ("If-None-Match", plain.headers["etag"])])
    assert (same.status, same.body) == (304, b"")


@each_door
def test_damaged_upload(door: FrontDoor, shared_site: LambdaSite) -> None:
    """A body that did not arrive whole is refused, with the limit and the way out."""
    body, content_type = upload_form(make_wheel("large", "1.0"))
    headers = [("Content-Type", content_type), ("Content-Length", "50000000")]
    answer = shared_site.ask(door, "POST", "/", headers=headers, body=body)
    assert answer.status == 413
    assert f"carries at most {door.request_bytes:,} bytes" in answer.text
    assert "`serverless-pypi upload` brings files of any size" in answer.text


# Anything at all

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged_events(draw: st.DrawFn) -> object:
    """Draw an event of a front door in which something else stands in the place of one value, or nothing."""
    event: Any = BUILDERS[draw(st.sampled_from(FRONT_DOORS))](
        path=draw(st.sampled_from(["/", "/simple/", "/simple/demo/", "/simple/%zz/", "/%ff"])),
        headers=[("Authorization", basic()), JSON],
    )
    place = event
    while True:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            break
        place = inner
    if draw(st.booleans()) and isinstance(place, dict):
        del place[key]
    else:
        place[key] = draw(values)
    return event


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(event=values | damaged_events() | st.dictionaries(st.sampled_from(["reindex ", "putUser", "Records"]), values))
def test_any_event(event: object, shared_site: LambdaSite) -> None:
    """Any JSON value is answered, or refused in a sentence that is meant for it; none makes the function fail."""
    outcome = shared_site.service.invoke(json.dumps(event).encode())
    answer = outcome.json()
    if outcome.error is not None:
        assert isinstance(answer, dict)
        assert (answer["errorType"], answer["errorMessage"][:8]) == ("InvalidValue", "invalid ")
    else:
        assert isinstance(answer, dict)
        assert answer.get("statusCode") != 500
        assert answer.get("status") != "500"


def test_log_of_events_is_whole(shared_site: LambdaSite) -> None:
    """After all that, the log of events can be read from its beginning."""
    location = shared_site.service.function.environ["BUCKET"].removeprefix("file://")
    events = list(Log(FolderStore(Path(location))).read_after(ORIGIN))
    assert shared_site.service.call({})["seq"] == len(events)
