"""Commands on reserved names: private even before their first upload, so that the upstream is never asked for them."""

from typing import Annotated

from indexer.errors import InvalidValue
from indexer.log.events import NamesReserved, NamesUnreserved
from indexer.patterns import parse_patterns
from indexer.value import value
from pypi_lambda.command.context import Context, Result

MAX_PATTERNS = 1_000  # in one command: an event has room for some thousands


def parse_pattern_list(field: str, value: object) -> tuple[str, ...]:
    """Return patterns of project names, at least one, in their normal form; one text is a list of one.

    Raises:
        InvalidValue: one of them is none, or there are none or too many.
    """
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
        raise InvalidValue(field, value, "patterns of project names, such as 'acme-*'")
    if len(texts) > MAX_PATTERNS:
        raise InvalidValue(field, f"{len(texts):,} patterns", f"at most {MAX_PATTERNS:,} at once")
    return parse_patterns(texts, field=field)


@value
class Reserve:
    """Reserve the names that the patterns match."""

    patterns: Annotated[tuple[str, ...], parse_pattern_list]
    short = "patterns"

    def run(self, context: Context) -> Result:
        """Carry it out."""
        before = context.service.index.refresh().current.reserved
        new = tuple(pattern for pattern in self.patterns if pattern not in before)
        if new:
            context.append(NamesReserved(patterns=new))
        return {"changed": bool(new), "added": new, "reserved": sorted({*before, *new})}


@value
class Unreserve:
    """Reserve them no longer; the patterns are written as they were reserved."""

    patterns: Annotated[tuple[str, ...], parse_pattern_list]
    short = "patterns"

    def run(self, context: Context) -> Result:
        """Carry it out."""
        before = context.service.index.refresh().current.reserved
        if unknown := [pattern for pattern in self.patterns if pattern not in before]:
            reserved = ", ".join(before) if len(before) <= 10 else f"one of {len(before):,} patterns"
            raise InvalidValue("unreserve.patterns", ", ".join(unknown), f"reserved is {reserved or 'nothing'}")
        context.append(NamesUnreserved(patterns=self.patterns))
        return {"changed": True, "removed": self.patterns, "reserved": sorted({*before} - {*self.patterns})}


@value
class ListReserved:
    """List the reserved patterns."""

    def run(self, context: Context) -> Result:
        """Carry it out."""
        return {"reserved": context.service.index.refresh().current.reserved}
