"""The other indexes: what each is called in the registry, how it is set up and started, and where its pages are.

Each lives in an environment of its own and is configured as its documentation says, on loopback, one process where it
lets one choose, with what it offers to be faster (pypiserver's cache, proxpi under the gunicorn of its image). Knows
nothing of how they are measured.
"""

import base64
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.load import BadAnswer
from benchmarks.pages import ProjectPage
from benchmarks.processes import HOST, NotStarted, free_port, listens, running
from benchmarks.report import ROOT

if TYPE_CHECKING:
    from indexer.log.events import FileAdded

INSTALL_SECONDS = 600
SET_UP_SECONDS = 120
REQUEST_SECONDS = 30.0
UPLOADS_AT_ONCE = 4
USER, PASSWORD = "bench", "bench-password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one server runs.

    Attributes:
        bin: the folder with the programs of its environment.
        folder: its own, empty at first.
        kept: one that outlives the run, for what takes long to make.
        upstream: the address of the simple index to mirror.
    """

    bin: Path
    folder: Path
    kept: Path
    upstream: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One index.

    Attributes:
        requirements: what is installed from the registry; none for this project itself.
        about: what it does on a request for a page.
        command: the server's command line.
        path: of a project's page.
        prepare: called before it starts; with the pages, for one that is given files instead of an upstream.
        set_up: called when it listens.
        one_page: run it once for each page, as a folder of that project alone.
        headers: what a client sends besides.
    """

    requirements: tuple[str, ...]
    about: str
    command: Callable[[Place], Sequence[str | Path]]
    path: str
    environ: Callable[[Place], Mapping[str, str]] = field(default=lambda place: {})
    prepare: Callable[[Place, Sequence[ProjectPage]], None] = field(default=lambda place, pages: None)
    set_up: Callable[[Place], None] = field(default=lambda place: None)
    one_page: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A page that a running server has."""

    port: int
    path: str
    pid: int


def install(name: str, cache: Path) -> Path:
    """Install a peer into its environment, unless it is there, and return the folder with its programs.

    Raises:
        NotStarted: the registry's client failed.
    """
    requirements = PEERS[name].requirements
    if not requirements:
        return Path(sys.executable).parent
    environment = cache / name
    mark = environment / "installed"
    wanted = "\n".join(requirements)
    if not mark.exists() or mark.read_text("utf-8") != wanted:
        _run([sys.executable, "-m", "venv", "--clear", environment], INSTALL_SECONDS)
        _run([environment / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements], INSTALL_SECONDS)
        mark.write_text(wanted, "utf-8")
    return environment / "bin"


def installed_versions(name: str, bin: Path) -> dict[str, str]:
    """Return the versions of all that a peer's environment has."""
    listing = [str(bin / "python"), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    if not PEERS[name].requirements:
        return {}
    said = subprocess.run(listing, capture_output=True, timeout=SET_UP_SECONDS, check=True).stdout
    return {one["name"]: one["version"] for one in orjson.loads(said)}


@contextmanager
def serving(
    name: str, bin: Path, folder: Path, upstream: str, pages: Sequence[ProjectPage]
) -> Iterator[tuple[dict[str, Served], list[str]]]:
    """Run a peer; yield where each page is, by project, and the command lines.

    Raises:
        NotStarted: it cannot be set up, or does not start.
    """
    peer = PEERS[name]
    served: dict[str, Served] = {}
    commands: list[str] = []
    with ExitStack() as stack:
        for part in [[page] for page in pages] if peer.one_page else [pages]:
            own = folder / part[0].name if peer.one_page else folder
            own.mkdir(parents=True, exist_ok=True)
            place = Place(bin=bin, folder=own, kept=bin.parent / "kept", upstream=upstream, port=free_port())
            pid, command = stack.enter_context(_started(peer, place, part))
            commands.append(command)
            for page in part:
                served[page.name] = Served(port=place.port, path=peer.path.format(page.name), pid=pid)
        yield served, commands


@contextmanager
def _started(peer: Peer, place: Place, pages: Sequence[ProjectPage]) -> Iterator[tuple[int, str]]:
    try:
        peer.prepare(place, pages)
        command = [str(part) for part in peer.command(place)]
        environ = dict(peer.environ(place))
        with running(
            command,
            environ=environ,
            folder=place.folder,
            log=place.folder / "output.txt",
            is_ready=lambda: listens(place.port),
        ) as process:
            peer.set_up(place)
            yield process.pid, _shown(place, [*(f"{key}={value}" for key, value in environ.items()), *command])
    except (BadAnswer, OSError) as error:
        raise NotStarted(f"{type(error).__name__}: {error}") from error


def _shown(place: Place, command: Sequence[str]) -> str:
    """Return a command line as it would be on any machine."""
    text = " ".join(command)
    folders = {
        f"{place.bin}/": "",
        f"{place.folder}": "FOLDER",
        f"{place.kept}": "FOLDER",
        sys.executable: "python",
        f"{ROOT}": ".",
    }
    for folder, name in folders.items():
        text = text.replace(folder, name)
    return text.replace(f":{place.port}", ":PORT").replace(f" {place.port}", " PORT")


def _run(command: Sequence[str | Path], seconds: float, stdin: str = "", **environ: str) -> None:
    try:
        subprocess.run(
            [str(part) for part in command],
            input=stdin,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().split("\n")
        raise NotStarted(f"{' '.join(str(part) for part in command[:4])}: {said[-1]}") from error
    except subprocess.TimeoutExpired as error:
        raise NotStarted(f"{error}") from error


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _own_command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "pypi_lambda.cli", *arguments]


def _own_serve(place: Place) -> list[str]:
    return _own_command("serve", "--host", HOST, "--port", str(place.port), "--workers", "1")


def _own_environ(place: Place) -> dict[str, str]:
    return {"BUCKET": f"file://{place.folder / 'data'}", "UPSTREAM_INDEX_URL": place.upstream}


def _prepare_own(place: Place, pages: Sequence[ProjectPage]) -> None:
    (place.folder / "data").mkdir(exist_ok=True)
    _run(_own_command("user", "add", USER), SET_UP_SECONDS, stdin=f"{PASSWORD}\n", **_own_environ(place))
    _run(_own_command("reindex"), SET_UP_SECONDS, **_own_environ(place))  # else it would run during the measurement


def _prepare_own_private(place: Place, pages: Sequence[ProjectPage]) -> None:
    from benchmarks.data import write_log
    from indexer.derive.rebuild import rebuild
    from indexer.simple.page import Renderer
    from indexer.store.folder import FolderStore
    from tests.support.builders import MEMORY

    # Where nothing waits for a disk.
    with tempfile.TemporaryDirectory(dir=MEMORY) as quick:
        store = FolderStore(Path(quick))
        write_log(store, [_added(page.name, filename) for page in pages for filename in page.filenames])
        rebuild(store, Renderer())
        shutil.copytree(quick, place.folder / "data")
    _prepare_own(place, pages)


def _added(project: str, filename: str) -> "FileAdded":
    from benchmarks.data import AT
    from indexer.log.events import FileAdded
    from indexer.names import Filename, ProjectName

    digest = sha256(filename.encode())
    return FileAdded(
        project=ProjectName(project),
        filename=Filename(filename),
        version=filename.removesuffix(".tar.gz").split("-")[1],
        size=int.from_bytes(digest.digest()[:3], "big"),
        sha256=digest.hexdigest(),
        upload_time=AT,
        requires_python=">=3.11",
        metadata_sha256=sha256(digest.digest()).hexdigest() if filename.endswith(".whl") else None,
    )


def _prepare_ceiling(place: Place, pages: Sequence[ProjectPage]) -> None:
    from benchmarks.ceiling import SUFFIX
    from benchmarks.upstream import JSON_TYPE
    from indexer.json_bytes import encode_json
    from indexer.names import ProjectName
    from indexer.simple.page import compress
    from indexer.upstream.listing import parse_listing

    for page in pages:
        listing = parse_listing(
            ProjectName(page.name),
            page.json,
            content_type=JSON_TYPE,
            url=f"{place.upstream}{page.name}/",
        )
        (place.folder / f"{page.name}{SUFFIX}").write_bytes(compress(encode_json(listing.page)))


def _prepare_devpi(place: Place, pages: Sequence[ProjectPage]) -> None:
    _run([place.bin / "devpi-init", "--serverdir", place.folder / "data", "--no-root-pypi"], SET_UP_SECONDS)


def _set_up_devpi(place: Place) -> None:
    origin = f"http://{HOST}:{place.port}"
    answer = _send("POST", f"{origin}/+login", {"user": "root", "password": ""}, {})
    token = base64.b64encode(f"root:{answer['result']['password']}".encode()).decode()
    index = {"type": "mirror", "mirror_url": place.upstream, "volatile": False}
    _send("PUT", f"{origin}/root/mirror", index, {"X-Devpi-Auth": token})


def _send(method: str, url: str, document: object, headers: Mapping[str, str]) -> Any:
    import requests

    response = requests.request(method, url, json=document, headers={**headers}, timeout=REQUEST_SECONDS)
    if response.status_code >= 300:
        raise NotStarted(f"{method} {url}: {response.status_code} {response.text[:200]!r}")
    return response.json()


def _prepare_peryx(place: Place, pages: Sequence[ProjectPage]) -> None:
    lines = [
        f'data_dir = "{place.folder / "data"}"',
        "[[index]]",
        'ecosystem = "pypi"',
        'name = "mirror"',
        "[[index.upstream]]",
        'name = "primary"',
        f'url = "{place.upstream}"',
    ]
    (place.folder / "peryx.toml").write_text("\n".join(lines) + "\n", "utf-8")


def _prepare_pypiserver(place: Place, pages: Sequence[ProjectPage]) -> None:
    packages = place.folder / "packages"
    packages.mkdir()
    for page in pages:
        for filename in page.filenames:
            (packages / filename).write_bytes(filename.encode())  # it never opens one but to hash it


def _prepare_pypiron(place: Place, pages: Sequence[ProjectPage]) -> None:
    mark = place.kept / "uploaded"
    if mark.exists():
        return
    place.kept.mkdir(exist_ok=True)
    # A server of its own, since under so many uploads it stops listing them and catches up when it is started again.
    log = place.folder / "uploads.txt"
    command = [str(part) for part in _pypiron_command(place)]
    with running(command, environ={}, folder=place.folder, log=log, is_ready=lambda: listens(place.port)):
        _upload_all(place, pages)
    mark.touch()


def _pypiron_command(place: Place) -> Sequence[str | Path]:
    return (
        *(place.bin / "pypiron", "serve", "--data-dir", place.kept, "--bind-addr", f"{HOST}:{place.port}"),
        *("--admin-user", USER, "--admin-pass", PASSWORD),
        *("--advisory-feed", ""),  # else it asks the network
    )


def _upload_all(place: Place, pages: Sequence[ProjectPage]) -> None:
    import requests

    with requests.Session() as session, ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        session.auth = (USER, PASSWORD)
        for page in pages:
            upload = partial(_upload, session, place, page.name)
            upload(page.filenames[0])  # a project's first upload claims its name
            for _ in pool.map(upload, page.filenames[1:]):
                pass


def _upload(session: Any, place: Place, project: str, filename: str) -> None:
    content, version = _distribution(project, filename)
    form = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.1",
        "name": project,
        "version": version,
        "filetype": "bdist_wheel" if filename.endswith(".whl") else "sdist",
        "sha256_digest": sha256(content).hexdigest(),
    }
    url = f"http://{HOST}:{place.port}/legacy/"
    response = session.post(url, data=form, files={"content": (filename, content)}, timeout=REQUEST_SECONDS)
    if response.status_code != 200:
        raise NotStarted(f"{filename}: {response.status_code} {response.text[:200]!r}")


def _distribution(project: str, filename: str) -> tuple[bytes, str]:
    """Return a file of that name which is what its name says, and its version."""
    from tests.support.distributions import make_sdist, make_wheel

    if filename.endswith(".whl"):
        _, version, tag = filename.removesuffix(".whl").split("-", 2)
        return make_wheel(project, version, tag=tag).content, version
    version = filename.removesuffix(".tar.gz").rpartition("-")[2]
    return make_sdist(project, version).content, version


OURS, OURS_PRIVATE, CEILING = "serverless-pypi", "serverless-pypi, private", "static bytes"
PEERS: Mapping[str, Peer] = {
    OURS: Peer(
        requirements=(),
        about="checks the password and the log, sends the page it holds in memory, compressed once",
        environ=_own_environ,
        prepare=_prepare_own,
        command=_own_serve,
        path="/simple/{}/",
        headers={"Authorization": _basic(USER, PASSWORD)},
    ),
    OURS_PRIVATE: Peer(
        requirements=(),
        about="private page: as above",
        environ=_own_environ,
        prepare=_prepare_own_private,
        command=_own_serve,
        path="/simple/{}/",
        headers={"Authorization": _basic(USER, PASSWORD)},
    ),
    CEILING: Peer(
        requirements=(),
        about="an application that does nothing but send the bytes of our page, under the same server",
        environ=lambda place: {"PYTHONPATH": str(ROOT)},
        prepare=_prepare_ceiling,
        command=lambda place: (sys.executable, "-m", "benchmarks.ceiling", str(place.port), place.folder),
        path="/{}",
    ),
    "devpi": Peer(
        requirements=("devpi-server",),
        about="renders the links in its database anew, sends them uncompressed and closes the connection",
        prepare=_prepare_devpi,
        command=lambda place: (
            place.bin / "devpi-server",
            *("--serverdir", place.folder / "data", "--host", HOST, "--port", str(place.port)),
        ),
        set_up=_set_up_devpi,
        path="/root/mirror/+simple/{}/",
    ),
    "pypiserver": Peer(
        # Without watchdog, the extra's content, it would hash every file on every request; waitress is what its `auto`
        # takes before the server of the standard library.
        requirements=("pypiserver[cache]", "waitress"),
        about="private page: searches its list of files and renders HTML anew, uncompressed",
        prepare=_prepare_pypiserver,
        command=lambda place: (
            *(place.bin / "pypi-server", "run", "-i", HOST, "-p", str(place.port), "-a", ".", "-P", "."),
            *("--disable-fallback", "--backend", "cached-dir", place.folder / "packages"),
        ),
        path="/simple/{}/",
        one_page=True,
    ),
    "proxpi": Peer(
        requirements=("proxpi", "gunicorn"),
        about="renders and compresses the list of files it holds in memory anew",
        environ=lambda place: {"PROXPI_INDEX_URL": place.upstream},
        # Its image's command line.
        command=lambda place: (
            *(place.bin / "gunicorn", "--workers", "1", "--threads", "2"),
            *("--bind", f"{HOST}:{place.port}", "proxpi.server:app"),
        ),
        path="/index/{}/",
    ),
    "simple-repository-server": Peer(
        requirements=("simple-repository-server",),
        about="asks the upstream, reads its page and renders it anew, uncompressed",
        command=lambda place: (
            *(place.bin / "simple-repository-server", "--host", HOST, "--port", str(place.port), place.upstream),
        ),
        path="/simple/{}/",
    ),
    "peryx": Peer(
        requirements=("peryx",),
        about="Rust, several threads: sends the page it holds, uncompressed",
        prepare=_prepare_peryx,
        command=lambda place: (
            *(place.bin / "peryx", "serve", "--config", place.folder / "peryx.toml"),
            *("--host", HOST, "--port", str(place.port)),
        ),
        path="/mirror/simple/{}/",
    ),
    "pypiron": Peer(
        requirements=("pypiron",),
        about="Rust, several threads; private page: sends it from memory, compressed once",
        prepare=_prepare_pypiron,
        command=_pypiron_command,
        path="/simple/{}/",
    ),
}
