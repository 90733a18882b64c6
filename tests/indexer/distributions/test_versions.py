"""What files' names say of versions, how these are written, and which comes first."""

import pytest

from indexer.distributions.versions import latest, newest_first, normal_version, version_finder
from indexer.names import ProjectName


def test_order() -> None:
    """Versions are ordered as installers order them; the latest is final and not yanked where there is such a one."""
    versions = ["1.9", "1.10", "2.0rc1", "1!0.1", "odd", "1.9"]
    assert newest_first(versions) == ["1!0.1", "2.0rc1", "1.10", "1.9", "odd"]
    assert latest((version, False) for version in versions[:3]) == "1.10"
    assert latest([("1.0", True), ("2.0rc1", False)]) == "2.0rc1"
    assert latest([]) is None


@pytest.mark.parametrize(
    ("written", "normal"),
    [("1.02", "1.2"), ("v1.0-alpha", "1.0a0"), ("1.0", "1.0"), ("1.0+A_b", "1.0+a.b"), ("x", "x")],
)
def test_normal_form(written: str, normal: str) -> None:
    """A version is written as PEP 440 has it; what is none stays as it is."""
    assert normal_version(written) == normal


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("my_demo-1.0-py3-none-any.whl", "1.0"),
        ("My.Demo-1.2.tar.gz", "1.2"),
        ("my-demo-1.0rc1.tar.gz", "1.0rc1"),
        ("my_demo-1.0+local-py3-none-any.whl", "1.0+local"),
        ("my_demo-1.0-py2.7.egg", "1.0"),
        ("other-1.0.exe.txt", None),
    ],
)
def test_version_in_a_name(filename: str, version: str | None) -> None:
    """The version is found in the names of wheels, sdists and what else was once uploaded."""
    assert version_finder(ProjectName("my-demo"))(filename) == version
