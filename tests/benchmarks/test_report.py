"""Tests of what benchmarks leave behind."""

import json

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.report import LINE_LENGTH, layout_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=50,
)


@given(JSON)
def test_layout_keeps_the_values(document: object) -> None:
    """The text of a file of results reads back as the same JSON value."""
    assert json.loads(layout_json(document)) == document


def test_samples_are_one_line() -> None:
    """A list of a thousand samples takes one line of a file, however many fields stand around it."""
    document = {"title": "x" * LINE_LENGTH, "samples": {"wall": list(range(1_000)), "cpu": list(range(1_000))}}

    lines = layout_json(document).splitlines()

    assert [line.strip()[:8] for line in lines] == ["{", '"title":', '"samples', '"wall": ', '"cpu": [', "}", "}"]
