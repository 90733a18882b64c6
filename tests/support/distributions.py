"""Wheels and sdists that real pip and uv install, built in memory: equal arguments give equal bytes."""

import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.archives import record, record_row

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip file can name

# A build backend without requirements: it hands out the wheel that came with the source.
_BACKEND = '''\
"""Builds the wheel that lies beside this file."""

import pathlib
import shutil

HERE = pathlib.Path(__file__).parent


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    (wheel,) = HERE.glob("*.whl")
    shutil.copy(wheel, wheel_directory)
    return wheel.name
'''
_PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "in_tree_backend"\nbackend-path = ["."]\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A file as a build tool makes it; `metadata` is its METADATA or PKG-INFO, byte for byte."""

    project: str
    filename: str
    content: bytes
    metadata: bytes
    requires_python: str | None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def metadata_sha256(self) -> str:
        return hashlib.sha256(self.metadata).hexdigest()


def make_metadata(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    metadata_version: str = "2.1",
    summary: str = "A test distribution",
) -> bytes:
    """Build core metadata."""
    lines = [f"Metadata-Version: {metadata_version}", f"Name: {name}", f"Version: {version}", f"Summary: {summary}"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python is not None else []
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return ("\n".join(lines) + "\n").encode()


def make_wheel(
    name: str = "demo",
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    tag: str = "py3-none-any",
    build: str | None = None,
    metadata: bytes | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Distribution:
    """Build a wheel with one module that is called as the project and knows its `__version__`.

    Args:
        metadata: in the place of METADATA that agrees with the other arguments.
        files: more files, by path.
    """
    metadata = metadata or make_metadata(name, version, requires=requires, requires_python=requires_python)
    info = f"{_escape(name)}-{version}.dist-info"
    members = {
        f"{_escape(name)}.py": f'__version__ = "{version}"\n'.encode(),
        **(files or {}),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    members[f"{info}/RECORD"] = record(members, f"{info}/RECORD")
    return Distribution(
        project=name,
        filename="-".join([_escape(name), version, *([build] if build else []), tag]) + ".whl",
        content=make_zip(members),
        metadata=metadata,
        requires_python=requires_python,
    )


def make_sdist(
    name: str = "demo",
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    metadata: bytes | None = None,
) -> Distribution:
    """Build an sdist that installs without a network: its build backend is inside and needs nothing."""
    wheel = make_wheel(name, version, requires=requires, requires_python=requires_python)
    metadata = metadata or make_metadata(
        name, version, requires=requires, requires_python=requires_python, metadata_version="2.2"
    )
    root = f"{_escape(name)}-{version}"
    members = {
        f"{root}/PKG-INFO": metadata,
        f"{root}/pyproject.toml": _PYPROJECT.encode(),
        f"{root}/in_tree_backend.py": _BACKEND.encode(),
        f"{root}/{wheel.filename}": wheel.content,
    }
    return Distribution(
        project=name,
        filename=f"{root}.tar.gz",
        content=make_tar(members),
        metadata=metadata,
        requires_python=requires_python,
    )


def make_zip(members: Mapping[str, bytes]) -> bytes:
    """Build a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def make_tar(members: Mapping[str, bytes]) -> bytes:
    """Build a gzip-compressed tar file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in members.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def add_record(path: Path, info: str) -> None:
    """Add RECORD to a wheel of any size that lacks it; `info` is its .dist-info folder."""
    rows = []
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        for member in archive.infolist():
            with archive.open(member) as content:
                digest = hashlib.file_digest(content, "sha256").digest()  # type: ignore[arg-type]  # typeshed wants more
            rows.append(record_row(member.filename, digest, member.file_size))
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "".join([*rows, f"{info}/RECORD,,\n"]))


def _escape(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
