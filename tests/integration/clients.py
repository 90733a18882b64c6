"""Real pip, uv and twine, kept apart from the configuration and the caches of whoever runs the tests."""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from tests.integration.commands import Finished, run
from tests.integration.running import Server, User
from tests.support.distributions import Distribution
from tests.support.servers import program


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """The tools of one developer, whose home is an empty folder."""

    home: Path

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment in which a tool finds nothing but what a test gives it."""
        return {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "NETRC": os.devnull,
            "NO_COLOR": "1",
            "COLUMNS": "500",  # a sentence that is looked for must not be broken into lines
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def run(self, *command: str, cwd: Path | None = None, **environ: str) -> Finished:
        """Run a command, with the programs beside this Python on the PATH."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return run(command, environ={**self.environ, "PATH": path, **environ}, cwd=cwd)

    def pip(self, command: str, *arguments: str) -> Finished:
        """Run pip."""
        return self.run(sys.executable, "-m", "pip", command, *arguments)

    def uv(self, *arguments: str) -> Finished:
        """Run uv, for this Python, into which nothing is to be installed: give it a target or another Python."""
        return self.run(program("uv"), *arguments, UV_PYTHON=sys.executable)

    def try_install(self, tool: str, index: str, target: Path, *arguments: str) -> Finished:
        """Install with `pip` or `uv` into a folder."""
        options = ["--index-url", index, "--target", str(target), *arguments]
        return self.pip("install", *options) if tool == "pip" else self.uv("pip", "install", *options)

    def install(self, tool: str, index: str, *arguments: str) -> dict[str, str]:
        """Install with `pip` or `uv`; return the versions of what is installed then, by name."""
        target = self.new_folder("target")
        self.try_install(tool, index, target, *arguments).succeeded()
        return installed(target)

    def try_upload(
        self,
        tool: str,
        server: Server,
        *distributions: Distribution,
        user: User | None = None,
        url: str | None = None,
        arguments: Sequence[str] = (),
    ) -> Finished:
        """Upload with `twine` or `uv`; without a user or URL given, as the one who may, to the one that is printed."""
        folder = self.new_folder("dist")
        for distribution in distributions:
            (folder / distribution.filename).write_bytes(distribution.content)
        files = sorted(str(path) for path in folder.iterdir())
        who = user or server.user
        credentials = ["-u", who.name, "-p", who.password]
        to = url or f"{server.url}/"
        if tool == "twine":
            options = ["--non-interactive", "--disable-progress-bar", "--repository-url", to]
            return self.run(program("twine"), "upload", *options, *credentials, *arguments, *files)
        return self.uv("publish", "--publish-url", to, *credentials, *arguments, *files)

    def upload(self, tool: str, server: Server, *distributions: Distribution) -> str:
        """Upload with `twine` or `uv` and return what it printed."""
        return self.try_upload(tool, server, *distributions).succeeded()

    def new_folder(self, kind: str) -> Path:
        return Path(tempfile.mkdtemp(dir=self.home, prefix=f"{kind}-"))


def installed(folder: Path) -> dict[str, str]:
    """Return the versions of the distributions in a folder, by name."""
    return {found.metadata["Name"]: found.version for found in metadata.distributions(path=[str(folder)])}
