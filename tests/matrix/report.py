"""A row in words: a line for whoever waits, and `docs/clients.md`."""

from pathlib import Path
from collections.abc import Sequence

from tests.matrix.rows import Row

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "clients.md"


def describe(row: Row) -> str:
    """Return one line."""
    if row.absent is not None:
        return f"{row.client.kind:10} {row.client.title:32} not run: {row.absent}"
    good = sum(cell.fault is None for cell in row.cells)
    excused = sum(cell.fault is not None and row.excuse(cell) is not None for cell in row.cells)
    faults = sorted({f"{cell.what} by {cell.way}" for cell in row.cells if cell.fault is not None})
    state = "RED  " if row.red else "green"
    excuses = f", {excused} that it cannot" if excused else ""
    return f"{row.client.kind:10} {row.client.title:32} {state} {row.runtime:13} {good} work{excuses} {', '.join(faults)}"


def render(rows: Sequence[Row]) -> str:
    return ""
