"""What every installer is to bring about."""

from collections.abc import Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from tests.matrix.catalog import APP, LIBRARY, MORE, OWN, OWN_LEGACY, OWN_SOURCE, OWN_YANKED, PLAIN
from tests.matrix.commands import Failed
from tests.support.distributions import Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing to install.

    Attributes:
        project: what is asked for.
        pin: its version, where one is asked for.
        extra: its extra, likewise.
        installs: every file that is installed then.
        locked: the files are given with their sha256, and are refused with any other.
    """

    name: str
    project: str
    pin: str | None = None
    extra: str | None = None
    installs: tuple[Distribution, ...]
    locked: bool = False

    @property
    def requirement(self) -> str:
        """The requirement as pip has it (PEP 508)."""
        return self.project + (f"[{self.extra}]" if self.extra else "") + (f"=={self.pin}" if self.pin else "")

    @property
    def lines(self) -> str:
        """The scenario as a requirements file."""
        if not self.locked:
            return f"{self.requirement}\n"
        return "".join(f"{each.project}=={version(each)} --hash=sha256:{each.sha256}\n" for each in self.installs)

    def check(self, found: Mapping[str, str]) -> None:
        """Raise `Failed` unless these are the versions by name that are to be installed."""
        expected = {str(canonicalize_name(each.project)): version(each) for each in self.installs}
        present = {str(canonicalize_name(name)): number for name, number in found.items()}
        if present != expected:
            raise Failed(f"installed are {present}, not {expected}")


def version(distribution: Distribution) -> str:
    """Return a file's version."""
    return distribution.filename.removesuffix(".tar.gz").split("-")[-1 if ".tar" in distribution.filename else 1]


_MIRRORED = (APP, LIBRARY["1.1"], PLAIN)
WHEEL = Scenario(name="wheel", project="own-wheel", installs=(OWN,))
SDIST = Scenario(name="sdist", project="own-source", installs=(OWN_SOURCE,))
LEGACY_SDIST = Scenario(name="sdist", project="own-legacy", installs=(OWN_LEGACY,))
MIRRORED = Scenario(name="mirrored", project="up-app", installs=_MIRRORED)
YANKED = Scenario(name="yanked", project="own-yanked", pin="2.0", installs=(OWN_YANKED,))
EXTRA = Scenario(name="extra", project="up-app", extra="more", installs=(*_MIRRORED, MORE))
HASHES = Scenario(name="hashes", project="up-app", installs=_MIRRORED, locked=True)
SCENARIOS = (WHEEL, SDIST, MIRRORED, YANKED, EXTRA, HASHES)
