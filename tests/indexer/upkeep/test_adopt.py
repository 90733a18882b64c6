"""Files that somebody put under `projects/` are published just as if they had been uploaded, or are left alone."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from indexer.derive.rebuild import rebuild
from indexer.errors import CorruptObject, Missing
from indexer.keys import log_key
from indexer.log.events import Event, FileAdded, FileRemoved, ProjectStatusSet, timestamp
from indexer.log.log import ORIGIN, Log, head_of
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from indexer.upkeep.adopt import Refusal, adopt
from indexer.value import replace
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.builders import (
    AT,
    added,
    contents,
    ids,
    journal,
    make_app,
    put_user,
    request,
    upload_request,
    write_log,
)
from tests.support.distributions import Distribution, make_sdist, make_wheel
from tests.support.servers import BUCKET, S3Server

RENDERER = Renderer()
WHEEL = make_wheel("demo", "1.0", requires_python=">=3.9")
SDIST = make_sdist("demo", "2.0")


def put(store: ObjectStore, distribution: Distribution) -> str:
    key = f"projects/{distribution.project}/{distribution.filename}"
    store.put(key, distribution.content)
    return key


def run(store: ObjectStore) -> tuple[list[str], list[Refusal]]:
    return adopt(store, rebuild(store, RENDERER).snapshot, journal(store, new_id=ids("adopt-"), by="reindex"))


def events(store: ObjectStore) -> list[Event]:
    return list(Log(store).read_after(ORIGIN))


def of(distribution: Distribution, store: ObjectStore, **changes: Any) -> FileAdded:
    """Build the change that publishes a file which lies in the store."""
    key = f"projects/{distribution.project}/{distribution.filename}"
    stat = store.stat(key)
    assert stat is not None
    is_wheel = distribution.filename.endswith(".whl")
    change = FileAdded(
        project=ProjectName(distribution.project),
        filename=Filename(distribution.filename),
        version="1.0" if is_wheel else "2.0",
        size=len(distribution.content),
        sha256=distribution.sha256,
        upload_time=timestamp(stat.modified),
        requires_python=distribution.requires_python,
        metadata_sha256=distribution.metadata_sha256 if is_wheel else None,
    )
    return replace(change, **changes)


@pytest.mark.parametrize("status", ["archived", "quarantined"])
@pytest.mark.parametrize("late", [False, True])
def test_a_closed_project(store: FolderStore, status: str, late: bool) -> None:
    """An archived or quarantined project takes no file, also where it became so after the snapshot."""
    demo = ProjectName("demo")
    first = write_log(store, added("demo", version="0.1"))
    before = rebuild(store, RENDERER).snapshot
    write_log(store, ProjectStatusSet(project=demo, status=status, reason=""), after=head_of(first[0]))
    key = put(store, WHEEL)
    snapshot = before if late else rebuild(store, RENDERER).snapshot
    refusal = Refusal(key=key, reason=f"project 'demo' is {status} and takes no uploads")
    assert adopt(store, snapshot, journal(store, new_id=ids("adopt-"), by="reindex")) == ([], [refusal])
    assert len(events(store)) == 2


def test_a_removed_version(store: FolderStore) -> None:
    """A file of a version that was removed is not published under another name."""
    old = added("demo", "demo-2.0-py3-none-any.whl", version="2.0")
    write_log(store, old, FileRemoved(project=old.project, filename=old.filename))
    key = put(store, SDIST)
    told = "version 2.0 of 'demo' was removed; restore it, or use another version"
    assert run(store) == ([], [Refusal(key=key, reason=told)])


def check_files_are_published(store: ObjectStore) -> None:
    """Adopt a wheel and an sdist, and check all that was written."""
    keys = [put(store, WHEEL), put(store, SDIST)]
    assert run(store) == (keys, [])
    assert [(event.change, event.by, event.at) for event in events(store)] == [
        (of(WHEEL, store), "reindex", AT),
        (of(SDIST, store), "reindex", AT),
    ]
    assert contents(store, "projects/") == {
        keys[0]: WHEEL.content,
        f"{keys[0]}.metadata": WHEEL.metadata,
        keys[1]: SDIST.content,
    }


def test_files_are_published(store: FolderStore) -> None:
    """A wheel gets its metadata beside it, an sdist none, and each an event with what its bytes say."""
    check_files_are_published(store)


def test_files_are_published_on_s3(seaweedfs: S3Server) -> None:
    """The same on S3."""
    check_files_are_published(S3Store(BUCKET, "adopt", environ=seaweedfs.environ))


def test_time_is_the_object_s(store: FolderStore, tmp_path: Path) -> None:
    """A file that was copied with its time is listed with that time."""
    key = put(store, WHEEL)
    moment = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    os.utime(tmp_path / "data" / key, (moment.timestamp(), moment.timestamp()))
    run(store)
    assert events(store)[0].change == of(WHEEL, store, upload_time="2020-02-03T04:05:06.000000Z")


def test_again_changes_nothing(store: FolderStore) -> None:
    """What was adopted is not adopted again, before and after a rebuild."""
    put(store, WHEEL)
    snapshot = rebuild(store, RENDERER).snapshot
    adopt(store, snapshot, journal(store, new_id=ids(), by="reindex"))
    before = contents(store)
    assert adopt(store, snapshot, journal(store, new_id=ids("again"), by="reindex")) == ([], [])
    assert contents(store) == before
    assert run(store) == ([], [])


def test_what_lies_beside_is_no_file(store: FolderStore) -> None:
    """Metadata, signatures and the predecessor's index are passed over without a word."""
    key = put(store, WHEEL)
    for beside in (f"{key}.metadata", f"{key}.asc", "projects/demo/index.json"):
        store.put(beside, b"?")
    assert run(store) == ([key], [])


def test_predecessor_s_metadata_is_replaced(store: FolderStore) -> None:
    """`.metadata` from somewhere else gives way to the archive's own, which is what clients compare with."""
    key = put(store, WHEEL)
    store.put(f"{key}.metadata", b"Metadata-Version: 2.1\nName: of-a-form\n")
    run(store)
    assert store.get(f"{key}.metadata").body == WHEEL.metadata


def test_removed_file_stays_removed(store: FolderStore) -> None:
    """A file that was removed is not brought back by lying there still."""
    key = put(store, WHEEL)
    run(store)
    removed = FileRemoved(project=ProjectName("demo"), filename=Filename(WHEEL.filename))
    write_log(store, removed, after=head_of(events(store)[0]))
    assert run(store) == ([], [])
    assert store.get(key).body == WHEEL.content


@pytest.mark.parametrize(
    ("key", "content", "reason"),
    [
        ("projects/Demo/demo-1.0-py3-none-any.whl", WHEEL.content, "normalised name"),
        ("projects/loose-1.0.tar.gz", SDIST.content, "normalised name"),
        ("projects/demo/sub/demo-1.0-py3-none-any.whl", WHEEL.content, "without a path"),
        ("projects/other/demo-1.0-py3-none-any.whl", WHEEL.content, "other"),
        ("projects/demo/demo-1.1-py3-none-any.whl", WHEEL.content, "1.1"),
        ("projects/demo/demo-1.0-py3-none-any.whl", WHEEL.content[:-1], "zip"),
        ("projects/demo/demo-2.0.tar.gz", SDIST.content[:-1], ""),
        ("projects/demo/demo-2.0.tar.gz", b"", ""),
        ("projects/demo/notes.txt", b"hello", "wheel"),
    ],
)
def test_what_cannot_be_published_is_refused(store: FolderStore, key: str, content: bytes, reason: str) -> None:
    """A file whose place, name or content is wrong is refused with the reason, and stays as it is; others go on."""
    store.put(key, content)
    good = put(store, make_wheel("good", "1.0"))
    adopted, refused = run(store)
    assert adopted == [good]
    assert [refusal.key for refusal in refused] == [key]
    assert reason in refused[0].reason
    assert store.get(key).body == content
    assert store.find(f"{key}.metadata") is None
    assert [event.change.project for event in events(store) if isinstance(event.change, FileAdded)] == ["good"]


@pytest.mark.parametrize("method", ["stat", "read"])
def test_file_that_vanishes_is_refused(store: FolderStore, method: str) -> None:
    """A file that was listed and is gone stops nothing."""
    key = put(store, WHEEL)
    good = put(store, make_wheel("good", "1.0"))
    vanishing = Fault(Mischief.MISSING, when=lambda call: (call.method, call.key) == (method, key))
    adopted, refused = run(Adversary(store, vanishing))
    assert (adopted, [refusal.key for refusal in refused]) == ([good], [key])


class Copying(Adversary):
    """A store in which somebody replaces the file right after it was read to its end."""

    key = ""

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Any:
        content = super().read(key, start=start, end=end)
        if key == self.key and (start, end) == (0, None):
            content = iter(list(content))
            self.inner.put(key, make_wheel("demo", "1.0", files={"more.py": b""}).content)
        return content


def test_file_that_changes_is_refused(store: FolderStore) -> None:
    """A file that is still being copied is not published with the digest of its first part."""
    copying = Copying(store)
    copying.key = put(store, WHEEL)
    adopted, refused = run(copying)
    assert (adopted, [refusal.key for refusal in refused]) == ([], [copying.key])
    assert "it changed while it was read" in refused[0].reason
    assert events(store) == []
    assert run(store)[0] == [copying.key]


def test_the_log_is_read_once(store: FolderStore) -> None:
    """However many files are adopted, the log is not read anew for each; none is published again or once removed."""
    snapshot = rebuild(store, RENDERER).snapshot
    old, same = added("demo", version="0.8"), make_wheel("demo", "0.9")
    meanwhile = added("demo", same.filename, version="0.9", sha256=same.sha256)
    write_log(store, old, FileRemoved(project=old.project, filename=old.filename), meanwhile)
    gone, _, *keys = [
        put(store, one)
        for one in (make_sdist("demo", "0.8"), same, *(make_wheel("demo", f"1.{number}") for number in range(6)))
    ]
    last = put(store, make_wheel("other", "1.0"))
    watched = Adversary(store)
    adopted, refused = adopt(watched, snapshot, journal(watched, new_id=ids("adopt-"), by="reindex"))
    assert (adopted, [refusal.key for refusal in refused]) == ([*keys, last], [gone])
    read = Counter(call.key for call in watched.calls if call.method == "find" and call.key.startswith("log/"))
    # What stops a file is seen again by the next one; each of ours is looked for once.
    assert read == {log_key(seq): 2 if seq in (2, 3) else 1 for seq in range(1, 4 + len(adopted))}
    assert len(events(store)) == 3 + len(adopted)


def test_published_with_other_content(store: FolderStore) -> None:
    """A file that was published meanwhile with another digest than it has here is named: one of the two was altered."""
    snapshot = rebuild(store, RENDERER).snapshot
    key = put(store, WHEEL)
    write_log(store, added("demo", WHEEL.filename))
    adopted, [refusal] = adopt(store, snapshot, journal(store, new_id=ids("adopt-"), by="reindex"))
    assert (adopted, refusal.key) == ([], key)
    assert refusal.reason.startswith(f"File already exists: {WHEEL.filename!r} was published with sha256 ")


def test_upload_in_flight(store: FolderStore) -> None:
    """A file whose upload is under way may be adopted meanwhile: the upload succeeds all the same, with one event."""
    put_user(store)
    adopted: list[str] = []

    class Adopting(Adversary):
        def put_new(self, key: str, body: bytes, *, content_type: str = "", immutable: bool = False) -> str:
            if key.endswith(".metadata") and not adopted:
                adopted.extend(run(store)[0])
            return super().put_new(key, body, content_type=content_type, immutable=immutable)

    response = make_app(Adopting(store))(upload_request(WHEEL))
    assert (response.status, len(adopted)) == (200, 1)
    assert [event.by for event in events(store)] == ["reindex"]
    page = make_app(store)(request("GET", "/simple/demo/"))
    assert page.status == 200


def test_unreadable_page_is_left_to_the_caller(store: FolderStore) -> None:
    """What a project has published is never guessed: without its page the error goes to the caller."""
    key = put(store, WHEEL)
    run(store)
    snapshot = rebuild(store, RENDERER).snapshot
    store.delete(RENDERER.json_key(ProjectName("demo"), 1))
    with pytest.raises(Missing):
        adopt(store, snapshot, journal(store, new_id=ids(), by="reindex"))
    store.put(RENDERER.json_key(ProjectName("demo"), 1), b"?")
    with pytest.raises(CorruptObject):
        adopt(store, snapshot, journal(store, new_id=ids(), by="reindex"))
    assert store.get(key).body == WHEEL.content
