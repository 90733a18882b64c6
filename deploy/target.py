"""The target: which Lambda runtime a zip is built for.

PEP 425, 600 (platform tags); https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

PYTHONS = ("3.12", "3.13", "3.14", "3.15")
ARCHITECTURES = ("x86_64", "arm64")

DEFAULT_PYTHON = "3.13"
DEFAULT_ARCHITECTURE = "x86_64"  # what the tests run, and the only one that Lambda@Edge takes

# The managed runtimes from python3.12 on are Amazon Linux 2023, whose glibc is 2.34. 2.17 is manylinux2014.
NEWEST_GLIBC_MINOR = 34
OLDEST_GLIBC_MINOR = 17
# Tags that name a newer one are admitted last, and what the objects need is looked up in them (`deploy.elf`): orjson's
# wheels for Python 3.15 are tagged 2.39 and need 2.17 at most.
NEWEST_TAG_MINOR = 39

_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
_EXTENSION = re.compile(r"\.cpython-3(?P<minor>\d+)-(?P<machine>x86_64|aarch64)-linux-gnu\.so$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A Lambda runtime.

    Attributes:
        python: as in `PYTHONS`; tests also build for the interpreter that runs them.
        architecture: as in `ARCHITECTURES`, in AWS's words.
    """

    python: str = DEFAULT_PYTHON
    architecture: str = DEFAULT_ARCHITECTURE

    @property
    def minor(self) -> int:
        """The minor version, as in 13."""
        return int(self.python.partition(".")[2])

    @property
    def abi(self) -> str:
        """The ABI tag, as in `cp313`."""
        return "cp" + self.python.replace(".", "")

    @property
    def cache_tag(self) -> str:
        """What stands before `.pyc`, as in `cpython-313`."""
        return "cpython-" + self.python.replace(".", "")

    @property
    def runtime(self) -> str:
        """AWS's name, as in `python3.13`."""
        return f"python{self.python}"

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags to ask for, best first; pip does not derive the older ones from the newest."""
        machine = _MACHINES[self.architecture]
        sure = range(NEWEST_GLIBC_MINOR, OLDEST_GLIBC_MINOR - 1, -1)
        doubtful = range(NEWEST_GLIBC_MINOR + 1, NEWEST_TAG_MINOR + 1)
        tags = [f"manylinux_2_{minor}_{machine}" for minor in (*sure, *doubtful)]
        return (*tags[: len(sure)], f"manylinux2014_{machine}", *tags[len(sure) :])


def find_target(names: Iterable[str]) -> Target | None:
    """Return what a zip with these entries was built for: an extension module's name says it; None when none does."""
    for name in names:
        if found := _EXTENSION.search(name):
            architecture = next(ours for ours, machine in _MACHINES.items() if machine == found["machine"])
            return Target(python=f"3.{found['minor']}", architecture=architecture)
    return None
