"""Patterns of project names: normalised names in which `*` stands for any run of characters. Pure."""

import re
from collections.abc import Iterable
from functools import lru_cache

from indexer.errors import InvalidValue
from indexer.names import MAX_NAME_LENGTH, is_normalized, normalize_spelling

ACCEPTED = "a normalised project name, in which '*' stands for any run of characters, such as 'acme-*'"


def parse_pattern(text: str, *, field: str = "pattern") -> str:
    """Return a pattern in its normal form: lower case, runs of `-_.` are one `-`.

    Raises:
        InvalidValue: no project's name can match it.
    """
    pattern = normalize_spelling(text.strip())
    # With an `a` for each run it must be a name: `*-x` and `x-*` are patterns, `-x` is none.
    if len(pattern) > MAX_NAME_LENGTH or not is_normalized(re.sub(r"\*+", "a", pattern)):
        raise InvalidValue(field, text, ACCEPTED)
    return re.sub(r"\*+", "*", pattern)


def parse_patterns(texts: Iterable[str], *, field: str = "patterns") -> tuple[str, ...]:
    """Return patterns in their normal form, each once, sorted.

    Raises:
        InvalidValue: one of them is none.
    """
    return tuple(sorted({parse_pattern(text, field=field) for text in texts}))


def matches_any(name: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether one of the patterns covers a normalised name."""
    return bool(patterns) and _compiled(patterns).fullmatch(name) is not None


def find_match(name: str, patterns: tuple[str, ...]) -> str | None:
    """Return the first pattern that covers a normalised name, or None."""
    return next((pattern for pattern in patterns if _compiled((pattern,)).fullmatch(name)), None)


@lru_cache(maxsize=64)
def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_regex, patterns)))


def _regex(pattern: str) -> str:
    first, *rest = map(re.escape, pattern.split("*"))
    if not rest:
        return first
    # Atomic: the first place where a middle part fits is as good as any other, and a client chooses the names, so
    # that going back to try the others could take for ever.
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return f"{first}{middle}.*{rest[-1]}"
