"""Names reserved for private projects."""

from pathlib import Path

import pytest

from indexer.log.events import NamesReserved, NamesUnreserved
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from tests.support.builders import added, write_log
from tests.support.contexts import changes, refusal, run_command

WHEEL = added("demo")


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An index with one file of one project."""
    store = FolderStore(tmp_path)
    write_log(store, WHEEL)
    return store


class TestNames:
    def test_reserve(self, store: ObjectStore) -> None:
        """Patterns are reserved in their normal form; those that were before change nothing."""
        done = run_command(store, "reserve", {"patterns": ["Acme_*", "zoo"]})
        assert done == {"changed": True, "added": ("acme-*", "zoo"), "reserved": ["acme-*", "zoo"]}
        again = run_command(store, "reserve", ["acme-*", "new"])
        assert again == {"changed": True, "added": ("new",), "reserved": ["acme-*", "new", "zoo"]}
        assert run_command(store, "reserve", "ACME.*")["changed"] is False
        assert changes(store) == [NamesReserved(patterns=("acme-*", "zoo")), NamesReserved(patterns=("new",))]

    def test_unreserve(self, store: ObjectStore) -> None:
        """A reserved pattern is reserved no longer."""
        run_command(store, "reserve", ["acme-*", "zoo"])
        done = run_command(store, "unreserve", "Zoo")
        assert done == {"changed": True, "removed": ("zoo",), "reserved": ["acme-*"]}
        assert changes(store)[1:] == [NamesUnreserved(patterns=("zoo",))]
        assert run_command(store, "reserved") == {"reserved": ("acme-*",)}

    @pytest.mark.parametrize(
        ("command", "argument", "sentence"),
        [
            ("unreserve", ["acme-x", "zoo"], "invalid unreserve.patterns 'acme-x': reserved is zoo"),
            ("unreserve", "nope", "invalid unreserve.patterns 'nope': reserved is zoo"),
            ("reserve", [], "invalid reserve []: patterns of project names, such as 'acme-*'"),
            ("reserve", None, "invalid reserve None: patterns of project names, such as 'acme-*'"),
            ("reserve", ["ok", "-x"], "invalid reserve '-x': a normalised project name, in which '*' stands for "),
            ("reserve", "a b", "invalid reserve 'a b': a normalised project name, in which '*' stands for "),
            ("reserve", ["x"] * 1_001, "invalid reserve '1,001 patterns': at most 1,000 at once"),
        ],
    )
    def test_nonsense(self, store: ObjectStore, command: str, argument: object, sentence: str) -> None:
        """What is not reserved, and what is no pattern, is refused as a whole."""
        run_command(store, "reserve", "zoo")
        assert refusal(store, command, argument).startswith(sentence)
