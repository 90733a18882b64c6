"""The matrix of clients says what is not as the table has it; `tests/e2e/test_matrix.py` runs its short form."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.matrix.commands import Failed, run
from tests.matrix.downstream import DOWNSTREAM
from tests.matrix.environments import base_environ
from tests.matrix.installers import DRIVERS
from tests.matrix.report import render
from tests.matrix.results import read_results, write_results
from tests.matrix.rows import Cell, Row
from tests.matrix.scenarios import MIRRORED, SCENARIOS, version
from tests.matrix.table import Client, find_client, read_table
from tests.matrix.tools import TOOLS
from tests.matrix.uploads import UPLOADERS


def make_row(*faults: str | None, cannot: Mapping[str, str] | None = None) -> Row:
    """Build pip's row, with a cell for each way."""
    client = replace(find_client("installer", "pip"), cannot=cannot or {})
    cells = [Cell(what="wheel", way=way, fault=fault) for way, fault in zip(client.ways, faults, strict=False)]
    return Row(client=client, runtime="Python 3.11", cells=tuple(cells))


def test_every_client_can_be_run() -> None:
    """Each line of the table has a function, and no other has its key."""
    drivers: Mapping[str, Mapping[str, object]] = {
        "installer": DRIVERS,
        "uploader": UPLOADERS,
        "downstream": DOWNSTREAM,
        "tool": TOOLS,
    }
    table = read_table()
    assert [client.title for client in table if client.driver not in drivers[client.kind]] == []
    assert len({client.key for client in table}) == len(table) > 50


def test_the_short_form_has_the_pips_that_json_broke() -> None:
    """pip 22.3 to 23.1.2 is in the short form, with the newest pip, the oldest and newest uv, and uploads."""
    names = {client.title for client in read_table() if client.short}
    assert {"pip 22.3.1", "pip 23.0.1", "uv 0.1.45", find_client("installer", "pip").title} <= names
    assert {find_client("uploader", name).title for name in ("twine", "uv publish")} <= names


@pytest.mark.parametrize(
    ("faults", "cannot", "red"),
    [
        ((None, None, None), {}, []),
        ((None, "crash", None), {}, ["wheel by netrc: crash"]),
        ((None, "crash", None), {"netrc": "reads none"}, []),
        (("crash", "crash", "crash"), {"wheel": "takes none"}, []),
        ((None, "crash", None), {"wheel by netrc": "reads none then"}, []),
        ((None, None, None), {"netrc": "reads none"}, ["wheel by netrc works, although the table says: reads none"]),
    ],
)
def test_what_is_red(faults: tuple[str | None, ...], cannot: Mapping[str, str], red: list[str]) -> None:
    """A row is red by what fails and is not excused, and by what works although it is."""
    assert make_row(*faults, cannot=cannot).red == red


def test_the_page() -> None:
    """The page has what works and how, why something does not, and what was not run."""
    absent = Row(client=replace(find_client("tool", "Renovate"), version="1.0"), absent="no Node here")
    page = render([make_row(None, "crash", None, cannot={"netrc": "reads none"}), absent])
    pip = find_client("installer", "pip")
    assert f"\n| {pip.title} | Python 3.11 | by URL, environment |\n" in page
    assert f"\n- **pip**: {pip.told}. *netrc*: reads none.\n" in page
    assert page.endswith("\n## Not run\n\n- Renovate 1.0: no Node here.\n")


def test_rows_are_kept(tmp_path: Path) -> None:
    """A row comes back as it was written, for the client that it was of and no other version of it."""
    row = make_row(None, "crash")
    write_results(tmp_path / "results.json", {row.client.key: row})
    newer: Client = replace(row.client, version="99.0")
    assert read_results(tmp_path / "results.json", [row.client, newer]) == {row.client.key: row}
    assert read_results(tmp_path / "none.json", [row.client]) == {}


@pytest.mark.parametrize(("number", "right"), [("3.0", True), ("2.9", False)])
def test_what_is_installed_is_compared(number: str, right: bool) -> None:
    """A scenario takes the versions that it names, whatever the names' spelling, and no others."""
    found = {each.project: version(each) for each in MIRRORED.installs} | {"Up.App": number}
    if right:
        MIRRORED.check(found)
    else:
        with pytest.raises(Failed, match=r"'up-app': '2\.9'"):
            MIRRORED.check(found)
    with pytest.raises(Failed):
        MIRRORED.check({"up-app": "3.0"})


def test_locks_name_every_file() -> None:
    """A requirements file with hashes has a digest for each file that is installed then."""
    for scenario in SCENARIOS:
        digests = [each.sha256 for each in scenario.installs if f"--hash=sha256:{each.sha256}" in scenario.lines]
        assert len(digests) == (len(scenario.installs) if scenario.locked else 0)


def test_a_command_that_does_not_end(tmp_path: Path) -> None:
    """A command is ended at its deadline, with what it started, and what it printed is shown."""
    command = ["sh", "-c", "echo begun; sleep 1000 & wait"]
    with pytest.raises(Failed, match=r"(?s)did not end in 0 s:.*begun"):
        run(command, environ=base_environ(tmp_path), seconds=0.5)
