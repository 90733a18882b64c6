"""What a warm function costs: a request's time and CPU, and its round trips to the store in sequence.

    python -m benchmarks.warm [--quick]

Events of a Function URL with what pip, uv and twine really send go through the front door's code and the app, in one
process: over a store whose answers take no time, where what is left is the function's own cost; over a folder, which
sends files instead of redirecting to them; and over SeaweedFS. What the Lambda runtime client adds, decoding the event
and encoding the answer, is told apart. At an upload's end the function also invokes itself; that is not here.
"""

import argparse
import gc
import json
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from benchmarks.captured import PASSWORD, PIP_FILE, PIP_PAGE, USERNAME, UV_FILE, UV_PAGE, get_event, upload_event
from benchmarks.memory_store import MemoryStore
from benchmarks.pages import ProjectPage, make_page
from benchmarks.report import Table, draw_bars, progress, write_results
from benchmarks.stats import summarize
from indexer.derive.rebuild import rebuild
from indexer.keys import cache_key, user_key
from indexer.names import Filename, ProjectName
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from indexer.upkeep.reindex import reindex
from pypi_lambda.access.auth import hash_password
from pypi_lambda.access.records import UserRecord, encode_user
from pypi_lambda.app.app import make_app
from pypi_lambda.app.service import Service, make_service, make_upstream, renderer_of
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.front_doors.answers import write_response
from pypi_lambda.front_doors.requests import read_request
from pypi_lambda.front_doors.table import find_front_door
from pypi_lambda.settings import Settings
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream
from tests.support.servers import BUCKET, running_seaweedfs

LARGE, SMALL = "large-project", "small-project"
FILES = {LARGE: 4_000, SMALL: 48}
PRIVATE = "private-demo"
STALENESS_SECONDS = 3_600.0  # no view grows stale while it is measured
WARM_UP = 20  # calls of each kind, after which nothing is loaded or compiled for the first time any more
ROUNDS, QUICK_ROUNDS = 200, 60
UPLOADS, QUICK_UPLOADS = 60, 10
_FRESH = {"Content-Type": "application/vnd.pypi.simple.v1+json", "Cache-Control": "max-age=86400"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request.

    Attributes:
        status: what answers it; in the second place what a store that signs no URLs makes of it.
        cpu_limit: milliseconds that it may cost without the store; None where nothing was promised.
    """

    title: str
    event: Mapping[str, Any]
    status: tuple[int, ...]
    cpu_limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What a request took, in milliseconds, each time; and the last time, what was asked of the store."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    runtime_cpu: list[float] = field(default_factory=list)
    answer_bytes: list[int] = field(default_factory=list)
    round_trips: list[int] = field(default_factory=list)
    asked: list[list[tuple[str, str]]] = field(default_factory=list)


class _NoRebuilds:
    """In the place of the function that invokes itself."""

    def request(self, seq: int) -> None:
        """Do nothing."""

    def request_repair(self) -> None:
        """Do nothing."""


class Function:
    """The part of `pypi_lambda.handler` that answers requests, over any store."""

    def __init__(self, store: ObjectStore, upstream_url: str, *, max_staleness_seconds: float) -> None:
        self.store = store
        self.settings = Settings(
            bucket="file:///nowhere", upstream_index_url=upstream_url, max_staleness_seconds=max_staleness_seconds
        )
        self.service: Service = make_service(self.settings, store=store, rebuilds=_NoRebuilds())
        self._app = make_app(self.service)

    def __call__(self, event: Any) -> Mapping[str, Any]:
        """Answer an event."""
        door = find_front_door(event)
        assert door is not None
        return cast(Mapping[str, Any], write_response(door, self._app(read_request(door, event, base_path=""))))

    def bring_up_to_date(self) -> None:
        """Do what the rebuild after an upload does."""
        rebuild(self.store, renderer_of(self.settings))
        self.service.index.reload()


@contextmanager
def prepared(store: ObjectStore, files: Mapping[str, int] = FILES) -> Iterator[tuple[str, Mapping[str, ProjectPage]]]:
    """Fill a store with a user, a private project and mirrored ones; give the upstream's URL and its pages.

    Args:
        files: how many each of the mirrored projects has.
    """
    record = UserRecord(hash=hash_password(PASSWORD), upload=True)
    store.put(user_key(USERNAME), encode_user(record))
    with FakeUpstream() as upstream:
        pages = {name: make_page(name, count, origin=upstream.origin) for name, count in files.items()}
        for name, page in pages.items():
            upstream.override(f"/simple/{name}/", headers=_FRESH, body=page.json)
            store.put(cache_key(ProjectName(name), Filename(page.filenames[0])), b"a file")
        upstream.names = [*pages, *(f"project-{number}" for number in range(10_000))]
        function = Function(store, upstream.url, max_staleness_seconds=0.0)
        client = make_upstream(function.settings)
        reindex(store, client, renderer_of(function.settings), now=utc_now, new_id=new_id, by="benchmark")
        client.close()
        function.service.index.reload()
        for number in range(10):
            answer = function(upload_event(make_wheel(PRIVATE, f"1.{number}")))
            assert answer["statusCode"] == 200, answer
        function.bring_up_to_date()
        yield upstream.url, pages


def make_cases(function: Function, pages: Mapping[str, ProjectPage]) -> list[Case]:
    """Return the requests to measure."""
    etags = {name: _etag_of(function(get_event(f"/simple/{name}/", PIP_PAGE))) for name in pages}
    wheel = make_wheel(PRIVATE, "1.0").filename
    large, small = f"/simple/{LARGE}/", f"/simple/{SMALL}/"
    cases = [
        ("page of 4,000 files, pip", get_event(large, PIP_PAGE), (200,), 1.0),
        ("page of 4,000 files, uv", get_event(large, UV_PAGE), (200,), 1.0),
        ("page of 48 files, pip", get_event(small, PIP_PAGE), (200,), 0.3),
        ("page of 48 files, uv", get_event(small, UV_PAGE), (200,), 0.3),
        ("private page of 10 files, pip", get_event(f"/simple/{PRIVATE}/", PIP_PAGE), (200,), 0.3),
        ("304 for 4,000 files, pip", get_event(large, PIP_PAGE, etag=etags[LARGE]), (304,), 0.2),
        ("304 for 48 files, uv", get_event(small, UV_PAGE, etag=etags[SMALL]), (304,), 0.2),
        ("private file, pip", get_event(f"/simple/{PRIVATE}/{wheel}", PIP_FILE), (302, 200), 0.3),
        ("mirrored file, uv", get_event(f"{small}{pages[SMALL].filenames[0]}", UV_FILE), (302, 200), 0.3),
        ("private .metadata, uv", get_event(f"/simple/{PRIVATE}/{wheel}.metadata", UV_FILE), (200,), None),
        ("404, no such project", get_event("/simple/no-such-project-anywhere/", PIP_PAGE), (404,), None),
        ("404, no such file", get_event(f"/simple/{PRIVATE}/{PRIVATE}-9.tar.gz", UV_FILE), (404,), None),
    ]
    return [Case(title=title, event=event, status=status, cpu_limit=limit) for title, event, status, limit in cases]


def _etag_of(answer: Mapping[str, Any]) -> str:
    etag: str = {name.lower(): value for name, value in answer["headers"].items()}["etag"]
    return etag


def measure(function: Function, cases: list[Case], rounds: int, label: str) -> dict[str, Samples]:
    """Answer each request so many times, all in turn, and return what they took."""
    found = {case.title: Samples() for case in cases}
    for case in cases:
        for _ in range(WARM_UP):
            assert function(case.event)["statusCode"] in case.status, case.title
    for _ in progress(range(rounds), label):
        for case in cases:
            function(case.event)  # else a small page would pay for the large one before it, which emptied the caches
            _measure_one(function, case.event, found[case.title])
    return found


def measure_uploads(function: Function, count: int, label: str) -> Samples:
    """Upload wheels of a few hundred bytes, each followed by a rebuild, and return what the uploads took."""
    samples = Samples()
    wheels = [make_wheel("uploaded", f"1.{number}") for number in range(count + 3)]
    for number in progress(range(len(wheels)), label):
        answer = _measure_one(function, upload_event(wheels[number]), samples if number >= 3 else Samples())
        assert answer["statusCode"] == 200, answer
        function.bring_up_to_date()
    return samples


def _measure_one(function: Function, event: Mapping[str, Any], samples: Samples) -> Mapping[str, Any]:
    store = function.store
    round_trips = 0
    if isinstance(store, MemoryStore):
        store.asked.clear()
        round_trips = store.round_trips
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    answer = function(event)
    cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    samples.wall.append(round(wall / 1e6, 4))
    samples.cpu.append(round(cpu / 1e6, 4))
    if isinstance(store, MemoryStore):
        samples.round_trips.append(store.round_trips - round_trips)
        samples.asked[:] = [list(store.asked)]
        _measure_runtime(event, answer, samples)
    return answer


def _measure_runtime(event: Mapping[str, Any], answer: Mapping[str, Any], samples: Samples) -> None:
    """Do what the runtime client does before and after the handler."""
    marshaller = import_module("awslambdaric.lambda_runtime_marshaller").LambdaMarshaller()
    body = json.dumps(event).encode()
    cpu = time.process_time_ns()
    marshaller.unmarshal_request(body, "application/json")
    encoded, _ = marshaller.marshal_response(answer)
    samples.runtime_cpu.append(round((time.process_time_ns() - cpu) / 1e6, 4))
    samples.answer_bytes[:] = [len(encoded)]


@contextmanager
def bucket_of_seaweedfs(folder: Path) -> Iterator[ObjectStore]:
    """Run SeaweedFS over a new folder and give its bucket."""
    folder.mkdir()
    with running_seaweedfs(folder) as server:
        yield S3Store(BUCKET, "", environ=server.environ)


def run(store: ObjectStore, label: str, *, rounds: int, uploads: int) -> tuple[list[Case], dict[str, Any]]:
    """Measure over one store; return the requests, and what they took when the index is strict and when it is not."""
    with prepared(store) as (url, pages):
        results: dict[str, Any] = {}
        for staleness in (0.0, STALENESS_SECONDS):
            function = Function(store, url, max_staleness_seconds=staleness)
            cases = make_cases(function, pages)
            gc.collect()
            name = "strict" if staleness == 0 else "stale"
            results[name] = measure(function, cases, rounds, f"{label}, {name}")
            if staleness == 0:
                results[name]["upload of a small wheel"] = measure_uploads(function, uploads, f"{label}, uploads")
    return [*cases, Case(title="upload of a small wheel", event={}, status=(200,))], results


def _own_cost(cases: list[Case], strict: Mapping[str, Samples], stale: Mapping[str, Samples]) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for case in cases:
        samples, lax = strict[case.title], stale.get(case.title)
        cpu, limit = summarize(samples.cpu), case.cpu_limit
        verdict = "" if limit is None else "yes" if cpu.median <= limit else "no"
        rows.append(
            (
                case.title,
                summarize(samples.wall).median,
                cpu.median,
                cpu.p90,
                limit,
                verdict,
                summarize(samples.runtime_cpu).median,
                max(samples.answer_bytes),
                max(samples.round_trips),
                None if lax is None else max(lax.round_trips),
            )
        )
    columns = ("request", "wall ms", "CPU ms", "p90", "at most", "reached", "runtime's JSON, CPU ms", "answer bytes")
    return Table(columns=(*columns, "round trips, strict", "round trips, stale"), rows=tuple(rows))


def _by_store(cases: list[Case], results: Mapping[str, Mapping[str, Any]]) -> Table:
    rows: list[tuple[str | float | None, ...]] = []
    for case in cases:
        medians: list[float] = []
        for found in results.values():
            samples = found["strict"][case.title]
            medians += [summarize(samples.wall).median, summarize(samples.cpu).median]
        rows.append((case.title, *medians))
    columns = [f"{name}, {what} ms" for name in results for what in ("wall", "CPU")]
    return Table(columns=("request", *columns), rows=tuple(rows))


def _asked(cases: list[Case], strict: Mapping[str, Samples], stale: Mapping[str, Samples]) -> Iterator[str]:
    for case in cases:
        for name, found in (("strict", strict), ("stale", stale)):
            if case.title in found:
                calls = ", ".join(f"{method} {key}" for method, key in found[case.title].asked[0])
                yield f"{case.title}, {name}: {calls or 'nothing'}"


def main() -> None:
    """Measure, print the tables, and leave the results behind."""
    parser = argparse.ArgumentParser(description="Measure a warm function.")
    parser.add_argument("--quick", action="store_true", help="few rounds; not to be cited")
    parser.add_argument("--memory-only", action="store_true", help="without folder and SeaweedFS")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    rounds, uploads = (QUICK_ROUNDS, QUICK_UPLOADS) if arguments.quick else (ROUNDS, UPLOADS)
    results: dict[str, dict[str, Any]] = {}
    cases: list[Case] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stores: dict[str, AbstractContextManager[ObjectStore]] = {"memory": nullcontext(MemoryStore())}
        if not arguments.memory_only:
            stores["folder"] = nullcontext(FolderStore(folder / "data"))
            stores["SeaweedFS"] = bucket_of_seaweedfs(folder / "seaweedfs")
        for name, opened in stores.items():
            with opened as store:
                cases, results[name] = run(store, name, rounds=rounds, uploads=uploads)
    memory = results["memory"]
    own = _own_cost(cases, memory["strict"], memory["stale"])
    print(own.plain(), *_asked(cases, memory["strict"], memory["stale"]), "", sep="\n")
    print(_by_store(cases, results).plain())
    path = write_results("warm", {"rounds": rounds, "samples": results}, quick=arguments.quick)
    print(f"\n{path}")
    if not arguments.quick:
        _draw(cases, memory["strict"])


def _draw(cases: list[Case], strict: Mapping[str, Samples]) -> None:
    promised = [case for case in cases if case.cpu_limit is not None]
    series: dict[str, list[float | None]] = {
        "at most": [case.cpu_limit for case in promised],
        "found": [summarize(strict[case.title].cpu).median for case in promised],
    }
    groups = [case.title for case in promised]
    draw_bars("warm", "CPU per warm request, without the store", groups=groups, series=series, unit="milliseconds")


if __name__ == "__main__":
    main()
