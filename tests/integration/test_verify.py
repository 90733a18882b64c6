"""`verify`, `stats` and `gc` as a person has them, on a folder and on a real S3 server."""

import json
from pathlib import Path

from indexer.store.base import ObjectStore
from tests.integration.commands import Place, run_command
from tests.integration.running import serving
from tests.support.builders import contents
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream


def _served(place: Place, upstream: FakeUpstream, logs: Path) -> ObjectStore:
    """Have an index with a private project in two versions; return its store."""
    with serving(place, logs, upstream=upstream.url) as server:
        server.await_reindexed()
        for version in ("1.0", "2.0"):
            assert server.upload(make_wheel("one", version)).status_code == 200
    run_command(place, "reindex", UPSTREAM_INDEX_URL=upstream.url).succeeded()
    return place.open()


def test_whole_index(place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """Of a whole index verify says so and prints the head; what it said proves later that nothing is gone."""
    _served(place, upstream, logs)
    said = run_command(place, "verify", "--deep").succeeded()
    assert "1 projects, 2 files" in said
    assert "nothing is damaged" in said
    head = said.strip().splitlines()[-1].removeprefix("head ")
    run_command(place, "verify", "--expect", head).succeeded()
    seq, _, digest = head.partition(":")
    assert "cut off" in run_command(place, "verify", "--expect", f"{int(seq) + 1}:{digest}").failed(1)
    assert "SEQ:DIGEST" in run_command(place, "verify", "--expect", seq).failed(2)


def test_empty_index(place: Place) -> None:
    """Where there is nothing, nothing is damaged."""
    place.open()  # which makes the folder
    said = run_command(place, "verify", "--deep").succeeded()
    assert said.splitlines()[-2:] == ["0 projects, 0 files: nothing is damaged", "the log is empty"]


def test_damage_and_repair(place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """Damage is named and ends with 1; a repair brings back what is derived, byte for byte, and leaves the truth."""
    store = _served(place, upstream, logs)
    before = contents(store)
    (page,) = [stat.key for stat in store.list("pages/")][-1:]
    store.delete(page)
    file = f"projects/one/{make_wheel('one', '1.0').filename}"
    store.put(file, bytes(len(before[file])))
    said = run_command(place, "verify", "--deep").failed(1)
    assert f"LOST: {file}: it has sha256" in said
    assert f"damaged: {page}: the page is missing" in said
    run_command(place, "verify", "--repair").failed(1)
    assert contents(store) == {**before, file: bytes(len(before[file]))}
    store.put(file, before[file])
    run_command(place, "verify", "--deep").succeeded()


def test_figures(place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """Stats are lines for people, or JSON."""
    store = _served(place, upstream, logs)
    assert "private    1 projects, 2 files" in run_command(place, "stats").succeeded()
    said = json.loads(run_command(place, "stats", "--json").succeeded())
    assert (said["projects"], said["files"], said["users"]) == (1, 2, 1)
    assert said["objects"] == len(contents(store))


def test_garbage(place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """A dry run names what would go and deletes nothing; then it goes."""
    store = _served(place, upstream, logs)
    before = contents(store)
    assert "0 objects, 0 B would be deleted" in run_command(place, "gc", "--dry-run").succeeded()
    assert "0 objects, 0 B deleted" in run_command(place, "gc").succeeded()
    assert contents(store) == before
    assert "invalid REMOVED_RETENTION_DAYS" in run_command(place, "gc", REMOVED_RETENTION_DAYS="x").failed(2)
