"""Which texts are versions, and which of them are the same one."""

import sys

import pytest
from packaging.utils import canonicalize_version

from indexer.distributions.versions import latest, newest_first, normal_version
from indexer.version import MAX_VERSION_LENGTH, is_same_version, is_version, parse_version, version_key

# Python refuses to read so long a number, with an error that is none of a version's.
ENDLESS = "9" * (sys.int_info.default_max_str_digits + 1)


@pytest.mark.parametrize(
    "version",
    ["0", "0.0", "1.0", "1.0.0", "01.02", "10.20.0", "1.0rc1", "v1.0-alpha", "1!1.0", "1.0+A_b.01", "1.0.post0", "odd"],
)
def test_key(version: str) -> None:
    """Versions of numbers alone, which are read without `packaging`, have the key that it gives them."""
    assert version_key(version) == canonicalize_version(version)


def test_spellings() -> None:
    """Spellings of one version are the same; a text that is no version is the same as itself, and no spelling."""
    assert is_same_version("1.0", "1.0.0")
    assert is_version("v1", "1.0")
    assert not is_same_version("1.0", "1.0.1")
    assert not is_version("1.0", "odd")
    assert is_same_version("odd", "odd")
    assert not is_version("odd", "odd")


@pytest.mark.parametrize("version", [ENDLESS, f"1.{ENDLESS}", f"1.0rc{ENDLESS}", "1." * MAX_VERSION_LENGTH + "0"])
def test_endless_numbers(version: str) -> None:
    """A version of thousands of digits, as an upstream's page or a command may have it, is none, and no fault."""
    assert parse_version(version) is None
    assert version_key(version) == normal_version(version) == version
    assert not is_same_version(version, "1.0")
    assert not is_same_version("1.0", version)
    assert newest_first([version, "1.0"]) == ["1.0", version]
    assert latest([(version, False), ("1.0", False)]) == "1.0"
