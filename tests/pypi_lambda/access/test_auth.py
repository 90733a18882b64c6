"""Credentials against records: who gets in, what it costs, what is remembered of it."""

import hashlib
import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Event, Lock, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from passlib.hash import pbkdf2_sha512

from indexer.errors import CorruptObject
from indexer.keys import user_key
from indexer.store.base import Stored
from indexer.store.folder import FolderStore
from pypi_lambda.access.auth import PASSWORD_ROUNDS, Authenticator, hash_password, read_claim
from pypi_lambda.access.logins import MAX_REMEMBERED
from pypi_lambda.access.records import User, UserRecord, decode_user, encode_user
from pypi_lambda.access.throttle import PAIR, USER
from pypi_lambda.access.tokens import TokenChecker, TokenRecord, encode_token, make_token
from pypi_lambda.http.faults import TooManyRequests, Unauthorized
from tests.support.apps import Site, running_site
from tests.support.builders import AT, NOW, basic
from tests.support.mirrors import PATIENCE_SECONDS

USERNAME = "jürgen"
PASSWORD = "a pässword"
KEY = user_key(USERNAME)
CLIENT = "192.0.2.1"
texts = st.text(st.characters(exclude_categories=["Cs"]))

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

    def test_when_too_much_was_wrong(self) -> None:
        """Past the limit, too: neither costs the slow hash, and both are refused alike."""
        pbkdf2 = CountingPbkdf2()
        authenticator = Authenticator(pbkdf2=pbkdf2, clock=lambda: 0.0)
        answers = []
        for username, record in (("known", stored(quick_record())), ("unknown", None)):
            for _ in range(PAIR.burst):
                with pytest.raises(Unauthorized):
                    authenticator.check(username, "wrong", record, client=CLIENT)
            spent = pbkdf2.rounds
            with pytest.raises(TooManyRequests) as refusal:
                authenticator.check(username, "wrong", record, client=CLIENT)
            answers.append(refusal.value.response())
            assert pbkdf2.rounds == spent
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
    def test_side_by_side(self) -> None:
        """Requests that come at once with the same password pay one slow hash together."""
        pbkdf2 = CountingPbkdf2()
        authenticator, record = Authenticator(pbkdf2=pbkdf2), stored(quick_record(rounds=PASSWORD_ROUNDS))
        threads = [Thread(target=authenticator.check, args=(USERNAME, PASSWORD, record)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert pbkdf2.rounds == PASSWORD_ROUNDS

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


class TestThrottle:
    """What is tried in vain; test_throttle.py has the limits."""

    def test_the_right_password_among_many(self, quick: Quick) -> None:
        """A password that was right before passes after any number of wrong ones, at no cost."""
        authenticator = Authenticator(pbkdf2=quick, clock=lambda: 0.0)
        record = stored(quick_record())
        authenticator.check(USERNAME, PASSWORD, record, client=CLIENT)
        refusals: list[type[Exception]] = []
        for number in range(100):
            try:
                authenticator.check(USERNAME, f"wrong {number}", record, client=CLIENT)
            except (Unauthorized, TooManyRequests) as refusal:
                refusals.append(type(refusal))
        assert refusals == [Unauthorized] * 10 + [TooManyRequests] * 90
        before = quick.calls
        assert authenticator.check(USERNAME, PASSWORD, record, client=CLIENT).username == USERNAME
        assert quick.calls == before

    def test_right_ones_use_nothing_up(self, quick: Quick) -> None:
        """Any number of users may come from one address, however often."""
        authenticator = Authenticator(pbkdf2=quick, clock=lambda: 0.0)
        record = stored(quick_record())
        for number in range(300):
            for _ in range(2):
                authenticator.check(f"user {number}", PASSWORD, record, client=CLIENT)
        with pytest.raises(Unauthorized):
            authenticator.check(USERNAME, "wrong", record, client=CLIENT)

    def test_damaged_tokens(self, quick: Quick) -> None:
        """What `__token__` shows and is no token costs no slow hash, and is counted."""
        authenticator = Authenticator(pbkdf2=quick, clock=lambda: 0.0)
        claim = read_claim(basic("__token__", "spypi_damaged"))
        for refusal in [Unauthorized] * 10 + [TooManyRequests]:
            with pytest.raises(refusal):
                authenticator.check_claim(claim, [None], client=CLIENT)
        assert quick.calls == 0

    def test_many_at_once(self) -> None:
        """Of many tries at the same time no more are looked at than of as many one after another."""
        with ThreadPoolExecutor(30) as threads:
            gate = Barrier(PAIR.burst, timeout=PATIENCE_SECONDS)

            def wait(name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
                if rounds != 1:
                    gate.wait()  # so that none has failed while others begin
                return b""

            authenticator = Authenticator(pbkdf2=wait, clock=lambda: 0.0)
            record = stored(quick_record())
            guesses = map(str, range(30))  # each another: the same ones wait for each other
            tries = [threads.submit(authenticator.check, USERNAME, guess, record, client=CLIENT) for guess in guesses]
            found = Counter(type(one.exception(PATIENCE_SECONDS)) for one in tries)
        assert found == {Unauthorized: 10, TooManyRequests: 20}


class Arrivals:
    """Requests, and a slow hash that ends when all of them have been let in or refused.

    An address is looked at while its request is counted, or joined to another, with the lock held that the end of the
    hash needs: so nothing here depends on which thread is how fast.
    """

    def __init__(self, count: int) -> None:
        self._lock = Lock()
        self._all_are_here = Event()
        self.hashes = 0
        self.expect(count)

    def expect(self, count: int) -> None:
        """Have the next slow hash wait for so many requests."""
        self._missing = count
        if count:
            self._all_are_here.clear()
        else:
            self._all_are_here.set()

    def address(self, text: str) -> str:
        """Return an address that tells when it is looked at first."""
        return _Address(self, text)

    def arrive(self) -> None:
        with self._lock:
            self._missing -= 1
            if not self._missing:
                self._all_are_here.set()

    def pbkdf2(self, name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
        if rounds == 1:
            self.hashes += 1
            assert self._all_are_here.wait(PATIENCE_SECONDS)
        return hashlib.pbkdf2_hmac(name, password, salt, 1)


class _Address(str):
    """An address that tells, once, that it is looked at."""

    __slots__ = ("_arrivals", "_is_seen")

    def __new__(cls, arrivals: Arrivals, text: str) -> "_Address":
        made = super().__new__(cls, text)
        made._arrivals, made._is_seen = arrivals, False
        return made

    _arrivals: Arrivals
    _is_seen: bool

    def __contains__(self, part: object) -> bool:
        if not self._is_seen:
            self._is_seen = True
            self._arrivals.arrive()
        return isinstance(part, str) and super().__contains__(part)


class TestSideBySide:
    """Requests that come before the slow hash of the first one is done; none of them depends on who is how fast."""

    MANY = 64

    def answers(
        self, authenticator: Authenticator, password: str, clients: list[str], username: str = USERNAME
    ) -> Counter[type[BaseException | None]]:
        record = stored(quick_record())
        with ThreadPoolExecutor(len(clients)) as threads:
            tries = [threads.submit(authenticator.check, username, password, record, client=one) for one in clients]
            return Counter(type(one.exception(PATIENCE_SECONDS)) for one in tries)

    @pytest.mark.parametrize("addresses", [1, 12, MANY])
    def test_the_right_password(self, addresses: int) -> None:
        """The right password is never too much, however many requests have it, from one address or from many, and
        costs one slow hash."""
        arrivals = Arrivals(self.MANY)
        authenticator = Authenticator(pbkdf2=arrivals.pbkdf2, clock=lambda: 0.0)
        clients = [arrivals.address(f"192.0.2.{number % addresses}") for number in range(self.MANY)]
        assert self.answers(authenticator, PASSWORD, clients) == {type(None): self.MANY}
        assert arrivals.hashes == 1

    def test_it_uses_nothing_up(self) -> None:
        """Afterwards all tries are there: ten wrong ones are looked at."""
        arrivals = Arrivals(self.MANY)
        authenticator = Authenticator(pbkdf2=arrivals.pbkdf2, clock=lambda: 0.0)
        self.answers(authenticator, PASSWORD, [arrivals.address(CLIENT) for _ in range(self.MANY)])
        assert self.wrong_ones_looked_at(authenticator, CLIENT) == PAIR.burst

    @pytest.mark.parametrize("addresses", [1, 12])
    def test_one_wrong_password(self, addresses: int) -> None:
        """The same wrong password at once is one try: all are refused alike, one look is paid, and one is used up of
        the tries of each address and of the user."""
        arrivals = Arrivals(self.MANY)
        authenticator = Authenticator(pbkdf2=arrivals.pbkdf2, clock=lambda: 0.0)
        clients = [arrivals.address(f"192.0.2.{number % addresses}") for number in range(self.MANY)]
        assert self.answers(authenticator, "wrong", clients) == {Unauthorized: self.MANY}
        assert arrivals.hashes == 1
        assert [self.wrong_ones_looked_at(authenticator, f"192.0.2.{number}") for number in range(2)] == (
            [PAIR.burst - 1, PAIR.burst - (1 if addresses > 1 else 0)]
        )
        rest = sum(self.wrong_ones_looked_at(authenticator, f"198.51.100.{number}") for number in range(10))
        assert rest == USER.burst - 1 - (2 * PAIR.burst - min(addresses, 2))

    def test_where_all_tries_are_used_up(self) -> None:
        """Where an address has no try left, it learns nothing of the right password that comes from elsewhere."""
        elsewhere = "198.51.100.7"
        arrivals = Arrivals(0)
        authenticator = Authenticator(pbkdf2=arrivals.pbkdf2, clock=lambda: 0.0)
        assert self.wrong_ones_looked_at(authenticator, elsewhere) == PAIR.burst
        arrivals.expect(2)
        clients = [arrivals.address(CLIENT), arrivals.address(elsewhere)]
        assert self.answers(authenticator, PASSWORD, clients) == {type(None): 1, TooManyRequests: 1}

    def test_guesses_that_are_refused_let_nobody_in(self) -> None:
        """Where the user's tries are used up, a guess from many addresses at once is looked at for none of them."""
        authenticator = Authenticator(pbkdf2=Quick(), clock=lambda: 0.0)
        spent = sum(self.wrong_ones_looked_at(authenticator, f"198.51.100.{number}") for number in range(4))
        assert spent == USER.burst
        clients = [f"192.0.2.{number}" for number in range(self.MANY)]
        assert self.answers(authenticator, PASSWORD, clients) == {TooManyRequests: self.MANY}

    def test_a_fault(self) -> None:
        """A damaged record is everybody's fault who waited, and the next request looks again."""
        authenticator = Authenticator(pbkdf2=Quick(), clock=lambda: 0.0)
        damaged = stored(UserRecord(hash="damaged", upload=True))
        for _ in range(2):
            with pytest.raises(CorruptObject, match=KEY):
                authenticator.check(USERNAME, PASSWORD, damaged, client=CLIENT)

    def test_what_is_remembered_at_a_new_address(self) -> None:
        """Credentials that were right elsewhere pass at a new address however many requests come at once."""
        authenticator = Authenticator(pbkdf2=Quick(), clock=lambda: 0.0)
        record = stored(quick_record())
        authenticator.check(USERNAME, PASSWORD, record, client="198.51.100.7")
        gate = Barrier(self.MANY, timeout=PATIENCE_SECONDS)

        def come() -> User:
            gate.wait()
            return authenticator.check(USERNAME, PASSWORD, record, client=CLIENT)

        with ThreadPoolExecutor(self.MANY) as threads:
            tries = [threads.submit(come) for _ in range(self.MANY)]
            assert {one.result(PATIENCE_SECONDS).username for one in tries} == {USERNAME}

    def wrong_ones_looked_at(self, authenticator: Authenticator, client: str) -> int:
        """Return how many of many different wrong passwords, one after another, are looked at."""
        record, looked_at = stored(quick_record()), 0
        for number in range(2 * PAIR.burst):
            try:
                authenticator.check(USERNAME, f"wrong {number} at {client}", record, client=client)
            except Unauthorized:
                looked_at += 1
            except TooManyRequests:
                pass
        return looked_at


class TestWithoutAPassword:
    """pip and uv send a username alone, when the index's URL has only that, before they look for the password."""

    @pytest.mark.parametrize("username", [USERNAME, "nobody", "__token__", ""])
    def test_no_claim(self, username: str) -> None:
        """A username alone is answered as no credentials are, known or not: nothing is looked up for it."""
        with pytest.raises(Unauthorized) as refusal:
            read_claim(basic(username, ""))
        assert refusal.value.response() == Unauthorized().response()

    @pytest.mark.parametrize("username", ["uploader", "nobody"])
    def test_over_http(self, tmp_path: Path, username: str) -> None:
        """It is no failed login: however often it comes, the right password passes, and wrong ones are looked at."""
        with running_site(tmp_path) as site:
            answers = [site.get("/simple/", user=(username, "")) for _ in range(3 * USER.burst)]
            assert {(answer.status, answer.body) for answer in answers} == {(401, Unauthorized().response().body)}
            assert site.get("/simple/", user=(username, "wrong")).status == 401
            assert site.get("/simple/").status == 200

    def test_a_token_alone(self, tmp_path: Path) -> None:
        """A token in the username's place is a token; a damaged one is counted."""
        with running_site(tmp_path) as site:
            answers = [site.get("/simple/", user=("spypi_damaged", "")).status for _ in range(PAIR.burst + 1)]
        assert answers == [401] * PAIR.burst + [429]


class TestTokens:
    """Tokens among the other credentials; test_tokens.py has what one is."""

    TOKEN = make_token("ada", bytes(32))

    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        """A store with a user and a token."""
        store = FolderStore(tmp_path)
        record = UserRecord(hash=quick_record().hash, upload=True, id="ada 1")
        store.put(user_key("ada"), encode_user(record))
        token = TokenRecord(username="ada", user="ada 1", name="", upload=True, projects=(), created=AT, expires=None)
        store.put(self.keys[1], encode_token(token))
        return store

    @property
    def keys(self) -> tuple[str, ...]:
        return read_claim(basic("__token__", self.TOKEN)).keys

    def test_no_slow_hash(self, store: FolderStore, quick: Quick) -> None:
        """A token costs no slow hash, not even the first time, nor where it is wrong."""
        assert self.check(store, quick).username == "ada"
        store.delete(self.keys[1])
        with pytest.raises(Unauthorized):
            self.check(store, quick)
        assert quick.calls == 0

    def test_is_never_throttled(self, store: FolderStore, quick: Quick) -> None:
        """A right token passes whatever else was wrong with its user and from its address."""
        authenticator = self.make(store, quick)
        for number in range(300):
            with suppress(Unauthorized, TooManyRequests):
                authenticator.check("ada", "wrong", None, client=f"192.0.2.{number % 250}")
            with suppress(Unauthorized, TooManyRequests):
                authenticator.check(f"user {number}", "wrong", None, client=CLIENT)
        assert self.check(store, quick, authenticator).username == "ada"

    def test_wrong_ones_are_counted(self, store: FolderStore, quick: Quick, caplog: pytest.LogCaptureFixture) -> None:
        """A token that is wrong again and again is answered 429, and fills the log no more than that."""
        store.delete(self.keys[1])
        authenticator = self.make(store, quick)
        for refusal in [Unauthorized] * 10 + [TooManyRequests] * 10:
            with pytest.raises(refusal):
                self.check(store, quick, authenticator)
        shown = self.keys[1].removeprefix("tokens/")[:16]
        assert caplog.messages == [f"token {shown}: unknown, or revoked"] * 10

    def test_wrong_ones_do_not_lock_their_user_out(self, store: FolderStore, quick: Quick) -> None:
        """Tokens that only claim to be somebody's leave that user's password its tries."""
        authenticator = self.make(store, quick)
        for number in range(200):
            claim = read_claim(basic("__token__", make_token("ada", number.to_bytes(32, "big"))))
            with suppress(Unauthorized, TooManyRequests):
                authenticator.check_claim(claim, [store.find(key) for key in claim.keys], client=CLIENT)
        user = store.find(user_key("ada"))
        assert authenticator.check("ada", PASSWORD, user, client="192.0.2.77").username == "ada"

    @given(texts, texts, st.integers(0, 120), st.booleans())
    def test_anything_else(self, username: str, text: str, cut: int, is_username: bool) -> None:
        """Whatever else is shown, cut out of a token or anything at all, is refused and breaks nothing."""
        mangled = self.TOKEN[:cut] + text + self.TOKEN[cut + len(text) + 1 :]
        shown = (mangled, "") if is_username else (username.replace(":", ""), mangled)
        authenticator = Authenticator(pbkdf2=Quick(), clock=lambda: 0.0)

        def log_in() -> User:
            claim = read_claim(basic(*shown))
            return authenticator.check_claim(claim, [None for _ in claim.keys], client=CLIENT)

        with pytest.raises(Unauthorized):
            log_in()

    def make(self, store: FolderStore, quick: Quick) -> Authenticator:
        checker = TokenChecker(store, now=lambda: NOW, run=lambda work: work())
        return Authenticator(pbkdf2=quick, clock=lambda: 0.0, make_token_checker=lambda: checker)

    def check(self, store: FolderStore, quick: Quick, authenticator: Authenticator | None = None) -> User:
        claim = read_claim(basic("__token__", self.TOKEN))
        records = [store.find(key) for key in claim.keys]
        return (authenticator or self.make(store, quick)).check_claim(claim, records, client=CLIENT)


class TestRecords:
    @given(texts, st.booleans(), st.lists(texts), texts, texts)
    def test_round_trip(self, text: str, upload: bool, projects: list[str], username: str, id: str) -> None:
        """A record comes back."""
        record = UserRecord(hash=text, upload=upload, projects=tuple(projects), username=username, id=id)
        assert decode_user("users/x.json", encode_user(record)) == record

    def test_of_before(self) -> None:
        """A record of which nothing more is known is what it always was."""
        assert encode_user(UserRecord(hash="h", upload=True)) == b'{"hash":"h","upload":true}'

    def test_of_serverless_pypi(self) -> None:
        """A record without a role is a reader's; other members are passed over."""
        assert decode_user("users/x.json", b'{"hash": "h", "more": 1}') == UserRecord(hash="h", upload=False)

    @pytest.mark.parametrize(
        "body",
        [
            *(b"", b"null", b"[]", b'"hash"', b"{}", b'{"hash": null}', b'{"hash": "h", "upload": 1}', b"\xff"),
            *(b'{"hash": "h", "projects": "acme-*"}', b'{"hash": "h", "projects": {"a": 1}}'),
            *(b'{"hash": "h", "projects": [1]}', b'{"hash": "h", "username": null}', b'{"hash": "h", "id": 1}'),
        ],
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
