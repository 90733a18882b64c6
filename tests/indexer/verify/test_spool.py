"""What goes into a spool comes out by project, each once, in an order that every process has."""

from indexer.verify.spool import PARTS, Spool, place

ROWS = [(f"project-{number % 300}", (number, f"text {number}", {"a": None})) for number in range(2_000)]


def test_rows_come_back_by_project() -> None:
    """Each project comes once, with its rows in the order in which they came, whatever they hold."""
    with Spool() as spool:
        for project, row in ROWS:
            spool.add(project, *row)
        groups = list(spool.groups())
    assert [project for project, _ in groups] == sorted({project for project, _ in ROWS}, key=place)
    for project, rows in groups:
        assert [tuple(row) for row in rows] == [row for name, row in ROWS if name == project]


def test_order_is_the_same_in_every_process() -> None:
    """Where a verification goes on is told by a name alone, so its place must not depend on this process."""
    assert [place(name)[0] for name in ("six", "numpy", "a", "")] == [59, 2, 3, 0]
    assert len({place(project)[0] for project, _ in ROWS}) > PARTS / 2


def test_empty_spool() -> None:
    """Nothing comes out of a spool into which nothing went."""
    with Spool() as spool:
        assert list(spool.groups()) == []
