"""An index without an upstream has what is published in it, and asks nobody for anything else."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import InvalidValue
from indexer.log.events import NamesReserved
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.upkeep.reindex import reindex
from pypi_lambda.app.health import Health
from pypi_lambda.app.service import make_upstream, renderer_of
from pypi_lambda.settings import Settings, read_settings
from tests.support.apps import HTML, JSON, Site, running_site
from tests.support.builders import NOW, ids
from tests.support.contexts import run_command
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream

OWN, SIX = make_wheel("own", "1.0"), make_wheel("six", "1.0")
NONE: dict[str, Any] = {"upstream_index_url": "none"}
FILE = f"/simple/six/{SIX.filename}"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every connection fail the test."""

    def refuse(_socket: socket.socket, address: object) -> None:
        pytest.fail(f"something connects to {address!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture
def site(tmp_path: Path, store: FolderStore, offline: None) -> Iterator[Site]:
    with running_site(tmp_path, store=store, **NONE) as site:
        yield site


@pytest.fixture
def mirrored(tmp_path: Path, store: FolderStore) -> None:
    """A store that mirrored six, of which it took a file in, while it had an upstream."""
    upstream = FakeUpstream()
    upstream.add(SIX)
    with running_site(tmp_path, store=store, upstream=upstream) as site:
        site.read_names()
        assert site.get("/simple/six/", accept=JSON).status == 200
        assert site.get(FILE).status == 200


def reindexed(store: ObjectStore) -> dict[str, Any]:
    return run_command(store, "reindex", upstream="none")


class TestRequests:
    @pytest.mark.parametrize("base", ["", "/at/2020-01-01T00:00:00Z"])
    @pytest.mark.parametrize("path", ["/simple/six/", FILE, f"{FILE}.metadata"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_unknown_names(self, site: Site, base: str, path: str, method: str) -> None:
        """What is not published is 404 at once."""
        assert site.request(method, f"{base}{path}").status == 404

    @pytest.mark.parametrize(
        "rules",
        [{"upstream_ask_unknown": True}, {"upstream_allow": ("six",)}, {"upstream_min_age_days": 1.0}],
        ids=["ask unknown", "allowed", "age"],
    )
    def test_whatever_else_is_set(
        self, tmp_path: Path, store: FolderStore, mirrored: None, offline: None, rules: dict[str, Any]
    ) -> None:
        """No other setting has anybody asked, and the list of an earlier upstream does not count."""
        with running_site(tmp_path, store=store, **NONE, **rules) as site:
            assert site.get("/simple/six/").status == 404
            assert "six" not in site.get("/simple/", accept=JSON).text

    def test_what_was_taken_in(self, mirrored: None, site: Site) -> None:
        """A file that was taken in from an earlier upstream is still there for lock files, whole."""
        assert site.get(FILE).body == SIX.content
        assert site.get("/simple/six/").status == 404

    def test_private_ones(self, site: Site) -> None:
        """Uploading and installing is what it always was."""
        assert site.upload(OWN).status == 200
        assert json.loads(site.get("/simple/own/", accept=JSON).body)["name"] == "own"
        assert site.get(f"/simple/own/{OWN.filename}").body == OWN.content

    @pytest.mark.parametrize("accept", [JSON, HTML])
    def test_the_root(self, mirrored: None, site: Site, accept: str) -> None:
        """It lists private names alone, whatever an earlier upstream had."""
        site.upload(OWN)
        site.rebuild()
        listing = site.get("/simple/", accept=accept).text
        assert ("own" in listing, "six" in listing) == (True, False)


def test_health(site: Site) -> None:
    """Nothing is missing."""
    answer = json.loads(site.get("/health", user=None).body)
    assert (answer["status"], answer["reasons"], answer["upstreamListAgeSeconds"]) == ("ok", [], None)


def test_health_after_an_upstream(mirrored: None, site: Site) -> None:
    """A list of long ago is no list to be missed."""
    health = Health(site.service.index, now=lambda: NOW.replace(year=NOW.year + 9), clock=lambda: 0.0)
    assert isinstance(body := health.answer().body, bytes)
    assert (json.loads(body)["status"], json.loads(body)["upstreamListAgeSeconds"]) == ("ok", None)


class TestCommands:
    def test_reindex(self, store: FolderStore, offline: None) -> None:
        """A reindex adopts and rebuilds, and reads no list: neither a count nor a fault."""
        store.put(f"projects/own/{OWN.filename}", OWN.content)
        done = reindexed(store)
        assert (done["upstream"], done["upstreamFault"]) == (None, None)
        assert done["adopted"] == [f"projects/own/{OWN.filename}"]

    def test_reindex_after_an_upstream(self, mirrored: None, store: FolderStore, offline: None) -> None:
        """The list of an earlier upstream is neither counted nor thrown away."""
        lists = [stat.key for stat in store.list("upstream/lists/")]
        assert (reindexed(store)["upstream"], [stat.key for stat in store.list("upstream/lists/")]) == (None, lists)

    def test_stats(self, mirrored: None, store: FolderStore, offline: None) -> None:
        """Nothing is said of the names that an upstream once had."""
        found = run_command(store, "stats", upstream="none")
        assert {value for key, value in found.items() if key.startswith("upstream")} == {None}

    @pytest.mark.parametrize("filename", [None, SIX.filename])
    def test_why(self, store: FolderStore, offline: None, filename: str | None) -> None:
        """`why` says so in plain words."""
        argument = {"project": "six"} | ({} if filename is None else {"filename": filename})
        done = run_command(store, "why", argument, upstream="none")
        assert (done["standing"], done["rule"], done["because"]) == (
            "unknown",
            {"setting": "UPSTREAM_INDEX_URL", "pattern": None},
            "nothing is published here under this name, and this index has no upstream",
        )

    def test_taking_in(self, store: FolderStore, offline: None) -> None:
        """A file that somebody wants taken in is refused in a sentence."""
        with pytest.raises(InvalidValue, match=r"'six': this index has no upstream \(UPSTREAM_INDEX_URL=none\)"):
            run_command(store, "ingest", {"project": "six", "filename": SIX.filename}, upstream="none")

    def test_no_client_is_made(self) -> None:
        """What could ask is not to be had."""
        with pytest.raises(InvalidValue, match="this index has no upstream to ask"):
            make_upstream(Settings(bucket="file:///nowhere", **NONE))

    def test_reserved(self, store: FolderStore, offline: None) -> None:
        """A reserved name is reserved still."""
        with running_site(Path("unused"), store=store, **NONE) as site:
            site.happen(NamesReserved(patterns=("acme-*",)))
        assert run_command(store, "why", {"project": "acme-x"}, upstream="none")["standing"] == "reserved"


@pytest.mark.parametrize("text", ["none", "NONE", " None "])
def test_the_setting(text: str) -> None:
    """`none` stands in the place of a URL, however it is written."""
    settings = read_settings({"BUCKET": "b", "UPSTREAM_INDEX_URL": text})
    assert (settings.upstream_index_url, settings.has_upstream) == ("none", False)


@pytest.mark.parametrize("text", ["", "https://upstream.example/none/"])
def test_an_upstream(text: str) -> None:
    """Anything else is an upstream."""
    assert read_settings({"BUCKET": "b", "UPSTREAM_INDEX_URL": text}).has_upstream


def test_the_reindex_itself(store: FolderStore) -> None:
    """Without an upstream given, the list is left alone."""
    renderer = renderer_of(Settings(bucket="file:///nowhere"))
    done = reindex(store, None, renderer, now=lambda: NOW, new_id=ids("x"), by="reindex")
    assert (done.upstream_count, done.upstream_fault, list(store.list("log/"))) == (None, None, [])
