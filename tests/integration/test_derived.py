"""Snapshot, pages and root listing can be deleted at any time."""

from collections.abc import Mapping
from pathlib import Path

from indexer.store.base import ObjectStore
from tests.integration.clients import Clients
from tests.integration.commands import Place, run_command
from tests.integration.running import Server, serving
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream

DERIVED = ("snapshot.msgpack.zst", "pages/", "index/")
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
PATHS = ("/simple/", "/simple/one/", "/simple/two/", "/simple/demo-shared/")


def _read_derived(store: ObjectStore) -> Mapping[str, bytes]:
    return {stat.key: store.get(stat.key).body for stat in store.list("") if stat.key.startswith(DERIVED)}


def _delete_derived(store: ObjectStore) -> None:
    for key in _read_derived(store):
        store.delete(key)


def _truncate_derived(store: ObjectStore) -> None:
    for key, body in _read_derived(store).items():
        store.put(key, body[: len(body) // 2])


def _answers(server: Server) -> list[tuple[int, str]]:
    accepts = [JSON, {"Accept": "text/html"}]
    answers = [server.get(path, headers=accept) for path in PATHS for accept in accepts]
    return [(answer.status_code, answer.text) for answer in answers]


def test_everything_derived_can_be_deleted(place: Place, upstream: FakeUpstream, logs: Path, clients: Clients) -> None:
    """Without it everything is answered as before, running and after a restart, and a rebuild writes the
    same bytes, also over damaged ones."""
    store = place.open()
    with serving(place, logs, upstream=upstream.url) as server:
        server.await_reindexed()  # so that nothing else writes to the store
        for name, version in (("one", "1.0"), ("two", "1.0"), ("one", "2.0"), ("demo-shared", "1.0")):
            assert server.upload(make_wheel(name, version)).status_code == 200
        before = _answers(server)
        user = server.user
    _delete_derived(store)
    run_command(place, "rebuild", "--from-zero").succeeded()
    derived = _read_derived(store)
    assert {key.split("/")[0] for key in derived} == {"snapshot.msgpack.zst", "pages", "index"}
    with serving(place, logs, upstream=upstream.url, user=user) as server:
        _delete_derived(store)
        assert _answers(server) == before
        assert clients.install("pip", server.index, "one", "two") == {"one": "2.0", "two": "1.0"}
    _delete_derived(store)
    with serving(place, logs, upstream=upstream.url, user=user) as server:
        assert _answers(server) == before
        assert clients.install("uv", server.index, "one", "two") == {"one": "2.0", "two": "1.0"}
    for lose in (_delete_derived, _truncate_derived):
        lose(store)
        run_command(place, "rebuild", "--from-zero").succeeded()
        assert _read_derived(store) == derived
