"""The rows of former runs, so that a run of some clients can renew the page of all."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.matrix.rows import Cell, Row
from tests.matrix.table import Client

Rows = dict[tuple[str, ...], Row]  # by the client's key


def read_results(path: Path, clients: Sequence[Client]) -> Rows:
    """Return the rows of these clients, as far as they were tried before."""
    if not path.exists():
        return {}
    document: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    return {client.key: _decode(client, document[_key(client)]) for client in clients if _key(client) in document}


def write_results(path: Path, rows: Rows) -> None:
    """Keep rows for the next run."""
    path.write_text(json.dumps({_key(row.client): _encode(row) for row in rows.values()}, indent=1), "utf-8")


def _key(client: Client) -> str:
    return " ".join(client.key)


def _encode(row: Row) -> dict[str, Any]:
    cells = [[cell.what, cell.way, cell.fault] for cell in row.cells]
    return {"runtime": row.runtime, "absent": row.absent, "cells": cells}


def _decode(client: Client, document: Mapping[str, Any]) -> Row:
    cells = tuple(Cell(what=what, way=way, fault=fault) for what, way, fault in document["cells"])
    return Row(client=client, runtime=document["runtime"], absent=document["absent"], cells=cells)
