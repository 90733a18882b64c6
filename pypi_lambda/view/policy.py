"""What may enter from the upstream: names that are asked for, and how old a file must be. Pure.

Reserved names are the log's, and whose a name is, is `pypi_lambda.view.index`' to say; this only holds what was set.
"""

from datetime import timedelta
from functools import cached_property
from hashlib import blake2b

from indexer.names import ProjectName
from indexer.patterns import matches_any
from indexer.value import value

NO_AGE = timedelta(0)


@value
class Policy:
    """The rules of one process. Patterns are those of `indexer.patterns`.

    Attributes:
        allow: the only names that may enter; empty for all.
        deny: names that may not, allowed or not.
        ask_unknown: whether the upstream is asked for names that its list does not have.
        min_age: files that are younger neither are listed nor delivered.
        min_age_exempt: projects of which files of any age are.
        require_digest: whether files that no announced digest proves neither are listed nor delivered.
        has_upstream: whether there is an upstream at all; without, no name is its.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    ask_unknown: bool = False
    min_age: timedelta = NO_AGE
    min_age_exempt: tuple[str, ...] = ()
    require_digest: bool = False
    has_upstream: bool = True

    @property
    def is_about_files(self) -> bool:
        """Whether not every file of a project that may enter may do so, too."""
        return bool(self.min_age) or self.require_digest

    def is_denied(self, name: ProjectName) -> bool:
        """Tell whether the name may not enter."""
        return matches_any(name, self.deny)

    def is_allowed(self, name: ProjectName) -> bool:
        """Tell whether the name is one of those that alone may enter."""
        return not self.allow or matches_any(name, self.allow)

    def min_age_of(self, name: ProjectName) -> timedelta:
        """Return how old the files of an upstream project must be."""
        return NO_AGE if not self.min_age or matches_any(name, self.min_age_exempt) else self.min_age

    def lists(self, name: ProjectName) -> bool:
        """Tell whether an upstream project of this name may be listed."""
        return self.has_upstream and self.is_allowed(name) and not self.is_denied(name)

    @cached_property
    def names_tag(self) -> str:
        """Names what `lists` says of all names; "" when it lists them all."""
        if not self.has_upstream:
            return "none"
        if not self.allow and not self.deny:
            return ""
        text = f"{' '.join(sorted(self.allow))}\n{' '.join(sorted(self.deny))}"
        return blake2b(text.encode(), digest_size=8).hexdigest()
