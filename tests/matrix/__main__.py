"""`python -m tests.matrix`: try every client of the table, print a row for each, end with 1 if one is red."""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, redirect_stdout
from pathlib import Path

from tests.matrix.report import DOCUMENT, describe, render
from tests.matrix.results import Rows, read_results, write_results
from tests.matrix.rows import Row, try_client
from tests.matrix.site import running_site
from tests.matrix.table import Client, read_table

_ROOT = Path(__file__).parent.parent.parent


def main(arguments: Sequence[str]) -> int:
    """Run the matrix."""
    options = _parse(arguments)
    table = read_table()
    rows: Rows = {}
    for row in _try_all([client for client in table if _is_wanted(client, options)], options):
        print(describe(row), flush=True)
        rows[row.client.key] = row
        if not options.short:
            _keep(table, rows, options.cache / "results.json")
    red = [row for row in rows.values() if row.red]
    for row in red:
        print(f"\nRED {row.client.title}", *row.red, sep="\n")
    print(f"\n{len(rows) - len(red)} of {len(rows)} rows are green")
    return 1 if red else 0


def _keep(table: Sequence[Client], rows: Rows, results: Path) -> None:
    """Keep the rows, and write the page if there is one for every client."""
    known = read_results(results, table) | rows
    write_results(results, known)
    if len(known) == len(table):
        DOCUMENT.write_text(render([known[client.key] for client in table]), "utf-8")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="clients whose `NAME VERSION` has this"
    )
    parser.add_argument("--kind", action="append", default=[], help="installer, uploader, downstream or tool")
    parser.add_argument("--short", action="store_true", help="what CI runs")
    parser.add_argument("--jobs", type=int, default=2, help="how many clients at a time")
    parser.add_argument("--cache", type=Path, default=_ROOT / ".matrix-cache", help="where clients are kept")
    return parser.parse_args(arguments)


def _is_wanted(client: Client, options: argparse.Namespace) -> bool:
    if options.short and not client.short:
        return False
    if options.kind and client.kind not in options.kind:
        return False
    return not options.only or any(part in client.title for part in options.only)


def _try_all(clients: Sequence[Client], options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="matrix-") as scratch, ExitStack() as stack:
        site = stack.enter_context(running_site(Path(scratch)))
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=options.jobs))

        def try_one(client: Client) -> Row:
            folder = Path(tempfile.mkdtemp(dir=scratch, prefix="client-"))
            return try_client(client, site, cache=options.cache.resolve(), folder=folder, short=options.short)

        for done in as_completed([pool.submit(try_one, client) for client in clients]):
            yield done.result()
        with redirect_stdout(sys.stderr):  # the server's log
            stack.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
