"""The arrows between modules point one way, importing does nothing, and what is slow to import stays out of the way."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tests.floor_plan import ENTRY_POINT, ROOT, find_circle, find_modules, imports_of, module_graph

MODULES = find_modules()
# What a container imports before its first request.
HOT = (
    "pypi_lambda.app.app",
    "pypi_lambda.app.service",
    "indexer.derive.snapshot",
    "indexer.log.log",
    "indexer.log.project",
    "indexer.store.s3",
)
SLOW = {
    *("boto3", "botocore", "requests", "urllib3", "passlib", "packaging", "multipart", "pypi_simple", "bs4"),
    *("html.parser", "tarfile", "zipfile", "click", "tqdm", "granian", "asyncio"),
}
# Run in a fresh interpreter: import a module, then say what it did beside that.
SIDE_EFFECTS = """
import importlib, logging, os, signal, sys, threading, warnings
import obstore, orjson, msgpack, rbloom, pypi_simple, requests, boto3, click, tqdm, granian, passlib.hash
import indexer.zstd

def state():
    signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    log = (len(logging.root.handlers), logging.root.level)
    return dict(os.environ), os.getcwd(), log, threading.active_count(), signals, len(warnings.filters), sys.argv[:]

before = state()
opened = []
WATCHED = "socket.connect socket.bind subprocess.Popen os.mkdir os.remove os.rename os.link os.putenv".split()
def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes or event in WATCHED:
        opened.append((event, arguments))
sys.dont_write_bytecode = True
sys.addaudithook(watch)
for name in sys.argv[1:]:
    importlib.import_module(name)
after = state()
assert before == after, (before, after)
assert opened == [], opened
"""


def tracked_files() -> list[Path]:
    """Return what is, or is about to be, in the repository; without git, all that looks like source."""
    git = shutil.which("git")
    command = [git or "", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False) if git else None
    if listed is not None and listed.returncode == 0:
        paths = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
        return [path for path in paths if path.is_file()]
    found = [path for pattern in ("*.py", "*.md", "*.toml", "Makefile") for path in ROOT.rglob(pattern)]
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]


def test_modules_are_found() -> None:
    """These tests look at all modules of both packages."""
    assert {"indexer", "indexer.log.log", "pypi_lambda.app.app", "pypi_lambda.cli"} <= MODULES.keys()
    assert len(MODULES) > 40


@pytest.mark.parametrize("name", [name for name in MODULES if name.partition(".")[0] == "indexer"])
def test_indexer_does_not_know_its_face(name: str) -> None:
    """`indexer` imports nothing of `pypi_lambda`, not even within a function."""
    assert {found for found in module_graph()[name] if found.startswith("pypi_lambda")} == set()


def test_every_import_of_ours_exists() -> None:
    """Each module of ours that is imported anywhere is one that there is."""
    assert {found for imported in module_graph().values() for found in imported} <= MODULES.keys()


def test_no_cycles() -> None:
    """Modules do not import each other in a circle, not even in functions: each can be read after those it rests on."""
    assert find_circle(module_graph()) == ()


def test_cycles_would_be_found(tmp_path: Path) -> None:
    """The reading of imports sees those in a class body, a `try`, a function, and those for type checkers."""
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import indexer.patterns
try:
    from indexer import keys
except ImportError:
    import indexer.names
class A:
    from indexer.errors import IndexerError
    def f(self):
        import indexer.frame
def g():
    from indexer.value import value
"""
    (tmp_path / "example.py").write_text(source)
    assert imports_of(tmp_path / "example.py", MODULES.keys()) == {
        "indexer.errors",
        "indexer.frame",
        "indexer.keys",
        "indexer.names",
        "indexer.patterns",
        "indexer.value",
    }


def fresh(code: str, *arguments: str) -> str:
    """Run code in an interpreter of its own and return what it prints."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hot_path_is_light() -> None:
    """What a container imports before its first request brings in nothing that is slow to import."""
    code = f"import sys; import {', '.join(HOT)}; print(*sys.modules)"
    loaded = set(fresh(code).split())
    assert set(HOT) <= loaded
    assert {name for name in SLOW if name in loaded} == set()


def test_what_is_rarely_asked_for_is_not_loaded() -> None:
    """The legacy JSON API and the root listing cost nothing to a container that is not asked for them."""
    rare = {
        "pypi_lambda.app.documents",
        "indexer.simple.legacy",
        "indexer.distributions.versions",
        "indexer.derive.root",
        "email",
    }
    assert rare - {"email"} <= MODULES.keys()
    loaded = set(fresh(f"import sys; import {', '.join(HOT)}; print(*sys.modules)").split())
    assert loaded & rare == set()


def test_slow_modules_have_those_names() -> None:
    """What must not be loaded exists under the names that are looked for."""
    code = f"import sys; import {', '.join(SLOW)}; print(*sys.modules)"
    assert set(SLOW) <= set(fresh(code).split())


def test_importing_does_nothing() -> None:
    """Importing our modules changes no environment, logging, thread or signal, opens no file and asks nobody."""
    fresh(SIDE_EFFECTS, *(name for name in MODULES if name != ENTRY_POINT))


@pytest.mark.parametrize("code", ["import os; os.environ['X'] = '1'", "import logging; logging.basicConfig()"])
def test_side_effects_would_be_found(tmp_path: Path, code: str) -> None:
    """The watch over imports sees what a module does."""
    (tmp_path / "naughty.py").write_text(code)
    with pytest.raises(AssertionError):
        fresh(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{SIDE_EFFECTS}", "naughty")


def test_no_registry_is_named() -> None:
    """No file names the public index's host, or a host of its files."""
    host = urlsplit(PYPI_SIMPLE_ENDPOINT).hostname
    assert host is not None
    # The files lie at another host of the same owner, whose name has "hosted" in it.
    named = re.compile(rf"{re.escape(host)}|python\w*hosted", re.IGNORECASE)
    assert named.search(f"https://{host}/simple/")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}" for path in tracked_files() for match in named.finditer(_text(path))
    ]
    assert found == []


def test_no_machine_is_named() -> None:
    """No file has a path of the machine it was written on."""
    here = [re.escape(str(ROOT))] if len(ROOT.parts) > 2 else []  # a folder such as `/app` may be meant otherwise
    home = re.compile("|".join([*here, r"/(home|Users)/\w+", r"/root/\."]))
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}" for path in tracked_files() for match in home.finditer(_text(path))
    ]
    assert found == []


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")
