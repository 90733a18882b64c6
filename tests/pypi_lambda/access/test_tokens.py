"""Tokens: what they look like, whom they let in, and the commands that make and revoke them."""

import hashlib
import json
import re
from binascii import crc32
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.memory_store import MemoryStore
from indexer.errors import CorruptObject, InvalidValue, StoreUnavailable
from indexer.keys import token_key, token_use_key, user_key
from indexer.log.events import TokenCreated, TokenRevoked
from indexer.log.log import ORIGIN, Log
from indexer.names import ProjectName
from indexer.store.base import ObjectStore, Stored
from indexer.store.folder import FolderStore
from indexer.value import replace
from pypi_lambda.access.auth import Authenticator, read_claim
from pypi_lambda.access.records import User, UserRecord, decode_user, encode_user
from pypi_lambda.access.throttle import PAIR
from pypi_lambda.access.throttle import USER as USER_LEVEL
from pypi_lambda.access.tokens import (
    Token,
    TokenChecker,
    TokenRecord,
    TokenRefused,
    decode_token,
    encode_token,
    make_token,
    parse_token,
)
from pypi_lambda.command.context import Context
from pypi_lambda.front_doors.table import FRONT_DOORS, FUNCTION_URL, LATTICE_1, LATTICE_2, FrontDoor
from pypi_lambda.manage.registry import parse_command
from tests.aws.lambda_site import LambdaSite, running_function
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.apps import READER, UPLOADER, Site
from tests.support.builders import AT, NO_UPSTREAM, NOW, basic, contents, ids, make_app, request, upload_form
from tests.support.contexts import run_command, running_context
from tests.support.distributions import make_wheel
from tests.support.mirrors import PATIENCE_SECONDS

SECRET = bytes(range(32))
TOKEN = "spypi_asO8cmdlbg.000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"  # of "jürgen"
LATER = "2024-11-23T10:20:30.000041Z"  # a microsecond after NOW
USER = UserRecord(hash="never looked at", upload=True, id="user 1")
usernames = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)


def known(text: str) -> Token:
    token = parse_token(text)
    assert token is not None
    return token


def token_record(**changes: object) -> TokenRecord:
    values: dict[str, object] = {
        "username": "ada",
        "user": "user 1",
        "name": "ci",
        "upload": True,
        "projects": (),
        "created": AT,
        "expires": LATER,
    }
    return TokenRecord(**(values | changes))  # type: ignore[arg-type]  # what tests pass is theirs to get right


def stored(body: bytes) -> Stored:
    return Stored(body=body, etag='"1"')


class TestFormat:
    def test_of_a_token(self) -> None:
        """A token is the prefix, the username as base64url, the random bits and the checksum of all that, as hex."""
        text = make_token("jürgen", SECRET)
        assert text == f"spypi_asO8cmdlbg.{SECRET.hex()}{crc32(TOKEN.encode()):08x}"
        assert parse_token(text) == Token(username="jürgen", digest=hashlib.sha256(text.encode()).hexdigest())

    def test_where_things_are(self) -> None:
        """The id is the beginning of the digest; the keys of both records are known from the token alone."""
        text = make_token("jürgen", SECRET)
        token, digest = known(text), hashlib.sha256(text.encode()).hexdigest()
        assert token.id == digest[:16]
        assert token.keys == (user_key("jürgen"), f"tokens/{digest}.json")

    @given(usernames, st.binary(min_size=32, max_size=32))
    def test_round_trip(self, username: str, secret: bytes) -> None:
        """Whoever has it and whatever the bits are, a token is read back, and is safe in URLs, `.netrc` and shells."""
        text = make_token(username, secret)
        assert known(text).username == username
        assert re.fullmatch(r"[A-Za-z0-9_.-]{80,800}", text)

    @given(usernames, st.binary(min_size=32, max_size=32), st.data())
    def test_mangled(self, username: str, secret: bytes, data: st.DataObject) -> None:
        """A token with one character changed, lost or added is none."""
        text = make_token(username, secret)
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 1))
        between = data.draw(st.text(st.sampled_from("aA0._-/é \n"), max_size=1))
        mangled = text[:at] + between + text[at + cut :]
        assert (parse_token(mangled) is None) == (mangled != text)

    @given(st.text() | st.from_regex(r"spypi_[A-Za-z0-9_-]*\.[0-9a-f]{72}"))
    def test_other_texts(self, text: str) -> None:
        """Any other text is none, and breaks nothing."""
        assert parse_token(text) is None

    def test_no_text_in_it(self) -> None:
        """A username that is not UTF-8 makes none, even with the right checksum."""
        text = f"spypi__w.{SECRET.hex()}"
        assert parse_token(f"{text}{crc32(text.encode()):08x}") is None

    def test_no_secret_in_it(self) -> None:
        """What is kept of a token that was shown has no secret."""
        assert SECRET.hex() not in repr(known(make_token("ada", SECRET)))


class TestRecords:
    @pytest.mark.parametrize(
        "record",
        [token_record(), token_record(expires=None, upload=False), token_record(projects=("acme-*", "b"), name="")],
    )
    def test_round_trip(self, record: TokenRecord) -> None:
        """A record comes back."""
        assert decode_token("k", encode_token(record)) == record

    @pytest.mark.parametrize(
        "changes",
        [
            {"v": 2},
            {"username": None},
            {"user": 1},
            {"upload": 1},
            {"projects": "acme-*"},
            {"projects": [1]},
            {"expires": "2030-01-01"},
            {"expires": 1},
            {"created": None},
        ],
        ids=str,
    )
    def test_others_are_refused(self, changes: dict[str, object]) -> None:
        """Anything else is an error that names the key: nothing is guessed about rights."""
        document = {**json.loads(encode_token(token_record())), **changes}
        with pytest.raises(CorruptObject, match=r"tokens/x\.json"):
            decode_token("tokens/x.json", json.dumps(document).encode())

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"null", b'"v"'])
    def test_no_records(self, body: bytes) -> None:
        """Neither is what is no object."""
        with pytest.raises(CorruptObject):
            decode_token("tokens/x.json", body)


class TestClaims:
    """Where a client may put a token."""

    TOKEN = make_token("ada", SECRET)

    @pytest.mark.parametrize(
        ("username", "password", "claimed"),
        [("__token__", TOKEN, "__token__"), (TOKEN, "", "__token__"), ("ada", TOKEN, "ada"), ("bob", TOKEN, "bob")],
    )
    def test_a_token(self, username: str, password: str, claimed: str) -> None:
        """As the password of anybody, or as the username without one."""
        claim = read_claim(basic(username, password))
        assert (claim.username, claim.token) == (claimed, parse_token(self.TOKEN))
        assert claim.keys == known(self.TOKEN).keys

    @pytest.mark.parametrize(
        ("username", "password", "claimed"),
        [
            ("ada", "a password", "ada"),
            ("ada", TOKEN[:-1], "ada"),
            (TOKEN, "a password", TOKEN),
            ("__token__", TOKEN[1:], "__token__"),
            (TOKEN[:-1], "", "__token__"),
        ],
    )
    def test_a_password(self, username: str, password: str, claimed: str) -> None:
        """Anything else is a password, which only its user's record can tell."""
        claim = read_claim(basic(username, password))
        assert (claim.username, claim.token, claim.keys) == (claimed, None, (user_key(claimed),))
        assert "spypi_" not in repr(claim) or username == self.TOKEN


class TestCheck:
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path)

    @pytest.fixture
    def check(self, store: ObjectStore) -> Callable[..., User]:
        """Check ada's token against these records."""
        checker = TokenChecker(store, now=lambda: NOW, run=lambda work: work())
        token = known(make_token("ada", SECRET))

        def check(record: TokenRecord | None, user: UserRecord | None = USER, *, username: str = "__token__") -> User:
            bodies = [user and encode_user(user), record and encode_token(record)]
            return checker.check(token, username, [body and stored(body) for body in bodies])  # type: ignore[misc]

        return check

    @pytest.mark.parametrize("username", ["__token__", "ada"])
    def test_a_token(self, check: Callable[..., User], username: str) -> None:
        """A token lets its owner in, under the owner's name or as `__token__`."""
        token = known(make_token("ada", SECRET))
        assert check(token_record(), username=username) == User(username="ada", upload=True, token=token.id)

    @pytest.mark.parametrize(
        ("record", "user", "username", "reason"),
        [
            (None, USER, "__token__", ": unknown, or revoked"),
            (token_record(), USER, "bob", " of 'ada': shown by 'bob'"),
            (token_record(), USER, "", " of 'ada': shown by ''"),
            (token_record(expires=AT), USER, "__token__", f" of 'ada': expired at {AT}"),
            (token_record(), None, "__token__", " of 'ada': its user was removed"),
            (token_record(), replace(USER, id="user 2"), "__token__", " of 'ada': its user was removed"),
            (token_record(user=""), replace(USER, id=""), "__token__", " of 'ada': its user was removed"),
            (token_record(username="bob"), USER, "__token__", " of 'bob': its user was removed"),
        ],
    )
    def test_refused(
        self,
        store: ObjectStore,
        check: Callable[..., User],
        record: TokenRecord | None,
        user: UserRecord | None,
        username: str,
        reason: str,
    ) -> None:
        """Whatever is not right about it, it lets nobody in, and the log's sentence has no more than its id."""
        with pytest.raises(TokenRefused) as refusal:
            check(record, user, username=username)
        assert str(refusal.value) == f"token {known(make_token('ada', SECRET)).id}{reason}"
        assert contents(store) == {}

    @pytest.mark.parametrize(("user", "token", "both"), [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 0)])
    def test_roles(self, check: Callable[..., User], user: int, token: int, both: int) -> None:
        """Only what both user and token may is allowed."""
        found = check(token_record(upload=bool(token)), replace(USER, upload=bool(user)))
        assert found.upload is found.may_publish(ProjectName("demo")) is bool(both)

    @pytest.mark.parametrize(
        ("user", "token", "allowed"),
        [
            ((), (), ["acme-a", "acme-b", "other"]),
            (("acme-*",), (), ["acme-a", "acme-b"]),
            ((), ("acme-a", "other"), ["acme-a", "other"]),
            (("acme-*",), ("acme-a", "other"), ["acme-a"]),
            (("acme-*",), ("other",), []),
        ],
    )
    def test_projects(
        self, check: Callable[..., User], user: tuple[str, ...], token: tuple[str, ...], allowed: list[str]
    ) -> None:
        """Only names that both the user's and the token's patterns cover can be uploaded; no pattern covers all."""
        found = check(token_record(projects=token), replace(USER, projects=user))
        assert [name for name in ("acme-a", "acme-b", "other") if found.may_publish(ProjectName(name))] == allowed


class TestUse:
    def test_once_a_day(self, tmp_path: Path) -> None:
        """The first use of each day is noted, with its time, and none after it."""
        store, written = FolderStore(tmp_path), list[str]()

        def run(work: Callable[[], None]) -> None:
            work()
            written.append(store.get(token_use_key(token.id)).body.decode())

        token = known(make_token("ada", SECRET))
        moments = iter([NOW + timedelta(hours=hours) for hours in (0, 1, 14, 15)])
        checker = TokenChecker(store, now=lambda: next(moments), run=run)
        for _ in range(4):
            checker.check(token, "ada", [stored(encode_user(USER)), stored(encode_token(token_record(expires=None)))])
        assert written == [AT, AT.replace("23T10", "24T00")]

    @pytest.mark.parametrize("fault", [StoreUnavailable("k", "no"), RuntimeError("can't start new thread")])
    def test_failures(self, fault: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A note that cannot be written fails no request, and is a line in the log."""
        token = known(make_token("ada", SECRET))

        def run(work: Callable[[], None]) -> None:
            if isinstance(fault, RuntimeError):
                raise fault
            work()

        store = Adversary(FolderStore(tmp_path), Fault(Mischief.UNAVAILABLE, when=lambda call: call.method == "put"))
        checker = TokenChecker(store, now=lambda: NOW, run=run)
        checker.check(token, "ada", [stored(encode_user(USER)), stored(encode_token(token_record()))])
        assert [f"that token {token.id} was used is not noted" in record.message for record in caplog.records] == [True]

    def test_beside_the_request(self, tmp_path: Path) -> None:
        """Nobody waits for the note: the check is done while it is still being written."""
        fault = Fault(Mischief.SLOW, when=lambda call: call.method == "put")
        slow = Adversary(FolderStore(tmp_path), fault)
        checker = TokenChecker(slow, now=lambda: NOW)
        token = known(make_token("ada", SECRET))
        user = checker.check(token, "ada", [stored(encode_user(USER)), stored(encode_token(token_record()))])
        assert user.username == "ada"
        assert fault.reached.wait(PATIENCE_SECONDS)
        fault.release.set()


def add_user(store: ObjectStore, username: str = "ada", **changes: object) -> None:
    store.put(user_key(username), encode_user(replace(USER, **changes)))


class TestCommands:
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        store = FolderStore(tmp_path)
        add_user(store)
        return store

    @pytest.fixture
    def now(self) -> list[datetime]:
        """The current time, for a test to change."""
        return [NOW]

    @pytest.fixture
    def context(self, store: FolderStore, now: list[datetime]) -> Iterator[Context]:
        with running_context(store) as context:
            yield replace(context, now=lambda: now[0], new_id=ids())

    def log_in(self, store: ObjectStore, text: str, *, now: datetime = NOW) -> User:
        checker = TokenChecker(store, now=lambda: now, run=lambda work: work())
        token = known(text)
        return checker.check(token, "__token__", [store.find(key) for key in token.keys])

    def test_created(self, store: FolderStore, context: Context) -> None:
        """A token's creation answers it, and what it may; it lets its user in; the log tells of it."""
        argument = {"username": "ada", "upload": True, "projects": ["Acme_*"], "expires": "12h", "name": "ci"}
        done = run(context, "createToken", argument)
        text = done["token"]
        assert done == {
            "token": text,
            "id": known(text).id,
            "username": "ada",
            "name": "ci",
            "upload": True,
            "projects": ["acme-*"],
            "created": AT,
            "expires": AT.replace("T10", "T22"),
        }
        user = User(username="ada", upload=True, token=done["id"], token_projects=("acme-*",))
        assert self.log_in(store, text) == user
        [event] = Log(store).read_after(ORIGIN)
        assert event.by == "ann"
        assert event.change == TokenCreated(
            token=done["id"],
            username="ada",
            name="ci",
            upload=True,
            projects=("acme-*",),
            expires=AT.replace("T10", "T22"),
        )

    def test_no_two_alike(self, context: Context) -> None:
        """Every token has secret bits of its own."""
        tokens = [str(run(context, "createToken", {"username": "ada"})["token"]) for _ in range(20)]
        assert len({text[10:50] for text in tokens}) == 20

    def test_no_secret_is_stored(self, store: FolderStore, context: Context, tmp_path: Path) -> None:
        """Neither the token nor its secret is in any object, in any key, or in the list."""
        text = run(context, "createToken", {"username": "ada"})["token"]
        self.log_in(store, text)
        context.service.rebuilder.wait()
        shown = {**contents(store), "list": json.dumps(run(context, "listTokens")).encode()}
        assert any(key.startswith("tokens/") for key in shown)
        secret = text.partition(".")[2]
        for key, body in shown.items():
            assert not {key.find(secret[:16]), body.find(secret[:16].encode())} - {-1}

    @pytest.mark.parametrize(
        ("expires", "moment"),
        [
            ("90d", "2025-02-21T10:20:30.000040Z"),
            ("1h", "2024-11-23T11:20:30.000040Z"),
            ("99999d", "2298-09-07T10:20:30.000040Z"),
            ("2030-01-31", "2030-01-31T00:00:00.000000Z"),
            ("2030-01-31T12:00:00+02:00", "2030-01-31T10:00:00.000000Z"),
            ("never", None),
        ],
    )
    def test_expiry(self, context: Context, expires: str, moment: str | None) -> None:
        """A lifetime, a date, a moment and `never` are understood."""
        assert run(context, "createToken", {"username": "ada", "expires": expires})["expires"] == moment

    def test_default_expiry(self, context: Context) -> None:
        """A token of which nothing is said reads, for 90 days."""
        done = run(context, "createToken", {"username": "ada"})
        assert (done["expires"], done["upload"]) == ("2025-02-21T10:20:30.000040Z", False)

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"username": "bob"}, "invalid createToken.username 'bob': there is no such user"),
            ({"expires": ""}, "invalid createToken.expires ''"),
            ({"expires": "0d"}, "invalid createToken.expires '0d'"),
            ({"expires": "100000d"}, "invalid createToken.expires '100000d'"),
            ({"expires": "90"}, "invalid createToken.expires '90'"),
            ({"expires": "2030-01-31T12:00:00"}, "invalid createToken.expires '2030-01-31T12:00:00'"),
            ({"expires": "2024-11-23"}, "invalid createToken.expires '2024-11-23T00:00:00.000000Z': a time to come"),
            ({"expires": None}, "invalid createToken.expires None"),
            ({"expires": 90}, "invalid createToken.expires 90"),
            ({"name": "x" * 129}, f"invalid createToken.name {'x' * 129!r}"),
            ({"name": "a\nb"}, "invalid createToken.name 'a\\nb'"),
            ({"projects": ["a/b"], "upload": True}, "invalid createToken.projects 'a/b'"),
            ({"projects": [1], "upload": True}, "invalid createToken.projects [1]"),
            ({"projects": ["a"] * 101, "upload": True}, "invalid createToken.projects '101 patterns': at most 100"),
            ({"projects": ["a"]}, "invalid createToken.projects 'a': what limits uploads goes with upload"),
            ({"username": "reader", "upload": True}, "invalid createToken.upload True: 'reader' may not upload"),
            ({"username": "x" * 600}, "invalid createToken.username 'xxxx"),
        ],
        ids=lambda given: str(given)[:40],
    )
    def test_refused(self, store: FolderStore, context: Context, changes: dict[str, object], sentence: str) -> None:
        """What cannot be is refused with a sentence that names it, and changes nothing."""
        add_user(store, "reader", upload=False)
        before = contents(store)
        with pytest.raises(InvalidValue) as refusal:
            run(context, "createToken", {"username": "ada", **changes})
        assert str(refusal.value).startswith(sentence)
        assert contents(store) == before

    def test_user_of_0_0_6(self, store: FolderStore, context: Context) -> None:
        """A user whose record has no id yet gets one with the first token, keeps the password, and keeps the id."""
        old = b'{"hash": "$pbkdf2-sha512$1$$", "upload": true}'
        store.put(user_key("ada"), old)
        first = run(context, "createToken", {"username": "ada"})["token"]
        record = decode_user("", store.get(user_key("ada")).body)
        second = run(context, "createToken", {"username": "ada"})["token"]
        assert replace(record, id="", username="") == decode_user("", old)
        assert record == decode_user("", store.get(user_key("ada")).body)
        assert len(record.id) == 32
        assert {self.log_in(store, text).username for text in (first, second)} == {"ada"}

    def test_a_user_changed_meanwhile(self, store: FolderStore, context: Context) -> None:
        """A change of the user's record while it gets its id is not lost."""
        add_user(store, id="")
        first = True

        def change_once() -> str:
            nonlocal first
            if first:
                first = False
                add_user(store, id="", hash="another")
            return "0" * 32

        run(replace(context, new_id=change_once), "createToken", {"username": "ada"})
        assert decode_user("", store.get(user_key("ada")).body).hash == "another"

    def test_revoked(self, store: FolderStore, context: Context) -> None:
        """A revoked token lets nobody in, its fellow still does, nothing of it is left, and the log tells of it."""
        first, second = (run(context, "createToken", {"username": "ada"}) for _ in range(2))
        self.log_in(store, first["token"])
        done = run(context, "revokeToken", {"id": first["id"]})
        assert done == {"revoked": first["id"], "username": "ada", "existed": True}
        with pytest.raises(TokenRefused):
            self.log_in(store, first["token"])
        assert self.log_in(store, second["token"]).username == "ada"
        assert not any(first["id"] in key for key in contents(store))
        assert [*Log(store).read_after(ORIGIN)][-1].change == TokenRevoked(token=first["id"], username="ada")

    def test_revoked_by_itself(self, store: FolderStore, context: Context) -> None:
        """A token that was found somewhere can be revoked as it is, without showing up in a log line."""
        text = run(context, "createToken", {"username": "ada"})["token"]
        command = parse_command("revokeToken", text)
        assert text not in repr(command)
        assert command.run(context)["existed"] is True
        assert run(context, "revokeToken", text)["existed"] is False

    @pytest.mark.parametrize("id", ["", "0" * 15, "0" * 17, "A" * 16, "../../users/", 1, None, "*"])
    def test_no_ids(self, context: Context, id: object) -> None:
        """What is no id is refused."""
        with pytest.raises(InvalidValue, match=r"^invalid revokeToken"):
            run(context, "revokeToken", {"id": id})

    def test_a_damaged_token_is_not_shown(self, context: Context) -> None:
        """A token with a typo is refused without being repeated."""
        text = make_token("ada", SECRET)[:-1]
        with pytest.raises(InvalidValue) as refusal:
            run(context, "revokeToken", text)
        assert SECRET.hex()[:8] not in str(refusal.value)

    def test_unknown_ids(self, store: FolderStore, context: Context) -> None:
        """Of a token that is not there nothing is said, done or logged; others stay."""
        text = run(context, "createToken", {"username": "ada"})["token"]
        before = contents(store, "log/")
        for unknown in ("0" * 16, "f" * 16):
            done = run(context, "revokeToken", unknown)
            assert done == {"revoked": unknown, "username": None, "existed": False}
        assert contents(store, "log/") == before
        assert self.log_in(store, text).username == "ada"

    def test_an_interrupted_revocation(self, store: FolderStore, context: Context) -> None:
        """A revocation that broke off before it was logged is logged when it is given again."""
        done = run(context, "createToken", {"username": "ada"})
        store.delete(token_key(known(done["token"]).digest))
        assert run(context, "revokeToken", done["id"])["existed"] is True
        assert run(context, "revokeToken", done["id"])["existed"] is False

    def test_listed(self, store: FolderStore, context: Context, now: list[datetime]) -> None:
        """All tokens are listed, by user and age, with rights, expiry, last use and whether they still work."""
        add_user(store, "bob", id="bob 1")
        add_user(store, "old", id="old 1")
        long = run(context, "createToken", {"username": "bob", "expires": "never", "name": "laptop"})
        now[0] += timedelta(seconds=1)
        short = run(context, "createToken", {"username": "ada", "upload": True, "projects": ["a*"], "expires": "1h"})
        gone = run(context, "createToken", {"username": "old"})
        self.log_in(store, short["token"], now=now[0])
        now[0] += timedelta(hours=2)
        add_user(store, "old", id="old 2")
        listed = [
            {**short, "lastUsed": AT.replace("30.", "31."), "state": "expired"},
            {**long, "lastUsed": None, "state": "valid"},
            {**gone, "lastUsed": None, "state": "user removed"},
        ]
        listed = [{name: member for name, member in item.items() if name != "token"} for item in listed]
        assert run(context, "listTokens") == {"tokens": listed}
        assert run(context, "listTokens", "bob") == {"tokens": listed[1:2]}
        assert run(context, "listTokens", {"username": "nobody"}) == {"tokens": []}

    def test_removed_and_added_again(self, store: FolderStore, context: Context) -> None:
        """A removed user's tokens are useless, and stay so when a user of that name is added; a changed user's work."""
        for password in ("first", "second"):
            run(context, "putUser", {"username": "eve", "password": password, "upload": True})
            if password == "first":
                text = run(context, "createToken", {"username": "eve"})["token"]
            assert self.log_in(store, text).username == "eve"
        run(context, "removeUser", "eve")
        with pytest.raises(TokenRefused):
            self.log_in(store, text)
        run(context, "putUser", {"username": "eve", "password": "second", "upload": True})
        with pytest.raises(TokenRefused):
            self.log_in(store, text)
        assert [item["state"] for item in run(context, "listTokens")["tokens"]] == ["user removed"]


def run(context: Context, name: str, argument: object = None) -> dict[str, Any]:
    """Give a command; a token it answers is as the command line gets it."""
    done: dict[str, Any] = json.loads(json.dumps(parse_command(name, argument).run(context)))
    return done


class TestOverHttp:
    """Through the whole application, as a WSGI server has it."""

    def create(self, site: Site, **changes: object) -> dict[str, Any]:
        return run_command(site.store, "createToken", {"username": UPLOADER[0], **changes})

    @pytest.mark.parametrize("place", ["__token__", "owner", "username"])
    def test_reads_and_uploads(self, site: Site, place: str) -> None:
        """A token reads and uploads wherever it is shown; what it publishes is its user's."""
        text = self.create(site, upload=True)["token"]
        site.user = {"__token__": ("__token__", text), "owner": (UPLOADER[0], text), "username": (text, "")}[place]
        assert site.upload(make_wheel("demo", "1.0")).status == 200
        assert site.get("/simple/demo/").status == 200
        assert [*Log(site.store).read_after(ORIGIN)][-1].by == UPLOADER[0]

    def test_refusals_are_all_alike(self, site: Site) -> None:
        """Whatever is wrong about a token, the answer is the one that a wrong password gets."""
        run_command(site.store, "putUser", {"username": "eve", "password": "a password"})
        texts = {name: self.create(site)["token"] for name in ("revoked", "expired", "another's")}
        texts["unknown"] = make_token(UPLOADER[0], SECRET)
        texts["damaged"] = texts["unknown"][:-1]
        texts["of nobody"] = make_token("nobody", SECRET)
        texts["orphaned"] = run_command(site.store, "createToken", {"username": "eve"})["token"]
        run_command(site.store, "revokeToken", known(texts["revoked"]).id)
        run_command(site.store, "removeUser", "eve")
        key = token_key(known(texts["expired"]).digest)
        record = decode_token(key, site.store.get(key).body)
        site.store.put(key, encode_token(replace(record, expires=AT)))
        users = [("reader" if name == "another's" else "__token__", text) for name, text in texts.items()]
        answers = [site.get("/simple/", user=user) for user in [(UPLOADER[0], "wrong"), *users]]
        assert [answer.status for answer in answers] == [401] * 8
        assert all(answer == answers[0] for answer in answers)

    def test_a_reader(self, site: Site) -> None:
        """A token that may read uploads nothing, though its user may."""
        site.user = ("__token__", self.create(site)["token"])
        assert site.get("/simple/").status == 200
        answer = site.upload(make_wheel("demo", "1.0"))
        assert (answer.status, answer.text.partition(";")[0]) == (
            403,
            "'uploader' with this token may read but not upload",
        )

    def test_other_projects(self, site: Site) -> None:
        """A token uploads to the projects that its patterns cover, and to no other."""
        site.user = ("__token__", self.create(site, upload=True, projects=["acme-*"])["token"])
        answers = [site.upload(make_wheel(name, "1.0")).status for name in ("acme-web", "demo")]
        assert answers == [200, 403]
        assert site.get("/simple/demo/").status == 404

    def test_revoked(self, site: Site) -> None:
        """A revoked token's next request is refused."""
        done = self.create(site)
        site.user = ("__token__", done["token"])
        assert site.get("/simple/").status == 200
        run_command(site.store, "revokeToken", done["id"])
        assert site.get("/simple/").status == 401

    def test_too_much(self, site: Site) -> None:
        """After ten wrong passwords the next is answered 429 with Retry-After; the right one and tokens still pass."""
        text = self.create(site)["token"]
        assert site.get("/simple/").status == 200
        answers = [site.get("/simple/", user=(UPLOADER[0], "wrong")) for _ in range(12)]
        assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
        assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
        assert site.get("/simple/").status == 200
        assert site.get("/simple/", user=(UPLOADER[0], text)).status == 200
        assert site.get("/simple/", user=READER).status == 200


def test_one_round_trip() -> None:
    """A request with a token waits for the store once, as one with a password does."""
    store = MemoryStore()
    add_user(store)
    text = run_command(store, "createToken", {"username": "ada"})["token"]
    checker = TokenChecker(store, now=lambda: NOW, run=lambda work: None)
    app = make_app(store, authenticator=Authenticator(make_token_checker=lambda: checker))
    asked = request("GET", "/simple", headers={"authorization": basic("__token__", text)})
    before = store.round_trips
    assert app(asked).status == 301
    assert store.round_trips - before == 1


def ask(site: LambdaSite, door: FrontDoor, username: str, password: str, method: str = "GET", **sent: Any) -> int:
    """Return the status of the answer."""
    return site.ask(door, method, "/", authorization=basic(username, password), **sent).status


@pytest.mark.parametrize("door", FRONT_DOORS, ids=lambda door: door.name)
def test_through_front_doors(door: FrontDoor, function: tuple[LambdaSite, ObjectStore]) -> None:
    """Through every front door a token is taken where it may be shown, refused once it is revoked, and throttled."""
    site, store = function
    add_user(store, door.name)
    text = run_command(store, "createToken", {"username": door.name})["token"]
    shown = [("__token__", text), (door.name, text), (text, ""), ("bob", text)]
    assert [ask(site, door, *one) for one in shown] == [301, 301, 301, 401]
    run_command(store, "revokeToken", known(text).id)
    burst = (USER_LEVEL if door in (LATTICE_1, LATTICE_2) else PAIR).burst  # VPC Lattice vouches for no address
    refused = [401] * (burst - 1) + [429] * 2
    assert [ask(site, door, "__token__", text) for _ in refused] == refused
    assert text.partition(".")[2][:16] not in site.service.read_logs()


def test_commands_of_the_function(function: tuple[LambdaSite, ObjectStore]) -> None:
    """The function makes a token that uploads, lists it and revokes it, and logs no secret."""
    site, store = function
    add_user(store, "ci")
    done = site.service.call({"createToken": {"username": "ci", "upload": True, "name": "nightly"}})
    assert isinstance(done, dict)
    site.service.wait_idle()
    body, content_type = upload_form(make_wheel("demo", "1.0"))
    headers = [("Content-Type", content_type)]
    assert ask(site, FUNCTION_URL, "__token__", done["token"], "POST", headers=headers, body=body) == 200
    site.service.wait_idle()
    listed = site.service.call({"listTokens": "ci"})
    assert isinstance(listed, dict)
    assert [(item["id"], item["name"], item["state"]) for item in listed["tokens"]] == [
        (done["id"], "nightly", "valid")
    ]
    site.service.call({"revokeToken": done["id"]})
    site.service.wait_idle()
    assert ask(site, FUNCTION_URL, "__token__", done["token"]) == 401
    assert done["token"].partition(".")[2][:16] not in site.service.read_logs() + json.dumps(listed)


@pytest.fixture(scope="module")
def function(function_code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LambdaSite, ObjectStore]]:
    """The function as it is deployed, with its store."""
    folder = tmp_path_factory.mktemp("tokens")
    environ = {"BUCKET": f"file://{folder / 'data'}", "UPSTREAM_INDEX_URL": NO_UPSTREAM, "LOGGING_LEVEL": "DEBUG"}
    with running_function(function_code, folder / "site", environ=environ, max_environments=1) as site:
        yield site, FolderStore(folder / "data")
