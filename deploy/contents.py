"""The contents of the zip: our code and the wheels', less what the function never loads.

A table says what is left out, and why. Pure but for reading files; what comes out is sorted names and bytes.
"""

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from deploy.elf import needed_glibc, strip
from deploy.errors import Unbuildable
from deploy.target import NEWEST_GLIBC_MINOR

OUR_PACKAGES = ("indexer", "pypi_lambda")

# Shell patterns, in which `*` also matches `/`. A library's module stands here only when no path of ours leads to it.
LEFT_OUT = (
    # for type checkers, packagers and C compilers
    "*.pyi",
    "*/py.typed",
    "*.dist-info/*",  # nothing here asks importlib.metadata
    "*.data/*",  # scripts and headers
    "*.pyx",
    "*.pxd",
    "*.c",
    "*.h",
    # left by an interpreter; compiled anew for the target
    "*/__pycache__/*",
    # for developers
    "*/tests/*",
    "*/__main__.py",
    # the command line and the server of a laptop
    "pypi_lambda/cli/*",
    "pypi_lambda/terminal/*",
    "pypi_lambda/server/*",
    # the backend for PyPy
    "zstandard/_cffi.*",
    "zstandard/backend_cffi.py",
    # of passlib, pbkdf2_sha512 alone is used
    "passlib/_data/*",
    "passlib/ext/*",
    "passlib/apache.py",
    "passlib/apps.py",
    "passlib/hosts.py",
    "passlib/pwd.py",
    "passlib/totp.py",
    "passlib/context.py",
    "passlib/crypto/_[a-z]*",
    "passlib/crypto/des.py",
    "passlib/crypto/scrypt/*",
    "passlib/handlers/[a-oq-z]*",
    "passlib/utils/des.py",
    "passlib/utils/md4.py",
    # of obstore, the S3 client
    "obstore/auth/*",
    "obstore/fsspec.py",
    # pydantic comes with pypi-simple, which uses the second version of its interface
    "pydantic/v1/*",
    "pydantic/mypy.py",
    "pydantic/_hypothesis_plugin.py",
    # colours for READMEs, which no style sheet here has; readme-renderer's Markdown, which wants them
    "pygments/*",
    "readme_renderer/markdown.py",
    # of docutils, what writes anything but HTML, and languages other than English
    "docutils/writers/latex*",
    "docutils/writers/manpage.py",
    "docutils/writers/odf*",
    "docutils/writers/s5*",
    "docutils/writers/xetex*",
    "docutils/writers/pep*",
    "docutils/writers/docutils_xml.py",
    "docutils/writers/html4css1/*",
    "docutils/languages/[a-df-z]*",
    "docutils/parsers/rst/languages/[a-df-z]*",
    "docutils/parsers/rst/include/*",
    "docutils/parsers/recommonmark_wrapper.py",
    "docutils/parsers/commonmark_wrapper.py",
    # Python in a browser
    "urllib3/contrib/emscripten/*",
    "charset_normalizer/cli/*",
)

# Distributions that the managed runtime has: boto3 and what only boto3 needs. `requirements.txt` leaves them out.
IN_THE_RUNTIME = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of the zip.

    Attributes:
        name: its path in the zip.
        package: the distribution it comes from, as in `msgpack 1.2.4`.
    """

    name: str
    package: str
    body: bytes


def our_entries(root: Path, version: str) -> Iterator[Entry]:
    """Yield the product's own files.

    Args:
        root: the repository.
    """
    for package in OUR_PACKAGES:
        for path in sorted((root / package).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and is_shipped(name):
                yield Entry(name=name, package=f"serverless-pypi {version}", body=path.read_bytes())


def wheel_entries(wheels: Iterable[Path]) -> Iterator[Entry]:
    """Yield the wheels' files: installing a wheel means unpacking it, but for scripts and headers.

    Raises:
        Unbuildable: a shared object needs a newer glibc than the runtime has, whatever the wheel's tag says.
    """
    for wheel in wheels:
        package = " ".join(wheel.name.split("-")[:2])
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                if not info.is_dir() and is_shipped(info.filename):
                    body = archive.read(info)
                    if info.filename.endswith(".so"):
                        body = strip(body)
                        _check_glibc(f"{info.filename} of {package}", body)
                    yield Entry(name=info.filename, package=package, body=body)


def _check_glibc(what: str, body: bytes) -> None:
    if (minor := needed_glibc(body)) > NEWEST_GLIBC_MINOR:
        raise Unbuildable(f"{what} needs glibc 2.{minor}, and the runtime has 2.{NEWEST_GLIBC_MINOR}")


def settings_entry(body: bytes, version: str) -> Entry:
    """Return the file of baked settings, which `pypi_lambda.settings` reads."""
    return Entry(name="pypi_lambda/baked_settings.json", package=f"serverless-pypi {version}", body=body)


def is_shipped(name: str) -> bool:
    """Whether a file goes into the zip."""
    return not any(fnmatch(name, pattern) for pattern in LEFT_OUT)


def by_package(entries: Iterable[Entry]) -> Mapping[str, tuple[Entry, ...]]:
    """Return the entries by the package they come from, in the order of the packages' names."""
    found: dict[str, tuple[Entry, ...]] = {}
    for entry in sorted(entries, key=lambda entry: (entry.package, entry.name)):
        found[entry.package] = (*found.get(entry.package, ()), entry)
    return found
