"""What the index of the matrix offers: private projects, and those of an upstream on loopback.

Every wheel has a program, because pipx installs nothing else, and runs on Python 2.7 too.
"""

from collections.abc import Mapping, Sequence

from tests.support.distributions import Distribution, make_metadata, make_tar, make_wheel
from tests.support.fake_upstream import FakeUpstream

_TAG = "py2.py3-none-any"
_BACKEND = '''\
"""Builds the wheel that lies beside this file."""

import os
import shutil

HERE = os.path.dirname(os.path.abspath(__file__))


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    (wheel,) = [name for name in os.listdir(HERE) if name.endswith(".whl")]
    shutil.copy(os.path.join(HERE, wheel), wheel_directory)
    return wheel
'''
# No build backend comes from an index: it is inside.
_PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "in_tree_backend"\nbackend-path = ["."]\n'
_SETUP = """\
from setuptools import setup

setup(name={name!r}, version={version!r}, py_modules=[{module!r}])
"""


def make_program(
    name: str, version: str = "1.0", *, requires: Sequence[str] = (), extras: Mapping[str, str] | None = None
) -> Distribution:
    """Build a wheel with a program that is called as the project."""
    module = name.replace("-", "_").replace(".", "_").lower()
    metadata = make_metadata(name, version, requires=requires)
    for extra, requirement in (extras or {}).items():
        metadata += f'Provides-Extra: {extra}\nRequires-Dist: {requirement}; extra == "{extra}"\n'.encode()
    return make_wheel(
        name,
        version,
        tag=_TAG,
        metadata=metadata,
        files={
            f"{module}_program.py": b"def main():\n    pass\n",
            f"{module}-{version}.dist-info/entry_points.txt": (
                f"[console_scripts]\n{name.lower()} = {module}_program:main\n".encode()
            ),
        },
    )


def make_source(name: str, version: str = "1.0", *, legacy: bool = False) -> Distribution:
    """Build an sdist that installs without a network.

    Args:
        legacy: with a `setup.py` for setuptools, which pip before 20.0 needs, and no `pyproject.toml`.
    """
    module = name.replace("-", "_")
    wheel = make_program(name, version)
    metadata = make_metadata(name, version, metadata_version="1.2" if legacy else "2.2")
    root = f"{module}-{version}"
    members = {f"{root}/PKG-INFO": metadata}
    if legacy:
        members[f"{root}/setup.py"] = _SETUP.format(name=name, version=version, module=module).encode()
        members[f"{root}/{module}.py"] = f'__version__ = "{version}"\n'.encode()
    else:
        members[f"{root}/pyproject.toml"] = _PYPROJECT.encode()
        members[f"{root}/in_tree_backend.py"] = _BACKEND.encode()
        members[f"{root}/{wheel.filename}"] = wheel.content
    return Distribution(
        project=name, filename=f"{root}.tar.gz", content=make_tar(members), metadata=metadata, requires_python=None
    )


OWN = make_program("own-wheel")
OWN_SOURCE = make_source("own-source")
OWN_LEGACY = make_source("own-legacy", legacy=True)
OWN_YANKED = make_program("own-yanked", "2.0")
OWN_YANKED_BEFORE = make_program("own-yanked", "1.0")
PRIVATE = (OWN, OWN_SOURCE, OWN_LEGACY, OWN_YANKED_BEFORE, OWN_YANKED)

APP = make_program("Up.App", "3.0", requires=("up_library>=1", "up-plain"), extras={"more": "up-more"})
LIBRARY = {version: make_program("up-library", version) for version in ("1.0", "1.1")}
PLAIN = make_program("up-plain")
MORE = make_program("up-more")
# pex wants it beside its own pip before that builds an sdist; the sdists here build themselves.
WHEEL_OF_PEX = make_program("wheel", "0.37.1")


def publish_upstream(upstream: FakeUpstream) -> None:
    """Publish what is mirrored: an application and what it needs, `up-plain` without metadata."""
    upstream.add(APP)
    for wheel in LIBRARY.values():
        upstream.add(wheel)
    upstream.add(PLAIN, metadata=None)
    upstream.add(MORE)
    upstream.add(WHEEL_OF_PEX)
