"""Building the zip: wheels and our code → what is shipped → bytecode → one archive."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from deploy.archive import contents_sha256, encode_zip
from deploy.bytecode import compile_all, find_compiler
from deploy.contents import Entry, our_entries, settings_entry, wheel_entries
from deploy.settings_file import encode_settings
from deploy.target import Target
from deploy.together import is_ours, together_entry
from deploy.wheels import fetch_wheels


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A zip that was built.

    Attributes:
        compiler: the interpreter that compiled it, or None when it holds sources only.
        contents_sha256: as `deploy.archive` has it.
    """

    path: Path
    target: Target
    entries: tuple[Entry, ...]
    compiler: str | None
    size: int
    sha256: str
    contents_sha256: str


def build(
    root: Path,
    output: Path,
    *,
    version: str,
    target: Target,
    environ: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
) -> Built:
    """Build the function's zip in the output folder.

    Args:
        root: the repository.
        environ: where to look for an interpreter to compile with.
        settings: what to bake in.

    Raises:
        Unbuildable: wheels cannot be had, or something does not compile.
    """
    compiler = find_compiler(target, environ)
    with tempfile.TemporaryDirectory(prefix="ldist-") as folder:
        wheels, tree = Path(folder, "wheels"), Path(folder, "tree")
        entries = [*our_entries(root, version), *wheel_entries(fetch_wheels(target, wheels))]
        if settings:
            entries.append(settings_entry(encode_settings(settings), version))
        if compiler is not None:
            compiled = _compiled(entries, compiler, tree, target)
            entries = [*entries, *compiled, _together(entries, compiled, version, target)]
    body = encode_zip(entries)
    path = output / f"serverless-pypi-{version}-{target.architecture}.zip"
    output.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return Built(
        path=path,
        target=target,
        entries=tuple(entries),
        compiler=compiler,
        size=len(body),
        sha256=sha256(body).hexdigest(),
        contents_sha256=contents_sha256(entries),
    )


def _compiled(entries: Iterable[Entry], compiler: str, tree: Path, target: Target) -> list[Entry]:
    modules = [entry for entry in entries if entry.name.endswith(".py")]
    for module in modules:
        path = tree / module.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(module.body)
    compile_all(compiler, tree)
    return [
        Entry(name=name, package=module.package, body=(tree / name).read_bytes())
        for module in modules
        for name in [pyc_name(module.name, target)]
    ]


def _together(entries: Iterable[Entry], compiled: Iterable[Entry], version: str, target: Target) -> Entry:
    sources = {entry.name: entry.body for entry in entries if is_ours(entry.name)}
    bodies = {entry.name: entry.body for entry in compiled}
    by_module = {name: bodies[pyc_name(name, target)] for name in sources}
    return together_entry(sources, by_module, target, f"serverless-pypi {version}")


def pyc_name(name: str, target: Target) -> str:
    """Return where the interpreter looks for a module's bytecode (PEP 3147)."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}__pycache__/{file.removesuffix('.py')}.{target.cache_tag}.pyc"
