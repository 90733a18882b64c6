"""`stats` counts what there is, from the listing, and reads no file."""

from datetime import timedelta
from pathlib import Path

from indexer.keys import AREAS, UNKNOWN, area_of
from indexer.store.folder import FolderStore
from pypi_lambda.clock import utc_now
from tests.support.adversary import Adversary
from tests.support.builders import contents
from tests.support.contexts import run_command
from tests.support.whole_index import SIX, WHEEL, whole_index


def test_everything_is_counted(tmp_path: Path) -> None:
    """Every figure is that of what lies in the store."""
    with whole_index(tmp_path) as index:
        lying = contents(index.store)
        sizes = {key: len(body) for key, body in lying.items()}
        done = index.run("stats", now=lambda: utc_now() + timedelta(days=2))
    log = [key for key in lying if key.startswith("log/")]
    seq = int(log[-1].removeprefix("log/").removesuffix(".json"))
    age = done.pop("upstreamAgeSeconds")
    changed = done.pop("upstreamChanged")
    superseded = [key for key in lying if key.startswith("pages/") and key not in index.keys.values()]
    superseded = [key for key in superseded if not key.startswith("pages/other/")]
    assert done == {
        "projects": 2,
        "files": 4,
        "fileBytes": sum(size for key, size in sizes.items() if key.startswith("projects/")),
        "mirroredProjects": 1,
        "mirroredFiles": 1,
        "mirroredBytes": len(SIX.content) + sizes[f"cache/six/{SIX.filename}.metadata"],
        "mirroredPageBytes": sum(size for key, size in sizes.items() if key.startswith("upstream/pages/")),
        "events": seq,
        "logBytes": sum(sizes[key] for key in log),
        "eventsLastDay": 0,
        "eventsLastWeek": seq,
        "eventsLastMonth": seq,
        "snapshotBytes": sizes["snapshot.msgpack.zst"],
        "snapshotSeq": seq,
        "tail": 0,
        "pageBytes": sum(size for key, size in sizes.items() if key.startswith("pages/")),
        "supersededObjects": len(superseded),
        "supersededBytes": sum(sizes[key] for key in superseded),
        "users": 3,
        "tokens": 1,
        "upstreamNames": 1,
        "unknownObjects": 0,
        "objects": len(lying),
        "bytes": sum(sizes.values()),
    }
    assert 2 * 86_400 <= age < 3 * 86_400
    assert changed[:4] == str(utc_now().year)
    assert len(WHEEL.content) < done["fileBytes"]


def test_empty_index(tmp_path: Path) -> None:
    """Where there is nothing yet, everything is zero and nothing is known of the upstream."""
    done = run_command(FolderStore(tmp_path), "stats")
    assert {value for value in done.values() if value is not None} == {0}
    assert {name for name, value in done.items() if value is None} == {
        "upstreamNames",
        "upstreamChanged",
        "upstreamAgeSeconds",
    }


def test_no_file_is_read(tmp_path: Path) -> None:
    """Beside the listing, it reads the snapshot and looks for the log's next event."""
    with whole_index(tmp_path) as index:
        recorder = Adversary(index.store)
        run_command(recorder, "stats")
    assert [call.method for call in recorder.calls] == ["find", "find", "list"]


def test_areas() -> None:
    """Every key of this program has an area, and what lies elsewhere has none."""
    assert [area_of(f"{area}x") for area in AREAS if area.endswith("/")] == [a for a in AREAS if a.endswith("/")]
    assert area_of("snapshot.msgpack.zst") == "snapshot.msgpack.zst"
    for key in ("x", "logs/x", "upstream/x", "upstream/other/x", "snapshot.msgpack.zst/x"):
        assert area_of(key) == UNKNOWN
