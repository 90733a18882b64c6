"""A file sent in parts is published as if it had come at once, or not at all."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from indexer.log.events import FileRemoved, ProjectStatusSet
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from pypi_lambda.access.records import User
from pypi_lambda.http.faults import BadRequest, Conflict, Forbidden, NotFound, PayloadTooLarge
from pypi_lambda.http.model import Response
from pypi_lambda.publish.announced import Announced, upload_id
from pypi_lambda.publish.dropbox import take_all
from pypi_lambda.publish.parts import LocalCommits, Parts
from pypi_lambda.publish.upload import Publisher
from pypi_lambda.shared import TakesLonger
from pypi_lambda.view.index import Index
from tests.support.builders import NOW, added, contents, ids, make_app, put_user, request, write_log
from tests.support.contexts import run_command
from tests.support.distributions import Distribution, make_metadata, make_sdist, make_wheel
from tests.support.servers import BUCKET, S3Server

WHEEL = make_wheel("demo", "1.0")
ANN = User(username="ann", upload=True)
BOB = User(username="bob", upload=True)
PART_BYTES = 300  # so that a small wheel has several


@pytest.fixture(params=["folder", "seaweedfs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "data")
    server: S3Server = request.getfixturevalue("seaweedfs")
    return S3Store(BUCKET, f"parts-{tmp_path.name}", environ=server.environ)


class Slow:
    """Never has the time."""

    def run(self, _announced: Announced, _username: str, _work: Callable[[], str], *, client: str) -> str:
        raise TakesLonger


def make_parts(store: ObjectStore, *, part_bytes: int = PART_BYTES, commits: Any = None) -> Parts:
    index = Index(
        store, Renderer(), max_staleness_seconds=0, clock=lambda: 0.0, request_repair=lambda: None, policy=None
    )
    publisher = Publisher(store, index, now=lambda: NOW, new_id=ids(), request_rebuild=lambda seq: None)
    return Parts(store, publisher, commits or LocalCommits(), part_bytes=part_bytes)


def announce(distribution: Distribution, **changes: Any) -> dict[str, Any]:
    said = {
        "filename": distribution.filename,
        "size": len(distribution.content),
        "sha256": distribution.sha256,
    }
    return {**said, **changes}


def ask(call: Callable[..., Response], document: Any, user: User, *path: str) -> tuple[int, dict[str, Any]]:
    response = call(request("POST", "/uploads/", body=json.dumps(document).encode()), user, *path)
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


def send(parts: Parts, begun: dict[str, Any], content: bytes, user: User = ANN, *, only: int | None = None) -> None:
    """Send the parts that have not arrived, as a client does."""
    for part in begun["parts"]:
        body = content[part["offset"] : part["offset"] + part["size"]]
        if part["arrived"] or (only is not None and part["number"] != only):
            continue
        if part["url"].startswith("http"):
            assert requests.put(part["url"], data=body, timeout=300).status_code == 200
        else:
            _, _, id_, number = part["url"].split("/")
            parts.put_part(request("PUT", part["url"], body=body), user, id_, number)


def test_file_in_parts(store: ObjectStore) -> None:
    """A file whose parts all arrived is published, with its metadata, and nothing else is left of it."""
    parts = make_parts(store)
    status, begun = ask(parts.begin, announce(WHEEL), ANN)
    assert (status, begun["state"], len(begun["parts"])) == (200, "sending", -(-len(WHEEL.content) // PART_BYTES))
    send(parts, begun, WHEEL.content)
    assert ask(parts.commit, announce(WHEEL), ANN, begun["upload"]) == (
        200,
        {"state": "published", "message": f"{WHEEL.filename} is published"},
    )
    assert {key: body for key, body in contents(store).items() if not key.startswith("log/")} == {
        f"projects/demo/{WHEEL.filename}": WHEEL.content,
        f"projects/demo/{WHEEL.filename}.metadata": WHEEL.metadata,
    }
    (event,) = map(json.loads, contents(store, "log/").values())
    assert (event["by"], event["client"]) == ("ann", "127.0.0.1")


def test_published_by_the_command(store: ObjectStore) -> None:
    """What the function's own command publishes is logged as its uploader's, from where he sent it."""
    parts = make_parts(store, part_bytes=1_000_000, commits=Slow())
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    send(parts, begun, WHEEL.content)
    assert ask(parts.commit, announce(WHEEL), ANN, begun["upload"])[0] == 202
    run_command(store, "publishParts", {"username": "ann", "client": "192.0.2.1", **announce(WHEEL)})
    (event,) = map(json.loads, contents(store, "log/").values())
    assert (event["by"], event["client"]) == ("ann", "192.0.2.1")


def test_resumed(store: ObjectStore) -> None:
    """Who begins again is told which parts arrived whole, and need not send them."""
    parts = make_parts(store)
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    send(parts, begun, WHEEL.content, only=2)
    store.put(f"incoming/{begun['upload']}/00001.part", b"broke off")
    _, again = ask(make_parts(store).begin, announce(WHEEL), ANN)
    assert again["upload"] == begun["upload"]
    assert [part["arrived"] for part in again["parts"][:3]] == [False, True, False]
    send(parts, again, WHEEL.content)
    assert ask(parts.commit, announce(WHEEL), ANN, begun["upload"])[0] == 200


def test_published_before(store: ObjectStore) -> None:
    """The same file again need not be sent; other content under its name is refused before it is."""
    parts = make_parts(store)
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    send(parts, begun, WHEEL.content)
    ask(parts.commit, announce(WHEEL), ANN, begun["upload"])
    assert ask(parts.begin, announce(WHEEL), BOB) == (200, {"state": "published", "parts": []})
    assert ask(parts.commit, announce(WHEEL), ANN, begun["upload"])[0] == 200
    with pytest.raises(Conflict, match=r"^File already exists"):
        ask(parts.begin, announce(WHEEL, sha256="0" * 64), ANN)


def test_missing_part(store: ObjectStore) -> None:
    """A file lacking a part, or with a short one, is not published, and what is there stays."""
    parts = make_parts(store)
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    send(parts, begun, WHEEL.content, only=1)
    before = contents(store)
    with pytest.raises(Conflict, match=r"part 2 of .* has not arrived whole"):
        ask(parts.commit, announce(WHEEL), ANN, begun["upload"])
    assert contents(store) == before


def test_other_bytes(store: ObjectStore) -> None:
    """Bytes that are not what was announced are refused; nothing is published, and none of them stays."""
    parts = make_parts(store)
    said = announce(WHEEL, sha256="0" * 64)
    _, begun = ask(parts.begin, said, ANN)
    send(parts, begun, WHEEL.content)
    with pytest.raises(BadRequest, match=r"^what arrived is not what was announced: "):
        ask(parts.commit, said, ANN, begun["upload"])
    assert contents(store) == {}


def test_no_distribution(store: ObjectStore) -> None:
    """What is no wheel is refused as in any upload, and goes."""
    broken = Distribution(
        project="demo", filename="demo-2.0-py3-none-any.whl", content=b"x" * 700, metadata=b"", requires_python=None
    )
    parts = make_parts(store)
    _, begun = ask(parts.begin, announce(broken), ANN)
    send(parts, begun, broken.content)
    with pytest.raises(Exception, match=r"demo-2.0-py3-none-any.whl"):
        ask(parts.commit, announce(broken), ANN, begun["upload"])
    assert contents(store) == {}


class Replacing(FolderStore):
    """Replaces a part between its check and what is compared with it, as whoever has its signed URL can: the check has
    read a part as short as this twice in one piece, and the third whole reading is the comparison's."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(path)
        self._content = content
        self._whole_readings = 0

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes."""
        if key.endswith(".part") and (start, end) == (0, len(self._content)):
            self._whole_readings += 1
            if self._whole_readings == 3:
                self.put(key, self._content)
        return super().read(key, start=start, end=end)


def test_part_replaced_after_it_was_checked(tmp_path: Path) -> None:
    """What was checked is what is published, though its parts were exchanged between the two."""
    shown = make_wheel("demo", "1.0", metadata=make_metadata("demo", "1.0") + b"Requires-Dist: good\n")
    meant = make_wheel("demo", "1.0", metadata=make_metadata("demo", "1.0") + b"Requires-Dist: evil\n")
    assert len(shown.content) == len(meant.content)
    store = Replacing(tmp_path / "data", meant.content)
    parts = make_parts(store, part_bytes=1_000_000)
    _, begun = ask(parts.begin, announce(meant), ANN)
    send(parts, begun, shown.content)
    with pytest.raises(BadRequest, match="other content now"):
        ask(parts.commit, announce(meant), ANN, begun["upload"])
    assert contents(store) == {}


def test_slow_check(store: ObjectStore) -> None:
    """A client is told to come back while its file is checked, and then what became of it: published, or refused."""
    parts = make_parts(store, commits=Slow())
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    send(parts, begun, WHEEL.content)
    response = parts.commit(
        request("POST", "/uploads/", body=json.dumps(announce(WHEEL)).encode()), ANN, begun["upload"]
    )
    assert (response.status, dict(response.headers)["Retry-After"]) == (202, "3")
    announced = Announced(filename=Filename(WHEEL.filename), size=len(WHEEL.content), sha256=WHEEL.sha256)
    parts.reject(announced, "ann", "the wheel is broken")
    with pytest.raises(BadRequest, match=r"^the wheel is broken$"):
        ask(parts.commit, announce(WHEEL), ANN, begun["upload"])
    make_parts(store).publish(announced, "ann")
    assert ask(parts.commit, announce(WHEEL), ANN, begun["upload"])[0] == 200


class Late:
    """Does the work after it has told the client to come back."""

    def run(self, _announced: Announced, _username: str, work: Callable[[], str], *, client: str) -> str:
        with pytest.raises(BadRequest):
            work()
        raise TakesLonger


def test_refused_while_nobody_waited(store: ObjectStore) -> None:
    """A client that comes back is told why its file was refused meanwhile, once."""
    parts = make_parts(store, commits=Late())
    other = announce(WHEEL, sha256="0" * 64)
    _, begun = ask(parts.begin, other, ANN)
    send(parts, begun, WHEEL.content)
    assert ask(parts.commit, other, ANN, begun["upload"])[0] == 202
    with pytest.raises(BadRequest, match="what arrived is not what was announced"):
        ask(parts.commit, other, ANN, begun["upload"])
    assert contents(store) == {}


def test_beginning_again_forgets_a_refusal(store: ObjectStore) -> None:
    """A refusal that nobody read does not meet the next try."""
    parts = make_parts(store)
    announced = Announced(filename=Filename(WHEEL.filename), size=len(WHEEL.content), sha256=WHEEL.sha256)
    parts.reject(announced, "ann", "no room")
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    send(parts, begun, WHEEL.content)
    assert ask(parts.commit, announce(WHEEL), ANN, begun["upload"])[0] == 200


def test_limited_user(store: ObjectStore) -> None:
    """A user who may publish other projects only is refused before anything is sent."""
    limited = User(username="ci", upload=True, projects=("other-*",))
    with pytest.raises(Forbidden, match=r"other-\*"):
        ask(make_parts(store).begin, announce(WHEEL), limited)


def test_archived_project(store: ObjectStore) -> None:
    """A project that takes no uploads says so before anything is sent."""
    closed = ProjectStatusSet(project=ProjectName("demo"), status="archived", reason="old")
    write_log(store, added("demo", version="0.1"), closed)
    with pytest.raises(Forbidden, match=r"is archived and takes no uploads: old"):
        ask(make_parts(store).begin, announce(WHEEL), ANN)


def test_removed_version(store: ObjectStore) -> None:
    """A file of a version that was removed is refused before anything is sent."""
    sdist = added("demo", "demo-1.0.tar.gz")
    write_log(store, sdist, FileRemoved(project=sdist.project, filename=sdist.filename))
    with pytest.raises(Conflict, match=r"^version 1\.0 of 'demo' was removed"):
        ask(make_parts(store).begin, announce(WHEEL), ANN)


def test_anothers_upload(store: ObjectStore) -> None:
    """Nobody can put parts into another user's upload, nor end it."""
    parts = make_parts(store)
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    with pytest.raises(Forbidden):
        parts.put_part(request("PUT", "/", body=b"x"), BOB, begun["upload"], "1")
    with pytest.raises(BadRequest):
        ask(parts.commit, announce(WHEEL), BOB, begun["upload"])


@pytest.mark.parametrize("number", ["0", "81", "x", "-1", "1/../2", "٣", ""])
def test_no_such_part(store: ObjectStore, number: str) -> None:
    """A part has one of the numbers that a file of the largest size needs."""
    parts = make_parts(store)
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    with pytest.raises(NotFound):
        parts.put_part(request("PUT", "/", body=b"x"), ANN, begun["upload"], number)


@pytest.mark.parametrize("upload", ["../../log", "zz", "{owner}../x", "{owner}/x"])
def test_no_such_upload(store: ObjectStore, upload: str) -> None:
    """An upload's id is hex and begins as its owner's do, so no key can be made that is somewhere else."""
    parts = make_parts(store)
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    with pytest.raises(Forbidden):
        parts.put_part(request("PUT", "/", body=b"x"), ANN, upload.replace("{owner}", begun["upload"][:16]), "1")


def test_long_part(tmp_path: Path) -> None:
    """A part that is longer than it may be is refused, and not kept."""
    store = FolderStore(tmp_path)
    parts = make_parts(store)
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    with pytest.raises(PayloadTooLarge):
        parts.put_part(request("PUT", "/", body=b"x" * (PART_BYTES + 1)), ANN, begun["upload"], "1")
    assert contents(store) == {}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "invalid body '(not shown)': a JSON object with filename, size and sha256"),
        ([], "invalid body '(not shown)': a JSON object with filename, size and sha256"),
        (announce(WHEEL, size=0), "invalid size 0: a number of bytes"),
        (announce(WHEEL, size=True), "invalid size True: a number of bytes"),
        (announce(WHEEL, size="1"), "invalid size '1': a number of bytes"),
        (announce(WHEEL, sha256="x"), "invalid sha256 'x': 64 lower-case hexadecimal digits"),
        (announce(WHEEL, sha256=None), "invalid sha256 None: 64 lower-case hexadecimal digits"),
        (announce(WHEEL, filename="../x.whl"), "invalid filename '../x.whl'"),
        (announce(WHEEL, filename="notes.txt"), "invalid filename 'notes.txt'"),
        (announce(WHEEL, size=6 * 2**30), "a file has at most 5,368,709,120 bytes"),
        ("x" * 5_000, "an announcement has at most 4,096 bytes"),
    ],
    ids=str,
)
def test_wrong_announcement(document: Any, message: str, tmp_path: Path) -> None:
    """An announcement that cannot be is refused in a sentence that names what is wrong."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # of two kinds; the sentence is what counts
        ask(make_parts(FolderStore(tmp_path)).begin, document, ANN)
    assert str(caught.value).startswith(message)


def test_parts_are_nobodys_but_their_uploads(store: ObjectStore) -> None:
    """The drop box leaves parts alone."""
    parts = make_parts(store)
    _, begun = ask(parts.begin, announce(WHEEL), ANN)
    send(parts, begun, WHEEL.content, only=1)
    before = contents(store)
    index = Index(
        store, Renderer(), max_staleness_seconds=0, clock=lambda: 0.0, request_repair=lambda: None, policy=None
    )
    publisher = Publisher(store, index, now=lambda: NOW, new_id=ids(), request_rebuild=lambda seq: None)
    assert (take_all(store, publisher), contents(store)) == ([], before)


def test_id_is_of_user_and_content() -> None:
    """Each user's upload of each content has an id of its own."""
    made = {
        upload_id(username, Announced(filename=Filename(name), size=size, sha256=digest * 64))
        for username in ("ann", "bob")
        for name in ("a-1.tar.gz", "b-1.tar.gz")
        for size in (1, 2)
        for digest in "01"
    }
    assert len(made) == 16


class TestThroughTheApp:
    """The routes."""

    def test_roles(self, tmp_path: Path) -> None:
        """Only users that may upload get anywhere, and nobody without credentials."""
        app = make_app(FolderStore(tmp_path))
        for method, path in (("POST", "/uploads/"), ("POST", "/uploads/00/"), ("PUT", "/uploads/00/1")):
            assert app(request(method, path, headers={"authorization": ""})).status == 401

    def test_whole_way(self, tmp_path: Path) -> None:
        """A file goes in by the three routes."""
        store = FolderStore(tmp_path)
        put_user(store)
        app = make_app(store)
        sdist = make_sdist("demo", "1.0")
        body = json.dumps(announce(sdist)).encode()
        begun = app(request("POST", "/uploads/", body=body))
        assert isinstance(begun.body, bytes)
        (part,) = json.loads(begun.body)["parts"]
        assert app(request("PUT", part["url"], body=sdist.content)).status == 200
        done = app(request("POST", f"/uploads/{json.loads(begun.body)['upload']}/", body=body))
        assert (done.status, app(request("GET", f"/simple/demo/{sdist.filename}")).status) == (200, 200)
