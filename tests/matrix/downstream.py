"""Indexes of other kinds with ours as their upstream; pip installs from them what ours has."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.matrix.commands import Failed, run, running
from tests.matrix.environments import Environment, base_environ
from tests.matrix.site import Site
from tests.support.servers import free_ports

START_SECONDS = 90  # devpi, the slowest, takes three on a machine that runs nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a downstream index is started with."""

    environment: Environment
    site: Site
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        return base_environ(self.folder / "home", folder=self.environment.folder)

    @property
    def upstream(self) -> str:
        """The index URL of ours, with the password."""
        return self.site.url("simple/", secret=True)


@contextmanager
def _serving(
    place: Place, command: list[str], *, port: int, path: str, environ: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run a server and yield the URL of this path of it, when it answers there."""
    log = place.folder / "log"
    origin = f"http://127.0.0.1:{port}"
    with running(command, environ={**place.environ, **(environ or {})}, log=log, cwd=place.folder) as process:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(origin):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{' '.join(command)} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.1)
        try:
            yield f"{origin}/{path}"
        except Failed as error:
            raise Failed(f"{error}\n{log.read_text(errors='replace')[-4_000:]}") from error


def _answers(url: str) -> bool:
    try:
        with _session() as session:
            session.get(url, timeout=START_SECONDS)
    except requests.ConnectionError:
        return False
    return True


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


@contextmanager
def run_devpi(place: Place) -> Iterator[str]:
    """devpi-server with a mirror index whose `mirror_url` is ours."""
    (port,) = free_ports(1)
    data = str(place.folder / "devpi")
    init = [place.environment.program("devpi-init"), "--serverdir", data, "--no-root-pypi"]
    run(init, environ=place.environ).succeeded()
    command = [
        place.environment.program("devpi-server"),
        "--serverdir",
        data,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with _serving(place, command, port=port, path="root/ours/+simple/") as url, _session() as session:
        origin = f"http://127.0.0.1:{port}"
        answer = session.post(f"{origin}/+login", json={"user": "root", "password": ""}, timeout=60)
        session.auth = ("root", answer.json()["result"]["password"])
        index = {"type": "mirror", "mirror_url": place.upstream, "volatile": True}
        answer = session.put(f"{origin}/root/ours", json=index, timeout=60)
        if answer.status_code != 200:
            raise Failed(f"devpi: {answer.text}")
        yield url


@contextmanager
def run_proxpi(place: Place) -> Iterator[str]:
    """proxpi under Flask's own server."""
    (port,) = free_ports(1)
    command = [place.environment.program("flask"), "--app", "proxpi.server", "run", "--port", str(port)]
    environ = {"PROXPI_INDEX_URL": place.upstream, "PROXPI_CACHE_DIR": str(place.folder / "cache")}
    with _serving(place, command, port=port, path="index/", environ=environ) as url:
        yield url


@contextmanager
def run_simple_repository_server(place: Place) -> Iterator[str]:
    """simple-repository-server, which hands out files itself."""
    (port,) = free_ports(1)
    program = place.environment.program("simple-repository-server")
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--stream-http-resources", place.upstream]
    with _serving(place, command, port=port, path="simple/") as url:
        yield url


@contextmanager
def run_pypiserver(place: Place) -> Iterator[str]:
    """pypiserver without a package of its own, which sends clients to the fallback."""
    (port,) = free_ports(1)
    packages = place.folder / "packages"
    packages.mkdir()
    program = place.environment.program("pypi-server")
    options = ["-i", "127.0.0.1", "-p", str(port), "--fallback-url", place.upstream]
    with _serving(place, [program, "run", *options, str(packages)], port=port, path="simple/") as url:
        yield url


@contextmanager
def run_bandersnatch(place: Place) -> Iterator[str]:
    """A folder that `bandersnatch mirror` filled, served as files."""
    (port,) = free_ports(1)
    master = place.site.url("", secret=True).rstrip("/")
    config = place.folder / "bandersnatch.conf"
    config.write_text(
        f"[mirror]\ndirectory = {place.folder / 'mirror'}\nmaster = {master}\nallow-non-https = true\n"
        f"download-mirror = {master}\ndownload-mirror-no-fallback = true\n"
        "json = false\nrelease-files = true\ntimeout = 60\nworkers = 2\nhash-index = false\nsimple-format = HTML\n"
        "stop-on-error = true\nstorage-backend = filesystem\napi-method = simple\n"
    )
    command = [place.environment.program("bandersnatch"), "--config", str(config), "mirror"]
    mirrored = run(command, environ=place.environ, cwd=place.folder).succeeded()
    web = place.folder / "mirror" / "web"
    command = [place.environment.interpreter, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(web)]
    try:
        with _serving(place, [*command, str(port)], port=port, path="simple/") as url:
            yield url
    except Failed as error:
        raise Failed(f"{error}\n{mirrored[-4_000:]}") from error


@contextmanager
def run_peryx(place: Place) -> Iterator[str]:
    """peryx with one index that caches ours."""
    (port,) = free_ports(1)
    config = place.folder / "peryx.toml"
    config.write_text(
        '[[index]]\nname = "ours"\nroute = "ours"\necosystem = "pypi"\nanonymous_read = true\n\n'
        f'[[index.upstream]]\nname = "ours"\nurl = "{place.site.url("simple/", secret=False)}"\n'
        f'username = "{place.site.username}"\npassword = "{place.site.password}"\n'
    )
    options = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    command = [place.environment.program("peryx"), "serve", *options, "--data-dir", str(place.folder / "peryx")]
    with _serving(place, command, port=port, path="ours/simple/") as url:
        yield url


DOWNSTREAM: Mapping[str, Callable[[Place], AbstractContextManager[str]]] = {
    "devpi": run_devpi,
    "proxpi": run_proxpi,
    "simple_repository_server": run_simple_repository_server,
    "pypiserver": run_pypiserver,
    "bandersnatch": run_bandersnatch,
    "peryx": run_peryx,
}
