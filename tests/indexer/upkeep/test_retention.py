"""What is thrown away is what nobody needs, and what a dry run names is what goes."""

import dataclasses
import os
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import InvalidValue
from indexer.keys import use_key
from indexer.log.events import timestamp
from indexer.store.base import ObjectStore, Stat
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from indexer.upkeep.retention import (
    KEEP_ORPHANS,
    KEEP_PAGES,
    KEEP_TRANSIENT,
    MARGIN,
    Sweep,
    find_removed,
    is_kept,
    sweep_mirror,
    sweep_removed,
)
from indexer.upkeep.survey import survey
from indexer.value import replace
from pypi_lambda.app.service import make_service
from pypi_lambda.clock import utc_now
from pypi_lambda.mirror.uses import YOUNG, Uses
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.builders import contents
from tests.support.distributions import make_wheel
from tests.support.mirrors import eventually
from tests.support.servers import BUCKET, S3Server
from tests.support.whole_index import SIX, WHEEL, WholeIndex, give, whole_index

DAY = timedelta(days=1)
ALL = 36_000  # days after which everything is over
NOW = datetime(2026, 11, 23, 10, 20, 30, tzinfo=UTC)
CACHED = f"cache/six/{SIX.filename}"
MIRRORED_PAGES = {f"upstream/pages/six.{extension}" for extension in ("check", "json.gz", "sources")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeIndex]:
    with whole_index(tmp_path_factory.mktemp("whole")) as index:
        yield index


@pytest.fixture
def index(whole: WholeIndex, tmp_path: Path) -> Iterator[WholeIndex]:
    """A copy, each object with the time at which it was written."""
    shutil.copytree(str(whole.store._base), tmp_path / "data")  # type: ignore[attr-defined]
    copied = as_new_process(whole, FolderStore(tmp_path / "data"))
    yield copied
    copied.site.service.rebuilder.wait()


def as_new_process(index: WholeIndex, store: ObjectStore) -> WholeIndex:
    """Return the index as a process that starts now has it."""
    service = make_service(index.site.settings, store=store)
    return dataclasses.replace(index, site=dataclasses.replace(index.site, store=store, service=service))


def collect(index: WholeIndex, *, days: float = 0, orphans: bool = False, **settings: Any) -> dict[str, set[str]]:
    """Collect garbage so many days from now, after a dry run that must say the same and delete nothing."""
    now, settled = utc_now() + timedelta(days=days), replace(index.site.settings, **settings)
    before = contents(index.store)
    said = index.run("gc", now=lambda: now, settings=settled, dryRun=True, orphans=orphans)
    assert contents(index.store) == before
    done = index.run("gc", now=lambda: now, settings=settled, orphans=orphans)
    assert {**said, "dryRun": False} == done
    gone = before.keys() - contents(index.store).keys()
    assert {found["key"] for found in done["keys"]} == gone
    assert (done["objects"], done["bytes"]) == (len(gone), sum(len(before[key]) for key in gone))
    reasons: dict[str, set[str]] = {}
    for found in done["keys"]:
        reasons.setdefault(found["reason"], set()).add(found["key"])
    return reasons


def age(folder: Path, key: str, days: float) -> None:
    """Make an object look as if it had been written so many days ago."""
    moment = (utc_now() - timedelta(days=days)).timestamp()
    os.utime(folder / "data" / key, (moment, moment))


def test_nothing_goes_at_once(index: WholeIndex) -> None:
    """Right after everything was made there is nothing to delete."""
    assert collect(index, mirror_retention_days=1, removed_retention_days=1) == {}


def test_by_default_only_the_superseded_and_the_removed_go(index: WholeIndex) -> None:
    """Without a setting mirrored files are kept for ever; nothing that is offered or named ever goes."""
    offered = {
        key: body
        for key, body in contents(index.store).items()
        if key.startswith(("log/", "users/", "tokens/", "cache/", "upstream/", "projects/other/"))
        or key in index.keys.values()
    }
    gone = collect(index, days=ALL)
    removed = index.keys["removed file"]
    assert gone.keys() == {"superseded", "removed"}
    assert gone["removed"] == {removed, f"{removed}.metadata"}
    assert all(key.startswith(("pages/", "index/")) for key in gone["superseded"])
    del offered[removed]
    left = contents(index.store)
    assert {key: left[key] for key in offered} == offered
    done = index.run("verify", deep=True, now=lambda: utc_now() + ALL * DAY)
    assert (done["damage"], done["counts"]["orphan"]) == (0, 0)


def test_removed_file_goes_after_its_retention(index: WholeIndex) -> None:
    """The bytes stay for as long as the file can be restored, and a day longer; 0 keeps them for ever."""
    removed = {index.keys["removed file"], f"{index.keys['removed file']}.metadata"}
    for days, kept_days in ((8.5, 0), (7.9, 7), (ALL, 0)):
        assert "removed" not in collect(index, days=days, removed_retention_days=kept_days)
    assert collect(index, days=8.1, removed_retention_days=7)["removed"] == removed


def test_restored_file_stays(index: WholeIndex) -> None:
    """A file that was restored, even since the snapshot, is offered, and no private file that is offered goes."""
    give(index.site, "restore", project="demo", version="0.9")
    assert "removed" not in collect(index, days=ALL)


def test_file_that_is_restored_at_this_moment_stays(index: WholeIndex) -> None:
    """What happened in the log after the projects were read counts: another event of the project is enough to wait."""
    view = index.site.service.index.refresh()
    later = utc_now() + ALL * DAY
    found = [candidate for folder in survey(index.store, view.base) for candidate in find_removed(folder, 30, later)]
    assert len(found) == 2
    give(index.site, "restore", project="demo", version="0.9")
    sweep = Sweep(index.store)
    sweep_removed(sweep, found, index.site.service.index.refresh().current)
    assert index.store.stat(index.keys["removed file"]) is not None


def test_restore_ends_with_the_retention(index: WholeIndex) -> None:
    """The day on which bytes may go is a day after the last one on which a file can be restored."""
    removed_at = timestamp(NOW)
    assert is_kept(removed_at, 30, NOW + 30 * DAY - timedelta(seconds=1))
    assert not is_kept(removed_at, 30, NOW + 30 * DAY)
    assert is_kept(removed_at, 0, NOW + ALL * DAY)
    assert timedelta(days=1) <= MARGIN


def test_restore_is_refused_after_the_retention(index: WholeIndex) -> None:
    """Whoever restores is told that it is too late, although the bytes may still be there."""
    later = utc_now() + timedelta(days=30.5)
    with pytest.raises(InvalidValue, match="what is removed is kept for 30 days"):
        index.run("restore", now=lambda: later, project="demo", version="0.9")
    settings = replace(index.site.settings, removed_retention_days=0)
    assert index.run("restore", now=lambda: later, settings=settings, project="demo", version="0.9")["changed"]


def test_unused_mirrored_files_go(index: WholeIndex) -> None:
    """Files and pages of the upstream that nobody asked for since go together with what describes them, not sooner."""
    assert collect(index, days=30.9, mirror_retention_days=30).keys() == {"superseded"}
    gone = collect(index, days=31.1, mirror_retention_days=30)
    assert gone["mirroredFiles"] == {CACHED, f"{CACHED}.metadata"}
    assert gone["mirroredPages"] == MIRRORED_PAGES
    assert index.site.get(f"/simple/six/{SIX.filename}").status == 200


def test_used_mirrored_file_stays(index: WholeIndex, tmp_path: Path) -> None:
    """A use counts as much as the day on which the file was taken in."""
    for key in (CACHED, f"{CACHED}.metadata"):
        age(tmp_path, key, 100)
    index.store.put(use_key(CACHED), b"")
    assert "mirroredFiles" not in collect(index, mirror_retention_days=30)
    age(tmp_path, use_key(CACHED), 32)
    assert collect(index, mirror_retention_days=30)["mirroredFiles"] == {
        CACHED,
        f"{CACHED}.metadata",
        use_key(CACHED),
    }


def test_file_that_is_used_at_this_moment_stays(index: WholeIndex, tmp_path: Path) -> None:
    """A use that is noted while the listing is read is seen before the file is deleted."""
    age(tmp_path, CACHED, 100)
    age(tmp_path, f"{CACHED}.metadata", 100)

    class Noting(Adversary):
        def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
            yield from super().list(prefix, after=after)
            if prefix == "cache-uses/":
                self.inner.put(use_key(CACHED), b"")

    sweep = Sweep(index.store)
    sweep_mirror(Noting(index.store), sweep, 30, utc_now())
    assert index.store.stat(CACHED) is not None


def test_page_out_of_use_goes(index: WholeIndex) -> None:
    """Of a project that the upstream dropped nothing is kept, whatever the setting."""
    index.store.delete("upstream/pages/six.check")
    assert not collect(index, days=0.9).get("superseded")
    gone = collect(index, days=1.1)["superseded"]
    assert gone == MIRRORED_PAGES - {"upstream/pages/six.check"}


def test_superseded_page_goes_late(index: WholeIndex) -> None:
    """Pages that were replaced go when no running container can name them, and never the last one."""
    before = set(contents(index.store, "pages/"))
    early = collect(index, days=(KEEP_PAGES - timedelta(hours=1)) / DAY).get("superseded", set())
    assert not any(key.startswith("pages/") for key in early)
    collect(index, days=(KEEP_PAGES + timedelta(hours=1)) / DAY)
    assert set(contents(index.store, "pages/")) == {
        key for key in before if key.startswith("pages/other/") or key in index.keys.values()
    }


def test_garbage_of_a_bucket(seaweedfs: S3Server, tmp_path: Path) -> None:
    """On an S3 server the same goes and the same stays, and the index is whole afterwards."""
    store = S3Store(BUCKET, uuid.uuid4().hex, environ=seaweedfs.environ)
    with whole_index(tmp_path, store) as index:
        gone = collect(index, days=ALL, mirror_retention_days=30)
        assert gone.keys() == {"superseded", "removed", "mirroredFiles", "mirroredPages"}
        done = index.run("verify", deep=True, now=lambda: utc_now() + ALL * DAY)
        assert done["findings"] == []


@pytest.mark.parametrize("prefix", ["copies/", "probe/", "rebuilding/", "staging/"])
def test_left_behind_goes(index: WholeIndex, tmp_path: Path, prefix: str) -> None:
    """What killed processes left goes a day later, not sooner."""
    for name, days in (("old", 1.1), ("young", 0.9)):
        index.store.put(f"{prefix}{name}", b"x")
        age(tmp_path, f"{prefix}{name}", days)
    assert collect(index) == {"transient": {f"{prefix}old"}}
    assert timedelta(days=1) == KEEP_TRANSIENT


def test_parts_of_an_upload_go(index: WholeIndex, tmp_path: Path) -> None:
    """An upload can be gone on with for a week; what was refused of the drop box is not touched."""
    for name, days in (("old/1.part", 7.1), ("young/1.part", 6.9), ("demo-1.0.tar.gz", 100)):
        index.store.put(f"incoming/{name}", b"x")
        age(tmp_path, f"incoming/{name}", days)
    assert collect(index) == {"transient": {"incoming/old/1.part"}}


@pytest.fixture
def orphans(index: WholeIndex, tmp_path: Path) -> dict[str, str]:
    """Objects under `projects/` that no event names, all of them old."""
    keys = {
        "refused": "projects/demo/notes.txt",
        "stray metadata": "projects/demo/demo-7.0.tar.gz.metadata",
        "publishable": f"projects/new/{make_wheel('new', '1.0').filename}",
        "of 0.0.6": "projects/demo/index.json",
    }
    for kind, key in keys.items():
        index.store.put(key, make_wheel("new", "1.0").content if kind == "publishable" else b"?")
        age(tmp_path, key, KEEP_ORPHANS.days + 1)
    return keys


def test_orphans_stay(index: WholeIndex, orphans: dict[str, str]) -> None:
    """Without being told to, nobody deletes a private file that somebody may want to have yet."""
    assert collect(index) == {}


def test_orphans_go_when_that_is_wanted(index: WholeIndex, orphans: dict[str, str]) -> None:
    """Only what cannot be published goes: what can is published by the next reindex."""
    index.store.put("projects/demo/young.txt", b"?")
    assert collect(index, orphans=True) == {"orphans": {orphans["refused"], orphans["stray metadata"]}}


def test_orphans_stay_while_the_index_is_behind(index: WholeIndex, orphans: dict[str, str]) -> None:
    """Where the snapshot is missing nobody can tell by it what is published: nothing of that project is touched."""
    index.store.delete(index.keys["snapshot"])
    index.site.service.rebuilder.wait()
    fresh = as_new_process(index, index.store)
    gone = collect(fresh, orphans=True)
    assert not any(key.startswith(f"projects/demo/{WHEEL.filename}") for keys in gone.values() for key in keys)
    assert orphans["refused"] in contents(index.store)


def test_reindex_collects_too(index: WholeIndex) -> None:
    """The schedule throws away what the command does, and says so."""
    removed = index.keys["removed file"]
    done = index.run("reindex", now=lambda: utc_now() + ALL * DAY)
    assert done["deleted"]["removed"]["objects"] == 2
    assert done["deleted"]["superseded"]["objects"] > 0
    assert index.store.stat(removed) is None
    assert index.store.stat(CACHED) is not None


def test_reindex_keeps_no_mirrored_file_for_ever(tmp_path: Path) -> None:
    """With the setting, the schedule deletes mirrored files that nobody uses."""
    with whole_index(tmp_path, mirror_retention_days=30) as index:
        index.run("reindex", now=lambda: utc_now() + 40 * DAY)
        assert index.store.stat(CACHED) is None


def test_delivery_notes_the_use(tmp_path: Path) -> None:
    """A file older than a day is noted when it is delivered, once, and only where files are not kept for ever."""
    for folder, days, noted in ((tmp_path / "a", 30, {use_key(CACHED)}), (tmp_path / "b", 0, set())):
        with whole_index(folder, mirror_retention_days=days) as index:
            assert index.site.get(f"/simple/six/{SIX.filename}").status == 200
            assert contents(index.store, "cache-uses/") == {}
            age(folder, CACHED, 2)
            for _ in range(3):
                assert index.site.get(f"/simple/six/{SIX.filename}").status == 200
            eventually(lambda: set(contents(index.store, "cache-uses/")) == noted)  # noqa: B023


class TestUses:
    """Notes of one process."""

    def note(self, store: FolderStore, *moments: datetime, taken: datetime = NOW - 2 * YOUNG) -> list[str]:
        """Note a use at each of these moments; return the keys that were written."""
        recorder = Adversary(store)
        times = iter(moments)
        uses = Uses(recorder, now=lambda: next(times), run=lambda work: work())
        for _ in moments:
            uses.note(Stat(key=CACHED, size=1, etag='"x"', modified=taken))
        return [call.key for call in recorder.calls if call.method == "put"]

    def test_once_a_day(self, tmp_path: Path) -> None:
        """However often a file is used, a process notes it once a day."""
        store = FolderStore(tmp_path)
        assert self.note(store, NOW, NOW, NOW + DAY / 4, NOW + DAY, NOW + DAY) == [use_key(CACHED)] * 2

    def test_young_file(self, tmp_path: Path) -> None:
        """A file that was taken in today says so itself."""
        assert self.note(FolderStore(tmp_path), NOW, taken=NOW - YOUNG / 2) == []

    def test_store_that_fails(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A use that cannot be noted is a line in the log and no failed request."""
        store = Adversary(FolderStore(tmp_path), Fault(Mischief.UNAVAILABLE, when=lambda call: call.method == "put"))
        uses = Uses(store, now=lambda: NOW, run=lambda work: work())
        uses.note(Stat(key=CACHED, size=1, etag='"x"', modified=NOW - 2 * YOUNG))
        assert f"that {CACHED} was used is not noted" in caplog.text

    def test_no_thread(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Nor does one fail where no thread can be started."""

        def run(work: object) -> None:
            raise RuntimeError("can't start new thread")

        uses = Uses(FolderStore(tmp_path), now=lambda: NOW, run=run)
        uses.note(Stat(key=CACHED, size=1, etag='"x"', modified=NOW - 2 * YOUNG))
        assert "can't start new thread" in caplog.text
