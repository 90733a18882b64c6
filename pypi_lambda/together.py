"""The modules of a cold start out of one file: to look for each of sixty and read it takes 3 ms more.

`setup.py ldist` writes that file beside this module, of the very bytecode that lies in `__pycache__`. Without it, or
with another Python's alone, modules are found as ever, and so is each that the file does not have.

Import system, "The meta path", in the Python language reference.
"""

import marshal
import os
import sys
from types import ModuleType
from typing import Any

ROOT = os.path.dirname(os.path.dirname(__file__))
PATH = os.path.join(os.path.dirname(__file__), f"together.{sys.implementation.cache_tag}.bin")
MARSHAL_VERSION = 2  # plain bytes and texts, the same from every Python that builds and for every one that reads

Codes = dict[str, tuple[bool, bytes]]
"""By a module's name: whether it is a package, and its marshalled code."""

_ModuleSpec: Any = type(__spec__)  # importlib.machinery has it for 0.1 ms


class Finder:
    """Finds and loads the modules that are there, each once.

    Args:
        root: the folder in which they lie as files.
    """

    def __init__(self, codes: Codes, root: str) -> None:
        self._codes = codes
        self._root = root

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        """Return how to load a module, or None for one that is to be looked for elsewhere."""
        found = self._codes.get(name)
        if found is None:
            return None
        is_package, place = found[0], os.path.join(self._root, *name.split("."))
        file = os.path.join(place, "__init__.py") if is_package else f"{place}.py"
        spec = _ModuleSpec(name, self, origin=file, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [place]
        return spec

    def create_module(self, _spec: object) -> None:
        """Leave it to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code, and forget it: a second try finds the file."""
        exec(marshal.loads(self._codes.pop(module.__name__)[1]), module.__dict__)  # noqa: S102, S302


def install(path: str = PATH, root: str = ROOT) -> None:
    """Have modules found in the file at this path, where there is one."""
    try:
        with open(path, "rb") as file:
            codes: Codes = marshal.loads(file.read())  # noqa: S302 - as trusted as the code beside it
    except FileNotFoundError:
        return
    sys.meta_path.insert(0, Finder(codes, root))
