"""A row in words: a line for whoever waits, and `docs/clients.md`."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests.matrix.rows import Row

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "clients.md"
_INTRODUCTION = """\
# Clients

What real clients do with this index. `make matrix` writes this page. It installs every client that
[tests/matrix/clients.toml](../tests/matrix/clients.toml) pins into an environment of its own, and has it use a running
`serverless-pypi serve` over a folder. It ends with 1 if a client does otherwise than that table says. The first run
takes half an hour; the clients are kept in `.matrix-cache`. To try newer ones, pin them in the table.
`python -m tests.matrix --only pip --only twine` tries some again; `make e2e` has the short form.

Each scenario is tried with each way to give the password, in an empty home: in the URL, in `~/.netrc`, in the
environment. *wheel* and *sdist* are private projects. *mirrored* is one of the upstream's with what it needs. *yanked*
is a pin of a yanked version. *extra* is a mirrored project with an extra. *hashes* is a mirrored project from a lock
with digests.
"""
_HEADINGS = {
    "installer": ("Installing", ""),
    "uploader": (
        "Uploading",
        "*again* is the same file once more, which is a success. *other content* under a name that is there is\n"
        "refused, and the client says why.\n",
    ),
    "downstream": (
        "Indexes with this one as their upstream",
        "pip installs from them; they have the password of this index, and pip has none.\n",
    ),
    "tool": ("Tools", ""),
}


def describe(row: Row) -> str:
    """Return one line."""
    if row.absent is not None:
        return f"{row.client.kind:10} {row.client.title:32} not run: {row.absent}"
    good = sum(cell.fault is None for cell in row.cells)
    excused = sum(cell.fault is not None and row.excuse(cell) is not None for cell in row.cells)
    faults = ", ".join(f"{cell.what} by {cell.way}" for cell in row.cells if cell.fault is not None)
    state = "RED  " if row.red else "green"
    excuses = f", {excused} that it cannot" if excused else ""
    return (
        f"{row.client.kind:10} {row.client.title:32} {state} {row.runtime:13} {good} work{excuses}  {faults}".rstrip()
    )


def render(rows: Sequence[Row]) -> str:
    """Return the page."""
    parts = [_INTRODUCTION]
    for kind, (heading, text) in _HEADINGS.items():
        of_kind = [row for row in rows if row.client.kind == kind]
        parts += [f"\n## {heading}\n", *([f"\n{text}"] if text else []), *_tables(of_kind), *_told(of_kind)]
    absent = [row for row in rows if row.absent is not None]
    parts += ["\n## Not run\n\n", *(f"- {row.client.title}: {row.absent}.\n" for row in absent)]
    return "".join(parts if absent else parts[:-1])


def _tables(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table for each set of columns."""
    run = [row for row in rows if row.absent is None]
    for columns, group in groupby(run, key=_columns):
        yield f"\n| client | on | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 2)}\n"
        for row in group:
            cells = " | ".join(_cell(row, column) for column in columns)
            yield f"| {row.client.title} | {row.runtime} | {cells} |\n"


def _columns(row: Row) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell.what for cell in row.cells))


def _cell(row: Row, column: str) -> str:
    """Say in which ways something works: `yes` where in all."""
    cells = [cell for cell in row.cells if cell.what == column]
    good = [cell.way for cell in cells if cell.fault is None]
    if len(good) == len(cells):
        return "yes"
    return f"by {', '.join(good)}" if good else "no"


def _told(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what each client needs to be told, and what it does with no index."""
    yield "\n"
    for name, group in groupby(rows, key=lambda row: row.client.name):
        of_client = list(group)
        words = [of_client[0].client.told, *_excuses(of_client)]
        yield f"- **{name}**: {'. '.join(words)}.\n"


def _excuses(rows: Sequence[Row]) -> list[str]:
    excuses = dict.fromkeys(f"*{what}*: {why}" for row in rows for what, why in row.client.cannot.items())
    return list(excuses)
