"""Progress of long work on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

LINES_EVERY_SECONDS = 10.0  # elsewhere than on a terminal


class Progress:
    """Shows how much of a known or unknown total was done, while it is entered.

    Args:
        unit: what is counted, such as "files"; "" for bytes.
    """

    def __init__(self, title: str, *, unit: str = "") -> None:
        terminal = sys.stderr.isatty()
        self._bar = tqdm(
            desc=title,
            unit=f" {unit}" if unit else "B",
            unit_scale=not unit,
            leave=False,
            delay=0 if terminal else LINES_EVERY_SECONDS,
            mininterval=0.1 if terminal else LINES_EVERY_SECONDS,
            file=sys.stderr,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def update(self, done: int, total: int | None) -> None:
        """Show that so much is done."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)
