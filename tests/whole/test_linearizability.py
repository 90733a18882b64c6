"""Several server processes over one store answer as one: what was acknowledged to anybody is in every later answer.

Clients upload and read at once, over HTTP, through all processes; what they saw and when, on one clock, is the history
that is checked. That the check can fail is shown with servers that are permitted to be stale.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Semaphore
from time import monotonic_ns
from typing import Any

import pytest
import requests
from pypi_simple import ProjectPage

from indexer.derive.rebuild import load_snapshot
from indexer.log.events import FileAdded
from indexer.log.log import ORIGIN, Log
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore
from tests.integration.commands import Place, run_command
from tests.integration.running import User, eventually, serving
from tests.support.builders import PASSWORD, USERNAME, basic, contents, put_user, upload_form
from tests.support.distributions import Distribution, make_wheel
from tests.support.fake_upstream import FakeUpstream
from tests.support.servers import BUCKET, S3Server

UPLOADER = User(name=USERNAME, password=PASSWORD)
JSON = "application/vnd.pypi.simple.v1+json"
SWITCHED = tuple(f"switched-{number}" for number in range(6))  # names of the upstream that become private
TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An acknowledged upload; times in nanoseconds of one clock, from before the request to after the answer."""

    project: str
    filename: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """An answer: which files it showed; for a page all of them, for a file that one or none.

    Attributes:
        whole: whether it is about all files of the project: a page.
        asked: the file that was asked for, when it is not.
    """

    project: str
    start: int
    end: int
    files: frozenset[str]
    whole: bool = True
    asked: str = ""


def find_violations(
    uploads: Sequence[Upload], reads: Sequence[Read], upstream: Mapping[str, frozenset[str]]
) -> list[str]:
    """Return what cannot be if all happened one after the other, each between its start and its end.

    Args:
        upstream: files of projects that the upstream has; a page shows just these, until the first private file.
    """
    found = []
    for project in sorted({read.project for read in reads}):
        mine = [upload for upload in uploads if upload.project == project]
        theirs = upstream.get(project, frozenset())
        sightings = [(upload.end, frozenset({upload.filename})) for upload in mine]
        sightings += [(read.end, read.files) for read in reads if read.project == project and read.files != theirs]
        for read in (read for read in reads if read.project == project):
            known = frozenset().union(*(files for end, files in sightings if end < read.start))
            wanted = known if read.whole else known & {read.asked}
            if missing := wanted - read.files:
                found.append(f"{project}: {sorted(missing)} was there before and is not in {read}")
            begun = frozenset(upload.filename for upload in mine if upload.start < read.end)
            if read.files != theirs and (extra := read.files - begun):
                found.append(f"{project}: {sorted(extra)} was not there yet, or is the upstream's, in {read}")
    return found


class TestCheck:
    """What the check of histories finds, and what not."""

    UPLOAD = Upload(project="p", filename="f", start=10, end=20)

    @pytest.mark.parametrize(
        ("start", "end", "files", "wrong"),
        [
            pytest.param(0, 5, "", False, id="before"),
            pytest.param(0, 15, "f", False, id="committed before it was acknowledged"),
            pytest.param(15, 30, "", False, id="read before it was committed"),
            pytest.param(21, 30, "f", False, id="after"),
            pytest.param(21, 30, "", True, id="missing"),
            pytest.param(21, 30, "u", True, id="still the upstream's"),
            pytest.param(21, 30, "fu", True, id="mixed with the upstream's"),
            pytest.param(0, 5, "u", False, id="the upstream's"),
            pytest.param(0, 5, "f", True, id="before anybody sent it"),
            pytest.param(0, 30, "g", True, id="never sent"),
        ],
    )
    def test_one_page(self, start: int, end: int, files: str, wrong: bool) -> None:
        """A page must have what was acknowledged before it was asked for, and cannot have what was not yet sent."""
        read = Read(project="p", start=start, end=end, files=frozenset(files))
        assert bool(find_violations([self.UPLOAD], [read], {"p": frozenset("u")})) is wrong

    @pytest.mark.parametrize(("start", "wrong"), [(13, False), (15, True)])
    def test_what_one_saw_all_see(self, start: int, wrong: bool) -> None:
        """What was on one page is on every page that is asked for later, even before the upload is acknowledged."""
        first = Read(project="p", start=11, end=14, files=frozenset("f"))
        second = Read(project="p", start=start, end=16, files=frozenset())
        assert bool(find_violations([self.UPLOAD], [second, first], {})) is wrong

    @pytest.mark.parametrize(("asked", "found", "wrong"), [("f", True, False), ("f", False, True), ("g", False, False)])
    def test_one_file(self, asked: str, found: bool, wrong: bool) -> None:
        """A file that was acknowledged can be had."""
        read = Read(project="p", start=21, end=22, files=frozenset(asked if found else ""), whole=False, asked=asked)
        assert bool(find_violations([self.UPLOAD], [read], {})) is wrong


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Servers over one store.

    Attributes:
        uploads: how many are made at once, in all.
    """

    urls: Sequence[str]
    uploads: int
    place: Place
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def store(self) -> ObjectStore:
        return self.place.open()

    def unique(self, word: str) -> str:
        """Return a project name that no other test uses."""
        return f"{word}-{next(self.numbers)}"


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as fake:
        for name in SWITCHED:
            for version in ("0.1", "0.2"):
                fake.add(make_wheel(name, version))
        yield fake


def start(
    stack: ExitStack,
    place: Place,
    upstream: FakeUpstream,
    logs: Path,
    *,
    servers: int,
    workers: int,
    max_staleness_seconds: int = 0,
) -> Cluster:
    """Run servers until the stack is closed."""
    put_user(place.open())
    running = [
        stack.enter_context(
            serving(
                place,
                logs,
                upstream=upstream.url,
                user=UPLOADER,
                options=[f"--workers={workers}"],
                MAX_STALENESS_SECONDS=str(max_staleness_seconds),
            )
        )
        for _ in range(servers)
    ]
    store = place.open()
    eventually(lambda: load_snapshot(store, Renderer()).snapshot.upstream is not None)
    for server in running:
        assert len(server.find_workers()) == workers
    uploads = 100 if place.environ["BUCKET"].startswith("file:") else 60  # which take longer there
    return Cluster(urls=[server.url for server in running], uploads=uploads, place=place)


@pytest.fixture(scope="module", params=["folder", "seaweedfs"])
def cluster(
    request: pytest.FixtureRequest, upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Eight processes."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "folder":
        place = Place(environ={"BUCKET": f"file://{folder / 'data'}"})
    else:
        server: S3Server = request.getfixturevalue("seaweedfs")
        place = Place(environ={**server.environ, "BUCKET": BUCKET, "REPO_BASE_PREFIX": uuid.uuid4().hex})
    with ExitStack() as stack:
        yield start(stack, place, upstream, folder, servers=2, workers=4)


def ask(url: str, path: str, *, method: str = "GET", user: User = UPLOADER, **details: Any) -> requests.Response:
    """Send one request over a connection of its own: so any of a server's processes may answer it."""
    with requests.Session() as session:
        session.trust_env = False
        headers = {
            "Authorization": basic(user.name, user.password),
            "Connection": "close",
            **details.pop("headers", {}),
        }
        return session.request(method, url + path, headers=headers, timeout=TIMEOUT_SECONDS, **details)


class Load:
    """Clients at work on a cluster, and what they saw.

    Args:
        projects: whose pages are read.
    """

    def __init__(self, cluster: Cluster, projects: Sequence[str]) -> None:
        self.uploads: list[Upload] = []
        self.reads: list[Read] = []
        self._cluster = cluster
        self._projects = projects
        self._over = Event()
        self._kept: dict[tuple[str, str], frozenset[str]] = {}

    def run(self, distributions: Sequence[Distribution], *, uploaders: int, readers: int) -> None:
        """Upload everything, while others read, and after that once more."""
        waiting: SimpleQueue[Distribution] = SimpleQueue()
        for distribution in distributions:
            waiting.put(distribution)
        with ThreadPoolExecutor(uploaders + readers) as pool:
            reading = [pool.submit(self._read_on, number) for number in range(readers)]
            uploading = [pool.submit(self._upload_from, waiting, number) for number in range(uploaders)]
            try:
                for task in uploading:
                    task.result()
            finally:
                self._over.set()
            for task in reading:
                task.result()

    @property
    def overlapping(self) -> int:
        """How many pages were read while files were being uploaded."""
        first, last = min(upload.end for upload in self.uploads), max(upload.start for upload in self.uploads)
        return sum(first < read.end and read.start < last for read in self.reads if read.whole)

    def _upload_from(self, waiting: "SimpleQueue[Distribution]", number: int) -> None:
        urls = cycle([*self._cluster.urls[number % 2 :], *self._cluster.urls[: number % 2]])
        while True:
            try:
                distribution = waiting.get_nowait()
            except Empty:
                return
            self.upload(next(urls), distribution)
            # And at once through another process: this is where a stale one would be caught.
            self.read_page(next(urls), distribution.project)
            self.read_file(next(urls), distribution)

    def _read_on(self, number: int) -> None:
        urls = cycle(self._cluster.urls)
        steps: Sequence[Callable[[str, str], None]] = (self.read_page, self.read_html, self.read_again)
        for turn in count(number):
            last = self._over.is_set()
            for project in self._projects:
                steps[turn % 3](next(urls), project)
            if last:
                return

    def upload(self, url: str, distribution: Distribution) -> None:
        body, content_type = upload_form(distribution)
        start = monotonic_ns()
        response = ask(url, "/", method="POST", data=body, headers={"Content-Type": content_type})
        end = monotonic_ns()
        assert response.status_code == 200, response.text
        self.uploads.append(Upload(project=distribution.project, filename=distribution.filename, start=start, end=end))

    def read_file(self, url: str, distribution: Distribution) -> None:
        """Ask for a file, and follow where that leads."""
        start = monotonic_ns()
        response = ask(url, f"/simple/{distribution.project}/{distribution.filename}")
        end = monotonic_ns()
        assert response.status_code in (200, 404), response.text
        assert response.status_code == 404 or response.content == distribution.content
        found = frozenset({distribution.filename} if response.status_code == 200 else ())
        self.reads.append(
            Read(
                project=distribution.project,
                start=start,
                end=end,
                files=found,
                whole=False,
                asked=distribution.filename,
            )
        )

    def read_page(self, url: str, project: str) -> None:
        self._read(url, project, {"Accept": JSON})

    def read_again(self, url: str, project: str) -> None:
        """Ask as a client does that has a page already: for a newer one."""
        tags = [tag for name, tag in list(self._kept) if name == project]
        self._read(url, project, {"Accept": JSON, **({"If-None-Match": tags[-1]} if tags else {})})

    def read_html(self, url: str, project: str) -> None:
        self._read(url, project, {"Accept": "text/html"})

    def _read(self, url: str, project: str, headers: Mapping[str, str]) -> None:
        start = monotonic_ns()
        response = ask(url, f"/simple/{project}/", headers=dict(headers))
        end = monotonic_ns()
        self.reads.append(Read(project=project, start=start, end=end, files=self._files(project, response)))

    def _files(self, project: str, response: requests.Response) -> frozenset[str]:
        if response.status_code == 404:
            return frozenset()
        tag = response.headers["ETag"]
        if response.status_code == 304:
            return self._kept[project, tag]
        assert response.status_code == 200, response.text
        if response.headers["Content-Type"] != JSON:
            page = ProjectPage.from_html(project, response.content, from_encoding="utf-8")
            return frozenset(package.filename for package in page.packages)
        files = frozenset(file["filename"] for file in response.json()["files"])
        self._kept[project, tag] = files
        return files


def upstream_files() -> Mapping[str, frozenset[str]]:
    return {name: frozenset(make_wheel(name, version).filename for version in ("0.1", "0.2")) for name in SWITCHED}


def wheels(project: str, number: int) -> list[Distribution]:
    return [make_wheel(project, f"{each}.0") for each in range(1, number + 1)]


def check_published(cluster: Cluster, distributions: Sequence[Distribution]) -> None:
    """Check that the log is whole and has each of the files once, and that every server lists them all."""
    events = list(Log(cluster.store).read_after(ORIGIN))
    assert [event.seq for event in events] == list(range(1, len(contents(cluster.store, "log/")) + 1))
    published = [
        (event.change.project, event.change.filename) for event in events if isinstance(event.change, FileAdded)
    ]
    for distribution in distributions:
        assert published.count((distribution.project, distribution.filename)) == 1  # type: ignore[arg-type]
    projects = {distribution.project for distribution in distributions}
    for url in cluster.urls:
        load = Load(cluster, sorted(projects))
        for project in sorted(projects):
            load.read_page(url, project)
            load.read_html(url, project)
        for read in load.reads:
            assert read.files == {each.filename for each in distributions if each.project == read.project}
        listing = ask(url, "/simple/", headers={"Accept": JSON}).json()
        assert projects <= {project["name"] for project in listing["projects"]}


def test_uploads_to_one_project(cluster: Cluster) -> None:
    """Of many uploads to one project at once none is lost, and no answer is older than its request."""
    project = cluster.unique("crowded")
    distributions = wheels(project, cluster.uploads)
    load = Load(cluster, [project])
    load.run(distributions, uploaders=8, readers=3)
    assert find_violations(load.uploads, load.reads, {}) == []
    assert (len(load.uploads), load.overlapping > 50) == (cluster.uploads, True)
    check_published(cluster, distributions)


def test_uploads_to_many_projects(cluster: Cluster) -> None:
    """Of many uploads to twenty projects at once none is lost, and no answer is older than its request."""
    projects = [cluster.unique("scattered") for _ in range(20)]
    versions = [f"{number}.0" for number in range(cluster.uploads // 20)]
    distributions = [make_wheel(project, version) for version in versions for project in projects]
    load = Load(cluster, projects)
    load.run(distributions, uploaders=8, readers=3)
    assert find_violations(load.uploads, load.reads, {}) == []
    assert (len(load.uploads), load.overlapping > 50) == (cluster.uploads, True)
    check_published(cluster, distributions)


def test_private_name_hides_the_upstream_s(cluster: Cluster) -> None:
    """A page is all the upstream's or all ours, and ours from the instant the first upload is acknowledged."""
    distributions = [wheel for name in SWITCHED for wheel in wheels(name, 3)]
    load = Load(cluster, SWITCHED)
    for name in SWITCHED:
        load.read_page(cluster.urls[0], name)
    assert {read.project: read.files for read in load.reads} == upstream_files()
    load.run(distributions, uploaders=4, readers=4)
    assert find_violations(load.uploads, load.reads, upstream_files()) == []
    assert (len(load.uploads), load.overlapping > 20) == (18, True)
    check_published(cluster, distributions)
    for url in cluster.urls:
        for name in SWITCHED:
            theirs = make_wheel(name, "0.1").filename
            assert ask(url, f"/simple/{name}/{theirs}").status_code == 404


def test_removed_user_is_refused(cluster: Cluster) -> None:
    """Once `user remove` has returned, no process lets the user in; until it was called, all did."""
    leaver = User(name=cluster.unique("leaver"), password="for a while")
    run_command(cluster.place, "user", "add", leaver.name, input=f"{leaver.password}\n").succeeded()
    seen: list[tuple[int, int, int]] = []
    answered = Semaphore(0)
    over = Event()

    def knock(url: str) -> None:
        while not over.is_set():
            start = monotonic_ns()
            status = ask(url, "/simple/", user=leaver).status_code
            seen.append((start, monotonic_ns(), status))
            answered.release()

    def await_answers() -> None:
        while answered.acquire(blocking=False):
            continue
        for _ in range(12):  # more than are under way
            assert answered.acquire(timeout=TIMEOUT_SECONDS)

    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(knock, url) for url in [*cluster.urls, *cluster.urls]]
        try:
            await_answers()
            called = monotonic_ns()
            run_command(cluster.place, "user", "remove", leaver.name).succeeded()
            returned = monotonic_ns()
            await_answers()
        finally:
            over.set()
        for task in tasks:
            task.result()
    assert {status for _, end, status in seen if end < called} == {200}
    assert {status for start, _, status in seen if start > returned} == {401}


def test_check_finds_stale_servers(upstream: FakeUpstream, tmp_path: Path) -> None:
    """Servers that may be five seconds behind are caught by the very same check, so it can fail."""
    place = Place(environ={"BUCKET": f"file://{tmp_path / 'data'}"})
    with ExitStack() as stack:
        stale = start(stack, place, upstream, tmp_path, servers=2, workers=1, max_staleness_seconds=5)
        load = Load(stale, SWITCHED)
        load.run([wheel for name in SWITCHED for wheel in wheels(name, 3)], uploaders=4, readers=2)
    violations = find_violations(load.uploads, load.reads, upstream_files())
    assert any("was there before and is not in" in violation for violation in violations)
