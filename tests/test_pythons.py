"""The table of Pythons keeps what it had and takes what was run."""

from tests.pythons import DOCUMENT, Run, replace_row

HEAD = "# Title\n\n| Python | part | passed | failed | skipped | minutes | when |\n|---|---|---:|---:|---:|---:|---|\n"
TAIL = "\nWhat follows.\n"


def run(python: str, part: str, *, passed: int = 3, failed: int = 0) -> Run:
    return Run(python=python, part=part, passed=passed, failed=failed, skipped=1, minutes=2.4, day="2026-11-27")


def test_rows_are_sorted_and_replaced() -> None:
    """A row takes the place of an earlier one of its Python and part; the others and the text stay."""
    document = HEAD + TAIL
    for each in (run("3.14.2", "units"), run("3.13.10", "function"), run("3.13.9", "units", failed=1)):
        document = replace_row(document, each)
    document = replace_row(document, run("3.13.9", "units", passed=4))
    assert document == (
        f"{HEAD}| 3.13.9 | units | 4 | 0 | 1 | 2 | 2026-11-27 |\n"
        "| 3.13.10 | function | 3 | 0 | 1 | 2 | 2026-11-27 |\n"
        f"| 3.14.2 | units | 3 | 0 | 1 | 2 | 2026-11-27 |\n{TAIL}"
    )


def test_the_document_takes_a_row() -> None:
    """What `make pythons` writes to has a table to write into, and its text does not get lost."""
    text = DOCUMENT.read_text("utf-8")
    changed = replace_row(text, run("3.99.0", "units"))
    assert [line for line in changed.splitlines() if line not in text.splitlines()] == [run("3.99.0", "units").row()]
    assert [line for line in text.splitlines() if line not in changed.splitlines()] == []
    assert changed.index("|---|") < changed.index("3.99.0") < changed.index("newest patch releases")
