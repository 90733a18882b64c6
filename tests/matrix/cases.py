"""One try: a client, a scenario, and a way to give the password, in folders of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.integration.clients import installed
from tests.matrix.commands import COMMAND_SECONDS, Ended, Failed, run
from tests.matrix.environments import Environment, base_environ
from tests.matrix.scenarios import Scenario
from tests.matrix.site import Site
from tests.matrix.table import Client

URL, NETRC, ENVIRONMENT, OPTION, FILE = "URL", "netrc", "environment", "option", "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a driver needs to know."""

    client: Client
    environment: Environment
    site: Site
    scenario: Scenario
    way: str
    folder: Path
    through: str | None = None

    @property
    def index(self) -> str:
        """The index URL as the client is to be told it; `through` is another index in front of ours."""
        if self.through is not None:
            return self.through
        return self.site.url("simple/", secret=self.way == URL)

    @property
    def secret_index(self) -> str:
        """The index URL with the password."""
        return self.site.url("simple/", secret=True)

    @property
    def project(self) -> Path:
        """The folder in which the client runs."""
        folder = self.folder / "project"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def environ(self) -> dict[str, str]:
        """The client's environment; its home has a netrc where that is the way."""
        environ = base_environ(self.folder / "home", folder=self.environment.folder)
        if self.way == NETRC:
            write_netrc(self.folder / "home", self.site)
        return environ

    def write(self, name: str, text: str) -> str:
        """Write a file of the project and return its path."""
        path = self.project / name
        path.write_text(text)
        return str(path)

    def run(
        self, program: str, *arguments: str, seconds: float = COMMAND_SECONDS, environ: Mapping[str, str] | None = None
    ) -> Ended:
        """Run a program of the client in the project."""
        command = [self.environment.program(program), *arguments]
        return run(command, environ={**self.environ, **(environ or {})}, cwd=self.project, seconds=seconds)

    def check_lock(self, name: str) -> None:
        """Raise `Failed` unless this file of the project has the sha256 of all that is to be installed."""
        text = (self.project / name).read_text()
        missing = [each.filename for each in self.scenario.installs if each.sha256 not in text]
        if missing:
            raise Failed(f"{name} lacks the sha256 of {missing}:\n{text}")


def write_netrc(home: Path, site: Site) -> None:
    """Write a netrc with the password; netrc files know no ports."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / ".netrc"
    path.write_text(f"machine 127.0.0.1\nlogin {site.username}\npassword {site.password}\n")
    path.chmod(0o600)


def installed_in(environment: Path) -> dict[str, str]:
    """Return the versions of ours in a virtual environment, which has others too."""
    found: dict[str, str] = {}
    for folder in environment.glob("lib/python*/site-packages"):
        found |= installed(folder)
    return {name: version for name, version in found.items() if name.lower().startswith(("own-", "up-", "up."))}
