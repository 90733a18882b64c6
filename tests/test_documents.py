"""The documents say what there is: settings, commands, verbs; and what they name or link to exists."""

import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from indexer.log.events import KINDS
from indexer.value import values_of
from pypi_lambda.cli import SECTIONS
from pypi_lambda.settings import SETTINGS
from tests.floor_plan import ENTRY_POINT, ROOT
from tests.indexer.log.test_events import EXAMPLES

README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "indexer|pypi_lambda|tests|benchmarks|docs|deploy|findings"

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)


def section(text: str, title: str) -> str:
    """Return a document's text below a heading, up to the next heading of the same level or a higher one."""
    text = text.partition(f"\n{title}\n")[2]
    level = len(title) - len(title.lstrip("#"))
    return re.split(rf"^#{{1,{level}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]


def anchors(document: Path) -> set[str]:
    """Return what links into a document may name: its headings as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def exists(dotted: str) -> bool:
    """Tell whether a dotted name leads to a module, or to something in one."""
    module, names = dotted, list[str]()
    while find_module(module) is None:
        module, _, name = module.rpartition(".")
        names.insert(0, name)
    if module == ENTRY_POINT:
        return True  # importing it is the function's init phase
    found: object = import_module(module)
    for name in names:
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True


def find_module(dotted: str) -> object:
    """Return where a module is, or None when there is none."""
    try:
        return find_spec(dotted)
    except ModuleNotFoundError:  # the one above is no package
        return None


def test_the_readme_has_every_setting() -> None:
    """The README's table has a row for each setting, and for nothing else."""
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section(README, "## Settings"), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(SETTINGS)


def test_the_readme_has_every_command() -> None:
    """The README shows each command of the command line."""
    shown = set(re.findall(r"serverless-pypi ([a-z-]+)", README))
    hidden = {"set-up"}  # what `serve` calls in a process of its own
    assert {name for of_one in SECTIONS.values() for name in of_one} - shown == hidden


def test_contributing_has_every_verb() -> None:
    """The page for contributors has each verb of the Makefile, and no other."""
    (phony,) = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    rows = re.findall(
        r"^\| (`make .+?) \|", section((ROOT / "CONTRIBUTING.md").read_text("utf-8"), "## The verbs"), re.MULTILINE
    )
    assert sorted(re.findall(r"`make ([a-z0-9-]+)`", " ".join(rows))) == sorted(phony.split())


@each_document
def test_links(document: Path) -> None:
    """Each link to another document leads to one, and to a heading in it."""
    broken = []
    prose = re.sub(r"`[^`\n]*`", "", document.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        path, _, anchor = target.partition("#")
        found = document.parent / path if path else document
        if ":" not in target and (not found.exists() or (anchor and anchor not in anchors(found))):
            broken.append(target)
    assert broken == []


@each_document
def test_modules(document: Path) -> None:
    """Each dotted name of a module, or of something in it, leads to something that there is."""
    names = re.findall(r"`((?:indexer|pypi_lambda|benchmarks)(?:\.\w+)+)", document.read_text("utf-8"))
    assert [name for name in names if not exists(name)] == []


@each_document
def test_paths(document: Path) -> None:
    """Each path into the repository leads to a file or a folder."""
    paths = re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", document.read_text("utf-8"))
    made = {"benchmarks/results/"}  # by a run
    assert [path for path in paths if path not in made and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_has_words(kind: str) -> None:
    """A log that people read says what happened, not the fields of an event."""
    from indexer.log.describe import tell_change

    assert not tell_change(kind, values_of(EXAMPLES[kind])).startswith(kind)
