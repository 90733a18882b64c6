"""The rules of publishing, one by one; and that each way in goes by them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.derive.rebuild import rebuild
from indexer.errors import Closed, DigestMismatch, Taken, Unpublishable
from indexer.keys import file_key
from indexer.log.events import Change, FileRemoved, ProjectStatusSet
from indexer.log.log import ORIGIN, Log
from indexer.log.project import File
from indexer.names import Filename, ProjectName
from indexer.publication.candidate import Candidate, check_stored
from indexer.publication.rules import Published, check_publishable, is_published
from indexer.simple.page import Renderer
from indexer.store.folder import FolderStore
from indexer.upkeep.adopt import adopt
from indexer.value import replace
from pypi_lambda.http.faults import RequestError
from pypi_lambda.publish.dropbox import take
from tests.pypi_lambda.publish.test_upload import publish, publisher
from tests.support.builders import added, file, ids, journal, project, sha256, write_log
from tests.support.contexts import run_command
from tests.support.distributions import Distribution, make_wheel

DEMO = ProjectName("demo")
WHEEL = make_wheel("demo", "1.0")
NAME, SPELLED = Filename(WHEEL.filename), "Demo-1.0.0-py3-none-any.whl"


@pytest.fixture
def candidate(store: FolderStore) -> Candidate:
    store.put("incoming/x", WHEEL.content)
    return check_stored(store, "incoming/x", NAME, len(WHEEL.content), hashes={})


def test_published(candidate: Candidate) -> None:
    """What is published with this content is no refusal: the wish is fulfilled. In a quarantined project it is."""
    known = file(NAME, sha256=WHEEL.sha256)
    with pytest.raises(Published) as caught:
        check_publishable(candidate, project(known, status="archived"))
    assert caught.value.file == known
    with pytest.raises(Closed):
        check_publishable(candidate, project(known, status="quarantined"))


@pytest.mark.parametrize(
    ("known", "status", "kind", "told"),
    [
        (file(NAME), "", Taken, f"File already exists: {NAME!r} was published with sha256 {sha256(NAME)}, and"),
        (file(NAME, sha256=WHEEL.sha256, removed=True), "", Taken, f"{NAME!r} was published and removed; its name"),
        (file(SPELLED, version="1.0.0"), "", Taken, f"{SPELLED!r} was published, and {NAME!r} is another name for it"),
        (file("demo-1.0.tar.gz", removed=True), "", Taken, "version 1.0 of 'demo' was removed; restore it, or use"),
        (file("demo-0.9.tar.gz", version="0.9"), "archived", Closed, "project 'demo' is archived and takes no uploads"),
    ],
)
def test_refused(candidate: Candidate, known: File, status: str, kind: type[Unpublishable], told: str) -> None:
    """What stands against a file is told in one sentence, by its kind."""
    with pytest.raises(kind) as caught:
        check_publishable(candidate, project(known, status=status))
    assert type(caught.value) is kind
    assert told in str(caught.value)


def test_before_it_is_sent() -> None:
    """By its name and digest alone a file is published, or is not, or would be refused."""
    known = project(file(NAME, sha256=WHEEL.sha256), status="archived")
    assert is_published(known, NAME, "1.0", WHEEL.sha256)
    assert not is_published(project(), NAME, "1.0", WHEEL.sha256)
    for refusing, kind in (
        (project(file(NAME)), Taken),
        (project(file(SPELLED, version="1.0.0")), Taken),
        (project(file("demo-1.0.tar.gz", removed=True)), Taken),
        (project(file("demo-0.9.tar.gz", version="0.9"), status="archived"), Closed),
    ):
        with pytest.raises(kind):
            is_published(refusing, NAME, "1.0", WHEEL.sha256)


def test_accepted(candidate: Candidate) -> None:
    """A new version, a file beside another kind, and another spelling that comes along with it are taken."""
    for known in ((), (file("demo-1.0.tar.gz"),), (file("demo-0.9.tar.gz", version="0.9", removed=True),)):
        check_publishable(candidate, project(*known))
    along = replace(candidate, beside=frozenset({Filename(SPELLED)}))
    check_publishable(along, project(file(SPELLED, version="1.0.0")))


def by_form(store: FolderStore, folder: Path) -> str:
    with pytest.raises(RequestError) as caught:
        publish(publisher(store), WHEEL)
    return caught.value.message


def by_drop_box(store: FolderStore, folder: Path) -> str:
    store.put(f"incoming/{NAME}", WHEEL.content)
    return str(take(store, publisher(store), f"incoming/{NAME}")).partition(" is refused: ")[2]


def by_adopting(store: FolderStore, folder: Path) -> str:
    store.put(file_key(DEMO, NAME), WHEEL.content)
    snapshot = rebuild(store, Renderer()).snapshot
    _, [refusal] = adopt(store, snapshot, journal(store, new_id=ids("adopt-")))
    return refusal.reason


def by_import(store: FolderStore, folder: Path) -> str:
    (folder / NAME).write_bytes(WHEEL.content)
    [told] = run_command(store, "importFolder", str(folder))["failed"].values()
    return str(told)


OLD = added("demo", "demo-1.0.tar.gz")
STATES: dict[str, tuple[tuple[Change, ...], str]] = {
    "removed": (
        (OLD, FileRemoved(project=DEMO, filename=OLD.filename)),
        "version 1.0 of 'demo' was removed; restore it, or use another version",
    ),
    "spelled": (
        (added("demo", SPELLED, version="1.0.0"),),
        f"File already exists: {SPELLED!r} was published, and {NAME!r} is another name for it (kind, version, build "
        "and tags are the same); use another version",
    ),
    "archived": (
        (OLD, ProjectStatusSet(project=DEMO, status="archived", reason="moved")),
        "project 'demo' is archived and takes no uploads: moved",
    ),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("way", [by_form, by_drop_box, by_adopting, by_import])
def test_each_way_in(store: FolderStore, tmp_path: Path, way: Callable[[FolderStore, Path], str], state: str) -> None:
    """Whichever way a file comes, the same rule refuses it in the same words, and nothing is published."""
    changes, told = STATES[state]
    write_log(store, *changes)
    folder = tmp_path / "packages"
    folder.mkdir()
    assert way(store, folder) == told
    assert [event.change for event in Log(store).read_after(ORIGIN)] == [*changes]


def test_replaced_while_it_is_checked(store: FolderStore) -> None:
    """What is stored is what was checked: content that others put in its place meanwhile is not copied."""
    other: Distribution = make_wheel("demo", "1.0", files={"other.py": b""})
    store.put("incoming/x", WHEEL.content)
    made = check_stored(store, "incoming/x", NAME, len(WHEEL.content), hashes={})
    store.put("incoming/x", other.content)
    assert made.chunks is not None
    with pytest.raises(DigestMismatch):
        list(made.chunks())
