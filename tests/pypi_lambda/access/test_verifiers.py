"""Second verifiers of passwords: whom they spare the slow hash, and whom never.

What it costs is counted in calls of the slow hash, never in time.
"""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from passlib.hash import pbkdf2_sha512

from indexer.errors import Changed
from indexer.keys import user_key
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from indexer.value import replace
from pypi_lambda.access.admin import Users
from pypi_lambda.access.auth import PASSWORD_ROUNDS, Authenticator, Pbkdf2
from pypi_lambda.access.records import MAX_RECORD_BYTES, TOKEN_USERNAME, User, UserRecord, decode_user, encode_user
from pypi_lambda.access.verifiers import is_verifier, make_verifier, write_beside, write_verifier
from pypi_lambda.http.faults import TooManyRequests, Unauthorized
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.apps import UPLOADER, running_site
from tests.support.builders import ids, journal
from tests.support.mirrors import PATIENCE_SECONDS, eventually
from tests.support.servers import BUCKET

ADA, PASSWORD, CLIENT = "ada", "a pässword", "192.0.2.1"
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
AT = user_key(ADA)
texts = st.text(st.characters(exclude_categories=["Cs"]))


def hash_of(password: str = PASSWORD) -> str:
    hashed: str = pbkdf2_sha512.using(rounds=1).hash(password)
    return hashed


def put(store: ObjectStore, *, username: str = ADA, password: str = PASSWORD, verifier: str = "") -> UserRecord:
    record = UserRecord(hash=hash_of(password), upload=True, username=username, id="id 1", verifier=verifier)
    store.put(user_key(username), encode_user(record))
    return record


def read(store: ObjectStore, username: str = ADA) -> UserRecord:
    return decode_user("", store.get(user_key(username)).body)


class Process:
    """What one process knows; counts its looks by the slow hash."""

    def __init__(self, store: ObjectStore, key: bytes = KEY) -> None:
        self.hashes = 0
        self.store = store
        self.authenticator = Authenticator(
            pbkdf2=self._derive,
            clock=lambda: 0.0,
            password_key=key,
            keep_verifier=lambda at, stored, verifier: write_verifier(store, at, stored, verifier),
        )

    def _derive(self, name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
        if rounds == PASSWORD_ROUNDS - 1:  # what makes a quick hash as slow as another is no look of its own
            return b""
        self.hashes += 1
        return hashlib.pbkdf2_hmac(name, password, salt, rounds)

    def check(self, password: str = PASSWORD, *, username: str = ADA, client: str = CLIENT) -> User:
        return self.authenticator.check(username, password, self.store.find(user_key(username)), client=client)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """A store of each kind."""
    if request.param == "folder":
        return FolderStore(tmp_path)
    server = request.getfixturevalue("seaweedfs")
    return S3Store(BUCKET, f"tests/{abs(hash(request.node.nodeid)):x}", environ=server.environ)


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


class TestWhoIsSpared:
    def test_the_next_process(self, store: ObjectStore) -> None:
        """The first process that sees the right password pays the slow hash; those after it do not."""
        put(store)
        looks = []
        for _ in range(3):
            process = Process(store)
            assert process.check() == User(username=ADA, upload=True)
            looks.append(process.hashes)
        assert looks == [1, 0, 0]

    def test_nobody_without_a_key(self, store: ObjectStore) -> None:
        """Without a key nothing is written, and every process pays, whatever verifier lies there."""
        before = put(store)
        looks = []
        for _ in range(2):
            process = Process(store, key=b"")
            process.check()
            looks.append(process.hashes)
        assert (looks, read(store)) == ([1, 1], before)

    def test_with_another_key(self, store: ObjectStore) -> None:
        """A changed key makes the verifier worthless; the slow hash decides, and the new key's takes its place."""
        put(store)
        processes = [Process(store, key) for key in (KEY, OTHER_KEY, OTHER_KEY, KEY)]
        for process in processes:
            process.check()
        assert [process.hashes for process in processes] == [1, 1, 0, 1]

    def test_a_record_of_before(self, folder: FolderStore) -> None:
        """A record of serverless-pypi 0.0.6 gets one and keeps what else is in it."""
        folder.put(AT, json.dumps({"hash": hash_of(), "more": {"ö": [1]}}).encode())
        first, second = Process(folder), Process(folder)
        first.check()
        second.check()
        document = json.loads(folder.get(AT).body)
        assert (first.hashes, second.hashes) == (1, 0)
        assert (document["more"], sorted(document)) == ({"ö": [1]}, ["hash", "more", "verifier"])


class TestWhoIsNot:
    @pytest.mark.parametrize("password", ["", "A pässword", f"{PASSWORD} ", "a pa\u0308ssword"])
    def test_a_wrong_password(self, folder: FolderStore, password: str) -> None:
        """A wrong password pays one slow hash, whether its user has a verifier, has none or is unknown."""
        put(folder)
        put(folder, username="bob")
        Process(folder).check()
        assert (read(folder).verifier != "", read(folder, "bob").verifier) == (True, "")
        looks = []
        for username in (ADA, "bob", "nobody"):
            rounds: list[int] = []
            authenticator = Authenticator(password_key=KEY, pbkdf2=self.note(rounds))
            with pytest.raises(Unauthorized) as caught:
                authenticator.check(username, password, folder.find(user_key(username)))
            looks.append((sum(rounds), caught.value.message))
        assert looks == [(210_000, "the username or the password is wrong")] * 3

    def note(self, into: list[int]) -> Pbkdf2:
        def derive(name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
            into.append(rounds)
            return hashlib.pbkdf2_hmac(name, password, salt, 1)

        return derive

    def test_a_changed_password(self, store: ObjectStore) -> None:
        """With a new password the old one is refused by the next request, and the record has no verifier."""
        put(store)
        process = Process(store)
        process.check()
        Users(store, journal(store, new_id=ids("id "), by="test")).put(ADA, "another", upload=True)
        assert read(store).verifier == ""
        for each in (process, Process(store)):
            with pytest.raises(Unauthorized):
                each.check()
        assert process.check("another").username == ADA

    def test_a_removed_user(self, store: ObjectStore) -> None:
        """A removed user's next request is refused, wherever the password was right before."""
        put(store)
        process = Process(store)
        process.check()
        store.delete(AT)
        for each in (process, Process(store)):
            with pytest.raises(Unauthorized):
                each.check()

    def test_a_lost_role(self, folder: FolderStore) -> None:
        """A verifier proves a password and gives no right: those are the record's as it is."""
        put(folder)
        Process(folder).check()
        folder.put(AT, encode_user(replace(read(folder), upload=False, projects=("a-*",))))
        assert Process(folder).check() == User(username=ADA, upload=False, projects=("a-*",))

    def test_a_damaged_token(self, folder: FolderStore) -> None:
        """What claims to be a token's and is none costs no slow hash, with a key as without."""
        process = Process(folder)
        with pytest.raises(Unauthorized):
            process.check("spypi", username=TOKEN_USERNAME)
        assert process.hashes == 0


class TestWhoWritesTheBucket:
    """Whoever can write the bucket can replace the hash itself; a verifier must give nothing beyond that."""

    def test_another_user_s_verifier(self, folder: FolderStore) -> None:
        """A verifier copied from another user with the same password and hash opens nothing by itself."""
        record = put(folder)
        Process(folder).check()
        verifier = read(folder).verifier
        folder.put(user_key("bob"), encode_user(replace(record, username="bob", verifier=verifier)))
        process = Process(folder)
        process.check(username="bob")
        assert process.hashes == 1

    def test_a_verifier_with_another_hash(self, folder: FolderStore) -> None:
        """The old verifier beside a new hash does not let the old password in."""
        put(folder)
        Process(folder).check()
        verifier = read(folder).verifier
        put(folder, password="another", verifier=verifier)
        with pytest.raises(Unauthorized):
            Process(folder).check()

    def test_a_verifier_of_a_quicker_hash(self, folder: FolderStore) -> None:
        """The verifier of a password under a hash of one's own making is not the one under the user's hash."""
        own, users = hash_of("guess"), hash_of("guess")
        assert make_verifier(KEY, ADA, "guess", own) != make_verifier(KEY, ADA, "guess", users)

    @pytest.mark.parametrize(
        "verifier", ["", "1:", "1:" + "0" * 64, "2:" + "0" * 64, "ä", "\ud800", "x" * 60_000, "1:" + "0" * 63 + "\0"]
    )
    def test_anything_else(self, folder: FolderStore, verifier: str) -> None:
        """A verifier that is none lets nobody in and keeps nobody out: the slow hash decides."""
        record = put(folder)
        document = {"hash": record.hash, "upload": True, "verifier": verifier}
        for password in (PASSWORD, "wrong"):
            folder.put(AT, json.dumps(document).encode())
            process = Process(folder)
            with suppress(Unauthorized):
                process.check(password)
                assert password == PASSWORD
            assert process.hashes == 1

    @given(st.tuples(texts, texts, texts), st.tuples(texts, texts, texts))
    def test_nothing_is_taken_for_another(self, one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
        """Different usernames, passwords and hashes never share a verifier, however their parts are cut."""
        assert (make_verifier(KEY, *one) == make_verifier(KEY, *other)) is (one == other)
        assert make_verifier(KEY, *one) != make_verifier(OTHER_KEY, *one)
        assert is_verifier(make_verifier(KEY, *one), make_verifier(KEY, *one))


class TestWriting:
    def test_two_at_once(self, store: ObjectStore) -> None:
        """Two processes that write at once leave one valid verifier, and both let the user in."""
        put(store)
        barrier = Barrier(2)
        stored = store.get(AT)

        def log_in(key: bytes) -> User:
            process = Process(store, key)
            barrier.wait(PATIENCE_SECONDS)
            return process.authenticator.check(ADA, PASSWORD, stored)

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(log_in, (KEY, OTHER_KEY))) == [User(username=ADA, upload=True)] * 2
        hash_ = read(store).hash
        assert read(store).verifier in {make_verifier(key, ADA, PASSWORD, hash_) for key in (KEY, OTHER_KEY)}

    def test_a_change_meanwhile(self, store: ObjectStore) -> None:
        """A record that was changed or removed since it was read is left as it is."""
        put(store)
        stored = store.get(AT)
        changed = put(store, password="another")
        write_verifier(store, AT, stored, "1:stale")
        assert read(store) == changed
        store.delete(AT)
        write_verifier(store, AT, stored, "1:stale")
        assert store.find(AT) is None

    def test_a_store_that_cannot_be_written(self, folder: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
        """Where nothing can be written the user gets in all the same; the log says why, and no secret."""
        record = put(folder)
        shut = Adversary(folder, Fault(Mischief.UNAVAILABLE, when=lambda call: call.method == "replace"))
        process = Process(shut)
        assert process.check().username == ADA
        assert read(folder) == record
        (message,) = caplog.messages
        assert "a password's verifier cannot be written" in message
        assert record.hash not in message
        assert make_verifier(KEY, ADA, PASSWORD, record.hash) not in message
        assert PASSWORD not in message

    @pytest.mark.parametrize("room", [0, 60, 100])
    def test_a_record_as_large_as_may_be(self, folder: FolderStore, room: int) -> None:
        """A verifier that would make the record too large to be read is not written; its user gets in all the same."""
        document = {"hash": hash_of(), "upload": True, "more": ""}
        length = MAX_RECORD_BYTES - room - len(json.dumps(document, separators=(",", ":")))
        folder.put(AT, json.dumps({**document, "more": "x" * length}, separators=(",", ":")).encode())
        for _ in range(2):
            assert Process(folder).check().upload
        assert len(folder.get(AT).body) <= MAX_RECORD_BYTES
        assert (read(folder).verifier != "") is (room == 100)

    def test_nobody_waits(self, folder: FolderStore) -> None:
        """The user is let in while the write is still under way."""
        put(folder)
        slow = Fault(Mischief.SLOW, when=lambda call: call.method == "replace")
        store = Adversary(folder, slow)
        authenticator = Authenticator(
            password_key=KEY,
            keep_verifier=lambda at, stored, verifier: write_beside(
                lambda: write_verifier(store, at, stored, verifier)
            ),
        )
        assert authenticator.check(ADA, PASSWORD, folder.find(AT)).username == ADA
        assert slow.reached.wait(PATIENCE_SECONDS)
        assert read(folder).verifier == ""
        slow.release.set()
        eventually(lambda: read(folder).verifier != "")

    def test_without_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A process that can start no thread goes on without the write."""

        def refuse(_thread: Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(Thread, "start", refuse)
        write_beside(lambda: pytest.fail("it was started"))

    def test_a_password_change_meets_it(self, folder: FolderStore) -> None:
        """A change of the password whose record got a verifier meanwhile wins, as over any other change."""
        put(folder)
        stored = folder.get(AT)
        racing = _Racing(folder, lambda: write_verifier(folder, AT, stored, "1:meanwhile"))
        Users(racing, journal(racing, new_id=ids("id "), by="test")).put(ADA, "another", upload=True)
        assert read(folder).verifier == ""
        assert Process(folder).check("another").username == ADA


class _Racing(Adversary):
    """Something happens once, just before the first conditional write of a user's record."""

    def __init__(self, inner: ObjectStore, happen: Callable[[], object]) -> None:
        super().__init__(inner)
        self._happen = happen

    def replace(self, key: str, body: bytes, *, etag: str, content_type: str = "", immutable: bool = False) -> str:
        happen, self._happen = self._happen, lambda: None
        happen()
        return super().replace(key, body, etag=etag, content_type=content_type, immutable=immutable)


class TestThrottle:
    def test_a_written_verifier_forgets_nobody(self, folder: FolderStore) -> None:
        """Credentials that were right here pass although their record got a verifier, whatever was wrong meanwhile."""
        put(folder)
        warm = Process(folder, key=b"")
        warm.check()
        Process(folder).check()
        for _ in range(40):
            with suppress(Unauthorized, TooManyRequests):
                warm.check("wrong")
        before = warm.hashes
        assert warm.check().username == ADA
        assert warm.hashes == before

    def test_wrong_ones_count(self, folder: FolderStore) -> None:
        """A verifier gives no further tries: the eleventh wrong password is not looked at."""
        put(folder)
        Process(folder).check()
        process = Process(folder)
        refusals = []
        for _ in range(12):
            with pytest.raises((Unauthorized, TooManyRequests)) as caught:
                process.check("wrong")
            refusals.append(caught.type)
        assert refusals == [Unauthorized] * 10 + [TooManyRequests] * 2


class TestRecords:
    def test_repr(self) -> None:
        """A record's text shows no verifier."""
        assert "secret" not in repr(UserRecord(hash="h", upload=True, verifier="1:secret"))

    def test_lost_race_is_told_from_failure(self, folder: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
        """A lost race is ordinary: it is not logged as a warning."""
        put(folder)
        stored = folder.get(AT)
        put(folder, password="another")
        with pytest.raises(Changed):
            folder.replace(AT, b"{}", etag=stored.etag)
        write_verifier(folder, AT, stored, "1:stale")
        assert caplog.messages == []


class TestOverHttp:
    def test_a_service_leaves_one_for_the_next(self, tmp_path: Path) -> None:
        """A service with a key writes the verifier beside the first right request; what the user may do stays."""
        with running_site(tmp_path, password_key=KEY) as site:
            at = user_key(UPLOADER[0])
            before = decode_user("", site.store.get(at).body)
            assert site.get("/simple/").status == 200
            eventually(lambda: decode_user("", site.store.get(at).body).verifier != "")
            after = decode_user("", site.store.get(at).body)
            assert replace(after, verifier="") == before
            assert site.get("/simple/").status == 200
            assert site.get("/simple/", user=(UPLOADER[0], "wrong")).status == 401
            process = Process(site.store)
            assert process.check(UPLOADER[1], username=UPLOADER[0]).upload
            assert process.hashes == 0
            site.store.delete(at)
            assert site.get("/simple/").status == 401
