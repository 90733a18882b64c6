"""`python setup.py ldist`: the function's zip, built on any machine, and a table of what is in it."""

import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from setuptools import Command
from setuptools.errors import ExecError, OptionError

from deploy.build import Built, build
from deploy.contents import by_package
from deploy.errors import Unbuildable
from deploy.settings_file import holds_credentials, read_settings_file
from deploy.target import ARCHITECTURES, DEFAULT_ARCHITECTURE, DEFAULT_PYTHON, PYTHONS, Target

ROOT = Path(__file__).parent.parent

# Measured with Python 3.13 on one CPU: 65 ms of imports become 102 ms.
NO_COMPILER = (
    "no released Python {python} was found to compile with, so the zip holds sources only: every cold start compiles "
    "them anew, and its imports take half as long again; put python{python} on the PATH (`uv python install {python}` "
    "gets one) and build again"
)
CREDENTIALS = (
    "UPSTREAM_INDEX_URL with credentials, or PASSWORD_KEY, is among the settings: whoever can read the function's code "
    "can read it in the zip"
)


class Ldist(Command):
    """Builds the zip of the Lambda function."""

    description = "build the zip of the AWS Lambda function"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = [
        ("python=", None, f"the runtime's version, one of {', '.join(PYTHONS)} (default: {DEFAULT_PYTHON})"),
        ("arch=", None, f"the function's architecture, {' or '.join(ARCHITECTURES)} (default: {DEFAULT_ARCHITECTURE})"),
        ("settings=", None, "a file of NAME=value lines to bake in, for a function that has no environment"),
        ("output=", None, "the folder to put the zip into (default: dist)"),
    ]

    def initialize_options(self) -> None:
        """Set the defaults."""
        self.python = DEFAULT_PYTHON
        self.arch = DEFAULT_ARCHITECTURE
        self.settings: str | None = None
        self.output = str(ROOT / "dist")

    def finalize_options(self) -> None:
        """Check the options."""
        _check("--python", self.python, PYTHONS)
        _check("--arch", self.arch, ARCHITECTURES)

    def run(self) -> None:
        """Build the zip and say what is in it."""
        try:
            settings = read_settings_file(Path(self.settings)) if self.settings else {}
            built = build(
                ROOT,
                Path(self.output),
                version=self.distribution.get_version(),
                target=Target(python=self.python, architecture=self.arch),
                environ=os.environ,
                settings=settings,
            )
        except Unbuildable as error:
            raise ExecError(str(error)) from None
        print("\n".join(render_contents(built)))  # noqa: T201
        if holds_credentials(settings):
            print(f"warning: {CREDENTIALS}", file=sys.stderr)  # noqa: T201
        if built.compiler is None:
            print(f"warning: {NO_COMPILER.format(python=self.python)}", file=sys.stderr)  # noqa: T201


def render_contents(built: Built) -> Iterator[str]:
    """Yield the lines of a table: what each package contributes, in bytes, unpacked and packed."""
    yield f"{'':30}{'files':>6}{'unpacked':>12}{'packed':>12}"
    for package, entries in by_package(built.entries).items():
        unpacked = sum(len(entry.body) for entry in entries)
        packed = sum(len(zlib.compress(entry.body, 9)) for entry in entries)
        yield f"{package:30}{len(entries):6}{unpacked:12,}{packed:12,}"
    total = sum(len(entry.body) for entry in built.entries)
    yield f"{'':30}{len(built.entries):6}{total:12,}{built.size:12,}"
    compiled = f"compiled by {built.compiler}" if built.compiler else "sources only"
    yield f"{built.path} for {built.target.runtime} on {built.target.architecture}, {compiled}"
    yield f"sha256 of the zip {built.sha256}"
    yield f"sha256 of its contents {built.contents_sha256}"


def _check(option: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise OptionError(f"{option} {value}: expected one of {', '.join(accepted)}")
