"""Files put straight into the store, published by `serverless-pypi reindex`."""

from tests.integration.clients import Clients
from tests.integration.commands import Place, run_command
from tests.integration.running import Server
from tests.support.distributions import make_sdist, make_wheel
from tests.support.fake_upstream import FakeUpstream


def test_files_put_into_the_store(server: Server, place: Place, upstream: FakeUpstream, clients: Clients) -> None:
    """What lies under projects/{name}/ is private after a reindex, without a restart: listed, installed, hiding."""
    server.await_reindexed()
    store = place.open()
    made = [make_wheel("demo-shared", "0.1"), make_sdist("demo-shared", "0.2"), make_wheel("put-here", "1.0+local.1")]
    for each in made:
        store.put_new(f"projects/{each.project}/{each.filename}", each.content)
    store.put_new("projects/put-here/notes.txt", b"not a distribution")
    assert server.get("/simple/put-here/").status_code == 404
    output = run_command(place, "reindex", UPSTREAM_INDEX_URL=upstream.url).failed(1)
    assert "3 files adopted\n" in output
    assert "not published: projects/put-here/notes.txt: " in output
    assert server.get_filenames("demo-shared") == [made[0].filename, made[1].filename]
    assert server.get_page("put-here")["files"][0]["core-metadata"] == {"sha256": made[2].metadata_sha256}
    for tool in ("pip", "uv"):
        assert clients.install(tool, server.index, "demo-shared", "put-here") == {
            "demo-shared": "0.2",
            "put-here": "1.0+local.1",
        }
