"""Large mirrored files through the function: taken in by an invocation of their own, while pip and uv get them anyway.

The upstream's files lie at a public address, which here only a proxy on loopback leads to: the upstream itself.
"""

import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexer.store.base import ObjectStore
from indexer.store.s3 import S3Store
from pypi_lambda.front_doors.table import FUNCTION_URL, REST_API, FrontDoor
from pypi_lambda.function.remote import INLINE_BYTES
from tests.aws.lambda_site import LambdaSite, running_function
from tests.integration.clients import Clients
from tests.support.builders import put_user
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream
from tests.support.servers import BUCKET, S3Server

HOST = "http://1.1.1.1"  # never asked itself
LARGE = make_wheel("large", "1.0", files={"large_data.bin": random.Random(1).randbytes(INLINE_BYTES)})
with_each_tool = pytest.mark.parametrize("tool", ["pip", "uv"])


@pytest.fixture
def prefix() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def store(seaweedfs: S3Server, prefix: str) -> ObjectStore:
    store = S3Store(BUCKET, prefix, environ=seaweedfs.environ)
    put_user(store)
    return store


@contextmanager
def mirroring(
    upstream: FakeUpstream,
    server: S3Server,
    prefix: str,
    code: Path,
    folder: Path,
    *,
    door: FrontDoor = FUNCTION_URL,
    **environ: str,
) -> Iterator[LambdaSite]:
    """Run a function that mirrors the upstream, and knows the names it has."""
    environ = {
        **server.environ,
        "BUCKET": BUCKET,
        "REPO_BASE_PREFIX": prefix,
        "UPSTREAM_INDEX_URL": upstream.url,
        **proxied(upstream),
        **environ,
    }
    with running_function(code, folder / "site", environ=environ, door=door) as site:
        assert site.service.call("reindex")["upstream"] == 1
        upstream.forget()
        yield site


def proxied(upstream: FakeUpstream) -> dict[str, str]:
    """Return the environment of whoever reaches the internet through the upstream."""
    return {"http_proxy": upstream.origin, "no_proxy": "127.0.0.1,localhost"}


def install(clients: Clients, tool: str, site: LambdaSite, upstream: FakeUpstream) -> None:
    target = clients.new_folder("target")
    options = ["--index-url", site.index, "--target", str(target), "large"]
    command = ["pip"] if tool == "pip" else ["uv", "pip"]
    proxy = proxied(upstream)
    done = clients.run(
        *command, "install", "--no-cache-dir", *options, http_proxy=proxy["http_proxy"], no_proxy=proxy["no_proxy"]
    )
    done.succeeded()
    assert (target / "large_data.bin").stat().st_size == INLINE_BYTES


def statuses(site: LambdaSite) -> list[int]:
    """Return what was answered to requests for the file."""
    return [status for method, target, status in site.front.seen if target.endswith(LARGE.filename) and method == "GET"]


@with_each_tool
@pytest.mark.parametrize("door", [FUNCTION_URL, REST_API], ids=lambda door: door.name)
def test_sent_to_the_upstream(
    tool: str,
    door: FrontDoor,
    seaweedfs: S3Server,
    store: ObjectStore,
    prefix: str,
    function_code: Path,
    tmp_path: Path,
    clients: Clients,
) -> None:
    """The first client gets the file from the upstream, the next one from the bucket; it is taken in once for both."""
    with FakeUpstream() as upstream:
        path = upstream.add(LARGE)
        upstream.add(LARGE, url=f"{HOST}{path}")
        with mirroring(upstream, seaweedfs, prefix, function_code, tmp_path, door=door) as site:
            install(clients, tool, site, upstream)
            assert statuses(site) == [302]
            fetched = [target for _, target in upstream.requests if target.endswith(".whl")]
            assert f"{HOST}{path}" in fetched
            site.service.wait_idle()
            stat = store.stat(f"cache/large/{LARGE.filename}")
            assert stat is not None
            assert stat.size == len(LARGE.content)
            upstream.override(path, status=500)
            install(clients, tool, site, upstream)
            assert statuses(site) == [302, 302]
            assert [target for _, target in upstream.requests if target.endswith(".whl")].count(f"{HOST}{path}") == 2


@with_each_tool
def test_told_to_come_back(
    tool: str,
    seaweedfs: S3Server,
    store: ObjectStore,
    prefix: str,
    function_code: Path,
    tmp_path: Path,
    clients: Clients,
) -> None:
    """Where the upstream wants credentials, the client comes back until the file is in the bucket."""
    with FakeUpstream(credentials=("user", "secret")) as upstream:
        upstream.add(LARGE)
        with mirroring(upstream, seaweedfs, prefix, function_code, tmp_path) as site:
            install(clients, tool, site, upstream)
            assert set(statuses(site)) == {503, 302}
            assert statuses(site)[-1] == 302
            site.service.wait_idle()
        assert len([target for _, target in upstream.requests if target.endswith(".whl")]) == 1
    assert store.stat(f"cache/large/{LARGE.filename}") is not None
