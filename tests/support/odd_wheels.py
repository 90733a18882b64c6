"""Wheels that no build tool makes: those that pip installs all the same, and those that no installer can."""

import io
import struct
import warnings
import zipfile
from collections.abc import Mapping

from tests.support.archives import zip_bytes, zip_streamed
from tests.support.distributions import make_metadata

WHEEL = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def members(
    *, project: str = "demo", version: str = "2.0", folder: str | None = None, metadata: bytes | None = None
) -> dict[str, bytes]:
    info = folder or f"{project}-{version}.dist-info"
    record = f"{project}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
    return {
        f"{project}.py": f'__version__ = "{version}"\n'.encode(),
        f"{info}/METADATA": make_metadata(project, version) if metadata is None else metadata,
        f"{info}/WHEEL": WHEEL,
        f"{info}/RECORD": record.encode(),
    }


def zipped(content: Mapping[str, bytes], *more: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Build a zip file; `more` are members that may be there already."""
    target = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(target, "w") as archive:
        warnings.simplefilter("ignore")
        for path, data in (*content.items(), *more):
            archive.writestr(zipfile.ZipInfo(path), data, method)
    return target.getvalue()


def zip64(content: Mapping[str, bytes]) -> bytes:
    """Build a zip file whose local headers have room for sizes of more than 32 bits."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            with archive.open(path, "w", force_zip64=True) as stream:
                stream.write(data)
    return target.getvalue()


def renamed(content: Mapping[str, bytes], old: str, new: str) -> dict[str, bytes]:
    return {path.replace(old, new): data for path, data in content.items()}


def patched(archive: bytes, path: str, offset: int, value: int) -> bytes:
    """Put a 32-bit number into the directory's entry of a member; see APPNOTE 4.3.12 for what stands where."""
    end = archive.rindex(path.encode())
    begin = archive.rindex(b"PK\x01\x02", 0, end)
    return archive[: begin + offset] + struct.pack("<I", value) + archive[begin + offset + 4 :]


PLAIN = members()
METADATA = make_metadata("demo", "2.0")
INFO = "demo-2.0.dist-info"


def installable(project: str) -> Mapping[str, bytes]:
    """Return wheels of version 2.0 that have METADATA, and that pip 26.3 installs."""
    plain, metadata, info = members(project=project), make_metadata(project, "2.0"), f"{project}-2.0.dist-info"

    def below(folder: str) -> dict[str, bytes]:
        return members(project=project, folder=folder, metadata=metadata)

    return {
        "plain": zipped(plain),
        "dist-info of version 2": zipped(below(f"{project}-2.dist-info")),
        "dist-info of version 2.0.0": zipped(below(f"{project}-2.0.0.dist-info")),
        "dist-info of an older version": zipped(below(f"{project}-1.9.dist-info")),
        "dist-info without a version": zipped(below(f"{project}.dist-info")),
        "dist-info in capitals": zipped(below(f"{project.upper()}-2.0.dist-info")),
        "stored": zipped(plain, method=zipfile.ZIP_STORED),
        "bzip2": zipped(plain, method=zipfile.ZIP_BZIP2),
        "lzma": zipped(plain, method=zipfile.ZIP_LZMA),
        "METADATA twice": zipped(plain | {f"{info}/METADATA": b"Name: first\n"}, (f"{info}/METADATA", metadata)),
        "a module twice": zipped(plain, (f"{project}.py", b"")),
        "a//b": zipped(plain | {"a//b": b""}),
        "a/./b": zipped(plain | {"a/./b": b""}),
        "a backslash": zipped(plain | {"a\\b": b""}),
        "METADATA at ./METADATA": zipped(renamed(plain, "/METADATA", "/./METADATA")),
        "bytes before": b"#!/bin/sh\n" + zipped(plain),
        "bytes after": zipped(plain) + b"x" * 1_000,
        "zeros after": zipped(plain) + bytes(10),
        "a comment": zip_bytes(plain, comment=b"made by hand"),
        "streamed": zip_streamed(plain),
        "zip64": zip64(plain),
        "much of nothing": zipped(plain | {"zeros": bytes(80_000_000)}),
    }


INSTALLABLE = installable("demo")
# uv 0.13.9 refuses these in whatever way it learns of their metadata.
REFUSED_BY_UV = frozenset(
    {"bzip2", "lzma", "METADATA twice", "a module twice", "METADATA at ./METADATA", "bytes before", "bytes after"}
)
# These have none that an installer would find.
UNREADABLE: Mapping[str, bytes] = {
    "no zip": b"no zip" * 100,
    "empty": b"",
    "cut short": zipped(PLAIN)[:-30],
    "no METADATA": zipped({path: data for path, data in PLAIN.items() if not path.endswith("METADATA")}),
    "no dist-info": zipped({"demo.py": b""}),
    "dist-info of another project": zipped(members(folder="other-2.0.dist-info")),
    "two dist-infos": zipped(PLAIN | {"other-1.0.dist-info/METADATA": make_metadata("other", "1.0")}),
    "two dist-infos of one project": zipped(PLAIN | {"demo-1.0.dist-info/RECORD": b""}),
    "dist-info below a folder": zipped(renamed(PLAIN, INFO, f"src/{INFO}")),
    "dist-info below .": zipped(renamed(PLAIN, INFO, f"./{INFO}")),
    "METADATA at /METADATA": zipped(renamed(PLAIN, f"{INFO}/", f"{INFO}//")),
    "metadata in small letters": zipped(renamed(PLAIN, "/METADATA", "/metadata")),
    "egg-info": zipped(renamed(PLAIN, f"{INFO}/METADATA", "demo.egg-info/PKG-INFO")),
    "METADATA is empty": zipped(members(metadata=b"")),
    "METADATA is a page": zipped(members(metadata=b"<!DOCTYPE html><title>Name: demo</title>")),
    "METADATA of another project": zipped(members(metadata=make_metadata("other", "2.0"))),
    "METADATA without a version": zipped(members(metadata=b"Metadata-Version: 2.1\nName: demo\n")),
    "METADATA is encrypted": patched(zipped(PLAIN), f"{INFO}/METADATA", 8, 0x0008_0001),
    "METADATA is damaged": patched(zipped(PLAIN), f"{INFO}/METADATA", 16, 0),
    "METADATA is longer than it says": patched(zipped(PLAIN), f"{INFO}/METADATA", 24, 10),
    "METADATA is nowhere": patched(zipped(PLAIN), f"{INFO}/METADATA", 42, 7),
}
