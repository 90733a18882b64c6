"""The steps that `benchmarks.index` measures, each in a process of its own that prints, as JSON, what it took.

    python -m benchmarks.index_steps STEP FOLDER [SIZE ...]

A process tells its own peak: what wait4(2) tells of a child begins at the memory of the process that started it. Linux
only: proc(5).
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from indexer.names import Filename, ProjectName
from indexer.store.base import ObjectStore
from indexer.store.open import open_store

REPEATS = 5  # of what is quick; the median is shown
STAMP = "2026-11-01T00:00:00.000000Z"


def serve_html(folder: Path, count: int) -> Mapping[str, Any]:
    """Answer with a root listing of so many names, with links as the public index has them; see `_serve`."""
    from benchmarks.data import upstream_names

    links = "".join([f'<a href="/simple/{name}/">{name}</a>\n' for name in upstream_names(count)])
    body = f"<!DOCTYPE html>\n<html>\n<head><title>Simple index</title></head>\n<body>\n{links}</body>\n</html>\n"
    return _serve(body.encode(), "text/html; charset=utf-8")


def serve_json(folder: Path, count: int) -> Mapping[str, Any]:
    """Answer with a root listing of so many names, each with a serial as the public index has them; see `_serve`."""
    from benchmarks.data import upstream_names

    names = upstream_names(count)
    projects = ",".join(
        [f'{{"_last-serial":{number * 31 + 1_000_000},"name":"{name}"}}' for number, name in enumerate(names)]
    )
    body = f'{{"meta":{{"_last-serial":36000000,"api-version":"1.4"}},"projects":[{projects}]}}'
    return _serve(body.encode(), "application/vnd.pypi.simple.v1+json")


def _serve(body: bytes, content_type: str) -> Mapping[str, Any]:
    """Say where it is, and answer until standard input ends."""
    from tests.support.fake_upstream import FakeUpstream

    with FakeUpstream() as upstream:
        upstream.override("/simple/", headers={"Content-Type": content_type}, body=body)
        print(json.dumps({"url": upstream.url, "bytes": len(body)}), flush=True)
        sys.stdin.read()
    return {}


def fill_snapshot(folder: Path, names: int, projects: int) -> Mapping[str, Any]:
    """Store the snapshot of an index with so many upstream names and private projects, and the pages of a few."""
    from hashlib import sha256

    from benchmarks.data import upstream_names
    from indexer.derive.master import encode_names, names_digest, put_master
    from indexer.derive.snapshot import NameFilter, ProjectTable, Snapshot, UpstreamNames, encode_snapshot
    from indexer.keys import SNAPSHOT_KEY, log_key
    from indexer.log.events import encode_event
    from indexer.log.log import Head
    from indexer.simple.page import Renderer, compress

    store, renderer = _open(folder), Renderer()
    listed = upstream_names(names)
    content = encode_names(listed)
    digest = names_digest(content)
    put_master(store, content)
    filter_ = NameFilter.of(listed)
    numbered = sorted((_private(number), number + 1) for number in range(projects))
    lines = b"".join([f"{name} {seq}\n".encode() for name, seq in numbered])
    change = _added(_private(projects - 1), "1.0")
    last = encode_event(seq=projects, id="0", prev="0" * 64, at=STAMP, by="benchmark", change=change)
    store.put(log_key(projects), last)
    snapshot = Snapshot(
        head=Head(seq=projects, digest=sha256(last).hexdigest()),
        renderer=renderer.tag,
        index_seq=projects,
        projects=ProjectTable(lines),
        upstream=UpstreamNames(names_sha256=digest, count=names, at=STAMP, filter=filter_),
    )
    store.put(SNAPSHOT_KEY, encode_snapshot(snapshot))
    for number in range(min(projects, REPEATS)):
        project = _project(_private(number), number + 1)
        store.put(renderer.json_key(project.name, project.seq), compress(renderer.render_json(project)))
    return {}


def fill_log(folder: Path, projects: int, files: int) -> Mapping[str, Any]:
    """Write the log of an index with so many private projects and files, and the files, empty."""
    from hashlib import sha256

    from indexer.keys import file_key, log_key
    from indexer.log.events import encode_event

    prev = ""
    (folder / "log").mkdir(parents=True)
    for number in range(files):
        name = _private(number % projects)
        change = _added(name, f"1.{number // projects}")
        body = encode_event(seq=number + 1, id=f"{number:032x}", prev=prev, at=STAMP, by="benchmark", change=change)
        prev = sha256(body).hexdigest()
        # Not through the store, which waits for the disk each time.
        (folder / log_key(number + 1)).write_bytes(body)
        path = folder / file_key(name, change.filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return {}


def reindex(folder: Path) -> Mapping[str, Any]:
    """Run `serverless-pypi reindex`."""
    from pypi_lambda.cli import main

    return measured(lambda: main(["reindex"], standalone_mode=False))


def rebuild_from_zero(folder: Path) -> Mapping[str, Any]:
    """Run `serverless-pypi rebuild --from-zero`."""
    from pypi_lambda.cli import main

    return measured(lambda: main(["rebuild", "--from-zero"], standalone_mode=False))


def rebuild_after_uploads(folder: Path) -> Mapping[str, Any]:
    """Rebuild after one upload to each of a few projects in turn."""
    from indexer.derive.rebuild import load_snapshot, rebuild
    from indexer.keys import LISTS
    from indexer.log.log import Log, head_of
    from indexer.simple.page import Renderer
    from tests.support.adversary import Adversary

    store = _open(folder)
    recorder = Adversary(store)  # without a fault it only writes down what is asked of it
    head = load_snapshot(store, Renderer()).snapshot.head
    taken = []
    for number in range(REPEATS):
        change = _added(_private(number), "2.0")
        event = Log(store).append(head, change, by="benchmark", at=STAMP, id=f"{number:x}")
        head = head_of(event)
        taken.append(measured(lambda: rebuild(recorder, Renderer())))
    lists = sum(call.key.startswith(LISTS) for call in recorder.calls)
    return {**_middle(taken), "names_lists_read": lists}


def load(folder: Path) -> Mapping[str, Any]:
    """Load the snapshot."""
    from indexer.derive.rebuild import load_snapshot
    from indexer.keys import SNAPSHOT_KEY
    from indexer.simple.page import Renderer

    store = _open(folder)
    taken = [measured(lambda: load_snapshot(store, Renderer())) for _ in range(REPEATS)]
    return {**_middle(taken), "bytes": (folder / SNAPSHOT_KEY).stat().st_size}


def root_json(folder: Path) -> Mapping[str, Any]:
    """Make the root listing as JSON."""
    return _root(folder, "json")


def root_html(folder: Path) -> Mapping[str, Any]:
    """Make the root listing as HTML."""
    return _root(folder, "html")


def _root(folder: Path, extension: str) -> Mapping[str, Any]:
    from indexer.derive.rebuild import load_snapshot
    from indexer.derive.root import put_entries
    from indexer.simple.page import Renderer

    store = _open(folder)
    snapshot = load_snapshot(store, Renderer()).snapshot
    upstream = snapshot.upstream
    assert upstream is not None
    return measured(lambda: put_entries(store, upstream.names_sha256, extension))


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Do the work and return what it took: seconds, and bytes of memory at this process's peak so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "process_cpu": time.process_time(),
        "peak": _peak_bytes(),
    }


def _middle(taken: list[dict[str, float]]) -> dict[str, Any]:
    """Return the middle of what was measured several times, and each time."""
    cpus = [each["cpu"] for each in taken]
    middle = {"wall": median(each["wall"] for each in taken), "cpu": median(cpus), "cpu_samples": cpus}
    return {**taken[-1], **middle}


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1_024


def _open(folder: Path) -> ObjectStore:
    return open_store(f"file://{folder}", "")


def _private(number: int) -> ProjectName:
    return ProjectName(f"private-{number}")


def _added(name: ProjectName, version: str) -> Any:
    from indexer.log.events import FileAdded

    return FileAdded(
        project=name,
        filename=Filename(f"{name.replace('-', '_')}-{version}-py3-none-any.whl"),
        version=version,
        size=12_345,
        sha256="0" * 64,
        upload_time=STAMP,
        requires_python=">=3.11",
        metadata_sha256="1" * 64,
    )


def _project(name: ProjectName, seq: int) -> Any:
    from indexer.log.events import Event
    from indexer.log.project import empty_project, fold

    change = _added(name, "1.0")
    event = Event(seq=seq, id=f"{seq:x}", prev="", at=STAMP, by="benchmark", client="", change=change, digest="")
    return fold(empty_project(name), [event])


# The steps that prepare say nothing: what they took is nobody's question.
STEPS: Mapping[str, Callable[..., Mapping[str, Any]]] = {
    step.__name__: step
    for step in (
        serve_html,
        serve_json,
        fill_snapshot,
        fill_log,
        reindex,
        rebuild_from_zero,
        rebuild_after_uploads,
        load,
        root_json,
        root_html,
    )
}


def main() -> None:
    """Take a step and print what it took."""
    step, folder, *sizes = sys.argv[1:]
    os.environ["BUCKET"] = f"file://{folder}"
    os.environ["LOGGING_LEVEL"] = "ERROR"
    taken = STEPS[step](Path(folder), *map(int, sizes))
    if taken:
        print(json.dumps(taken))


if __name__ == "__main__":
    main()
