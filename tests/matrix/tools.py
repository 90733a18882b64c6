"""Tools that read the index but install nothing: grayskull, and Renovate's pypi datasource."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.matrix.cases import write_netrc
from tests.matrix.catalog import LIBRARY, OWN_SOURCE
from tests.matrix.commands import INSTALL_SECONDS, Failed, run
from tests.matrix.environments import NotHere, base_environ, get_environment
from tests.matrix.site import Site
from tests.matrix.table import Client

Tries = Sequence[tuple[str, Callable[[], None]]]
_SCRIPT = Path(__file__).parent / "renovate.cjs"


def run_renovate(client: Client, site: Site, cache: Path, folder: Path) -> tuple[str, Tries]:
    """Ask for the versions of a private and of a mirrored project, below each URL that people give it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NotHere("no Node here")
    environ = {**base_environ(folder / "home"), "PATH": f"{Path(node).parent}:{base_environ(folder / 'home')['PATH']}"}
    version = run([node, "--version"], environ=environ).succeeded().strip()
    modules = _install_renovate(client, npm, environ, cache)

    def ask(path: str) -> None:
        for project, expected in (("own-source", ["1.0"]), ("up-library", sorted(LIBRARY))):
            url = site.url(path, secret=False)
            command = [node, str(_SCRIPT), str(modules), url, site.url("", secret=False), site.username, project]
            ended = run(command, environ={**environ, "OURS_PASSWORD": site.password}, cwd=folder)
            answer = _last_json(ended.succeeded())
            found = sorted(release["version"] for release in (answer or {}).get("releases", []))
            if found != expected:
                raise Failed(f"{url}: {project} has {found}, not {expected}:\n{ended.output}")

    paths = {"/simple/": "simple/", "/pypi/": "pypi/", "/": ""}
    return f"Node {version.removeprefix('v')}", [(what, lambda path=path: ask(path)) for what, path in paths.items()]


def _install_renovate(client: Client, npm: str, environ: Mapping[str, str], cache: Path) -> Path:
    folder = cache / f"renovate-{client.version}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text("{}")
        # Its optional parts and the scripts of what it needs fetch binaries; the datasource does without.
        options = ["--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"]
        command = [npm, "install", *options, f"renovate@{client.version}"]
        run(command, environ=environ, cwd=folder, seconds=INSTALL_SECONDS).succeeded()
        (folder / "complete").touch()
    return folder


def _last_json(output: str) -> Any:
    """Return what the last line says; log records may come before."""
    try:
        return json.loads(output.strip().split("\n")[-1])
    except ValueError:
        raise Failed(f"no answer:\n{output}") from None


def run_grayskull(client: Client, site: Site, cache: Path, folder: Path) -> tuple[str, Tries]:
    """Let grayskull write the recipe of a private project, from the legacy JSON document and the sdist."""
    environment = get_environment(client, cache)

    def write_recipe() -> None:
        write_netrc(folder / "home", site)
        options = ["--pypi-metadata-url", site.url("pypi/", secret=False), "--output", str(folder)]
        options += ["--pypi-mirror-url", site.url("", secret=False).rstrip("/")]
        options += ["--package-indexes", site.url("simple/{pkg_name}/", secret=False)]
        command = [environment.program("grayskull"), "pypi", OWN_SOURCE.project, *options]
        ended = run(command, environ=base_environ(folder / "home", folder=environment.folder), cwd=folder)
        recipe = folder / OWN_SOURCE.project / "recipe.yaml"
        if OWN_SOURCE.sha256 not in (recipe.read_text() if recipe.exists() else ""):
            raise Failed(f"no recipe with the sdist's sha256:\n{ended.output}")

    return f"Python {environment.python}", [("recipe", write_recipe)]


TOOLS: Mapping[str, Callable[[Client, Site, Path, Path], tuple[str, Tries]]] = {
    "renovate": run_renovate,
    "grayskull": run_grayskull,
}
