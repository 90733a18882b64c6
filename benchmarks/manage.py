"""What the commands that manage an index cost at 20,000 private projects with 200,000 files: time, memory, store calls.

    python -m benchmarks.manage [--quick]

The log is written, one rebuild makes the rest, and each command then runs in a process of its own, over a folder in
memory where the machine has such a place. Listings are counted as S3 answers them, 1,000 objects at a time. In full it
takes some ten minutes, and 3 GB there. Linux only: proc(5).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from benchmarks.index_steps import measured
from benchmarks.report import Table, progress, write_results
from indexer.derive.rebuild import rebuild
from indexer.keys import file_key, log_key
from indexer.log.events import FileAdded, encode_event
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer
from indexer.store.base import MAX_OBJECT_BYTES, ObjectStore, Stat, Stored, find_side_by_side
from indexer.store.folder import FolderStore
from pypi_lambda.app.service import make_service
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.command.context import Context
from pypi_lambda.manage.registry import parse_command
from pypi_lambda.settings import Settings
from tests.support.builders import MEMORY

PROJECTS, FILES = 20_000, 200_000
QUICK = (200, 2_000)
LISTED_AT_ONCE = 1_000
AT = "2026-11-01T00:00:00.000000Z"
CONTENT, METADATA = b"a file\n" * 100, b"Metadata-Version: 2.4\n"
YANKED = {"project": "acme-000007", "version": "1.3", "reason": "benchmark"}
COMMANDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "rebuild from zero": ("rebuild", {"upTo": "from zero"}),
    "verify": ("verify", {}),
    "verify --deep": ("verify", {"deep": True, "seconds": 100_000}),
    "stats": ("stats", {}),
    "gc --dry-run": ("gc", {"dryRun": True}),
    "gc": ("gc", {}),
    "yank": ("yank", YANKED),
    "unyank": ("unyank", {"project": YANKED["project"], "version": YANKED["version"]}),
}


class Counted:
    """A store that counts what is asked of it, by method."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name in ("gather", "signed_url"):  # what is gathered is counted by itself
            return method

        def counted(*arguments: Any, **options: Any) -> Any:
            self.calls[name] += 1
            return method(*arguments, **options)

        return counted

    def find_all(self, keys: Iterable[str], *, limit: int = MAX_OBJECT_BYTES) -> Iterator[tuple[str, Stored | None]]:
        """Yield what the inner store finds; each object counts by itself."""
        return find_side_by_side(cast(ObjectStore, self), keys, limit=limit)

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield what the inner store lists."""
        for number, stat in enumerate(self._inner.list(prefix, after=after)):
            self.calls["list"] += number % LISTED_AT_ONCE == 0
            yield stat


def fill(folder: Path, projects: int, files: int) -> None:
    """Write the log of so many projects and files, and the files, past the store, which waits for the disk."""
    (folder / "log").mkdir(parents=True)
    digest, metadata_digest, prev = sha256(CONTENT).hexdigest(), sha256(METADATA).hexdigest(), ""
    for number in progress(range(files), "writing the log"):
        name = ProjectName(f"acme-{number % projects:06}")
        version = f"1.{number // projects}"
        filename = Filename(f"{name.replace('-', '_')}-{version}-py3-none-any.whl")
        change = FileAdded(
            project=name,
            filename=filename,
            version=version,
            size=len(CONTENT),
            sha256=digest,
            upload_time=AT,
            requires_python=">=3.11",
            metadata_sha256=metadata_digest,
        )
        body = encode_event(seq=number + 1, id=f"{number:032x}", prev=prev, at=AT, by="benchmark", change=change)
        prev = sha256(body).hexdigest()
        (folder / log_key(number + 1)).write_bytes(body)
        path = folder / file_key(name, filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)
        path.with_name(f"{filename}.metadata").write_bytes(METADATA)
    rebuild(FolderStore(folder), Renderer())


def take(title: str, folder: Path) -> Mapping[str, Any]:
    """Carry out a command and return what it took: its start and its service's, the rebuild it asked for included."""
    command, argument = COMMANDS[title]
    counted = Counted(FolderStore(folder))
    settings = Settings(bucket=f"file://{folder}", upstream_index_url="http://127.0.0.1:9/simple/")
    results: list[Mapping[str, Any]] = []

    def work() -> None:
        service = make_service(settings, store=cast(ObjectStore, counted))
        context = Context(
            service=service,
            settings=settings,
            now=utc_now,
            new_id=new_id,
            sleep=time.sleep,
            by="benchmark",
            on_rebuilt=lambda seq: None,
        )
        results.append(parse_command(command, argument["upTo"] if command == "rebuild" else argument).run(context))
        service.rebuilder.wait()

    taken = measured(work)
    shown = {name: results[0][name] for name in ("damage", "counts", "objects", "bytes") if name in results[0]}
    return {**taken, "calls": dict(counted.calls), "result": shown}


def main() -> None:
    """Run it all, or one command in a process that another one started."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the size")
    parser.add_argument("--take", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--fill", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.take:
        print(json.dumps(take(options.take[0], Path(options.take[1]))))
    elif options.fill:
        fill(Path(options.fill[0]), int(options.fill[1]), int(options.fill[2]))
    else:
        _run(*(QUICK if options.quick else (PROJECTS, FILES)), quick=options.quick)


def _run(projects: int, files: int, *, quick: bool) -> None:
    taken: dict[str, Mapping[str, Any]] = {}
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        _process("--fill", folder, str(projects), str(files))
        for title in progress(list(COMMANDS), "commands"):
            taken[title] = json.loads(_process("--take", title, folder))
    table = Table(
        columns=("command", "seconds", "CPU seconds", "peak MB", "reads", "listings", "writes"),
        rows=tuple(_row(title, each) for title, each in taken.items()),
    )
    print(f"{projects:,} projects, {files:,} files\n\n{table.plain()}")
    write_results("manage", {"projects": projects, "files": files, "commands": taken}, quick=quick)


def _row(title: str, taken: Mapping[str, Any]) -> tuple[str | float | None, ...]:
    calls = Counter(taken["calls"])
    reads = sum(calls[name] for name in ("find", "get", "stat", "read"))
    writes = sum(calls[name] for name in ("put", "put_new", "replace", "write", "delete"))
    return (title, taken["wall"], taken["cpu"], taken["peak"] / 1e6, reads, calls["list"], writes)


def _process(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks.manage", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
