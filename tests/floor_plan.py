"""The floor plan, read off the code: modules, rooms, and who imports whom, at the top of a module or in a function.

    python -m tests.floor_plan [ROOT]

prints its figures, for a checkout elsewhere too. A room is a folder; the modules at the top of `pypi_lambda` are one,
but for the entry point, which rests on all others.
"""

import ast
import sys
from collections.abc import Mapping, Set
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("indexer", "pypi_lambda")
# Lambda has no call for initialising but the import of the handler's module.
ENTRY_POINT = "pypi_lambda.handler"

Graph = Mapping[str, Set[str]]


@cache
def find_modules(root: Path = ROOT) -> Mapping[str, Path]:
    """Return the files of both packages by the names of their modules."""
    files = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imports_of(path: Path, modules: Set[str]) -> set[str]:
    """Return the modules of ours that a file imports: at its top, within functions, and for type checkers."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            assert node.module is not None
            found.update(
                full if (full := f"{node.module}.{alias.name}") in modules else node.module for alias in node.names
            )
    return {module for module in found if module.partition(".")[0] in PACKAGES}


@cache
def module_graph(root: Path = ROOT) -> Graph:
    """Return for each module those that it imports."""
    modules = find_modules(root)
    return {name: imports_of(path, modules.keys()) - {name} for name, path in modules.items()}


def room_of(module: str, root: Path = ROOT) -> str:
    """Return the room that a module lies in."""
    is_package = find_modules(root)[module].name == "__init__.py"
    return module if is_package or module == ENTRY_POINT else module.rpartition(".")[0]


@cache
def room_graph(root: Path = ROOT) -> Graph:
    """Return for each room those that its modules import."""
    rooms: dict[str, set[str]] = {}
    for module, imported in module_graph(root).items():
        room = room_of(module, root)
        rooms.setdefault(room, set()).update({room_of(other, root) for other in imported} - {room})
    return rooms


def find_circle(graph: Graph) -> tuple[str, ...]:
    """Return the names of a circle, or none where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return ()


def reached(graph: Graph, start: str) -> set[str]:
    """Return all that a name rests on, by whatever way; of a graph without circles."""
    return {*graph[start], *(far for near in graph[start] for far in reached(graph, near))}


def drawn(graph: Graph) -> dict[str, set[str]]:
    """Return the arrows that do not follow from others: of A to B, B to C and A to C, the last does."""
    below = {name: reached(graph, name) for name in graph}
    return {name: {to for to in graph[name] if not any(to in below[by] for by in graph[name])} for name in graph}


def levels(graph: Graph) -> int:
    """Return how many names stand one upon another, at most."""
    heights: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        heights[name] = 1 + max((heights[to] for to in graph[name]), default=0)
    return max(heights.values())


def count_calls(root: Path) -> tuple[int, int]:
    """Return how many parameters take a callable, and how many functions return one that needs no argument."""
    taken = given = 0
    for path in find_modules(root).values():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                annotations = [argument.annotation for argument in ast.walk(node.args) if isinstance(argument, ast.arg)]
                taken += sum("Callable" in ast.unparse(each) for each in annotations if each is not None)
                given += node.returns is not None and "Callable[[]" in ast.unparse(node.returns)
    return taken, given


def figures(root: Path) -> dict[str, object]:
    """Return what the floor plan comes to."""
    modules, graph = find_modules(root), module_graph(root)
    lying: dict[str, int] = {}
    for path in modules.values():
        folder = path.parent.relative_to(root).as_posix()
        lying[folder] = lying.get(folder, 0) + (path.name != "__init__.py")
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules.items()}
    longest = max(lengths, key=lengths.__getitem__)
    circle = find_circle(graph)
    taken, given = count_calls(root)
    return {
        "modules": sum(lying.values()),
        "at the top": {package: lying[package] for package in PACKAGES},
        "most in one folder": max(lying.values()),
        "rooms": len(lying),
        "circle of modules": circle,
        "circle of rooms": find_circle(room_graph(root)),
        "levels of modules": None if circle else levels(graph),
        "longest module": f"{longest}, {lengths[longest]} lines",
        "modules over 300 lines": sum(length > 300 for length in lengths.values()),
        "parameters that take a callable": taken,
        "functions that return a call": given,
        "lines": sum(lengths.values()),
    }


if __name__ == "__main__":
    for what, figure in figures(Path(sys.argv[1]).resolve() if sys.argv[1:] else ROOT).items():
        print(f"{what}: {figure}")  # noqa: T201 - run as a program
