"""The file that `pypi_lambda.together` reads: the bytecode of what a cold start imports, put together.

Which modules those are follows from the sources: what is imported whenever a module is, from `ROOTS` on. What functions
import is left where it is.
"""

import ast
import marshal
from collections.abc import Iterator, Mapping

from deploy.contents import OUR_PACKAGES, Entry
from deploy.target import Target
from pypi_lambda.together import MARSHAL_VERSION

# What the function imports on its way to the first answer, most of it within functions.
ROOTS = (
    *("indexer.store.begun", "indexer.keys", "indexer.store.open", "indexer.store.s3"),
    *("pypi_lambda.function.certificates", "pypi_lambda.settings", "pypi_lambda.function.invocations"),
    *("pypi_lambda.access.logins", "pypi_lambda.access.throttle", "pypi_lambda.access.verifiers"),
)
HEADER_BYTES = 16  # of a .pyc: magic number, flags, hash (PEP 552)


def together_entry(sources: Mapping[str, bytes], compiled: Mapping[str, bytes], target: Target, package: str) -> Entry:
    """Return the file.

    Args:
        sources: of our modules, by their names in the zip.
        compiled: the bodies of their `.pyc`, by the same names.
        package: as an entry has it.
    """
    files = {module_name(name): name for name in sources}
    modules = sorted(_reach(files, sources))
    codes = {
        module: (files[module].endswith("/__init__.py"), compiled[files[module]][HEADER_BYTES:]) for module in modules
    }
    return Entry(
        name=f"pypi_lambda/together.{target.cache_tag}.bin",
        package=package,
        body=marshal.dumps(codes, MARSHAL_VERSION),
    )


def module_name(name: str) -> str:
    """Return what a file of the zip is imported as."""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _reach(files: Mapping[str, str], sources: Mapping[str, bytes]) -> set[str]:
    found: set[str] = set()
    ahead = [root for root in ROOTS if root in files]
    while ahead:
        module = ahead.pop()
        if module in found:
            continue
        found.add(module)
        parent = module.rpartition(".")[0]
        imported = {parent, *_imports(ast.parse(sources[files[module]]).body)}
        ahead += [name for name in imported if name in files]
    return found


def _imports(body: list[ast.stmt]) -> Iterator[str]:
    """Yield what is imported whenever these statements run; `if TYPE_CHECKING` never does."""
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module is not None:
            yield statement.module
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)
        elif isinstance(statement, ast.Try):
            yield from _imports(statement.body)


def is_ours(name: str) -> bool:
    """Whether a file of the zip is a module of ours."""
    return name.endswith(".py") and name.partition("/")[0] in OUR_PACKAGES
