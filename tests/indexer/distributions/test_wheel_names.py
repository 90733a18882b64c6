"""Whose wheel a name says it is, as `packaging` has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from indexer.distributions.wheel_names import is_wheel_of
from indexer.names import ProjectName

UU = ProjectName("uu-v")


def packaging_says(filename: str) -> bool:
    try:
        return parse_wheel_filename(filename)[0] == str(UU)
    except InvalidWheelFilename:
        return False


@pytest.mark.parametrize(
    ("filename", "is_one"),
    [
        ("uu_v-1.0-py3-none-any.whl", True),
        ("UU.V-1.0-py3-none-any.whl", True),
        ("uu_v-1.0-1-py3-none-any.whl", True),
        ("uu_v-1.0-1abc-py3-none-any.whl", True),
        ("uu_v-1.0+cu12.4-cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True),
        ("uu_v-1!1.0rc1.post2.dev3-py2.py3-none-any.whl", True),
        ("uu_v-1.0_1-py3-none-any.whl", False),
        ("uu__v-1.0-py3-none-any.whl", False),
        ("uu_v-one-py3-none-any.whl", False),
        ("uu_v-1.0-py3-none-any-x86_64_v3.whl", False),
        ("uu_v-1.0-abc-py3-none-any.whl", False),
        ("uu_v-1.0-py3-any.whl", False),
        ("uu_w-1.0-py3-none-any.whl", False),
        ("uu_v-1.0-py3-none-any.WHL", False),
        ("uu_v-1.0.tar.gz", False),
        ("uu_v.whl", False),
        (".whl", False),
    ],
)
def test_names(filename: str, is_one: bool) -> None:
    """A wheel of the project has a name that parses, with its own name in it."""
    assert is_wheel_of(UU, filename) == is_one == packaging_says(filename)


NAMES = ("uu_v", "uu.v", "UU-v", "uu__v", "uu", "x", "")
VERSIONS = ("1.0", "1", "1.0rc1", "1.0.post1", "1.0.dev0", "1.0+a.b", "1a", "07")
TAGS = ("py3", "py2.py3", "cp311", "none", "any", "abi3", "linux_x86_64", "a.b", "3", "_", "any.", "py3.3", "é")
parts = st.lists(st.sampled_from([*NAMES, *VERSIONS, *TAGS]), min_size=3, max_size=7)


@given(parts.map("-".join) | st.tuples(st.just("uu_v-1.0"), parts.map("-".join)).map("-".join))
def test_every_name_is_read_as_packaging_reads_it(stem: str) -> None:
    """Neither the shortcut nor the rest finds another project's wheel, or one that installers pass over."""
    assert is_wheel_of(UU, f"{stem}.whl") == packaging_says(f"{stem}.whl")
