"""Where things lie in the store: spelled in one module, and always the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import indexer
import pypi_lambda
from indexer import keys
from indexer.names import Filename, ProjectName

MODULES = sorted(
    path for package in (indexer, pypi_lambda) for path in Path(str(package.__file__)).parent.rglob("*.py")
)
SUFFIXES = (
    *keys.BESIDE_SUFFIXES,
    *(keys.PART_SUFFIX, keys.REJECTED_SUFFIX, keys.CHECK_SUFFIX, keys.PACKED_SUFFIX),
    *(".sources", ".names.zst", ".filter.zst"),
)
PREFIXES = (keys.UPSTREAM, *keys.AREAS)
# An area's name begins a text or a segment of it: "log/", "s3://bucket/log/", but not "catalog/".
AREA = re.compile(f"(?<![^/])(?:{'|'.join(map(re.escape, PREFIXES))})")
# What archives are called ends like a key, and is none.
NO_KEYS = (".tar.gz",)
NAME, FILE = ProjectName("demo"), Filename("demo-1.0.tar.gz")


def spelled(source: str) -> Iterator[str]:
    """Yield the texts of a module, but for its docstrings, that name an area, or end as keys do."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in docstrings:
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            if text not in NO_KEYS and (AREA.search(text) or text.endswith(SUFFIXES)):
                yield text


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_keys_are_spelled_in_one_module(path: Path) -> None:
    """No module but `indexer.keys` spells a prefix or a suffix of what is stored."""
    assert path.name == "keys.py" or list(spelled(path.read_text("utf-8"))) == []


def test_spelled_keys_would_be_found() -> None:
    """The search sees whole keys, beginnings and middles in formatted texts, bytes, and ends; no docstrings."""
    keys = '"log/1", f"pages/{name}", f"{name}/users/{name}", b"tokens/x", name + ".metadata", "snapshot.msgpack.zst"'
    others = '"catalog/", "login", "/simple/", "projects", f"{name}.json"'
    found = list(spelled(f'def f(name):\n    """log/"""\n    return {keys}, {others}'))
    assert sorted(found) == [".metadata", "/users/", "log/1", "pages/", "snapshot.msgpack.zst", "tokens/x"]


def test_keys_of_the_index() -> None:
    """What the index is made of lies where every version so far put it."""
    assert keys.log_key(42) == "log/00000000000000000042.json"
    assert keys.file_key(NAME, FILE) == "projects/demo/demo-1.0.tar.gz"
    assert keys.page_key(NAME, 42, "3h", "json") == "pages/demo/00000000000000000042-3h.json.gz"
    assert keys.blocks_key("ab" * 32, "1-abc", "html") == f"index/{'ab' * 32}-1-abc.html.blocks"
    assert keys.SNAPSHOT_KEY == "snapshot.msgpack.zst"


def test_keys_of_the_mirror() -> None:
    """What came from the upstream lies where every version so far put it."""
    assert keys.names_key("ab") == "upstream/lists/ab.names.zst"
    assert keys.filter_key("ab") == "upstream/lists/ab.filter.zst"
    assert keys.mirrored_page_key(NAME) == "upstream/pages/demo.json.gz"
    assert keys.mirrored_check_key(NAME) == "upstream/pages/demo.check"
    assert keys.mirrored_sources_key(NAME) == "upstream/pages/demo.sources"
    assert keys.cache_key(NAME, FILE) == "cache/demo/demo-1.0.tar.gz"
    assert keys.use_key(keys.cache_key(NAME, FILE)) == "cache-uses/demo/demo-1.0.tar.gz"


def test_keys_of_access_and_uploads() -> None:
    """Records, and what is on its way, lie where every version so far put them."""
    digest = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"  # printf alice | sha256sum
    assert keys.user_key("alice") == f"users/{digest}.json"
    assert keys.token_key("ab") == "tokens/ab.json"
    assert keys.token_use_key("ab") == "token-uses/ab"
    assert keys.part_key("ab", 7) == "incoming/ab/00007.part"
    assert keys.rejection_key("ab") == "incoming/ab/upload.rejected.txt"
    assert keys.page_copy_key("demo", "ab", "v1.html") == "copies/demo/ab.v1.html"
    assert keys.listing_copy_key("42", "ab", "json") == "copies/index/42-ab.json"
    assert keys.probe_key("ab") == "probe/ab"
    assert keys.CLAIM_KEY == "rebuilding/claim"


@pytest.mark.parametrize("key", ["log/42.json", "log/00000000000000000042", "log/x.json", "pages/42", "log/"])
def test_what_is_no_event_s_key(key: str) -> None:
    """A key that no event could have has no number."""
    assert keys.find_seq(key) is None


def test_number_of_an_event_s_key() -> None:
    """The number of an event is read back from its key."""
    assert keys.find_seq(keys.log_key(42)) == 42


def test_areas() -> None:
    """Each key belongs to the area that it lies in, and a strange one to none."""
    assert keys.area_of(keys.SNAPSHOT_KEY) == keys.SNAPSHOT_KEY
    assert keys.area_of(keys.mirrored_check_key(NAME)) == keys.MIRRORED_PAGES
    assert keys.area_of(keys.names_key("ab")) == keys.LISTS
    assert keys.area_of("upstream/other/x") == keys.area_of("notes.txt") == keys.area_of("log") == keys.UNKNOWN
    assert keys.project_of(keys.MIRRORED_PAGES, keys.mirrored_page_key(NAME)) == "demo"
    assert keys.project_of(keys.CACHE, keys.cache_key(NAME, FILE)) == "demo"
