"""One published file for one kind, version, build and set of tags, however its name is spelled."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.derive.rebuild import rebuild
from indexer.distributions.distribution import Distribution as Found
from indexer.distributions.distribution import parse_filename
from indexer.log.events import Change, FileRemoved
from indexer.log.identity import find_same, is_withdrawn, slot_of
from indexer.log.log import ORIGIN, Log
from indexer.names import Filename, ProjectName
from indexer.publication.candidate import Candidate
from indexer.simple.page import Renderer
from indexer.store.folder import FolderStore
from indexer.upkeep.adopt import adopt
from indexer.value import replace
from indexer.version import version_key
from pypi_lambda.access.records import User
from pypi_lambda.http.faults import Conflict
from tests.pypi_lambda.publish.test_upload import is_commit, publisher
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.builders import (
    added,
    file,
    ids,
    journal,
    make_app,
    project,
    put_user,
    sha256,
    upload_request,
    write_log,
)
from tests.support.contexts import run_command
from tests.support.distributions import Distribution, make_sdist, make_wheel
from tests.support.mirrors import PATIENCE_SECONDS

PUBLISHED = "acme_e-1.0-py3-none-any.whl"
# Two names of each kind of spelling, and what tells them from other files.
SPELLINGS = [
    ("acme_e-1.0-py3-none-any.whl", "Acme_e-1.0-py3-none-any.whl"),
    ("acme_e-1.0-py3-none-any.whl", "acme.e-1.0-py3-none-any.whl"),
    ("acme_e-1.0-py3-none-any.whl", "acme_e-1.0.0-py3-none-any.whl"),
    ("acme_e-1.0-py3-none-any.whl", "acme_e-v1-py3-none-any.whl"),
    ("acme_e-1.0-py3-none-any.whl", "acme_e-1.0-Py3-None-any.whl"),
    ("acme_e-1.0-py2.py3-none-any.whl", "acme_e-1.0-py3.py2-none-any.whl"),
    ("acme_e-1.0-1-py3-none-any.whl", "acme_e-1.0-01-py3-none-any.whl"),
    ("acme_e-1.0rc1-py3-none-any.whl", "acme_e-1.0.c1-py3-none-any.whl"),
    ("acme-e-1.0.tar.gz", "acme_e-1.0.tar.gz"),
    ("acme_e-1.0.tar.gz", "acme_e-1.00.tar.gz"),
    ("acme_e-1.0.tar.gz", "acme_e-1.0.zip"),
    ("acme_e-1.0.zip", "Acme.E-1.0.0.tar.gz"),
]
DIFFERENT = [
    ("acme_e-1.0-py3-none-any.whl", "acme_e-1.0.tar.gz"),
    ("acme_e-1.0-py3-none-any.whl", "acme_e-1.1-py3-none-any.whl"),
    ("acme_e-1.0-py3-none-any.whl", "acme_e-1.0.post0-py3-none-any.whl"),
    ("acme_e-1.0-py3-none-any.whl", "acme_e-1.0+x-py3-none-any.whl"),
    ("acme_e-1.0-py3-none-any.whl", "acme_e-1!1.0-py3-none-any.whl"),
    ("acme_e-1.0-py3-none-any.whl", "acme_e-1.0-1-py3-none-any.whl"),
    ("acme_e-1.0-1-py3-none-any.whl", "acme_e-1.0-1a-py3-none-any.whl"),
    ("acme_e-1.0-py3-none-any.whl", "acme_e-1.0-py2.py3-none-any.whl"),
    ("acme_e-1.0-cp313-cp313-win32.whl", "acme_e-1.0-cp313-abi3-win32.whl"),
    ("acme_e-1.0-py3-none-win32.whl", "acme_e-1.0-py3-none-any.whl"),
    ("acme_e-1.0.tar.gz", "acme_e-1.0.1.zip"),
]
ACME = ProjectName("acme-e")
SITE = User(username="somebody", upload=True)


def version_of(filename: str) -> str:
    return Filename(filename).removesuffix(".tar.gz").removesuffix(".zip").split("-")[-1 if filename[-1] != "l" else 1]


def distribution(filename: str) -> Distribution:
    """Build a file of this name, with other bytes for each name."""
    extra = {"which.txt": filename.encode()}
    if not filename.endswith(".whl"):
        return dataclasses.replace(make_sdist("acme-e", version_of(filename)), filename=filename)
    return dataclasses.replace(make_wheel("acme-e", version_of(filename), files=extra), filename=filename)


def said_of(filename: str) -> tuple[str, object]:
    return version_key(parse_filename(Filename(filename)).version), slot_of(Filename(filename))


@pytest.mark.parametrize(("one", "two"), SPELLINGS)
def test_spellings_mean_the_same(one: str, two: str) -> None:
    """Two spellings of project, version, build, tags or an sdist's ending are one file."""
    assert said_of(one) == said_of(two)


@pytest.mark.parametrize(("one", "two"), DIFFERENT)
def test_others_do_not(one: str, two: str) -> None:
    """Files that an installer tells apart are not one file."""
    assert said_of(one) != said_of(two)


def test_the_same_name_is_no_other_spelling() -> None:
    """What has this very name, another version or other tags is not found, and what was removed is."""
    others = (file("demo-2.0-py3-none-any.whl", version="2.0"), file("demo-1.0.tar.gz"))
    removed = file("Demo-1.0.0-py3-none-any.whl", version="1.0.0", removed=True)
    wheel = Filename("demo-1.0-py3-none-any.whl")
    assert find_same(project(*others, file(wheel)), wheel, "1.0") is None
    assert find_same(project(*others, removed), wheel, "1.0") == removed


def test_withdrawn_version() -> None:
    """A version is withdrawn when it had files, in whatever spelling, and all of them were removed."""
    gone, left = file(removed=True), file("demo-1.0.tar.gz")
    respelled = file("demo-1.0.0.tar.gz", version="1.0.0")
    other = file("demo-2.0.tar.gz", version="2.0")
    cases = ((gone, other), (gone, left, other), (gone, respelled), (other,), ())
    for version in ("1.0", "1", "v1.0.0"):
        assert [is_withdrawn(project(*files), version) for files in cases] == [True, False, False, False, False]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = FolderStore(tmp_path / "data")
    put_user(store)
    return store


def candidate(store: FolderStore, filename: str, **changes: object) -> Candidate:
    content = filename.encode()
    found = Found(project=ACME, version=version_of(filename), requires_python=None, metadata=None)
    made = Candidate(
        filename=Filename(filename),
        found=found,
        size=len(content),
        sha256=sha256(content),
        chunks=lambda: iter([content]),
    )
    return replace(made, **changes)


def log_of(store: FolderStore) -> list[Change]:
    return [event.change for event in Log(store).read_after(ORIGIN)]


@pytest.mark.parametrize(("one", "two"), SPELLINGS)
def test_another_spelling_is_refused(store: FolderStore, one: str, two: str) -> None:
    """What is published under one spelling is refused under another, naming the one that is there, and stays it."""
    write_log(store, added("acme-e", one, version=version_of(one)))
    with pytest.raises(Conflict) as caught:
        publisher(store).publish_checked(candidate(store, two), by="me")
    assert str(caught.value).startswith(f"File already exists: {one!r} was published, and {two!r} is another name")
    assert len(log_of(store)) == 1


@pytest.mark.parametrize(("one", "two"), DIFFERENT)
def test_another_file_is_published(store: FolderStore, one: str, two: str) -> None:
    """What is not the same is published beside it."""
    write_log(store, added("acme-e", one, version=version_of(one)))
    publisher(store).publish_checked(candidate(store, two), by="me")
    assert len(log_of(store)) == 2


@pytest.mark.parametrize(("one", "two"), SPELLINGS)
def test_removed_is_removed_in_every_spelling(store: FolderStore, one: str, two: str) -> None:
    """What was removed does not come back under another spelling, not even from an index that has both."""
    write_log(store, added("acme-e", one, version=version_of(one)), FileRemoved(project=ACME, filename=Filename(one)))
    both = frozenset({Filename(one), Filename(two)})
    for beside in (frozenset[Filename](), both):
        with pytest.raises(Conflict, match=r"^File already exists: .* was published and removed"):
            publisher(store).publish_checked(candidate(store, two, beside=beside), by="me")


def test_a_removed_version_takes_no_other_file(store: FolderStore) -> None:
    """A version that was removed takes no file of other tags, either, however the version is written."""
    filename = Filename("acme_e-1.0-py3-none-any.whl")
    write_log(store, added("acme-e", filename), FileRemoved(project=ACME, filename=filename))
    with pytest.raises(Conflict, match=r"version 1.0.0 of 'acme-e' was removed"):
        publisher(store).publish_checked(candidate(store, "acme_e-1.0.0-cp313-cp313-win32.whl"), by="me")


def test_old_spellings_stay(store: FolderStore) -> None:
    """Two spellings that an older version let in stay listed, and each is taken again with the same bytes."""
    one, two = SPELLINGS[0]
    contents = [candidate(store, name) for name in (one, two)]
    write_log(
        store,
        *(added("acme-e", made.filename, sha256=made.sha256, size=made.size) for made in contents),
    )
    for made in contents:
        assert publisher(store).publish_checked(made, by="me") == f"{made.filename} is published"
    assert len(log_of(store)) == 2


@pytest.mark.parametrize(("one", "two"), SPELLINGS[:3] + SPELLINGS[-2:])
def test_another_spelling_comes_first(store: FolderStore, one: str, two: str) -> None:
    """Who finds another spelling published at the moment of his own commit is refused, and commits nothing."""
    fault = Fault(Mischief.SLOW, when=is_commit)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(publisher(Adversary(store, fault)).publish_checked, candidate(store, two), by="me")
        assert fault.reached.wait(PATIENCE_SECONDS)
        rival = added("acme-e", one, version=version_of(one))
        write_log(store, rival)
        fault.release.set()
        raised = running.exception(PATIENCE_SECONDS)
    assert isinstance(raised, Conflict)
    assert log_of(store) == [rival]


def test_over_http(store: FolderStore) -> None:
    """A wheel of another spelling is a 409 in plain text that uv and people understand; the same again is a 200."""
    app = make_app(store)
    one, two = (distribution(name) for name in (PUBLISHED, "acme_e-1.0.0-py3-none-any.whl"))
    assert [app(upload_request(made)).status for made in (one, two, one)] == [200, 409, 200]
    assert app(upload_request(two)).headers[0] == ("Content-Type", "text/plain; charset=utf-8")


def test_before_it_is_sent_in_parts(store: FolderStore) -> None:
    """An upload in parts learns of another spelling before it sends anything."""
    write_log(store, added("acme-e", PUBLISHED))
    two = Filename("Acme_e-1.0.0-py3-none-any.whl")
    with pytest.raises(Conflict, match=f"^File already exists: '{PUBLISHED}' was published"):
        publisher(store).is_published(SITE, parse_filename(two), two, "0" * 64)


def test_put_straight_into_the_store(store: FolderStore) -> None:
    """A reindex publishes one of two spellings that somebody put there; taking over a predecessor publishes both."""
    made = [distribution(name) for name in (PUBLISHED, "acme_e-1.0.0-py3-none-any.whl")]
    for one in made:
        store.put(f"projects/acme-e/{one.filename}", one.content)
    snapshot = rebuild(store, Renderer()).snapshot
    adopted, refused = adopt(store, snapshot, journal(store, new_id=ids()))
    assert (len(adopted), len(refused)) == (1, 1)
    assert "is another name for it" in refused[0].reason
    snapshot = rebuild(store, Renderer()).snapshot
    adopted, refused = adopt(store, snapshot, journal(store, new_id=ids("b")), respelled=True)
    assert (len(adopted), len(refused)) == (1, 0)


def test_import_of_both_spellings(store: FolderStore, tmp_path: Path) -> None:
    """An index that has two spellings is brought over with both, and one that has another spelling than here is not."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for name in (PUBLISHED, "acme_e-1.0.0-py3-none-any.whl"):
        (folder / name).write_bytes(distribution(name).content)
    done = run_command(store, "importFolder", str(folder))
    assert (len(done["published"]), done["failed"]) == (2, {})
    third = tmp_path / "third"
    third.mkdir()
    (third / "acme_e-1-py3-none-any.whl").write_bytes(distribution("acme_e-1-py3-none-any.whl").content)
    done = run_command(store, "importFolder", str(third))
    assert (done["published"], [*done["failed"]]) == ([], ["acme_e-1-py3-none-any.whl"])
