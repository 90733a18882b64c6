"""Credentials against records: who gets in, what it costs, what is remembered of it."""

import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from passlib.hash import pbkdf2_sha512

from indexer.errors import CorruptObject
from indexer.store import Stored
from pypi_lambda.auth import (
    MAX_REMEMBERED,
    PASSWORD_ROUNDS,
    Authenticator,
    User,
    UserRecord,
    decode_user,
    encode_user,
    hash_password,
    user_key,
)
from pypi_lambda.http import Unauthorized
from tests.apps import Site, running_site

USERNAME = "jürgen"
PASSWORD = "a pässword"
KEY = user_key(USERNAME)

# Made by passlib 1.7.4 as serverless-pypi 0.0.6 does it: `pbkdf2_sha512.hash("old password")`, its default rounds.
OLD_RECORD = (
    b'{"hash": "$pbkdf2-sha512$25000$/z9HaA2hNMa49z5nrJVybg$PZbt55FqTFp843w34/EEreQ3TA/xPgr5QvnUeA31hF2j/'
    b'AXEpC2OVKLozW7mDzt6.ZUqI9qL5qzF4yJwCN7w3A", "upload": true}'
)


class CountingPbkdf2:
    """The real function, with what it was called for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes, int]] = []

    @property
    def rounds(self) -> int:
        return sum(rounds for _, _, rounds in self.calls)

    def __call__(self, name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
        self.calls.append((name, password, rounds))
        return hashlib.pbkdf2_hmac(name, password, salt, rounds)


def stored(record: UserRecord | bytes) -> Stored:
    return Stored(body=record if isinstance(record, bytes) else encode_user(record), etag='"1"')


def quick_record(password: str = PASSWORD, *, rounds: int = 1, upload: bool = True) -> UserRecord:
    return UserRecord(hash=pbkdf2_sha512.using(rounds=rounds).hash(password), upload=upload)


class Quick:
    """A stand-in for the function where only who gets in matters: derives in no time, each from its arguments alone."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
        self.calls += 1
        return hashlib.pbkdf2_hmac(name, password, salt, 1)


@pytest.fixture
def quick() -> Quick:
    return Quick()


class TestCheck:
    @pytest.mark.parametrize("upload", [True, False])
    def test_right(self, upload: bool) -> None:
        """The right password gives the user with the role that the record has."""
        record = stored(UserRecord(hash=hash_password(PASSWORD), upload=upload))
        assert Authenticator().check(USERNAME, PASSWORD, record) == User(username=USERNAME, upload=upload)

    @pytest.mark.parametrize("password", ["", "A pässword", f"{PASSWORD} ", "x" * 1_000_000, PASSWORD * 2])
    def test_wrong(self, quick: Quick, password: str) -> None:
        """Any other password, of whatever length, is refused."""
        with pytest.raises(Unauthorized):
            Authenticator(pbkdf2=quick).check(USERNAME, password, stored(quick_record()))

    def test_serverless_pypi_record(self) -> None:
        """A record of serverless-pypi 0.0.6 lets its user in, with its role, and nobody else."""
        authenticator = Authenticator()
        assert authenticator.check("old", "old password", stored(OLD_RECORD)) == User(username="old", upload=True)
        with pytest.raises(Unauthorized):
            authenticator.check("old", "new password", stored(OLD_RECORD))

    @given(st.text(st.characters(exclude_categories=["Cs"])), st.binary(max_size=32))
    def test_passlib_hashes(self, password: str, salt: bytes) -> None:
        """Whatever passlib hashed, whatever the salt, is verified."""
        made = pbkdf2_sha512.using(rounds=2, salt=salt).hash(password)
        authenticator = Authenticator(pbkdf2=_without_the_rest)
        assert authenticator.check("a", password, stored(UserRecord(hash=made, upload=False))).username == "a"

    def test_no_password_is_nobodys(self) -> None:
        """The record that stands in for an unknown user's lets nobody in."""
        with pytest.raises(Unauthorized):
            Authenticator().check("nobody", "", None)


def _without_the_rest(name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac(name, password, salt, min(rounds, 2))


class TestSameness:
    """Nothing tells an unknown user from a wrong password."""

    @pytest.mark.parametrize(
        "record",
        [None, UserRecord(hash=hash_password(PASSWORD), upload=True), OLD_RECORD, quick_record(rounds=1)],
        ids=["unknown user", "wrong password", "old record", "quick record"],
    )
    def test_work(self, record: UserRecord | bytes | None) -> None:
        """Each refusal costs the same rounds of the same function over the password that was sent."""
        pbkdf2 = CountingPbkdf2()
        with pytest.raises(Unauthorized) as refusal:
            Authenticator(pbkdf2=pbkdf2).check(USERNAME, "wrong", None if record is None else stored(record))
        assert pbkdf2.rounds == PASSWORD_ROUNDS == 210_000
        assert {(name, password) for name, password, _ in pbkdf2.calls} == {("sha512", b"wrong")}
        assert refusal.value.message == "the username or the password is wrong"

    def test_answer(self, tmp_path: Path) -> None:
        """Both refusals are the same bytes."""
        with running_site(tmp_path) as site:
            answers = [site.get("/simple/", user=user) for user in (("uploader", "wrong"), ("nobody", "wrong"))]
        assert answers[0] == answers[1]

    def test_again(self) -> None:
        """A refusal is never remembered: the second try costs what the first did."""
        pbkdf2 = CountingPbkdf2()
        authenticator = Authenticator(pbkdf2=pbkdf2)
        for _ in range(2):
            with pytest.raises(Unauthorized):
                authenticator.check(USERNAME, "wrong", stored(quick_record()))
        assert pbkdf2.rounds == 2 * PASSWORD_ROUNDS


class TestMemory:
    def test_verified_once(self, quick: Quick) -> None:
        """Right credentials are computed once and then known."""
        authenticator = Authenticator(pbkdf2=quick)
        record = stored(quick_record())
        authenticator.check(USERNAME, PASSWORD, record)
        first = quick.calls
        authenticator.check(USERNAME, PASSWORD, record)
        assert (quick.calls, first) == (first, 2)

    def test_wrong_after_right(self, quick: Quick) -> None:
        """That somebody knew the password helps nobody who does not."""
        authenticator = Authenticator(pbkdf2=quick)
        record = stored(quick_record())
        authenticator.check(USERNAME, PASSWORD, record)
        for username, password in ((USERNAME, "wrong"), (USERNAME, ""), (f"{USERNAME}{PASSWORD[0]}", PASSWORD[1:])):
            with pytest.raises(Unauthorized):
                authenticator.check(username, password, record)

    def test_another_record_forgets(self, quick: Quick) -> None:
        """A changed password counts at once, and a changed role, and a removed user."""
        authenticator = Authenticator(pbkdf2=quick)
        record = quick_record()
        authenticator.check(USERNAME, PASSWORD, stored(record))
        reader = UserRecord(hash=record.hash, upload=False)
        assert authenticator.check(USERNAME, PASSWORD, stored(reader)) == User(username=USERNAME, upload=False)
        for changed in (stored(quick_record("another password")), None):
            with pytest.raises(Unauthorized):
                authenticator.check(USERNAME, PASSWORD, changed)

    def test_no_plaintext(self, quick: Quick) -> None:
        """What is kept of credentials holds neither them nor an unkeyed digest of them."""
        kept = []
        for _ in range(2):
            authenticator = Authenticator(pbkdf2=quick)
            record = stored(quick_record())
            authenticator.check(USERNAME, PASSWORD, record)
            kept.append(authenticator.remembered)
        assert [len(tokens) for tokens in kept] == [1, 1]
        assert kept[0] != kept[1]
        pickled = pickle.dumps(kept)
        for secret in (USERNAME, PASSWORD):
            for text in (secret.encode(), hashlib.sha256(secret.encode()).digest()):
                assert text not in pickled
        assert all(len(token) == 32 for tokens in kept for token in tokens)

    def test_bounded(self, quick: Quick) -> None:
        """However many users there are, a bounded number is known, the latest ones."""
        authenticator = Authenticator(pbkdf2=quick)
        record = stored(quick_record())
        for number in range(MAX_REMEMBERED + 10):
            authenticator.check(f"user {number}", PASSWORD, record)
        assert len(authenticator.remembered) == MAX_REMEMBERED
        before = quick.calls
        authenticator.check("user 10", PASSWORD, record)
        assert quick.calls == before
        authenticator.check("user 9", PASSWORD, record)
        assert quick.calls > before


class TestRecords:
    @given(st.text(), st.booleans())
    def test_round_trip(self, text: str, upload: bool) -> None:
        """A record comes back."""
        record = UserRecord(hash=text.encode("utf-8", "replace").decode(), upload=upload)
        assert decode_user("users/x.json", encode_user(record)) == record

    def test_of_serverless_pypi(self) -> None:
        """A record without a role is a reader's; other members are passed over."""
        assert decode_user("users/x.json", b'{"hash": "h", "more": 1}') == UserRecord(hash="h", upload=False)

    @pytest.mark.parametrize(
        "body", [b"", b"null", b"[]", b'"hash"', b"{}", b'{"hash": null}', b'{"hash": "h", "upload": 1}', b"\xff"]
    )
    def test_others_are_refused(self, body: bytes) -> None:
        """Anything else is an error that names the key and quotes nothing."""
        with pytest.raises(CorruptObject, match=r"users/x\.json") as caught:
            decode_user("users/x.json", body)
        assert "hash" not in str(caught.value)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "secret in the clear",
            "$pbkdf2-sha256$25000$abcd$" + "." * 86,
            "$pbkdf2-sha512$0$abcd$" + "." * 86,
            "$pbkdf2-sha512$99999999999$abcd$" + "." * 86,
            "$pbkdf2-sha512$25000$abcd",
            "$pbkdf2-sha512$25000$abcde$" + "." * 86,
            "$pbkdf2-sha512$25000$abcd$" + "." * 85,
            "$pbkdf2-sha512$25000$ab+d$" + "." * 86,
        ],
    )
    def test_hashes_of_another_kind(self, quick: Quick, text: str) -> None:
        """A hash that is not passlib's pbkdf2_sha512 is an error that names the key and does not show it."""
        with pytest.raises(CorruptObject, match=KEY) as caught:
            Authenticator(pbkdf2=quick).check(USERNAME, PASSWORD, stored(UserRecord(hash=text, upload=True)))
        assert text == "" or text not in str(caught.value)

    def test_new_hashes(self) -> None:
        """A new hash is passlib's, of the rounds that are stated, with a salt of its own."""
        hashes = [hash_password(PASSWORD) for _ in range(2)]
        assert [pbkdf2_sha512.from_string(made).rounds for made in hashes] == [PASSWORD_ROUNDS] * 2
        assert hashes[0] != hashes[1]

    def test_key(self) -> None:
        """The key has the name only as a digest, where serverless-pypi 0.0.6 has it."""
        assert user_key("name") == f"users/{hashlib.sha256(b'name').hexdigest()}.json"


class TestOverHttp:
    @pytest.fixture
    def site(self, tmp_path: Path) -> Iterator[Site]:
        with running_site(tmp_path) as site:
            yield site

    def test_a_removed_user(self, site: Site) -> None:
        """A removed user's next request is refused."""
        assert site.get("/simple/").status == 200
        site.store.delete(user_key("uploader"))
        assert site.get("/simple/").status == 401

    def test_a_lost_role(self, site: Site) -> None:
        """A role that was taken away is gone with the next request."""
        assert site.request("POST", "/").status == 415
        hash_ = decode_user("", site.store.get(user_key("uploader")).body).hash
        site.store.put(user_key("uploader"), encode_user(UserRecord(hash=hash_, upload=False)))
        assert site.request("POST", "/").status == 403
