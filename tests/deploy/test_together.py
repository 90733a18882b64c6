"""The modules of a cold start out of one file: the same modules, and what happens without the file."""

import json
import marshal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.together import ROOTS, module_name
from indexer.errors import CorruptObject
from pypi_lambda.together import MARSHAL_VERSION, PATH, Codes, install

ROOT = Path(__file__).parents[2]

# Runs with the unpacked zip alone: what each module of a cold start is, and by whom it was loaded.
LOOK = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "together":
    from pypi_lambda.together import install
    install()
import pypi_lambda.function.invocations, pypi_lambda.access.logins, pypi_lambda.access.throttle
import pypi_lambda.access.verifiers, indexer.store.s3
import indexer.store.begun, pypi_lambda.function.certificates
def shown(module):
    spec = module.__spec__
    names = sorted(name for name in vars(module) if not name.startswith("__") and name != "together")
    return [module.__file__, spec.name, spec.origin, module.__package__, list(getattr(module, "__path__", [])), names]
ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("indexer", "pypi_lambda")}
ours.pop("pypi_lambda.together", None)
print(json.dumps({
    "modules": {name: shown(module) for name, module in sorted(ours.items())},
    "files": sorted(name for name, module in ours.items() if type(module.__spec__.loader).__name__ != "Finder"),
    "late": pypi_lambda.front_doors.requests.__name__ and __import__("indexer.store.folder").store.folder.__file__,
}))
"""


def look(code: Path, how: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-W", "error", "-c", LOOK, str(code), how],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_same_modules(function_code: Path) -> None:
    """In the built zip all modules of a cold start come out of the file, and are what they are without it."""
    apart, together = look(function_code, "apart"), look(function_code, "together")
    assert together["modules"] == apart["modules"]
    assert together["files"] == ["pypi_lambda"]  # `pypi_lambda.together` needed it
    assert together["late"] == apart["late"] == str(function_code / "indexer" / "store" / "folder.py")


def test_no_more_than_that(function_code: Path) -> None:
    """The file has what a cold start imports and no other module."""
    modules = look(function_code, "apart")["modules"]
    assert isinstance(modules, dict)
    (path,) = (function_code / "pypi_lambda").glob("together.*.bin")
    assert sorted(marshal.loads(path.read_bytes())) == sorted(modules)


def test_each_root_is_there() -> None:
    """What the closure begins with are modules of ours, all of them."""
    files = {module_name(path.relative_to(ROOT).as_posix()) for path in ROOT.glob("*/**/*.py")}
    assert set(ROOTS) <= files


def test_without_a_file() -> None:
    """Where there is none, as in the sources, modules are found as ever."""
    before = sys.meta_path[:]
    install()
    assert sys.meta_path == before
    assert not Path(PATH).exists()


class TestOdd:
    @pytest.fixture
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
        return tmp_path / "together.bin"

    def write(self, path: Path, sources: dict[str, str]) -> None:
        codes: Codes = {name: (False, marshal.dumps(compile(source, name, "exec"))) for name, source in sources.items()}
        path.write_bytes(marshal.dumps(codes, MARSHAL_VERSION))

    def test_a_module_that_raises(self, path: Path, tmp_path: Path) -> None:
        """A module whose code raises is not there afterwards, and a second try says so."""
        self.write(path, {"odd_together": "from indexer.errors import CorruptObject; raise CorruptObject('key', 'no')"})
        install(str(path), str(tmp_path))
        with pytest.raises(CorruptObject):
            __import__("odd_together")
        with pytest.raises(ModuleNotFoundError):
            __import__("odd_together")
        assert "odd_together" not in sys.modules

    def test_a_traceback(self, path: Path, tmp_path: Path) -> None:
        """A module knows the file that it would have been loaded from."""
        self.write(path, {"even_together": "here = __file__, __name__, __spec__.origin"})
        install(str(path), str(tmp_path))
        place = str(tmp_path / "even_together.py")
        assert __import__("even_together").here == (place, "even_together", place)
        del sys.modules["even_together"]
