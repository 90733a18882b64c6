"""What becomes of one client: every cell that it has, tried."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.matrix.cases import Case
from tests.matrix.commands import Failed
from tests.matrix.downstream import DOWNSTREAM, Place
from tests.matrix.environments import Environment, NotHere, get_environment
from tests.matrix.installers import install
from tests.matrix.scenarios import LEGACY_SDIST, SCENARIOS, SDIST, Scenario
from tests.matrix.site import Site
from tests.matrix.table import Client, find_client
from tests.matrix.tools import TOOLS
from tests.matrix.uploads import STEPS, upload_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One thing tried in one way; `fault` says what went wrong."""

    what: str
    way: str
    fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A client, what it runs on, and what was tried; `absent` says why nothing was."""

    client: Client
    runtime: str = ""
    absent: str | None = None
    cells: tuple[Cell, ...] = ()

    @property
    def red(self) -> list[str]:
        """What is not as the table says, in words."""
        return [words for cell in self.cells if (words := self._surprise(cell)) is not None]

    def excuse(self, cell: Cell) -> str | None:
        """Return why a cell is not to succeed."""
        cannot = self.client.cannot
        return cannot.get(f"{cell.what} by {cell.way}") or cannot.get(cell.what) or cannot.get(cell.way)

    def _surprise(self, cell: Cell) -> str | None:
        excuse = self.excuse(cell)
        if cell.fault is not None and excuse is None:
            return f"{cell.what} by {cell.way}: {cell.fault}"
        if cell.fault is None and excuse is not None:
            return f"{cell.what} by {cell.way} works, although the table says: {excuse}"
        return None


def try_client(client: Client, site: Site, *, cache: Path, folder: Path, short: bool = False) -> Row:
    """Try all that there is for a client.

    Args:
        cache: where environments are kept.
        folder: an existing folder for all else.
        short: each scenario in one way only, each way with some scenario; uploads in one way.
    """
    try:
        if client.kind == "tool":
            return _try_tool(client, site, cache, folder)
        environment = get_environment(client, cache)
        cells = tuple(_KINDS[client.kind](client, environment, site, cache, folder, short))
    except NotHere as error:
        return Row(client=client, absent=str(error))
    except Failed as error:
        return Row(client=client, cells=(Cell(what="start", way="any", fault=str(error)),))
    return Row(client=client, runtime=f"Python {environment.python}", cells=cells)


def _try_tool(client: Client, site: Site, cache: Path, folder: Path) -> Row:
    tool = TOOLS[client.driver]
    runtime, tries = tool(client, site, cache, folder)
    return Row(client=client, runtime=runtime, cells=tuple(_attempt(what, client.ways[0], act) for what, act in tries))


def _installer(
    client: Client, environment: Environment, site: Site, _: Path, folder: Path, short: bool
) -> Iterator[Cell]:
    for number, scenario in enumerate(_scenarios(client)):
        ways = client.ways if not short else (client.ways[number % len(client.ways)],)
        for way in ways:
            case = _case(client, environment, site, folder, scenario, way)
            yield _attempt(scenario.name, way, lambda case=case: install(case))  # type: ignore[misc]


def _scenarios(client: Client) -> Sequence[Scenario]:
    return [LEGACY_SDIST if client.legacy and each is SDIST else each for each in SCENARIOS]


def _case(client: Client, environment: Environment, site: Site, folder: Path, scenario: Scenario, way: str) -> Case:
    into = folder / f"{scenario.name}-{way}"
    into.mkdir()
    return Case(client=client, environment=environment, site=site, scenario=scenario, way=way, folder=into)


def _uploader(
    client: Client, environment: Environment, site: Site, _: Path, folder: Path, short: bool
) -> Iterator[Cell]:
    for way in client.ways[:1] if short else client.ways:
        case = _case(client, environment, site, folder, SCENARIOS[0], way)
        for step in STEPS:
            yield _attempt(step, way, lambda case=case, step=step: upload_all(case, step))  # type: ignore[misc]


def _downstream(
    client: Client, environment: Environment, site: Site, cache: Path, folder: Path, short: bool
) -> Iterator[Cell]:
    pip = find_client("installer", "pip")
    place = Place(environment=environment, site=site, folder=folder)
    with DOWNSTREAM[client.driver](place) as index:
        for scenario in SCENARIOS:
            case = _case(pip, get_environment(pip, cache), site, folder, scenario, client.ways[0])
            case = replace(case, through=index)
            yield _attempt(scenario.name, case.way, lambda case=case: install(case))  # type: ignore[misc]


def _attempt(what: str, way: str, act: Callable[[], None]) -> Cell:
    try:
        act()
    except Failed as error:
        return Cell(what=what, way=way, fault=str(error))
    except Exception as error:  # a client may leave anything behind, and the others are to be tried all the same
        return Cell(what=what, way=way, fault=repr(error))
    return Cell(what=what, way=way, fault=None)


_KINDS = {"installer": _installer, "uploader": _uploader, "downstream": _downstream}
