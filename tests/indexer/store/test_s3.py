"""The S3 store: the contract on two real servers, and what goes wrong between it and a server."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any

import pytest

from indexer.errors import AlreadyExists, Changed, IndexerError, InvalidValue, StoreUnavailable, UnsafeStore
from indexer.keys import STAGING
from indexer.store.base import ObjectStore, Stored
from indexer.store.open import open_store
from indexer.store.probe import check_store
from indexer.store.s3 import S3Store
from indexer.store.s3_client import TRIES
from tests.support.servers import BUCKET, FaultProxy, HttpFault, S3Server
from tests.support.store_contract import AWKWARD_KEYS, MIB, SharedStoreContract, mebibytes, run_together

_OPEN = "from indexer.store.s3 import S3Store; store = S3Store({bucket!r}, {prefix!r}, environ={environ!r})\n"


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A part of the bucket that is this test's own."""
    return f"tests/{abs(hash(request.node.nodeid)):x}"


@pytest.fixture
def store(server: S3Server, prefix: str) -> S3Store:
    return S3Store(BUCKET, prefix, environ=server.environ)


@pytest.fixture
def open_again(server: S3Server, prefix: str) -> str:
    return _OPEN.format(bucket=BUCKET, prefix=prefix, environ=dict(server.environ))


class S3Contract(SharedStoreContract):
    """The contract, and what only a bucket has."""

    @pytest.mark.parametrize("key", AWKWARD_KEYS)
    def test_signed_url(self, store: ObjectStore, key: str) -> None:
        """Whoever has a signed URL gets the object, whatever its key, and the URL holds no raw plus sign."""
        store.put(key, key.encode())
        url = store.signed_url(key, seconds=60)
        assert url is not None
        assert "+" not in url
        assert get(url) == (200, key.encode())

    def test_signed_url_of_another_key(self, store: ObjectStore) -> None:
        """A signed URL cannot be turned into one for another object, for a longer time, or of another signature."""
        store.put("a/b", b"x")
        store.put("a/c", b"secret")
        url = store.signed_url("a/b", seconds=60)
        assert url is not None
        for tampered in (
            url.replace("a/b?", "a/c?"),
            url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
            url.partition("?")[0],
            url[:-1] + ("0" if url[-1] != "0" else "1"),
        ):
            assert tampered != url
            assert get(tampered)[0] == 403

    def test_signed_url_that_expired(self, store: ObjectStore) -> None:
        """A signed URL is refused after its time."""
        store.put("a/b", b"x")
        url = store.signed_url("a/b", seconds=1)
        assert url is not None
        waited = Event()
        for _ in range(40):
            if get(url)[0] == 403:
                break
            waited.wait(0.1)
        assert get(url)[0] == 403

    def test_content_type(self, store: ObjectStore, server: S3Server) -> None:
        """Every way of writing gives the object its content type."""
        store.put("a/put", b"x", content_type="text/html")
        store.replace("a/put", b"y", etag=store.get("a/put").etag, content_type="text/plain")
        store.put_new("a/new", b"x", content_type="text/plain")
        store.write("a/small", [b"x"], content_type="text/plain")
        store.write("a/large", mebibytes(9), content_type="text/plain")
        for key in ("a/put", "a/new", "a/small", "a/large"):
            url = store.signed_url(key, seconds=60)
            assert url is not None
            with urllib.request.urlopen(url, timeout=300) as response:
                assert response.headers["Content-Type"] == "text/plain"

    @pytest.mark.parametrize("immutable", [False, True])
    def test_cache_control(self, store: ObjectStore, server: S3Server, immutable: bool) -> None:
        """However it is written, what never changes is sent with leave to keep it for ever, and nothing else is."""
        store.put("a/put", b"x", immutable=immutable)
        store.put("a/replaced", b"x")
        store.replace("a/replaced", b"y", etag=store.get("a/replaced").etag, immutable=immutable)
        store.put_new("a/new", b"x", immutable=immutable)
        store.write("a/small", [b"x"], immutable=immutable)
        store.write("a/small-new", [b"x"], new=True, immutable=immutable)
        store.write("a/large", mebibytes(9), immutable=immutable)
        expected = "private, max-age=31536000, immutable" if immutable else None
        found = {stat.key: self._cache_control(store, stat.key) for stat in store.list("a/")}
        assert found == dict.fromkeys(found, expected)
        assert len(found) == 6

    def test_cache_control_of_a_large_new_object(self, store: ObjectStore) -> None:
        """An object that was copied inside the store to its key is sent with the leave, too."""
        store.write("a/large", mebibytes(9), new=True, immutable=True)
        assert self._cache_control(store, "a/large") == "private, max-age=31536000, immutable"

    def _cache_control(self, store: ObjectStore, key: str) -> str | None:
        url = store.signed_url(key, seconds=60)
        assert url is not None
        with urllib.request.urlopen(url, timeout=300) as response:
            value: str | None = response.headers["Cache-Control"]
            return value

    def test_no_upload_stays_open(self, store: S3Store, server: S3Server, prefix: str) -> None:
        """A large write that raises leaves no parts behind in the bucket, where they would cost money unseen."""
        for new in (False, True):
            with pytest.raises(ValueError, match="digest"):
                store.write("a/big", mebibytes(40, then=ValueError("digest")), new=new)
        assert [key for key in open_uploads(server) if key.startswith(prefix)] == []

    def test_prefix_is_no_part_of_a_name(self, store: S3Store, server: S3Server, prefix: str) -> None:
        """Stores whose prefixes begin alike do not see each other's objects."""
        other = S3Store(BUCKET, prefix + "-other", environ=server.environ)
        other.put("a/b", b"x")
        assert list(store.list("")) == []
        assert store.find("a/b") is None
        other.delete("a/b")

    def test_folder_markers(self, store: S3Store, server: S3Server, prefix: str) -> None:
        """The empty objects by which consoles make "folders" are not listed as files."""
        client = boto_client(server)
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/projects/a/", Body=b"")
        store.put("projects/a/a-1.0.tar.gz", b"x")
        assert [stat.key for stat in store.list("projects/a/")] == ["projects/a/a-1.0.tar.gz"]

    def test_no_such_bucket(self, server: S3Server) -> None:
        """A bucket that does not exist is a failure of the store, not an empty one."""
        nowhere = S3Store("no-such-bucket", "", environ=server.environ)
        with pytest.raises(StoreUnavailable):
            nowhere.find("a/b")
        with pytest.raises(StoreUnavailable):
            nowhere.put_new("a/b", b"x")
        with pytest.raises(StoreUnavailable):
            list(nowhere.list("a/"))


class TestSeaweedFS(S3Contract):
    """The contract, on SeaweedFS."""

    @pytest.fixture
    def server(self, seaweedfs: S3Server) -> S3Server:
        return seaweedfs

    # Not on ministack, which checks secrets only of IAM users.
    def test_wrong_secret(self, server: S3Server) -> None:
        """Refused credentials are a failure of the store, never a missing object, and the reason says so."""
        stranger = S3Store(BUCKET, "x", environ={**server.environ, "AWS_SECRET_ACCESS_KEY": "wrong"})
        for call in (
            lambda: stranger.find("a/b"),
            lambda: stranger.stat("a/b"),
            lambda: stranger.read("a/b"),
            lambda: list(stranger.list("a/")),
            lambda: stranger.put_new("a/b", b"x"),
            lambda: stranger.delete("a/b"),
        ):
            with pytest.raises(StoreUnavailable, match="access denied"):
                call()


class TestMinistack(S3Contract):
    """The contract, on ministack."""

    @pytest.mark.xfail(reason="it honours conditions on copies in parts only, to which obstore gives no headers")
    def test_cache_control_of_a_large_new_object(self, store: ObjectStore) -> None:
        """It is sent without."""
        super().test_cache_control_of_a_large_new_object(store)

    @pytest.fixture
    def server(self, ministack: S3Server) -> S3Server:
        return ministack


def get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=300) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def boto_client(server: S3Server) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.environ["AWS_SECRET_ACCESS_KEY"],
        region_name=server.environ["AWS_REGION"],
        config=Config(s3={"addressing_style": "path"}),
    )


def open_uploads(server: S3Server) -> list[str]:
    return [each["Key"] for each in boto_client(server).list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())]


def test_a_store_that_drops_conditions_is_refused(rclone: S3Server) -> None:
    """The set-up probe refuses rclone, which overwrites in spite of If-None-Match, and says what to do."""
    with pytest.raises(UnsafeStore, match=r"ignores If-None-Match.*use a server that honours it"):
        check_store(S3Store(BUCKET, "", environ=rclone.environ), "nonce")


@pytest.fixture
def proxy(seaweedfs: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(seaweedfs) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: FaultProxy, prefix: str) -> S3Store:
    """A store whose requests go through the proxy."""
    return S3Store(BUCKET, prefix, environ=proxy.front.environ)


def test_put_new_whose_answer_is_lost(proxy: FaultProxy, behind: S3Store) -> None:
    """When the connection breaks after the server wrote the object, put_new returns its etag."""
    proxy.inject(HttpFault(method="PUT", forward=True))
    etag = behind.put_new("log/1.json", b"mine")
    assert behind.find("log/1.json") == Stored(body=b"mine", etag=etag)


def test_put_new_answered_503_after_the_write(proxy: FaultProxy, behind: S3Store) -> None:
    """When the server answers 503 although it wrote, obstore's own retry gets 412, and put_new still succeeds."""
    proxy.inject(HttpFault(method="PUT", forward=True, status=503, code="SlowDown"))
    etag = behind.put_new("log/1.json", b"mine")
    assert [method for method, _ in proxy.requests] == ["PUT", "PUT", "HEAD"]
    assert behind.find("log/1.json") == Stored(body=b"mine", etag=etag)


def test_put_new_lost_to_the_same_bytes(proxy: FaultProxy, behind: S3Store) -> None:
    """Another writer's object of the very same bytes is not taken for our own, also when the connection broke."""
    behind.put_new("log/1.json", b"same")
    proxy.inject(HttpFault(method="PUT", forward=True))
    with pytest.raises(AlreadyExists):
        behind.put_new("log/1.json", b"same")


def test_put_new_that_never_arrived(proxy: FaultProxy, behind: S3Store) -> None:
    """When the connection breaks before the server saw the request, put_new tries again."""
    proxy.inject(HttpFault(method="PUT"))
    etag = behind.put_new("log/1.json", b"mine")
    assert behind.find("log/1.json") == Stored(body=b"mine", etag=etag)


def test_put_new_in_conflict(proxy: FaultProxy, behind: S3Store) -> None:
    """409 ConditionalRequestConflict is tried again."""
    proxy.inject(HttpFault(method="PUT", status=409, code="ConditionalRequestConflict", times=TRIES - 1))
    etag = behind.put_new("log/1.json", b"mine")
    assert behind.find("log/1.json") == Stored(body=b"mine", etag=etag)


def test_put_new_in_conflict_without_end(proxy: FaultProxy, behind: S3Store) -> None:
    """After a few 409 with nothing written, put_new gives up; it does not claim that the key is taken."""
    proxy.inject(HttpFault(method="PUT", status=409, code="ConditionalRequestConflict", times=100))
    with pytest.raises(StoreUnavailable, match="conflicting writes"):
        behind.put_new("log/1.json", b"mine")
    assert proxy.requests.count(proxy.requests[0]) == TRIES


def test_put_new_in_conflict_with_a_winner(proxy: FaultProxy, behind: S3Store) -> None:
    """409 from a race that another writer has won is AlreadyExists."""
    behind.put("log/1.json", b"other")
    proxy.inject(HttpFault(method="PUT", status=409, code="ConditionalRequestConflict"))
    with pytest.raises(AlreadyExists):
        behind.put_new("log/1.json", b"mine")


@pytest.mark.parametrize("status", [None, 503])
def test_replace_whose_answer_is_lost(proxy: FaultProxy, behind: S3Store, status: int | None) -> None:
    """When the answer to a replace that was carried out is lost, it returns the new etag."""
    etag = behind.put("a/b", b"old")
    proxy.inject(HttpFault(method="PUT", forward=True, status=status))
    etag = behind.replace("a/b", b"new", etag=etag)
    assert behind.find("a/b") == Stored(body=b"new", etag=etag)


def test_replace_in_conflict(proxy: FaultProxy, behind: S3Store) -> None:
    """409 on a replace is tried again."""
    etag = behind.put("a/b", b"old")
    proxy.inject(HttpFault(method="PUT", status=409, code="ConditionalRequestConflict", times=2))
    etag = behind.replace("a/b", b"new", etag=etag)
    assert behind.find("a/b") == Stored(body=b"new", etag=etag)


def test_replace_of_a_vanished_object_on_amazon(proxy: FaultProxy, behind: S3Store) -> None:
    """404, Amazon's answer to If-Match on a key that vanished, is Changed."""
    proxy.inject(HttpFault(method="PUT", status=404, code="NoSuchKey"))
    with pytest.raises(Changed):
        behind.replace("a/b", b"new", etag='"0123"')


def test_slow_down_passes(proxy: FaultProxy, behind: S3Store) -> None:
    """A few 503 SlowDown are waited out by every method."""
    for method, call in (
        ("PUT", partial(behind.put_new, "a/b", b"x")),
        ("PUT", partial(behind.put, "a/b", b"y")),
        ("GET", partial(behind.get, "a/b")),
        ("HEAD", partial(behind.stat, "a/b")),
        ("GET", lambda: list(behind.list("a/"))),
        ("DELETE", partial(behind.delete, "a/b")),
    ):
        proxy.inject(HttpFault(method=method, status=503, code="SlowDown", times=2))
        call()


def test_slow_down_without_end(proxy: FaultProxy, behind: S3Store) -> None:
    """When 503 does not pass, reading fails with the server's reason after a bounded number of tries."""
    proxy.inject(HttpFault(method="GET", status=503, code="SlowDown", times=100))
    with pytest.raises(StoreUnavailable, match="SlowDown"):
        behind.find("a/b")
    assert len(proxy.requests) == 4


def test_missing_without_list_permission(proxy: FaultProxy, behind: S3Store) -> None:
    """403 for a missing object is never taken for 'missing', and both the error and the probe name s3:ListBucket."""
    for method in ("GET", "HEAD"):
        proxy.inject(HttpFault(method=method, forward=True, instead_of=404, status=403, code="AccessDenied"))
    for call in (partial(behind.find, "a/b"), partial(behind.stat, "a/b"), partial(behind.read, "a/b")):
        with pytest.raises(StoreUnavailable, match="s3:ListBucket"):
            call()
    with pytest.raises(UnsafeStore, match="grant s3:ListBucket"):
        check_store(behind, "nonce")


def test_large_write_whose_last_answer_is_lost(proxy: FaultProxy, behind: S3Store) -> None:
    """When the answer to the completion of a large write is lost, it is an error or a success, never half an object."""
    proxy.inject(HttpFault(method="POST", path="uploadId=", forward=True, status=503))
    with suppress(StoreUnavailable):
        behind.write("a/big", mebibytes(9))
    assert b"".join(behind.read("a/big")) == b"".join(mebibytes(9))


def test_large_write_to_a_failing_server(proxy: FaultProxy, behind: S3Store) -> None:
    """When parts cannot be sent, a write fails without drawing all its chunks, and nothing becomes visible."""
    proxy.inject(HttpFault(method="PUT", path="partNumber=", status=400, code="InvalidRequest", times=1000))
    drawn = []

    def chunks() -> Iterator[bytes]:
        for chunk in mebibytes(400):
            drawn.append(1)
            yield chunk

    with pytest.raises(StoreUnavailable):
        behind.write("a/big", chunks())
    assert len(drawn) < 400
    assert behind.stat("a/big") is None


def test_large_new_write_in_conflict(proxy: FaultProxy, behind: S3Store) -> None:
    """409 at the last step of a large new write is tried again, and the staged object is removed."""
    proxy.inject(HttpFault(method="PUT", path="/a/big", status=409, code="ConditionalRequestConflict"))
    behind.write("a/big", mebibytes(9), new=True)
    assert [(stat.key, stat.size) for stat in behind.list("")] == [("a/big", 9 * MIB)]
    assert any(f"/{STAGING}" in path for method, path in proxy.requests if method == "DELETE")


@pytest.mark.parametrize("status", [None, 503])
def test_large_new_write_whose_last_answer_is_lost(proxy: FaultProxy, behind: S3Store, status: int | None) -> None:
    """When the answer to the last step of a large new write is lost, the write finds its own object and succeeds."""
    proxy.inject(HttpFault(method="PUT", path="/a/big", forward=True, status=status))
    behind.write("a/big", mebibytes(9), new=True)
    assert [(stat.key, stat.size) for stat in behind.list("")] == [("a/big", 9 * MIB)]


def test_large_new_write_without_conditional_copy(proxy: FaultProxy, behind: S3Store) -> None:
    """Where CopyObject knows no conditions, a large new write copies in parts, and still refuses a taken key."""
    fault = HttpFault(
        method="PUT", path="-taken", header="x-amz-copy-source", status=501, code="NotImplemented", times=99
    )
    proxy.inject(fault)
    behind.write("a/big", mebibytes(9), new=True)
    with pytest.raises(AlreadyExists):
        behind.write("a/big", mebibytes(10), new=True)
    assert [(stat.key, stat.size) for stat in behind.list("")] == [("a/big", 9 * MIB)]


def test_a_body_cut_short(proxy: FaultProxy, behind: S3Store) -> None:
    """A body that ends early is an error of the store, not a shorter object."""
    behind.put("a/b", b"x" * 100_000)
    proxy.inject(HttpFault(method="GET", cut=True, times=10))
    with pytest.raises(StoreUnavailable):
        behind.find("a/b")
    with pytest.raises(StoreUnavailable):
        list(behind.read("a/b"))


def test_gather_runs_side_by_side(proxy: FaultProxy, behind: S3Store) -> None:
    """Calls that are gathered are under way at the same time: the first cannot end before the last was asked."""
    hold = Event()
    behind.put("a/2", b"x")
    proxy.inject(HttpFault(method="GET", path="a/1", hold=hold, status=404, code="NoSuchKey"))

    def second() -> Stored | None:
        stored = behind.find("a/2")
        hold.set()
        return stored

    first, stored = behind.gather(partial(behind.find, "a/1"), second)
    assert hold.is_set()
    assert first is None
    assert stored is not None


def test_nothing_listens() -> None:
    """A server that is not there is an error of the store, after a bounded number of tries."""
    environ = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    store = S3Store(BUCKET, "", environ=environ)
    raised = run_together([partial(store.find, "a/b"), partial(store.put_new, "a/b", b"x")])
    assert [type(error) for error in raised] == [StoreUnavailable, StoreUnavailable]


@pytest.mark.parametrize("location", ["contract", "s3://contract", "s3://contract/"])
def test_open_store_on_a_bucket(
    seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch, location: str, prefix: str
) -> None:
    """A bucket's name opens it below the prefix, with the settings of the AWS environment."""
    for name, value in seaweedfs.environ.items():
        monkeypatch.setenv(name, value)
    open_store(location, f"/{prefix}/").put("a", b"x")
    assert S3Store("contract", prefix, environ=seaweedfs.environ).get("a").body == b"x"


def test_open_store_in_another_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """A region that is given wins over the one where the code runs, as a function at the edge needs it."""
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    url = open_store("packages", "", region="eu-west-1").signed_url("a", seconds=60)
    assert url is not None
    assert url.startswith("https://s3.eu-west-1.amazonaws.com/packages/a?")
    assert "%2Feu-west-1%2Fs3%2F" in url


def test_bad_key_is_no_request(proxy: FaultProxy, behind: S3Store) -> None:
    """A key that is refused never reaches the server."""
    with pytest.raises(InvalidValue):
        behind.find("../a")
    assert proxy.requests == []


def test_error_is_short(proxy: FaultProxy, behind: S3Store) -> None:
    """A failure's message is one line of bounded length that names the key, without obstore's inner state."""
    proxy.inject(HttpFault(method="GET", status=400, code="Weird" * 1000))
    with pytest.raises(IndexerError) as caught:
        behind.find("a/b")
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("at 'a/b'")
