"""Users: added, changed, removed, listed; each change is in the log, no secret is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import AlreadyExists, InvalidValue
from indexer.json_bytes import encode_json
from indexer.keys import log_key, user_key
from indexer.log.events import UserPut, UserRemoved
from indexer.log.log import ORIGIN, Log, head_of
from indexer.store.folder import FolderStore
from pypi_lambda.access.admin import (
    MAX_PASSWORD_LENGTH,
    MAX_USERNAME_LENGTH,
    ListedUser,
    Users,
    add_first_user,
    check_password,
    check_username,
)
from pypi_lambda.access.auth import Authenticator, hash_password
from pypi_lambda.access.records import User, decode_user
from pypi_lambda.http.faults import Unauthorized
from pypi_lambda.http.headers import parse_basic
from tests.support.adversary import Adversary, Crash, Fault, Mischief
from tests.support.builders import AT, basic, contents, ids, journal, write_log
from tests.support.mirrors import PATIENCE_SECONDS


@pytest.fixture
def users(store: FolderStore) -> Users:
    return Users(store, journal(store, new_id=ids()))


def log_in(store: FolderStore, username: str, password: str) -> User:
    return Authenticator().check(username, password, store.find(user_key(username)))


def test_added(store: FolderStore, users: Users) -> None:
    """A new user gets in with the password and the role it was given, and the log says who added it."""
    users.put("ann", "a password", upload=True)
    assert log_in(store, "ann", "a password") == User(username="ann", upload=True)
    [event] = Log(store).read_after(ORIGIN)
    assert (event.by, event.at, event.change) == ("me", AT, UserPut(username="ann", upload=True))


def test_changed(store: FolderStore, users: Users) -> None:
    """A changed user gets in with the new password and role alone."""
    users.put("ann", "old", upload=True)
    users.put("ann", "new", upload=False)
    assert log_in(store, "ann", "new") == User(username="ann", upload=False)
    with pytest.raises(Unauthorized):
        log_in(store, "ann", "old")


def test_removed(store: FolderStore, users: Users) -> None:
    """A removed user gets in no more; removing it again says that it is not there, and is no event."""
    users.put("ann", "a password", upload=True)
    assert [users.remove("ann"), users.remove("ann")] == [True, False]
    with pytest.raises(Unauthorized):
        log_in(store, "ann", "a password")
    changes = [event.change for event in Log(store).read_after(ORIGIN)]
    assert changes == [UserPut(username="ann", upload=True), UserRemoved(username="ann")]


def test_only_new(store: FolderStore, users: Users) -> None:
    """A user that is there stays as it is where only a new one was wanted."""
    users.put("ann", "old", upload=False)
    before = contents(store)
    with pytest.raises(AlreadyExists):
        users.put("ann", "new", upload=True, only_new=True)
    assert contents(store) == before


def test_no_secret_is_stored(store: FolderStore, users: Users) -> None:
    """No object has a password, and no key the username."""
    users.put("ann-with-a-long-name", "a password", upload=True)
    for key, body in contents(store).items():
        assert b"a password" not in body
        assert "ann" not in key


def test_the_same_again(store: FolderStore, users: Users) -> None:
    """The same user with the same password and rights changes nothing, and says so."""
    details: dict[str, Any] = {"upload": True, "projects": ("acme-*",)}
    assert users.put("ann", "a password", **details)
    before = contents(store)
    assert not users.put("ann", "a password", **details)
    assert contents(store) == before


@pytest.mark.parametrize(
    ("password", "upload", "projects"),
    [("another", True, ("acme-*",)), ("a password", False, ()), ("a password", True, ()), ("a password", True, ("x",))],
)
def test_something_else(
    store: FolderStore, users: Users, password: str, upload: bool, projects: tuple[str, ...]
) -> None:
    """Another password, role or pattern is a change, and the user stays the one that tokens name."""
    users.put("ann", "a password", upload=True, projects=("acme-*",))
    before = decode_user("", store.get(user_key("ann")).body)
    assert users.put("ann", password, upload=upload, projects=projects)
    after = decode_user("", store.get(user_key("ann")).body)
    assert (after.username, after.upload, after.projects, after.id) == ("ann", upload, projects, before.id)
    *_, event = Log(store).read_after(ORIGIN)
    assert event.change == UserPut(username="ann", upload=upload, projects=projects)


def test_of_the_predecessor(store: FolderStore, users: Users) -> None:
    """A user of 0.0.6 keeps the record as it is until somebody changes the user; then it gets a name and an id."""
    old = encode_json({"hash": hash_password("a password"), "upload": True})
    store.put(user_key("ann"), old)
    assert log_in(store, "ann", "a password").username == "ann"
    users.list()
    assert store.get(user_key("ann")).body == old
    assert users.put("ann", "a password", upload=True)
    record = decode_user("", store.get(user_key("ann")).body)
    assert (record.username, bool(record.id)) == ("ann", True)


def test_a_damaged_record(store: FolderStore, users: Users) -> None:
    """A record that nobody can read is replaced."""
    store.put(user_key("ann"), b"damaged")
    assert users.put("ann", "a password", upload=False)
    assert log_in(store, "ann", "a password").username == "ann"


def test_listed(store: FolderStore, users: Users) -> None:
    """Users are listed by name with what they may; one of 0.0.6 comes last, as a digest. No event is read for it."""
    users.put("zoe", "a password", upload=False)
    users.put("ann", "a password", upload=True, projects=("acme-*", "zoo"))
    users.put("bob", "a password", upload=True)
    users.remove("bob")
    store.put(user_key("of old"), b'{"hash": "", "upload": true}')
    digests = {name: user_key(name).removeprefix("users/").removesuffix(".json") for name in ("ann", "zoe", "of old")}
    watched = Adversary(store)
    assert Users(watched, journal(watched, new_id=ids())).list() == [
        ListedUser(username="ann", digest=digests["ann"], upload=True, projects=("acme-*", "zoo")),
        ListedUser(username="zoe", digest=digests["zoe"], upload=False),
        ListedUser(username=None, digest=digests["of old"], upload=True),
    ]
    assert {call.key.partition("/")[0] for call in watched.calls} == {"users"}


def test_cost(store: FolderStore) -> None:
    """Adding and removing a user reads no more of the log than the head that is known, and what happened since."""
    events = write_log(store, *(UserRemoved(username=f"{number}") for number in range(40)))
    watched = Adversary(store)
    users = Users(watched, journal(watched, new_id=ids("a"), head=head_of(events[-1])))
    users.put("ann", "a password", upload=True)
    users.remove("ann")
    asked = [call.key for call in watched.calls if call.key.startswith("log/")]
    assert set(asked) == {log_key(40), log_key(41), log_key(42)}


@pytest.mark.parametrize("mischief", [Mischief.CRASH_BEFORE, Mischief.CRASH_AFTER])
def test_broken_off(store: FolderStore, users: Users, mischief: Mischief) -> None:
    """A change that broke off anywhere is done, and logged, when it is tried again."""
    works: list[tuple[Callable[[Users], bool], UserPut | UserRemoved]] = [
        (lambda users: users.put("ann", "a password", upload=True), UserPut(username="ann", upload=True)),
        (lambda users: users.remove("ann"), UserRemoved(username="ann")),
    ]
    for work, last in works:
        watched = Adversary(
            store,
            Fault(mischief, when=lambda call: call.method in ("put_new", "delete") and call.key.startswith("users/")),
        )
        with pytest.raises(Crash):
            work(Users(watched, journal(watched, new_id=ids(f"{mischief}{last}"))))
        work(users)
        *_, event = Log(store).read_after(ORIGIN)
        assert (event.change, store.find(user_key("ann")) is not None) == (last, isinstance(last, UserPut))


class TestFirstUser:
    def test_of_an_empty_store(self, store: FolderStore, users: Users) -> None:
        """Where there is no user, the first one may upload."""
        assert add_first_user(users, store, "admin", "a password")
        assert log_in(store, "admin", "a password") == User(username="admin", upload=True)

    def test_of_another_store(self, store: FolderStore, users: Users) -> None:
        """Where there is any user, none is added."""
        users.put("ann", "a password", upload=False)
        before = contents(store)
        assert not add_first_user(users, store, "admin", "a password")
        assert contents(store) == before

    def test_two_at_once(self, store: FolderStore, users: Users) -> None:
        """Of two servers that start at once one makes the user, and its password stays."""
        fault = Fault(Mischief.SLOW, when=lambda call: call.method == "put_new")
        slow = Adversary(store, fault)
        late = Users(slow, journal(slow, new_id=ids("late ")))
        with ThreadPoolExecutor(1) as thread:
            adding = thread.submit(add_first_user, late, slow, "admin", "the late one's")
            assert fault.reached.wait(PATIENCE_SECONDS)
            assert add_first_user(users, store, "admin", "the first one's")
            fault.release.set()
            assert not adding.result(PATIENCE_SECONDS)
        assert log_in(store, "admin", "the first one's").upload


@pytest.mark.parametrize("username", ["", "a:b", "a\nb", "a\0", "\x7f", "\ud800", "x" * (MAX_USERNAME_LENGTH + 1)])
def test_names_that_are_none(users: Users, store: FolderStore, username: str) -> None:
    """A name that Basic authentication cannot carry is refused, whatever is to be done with it."""
    commands: list[Callable[[], bool]] = [
        lambda: users.put(username, "a password", upload=True),
        lambda: users.remove(username),
    ]
    for command in commands:
        with pytest.raises(InvalidValue, match=r"^invalid username "):
            command()
    assert contents(store) == {}


@pytest.mark.parametrize("username", ["__token__", "spypi_", "spypi_YWRh.0123456789"])
def test_names_of_tokens(users: Users, username: str) -> None:
    """What stands for a token is nobody's name, and a token that was typed there by mistake is not repeated."""
    with pytest.raises(InvalidValue, match=r"^invalid username '\w{6,9}': a name that does not stand for a token$"):
        users.put(username, "a password", upload=True)


def test_removed_and_added_meanwhile(store: FolderStore, users: Users) -> None:
    """A change that meets a removal makes a new user, whom tokens of the old one do not name."""
    users.put("ann", "old", upload=True)
    before = decode_user("", store.get(user_key("ann")).body)
    fault = Fault(Mischief.SLOW, when=lambda call: call.method == "replace")
    slow = Adversary(store, fault)
    late = Users(slow, journal(slow, new_id=ids("late ")))
    with ThreadPoolExecutor(1) as thread:
        changing = thread.submit(late.put, "ann", "new", upload=True)
        assert fault.reached.wait(PATIENCE_SECONDS)
        users.remove("ann")
        fault.release.set()
        assert changing.result(PATIENCE_SECONDS)
    assert log_in(store, "ann", "new").upload
    assert decode_user("", store.get(user_key("ann")).body).id != before.id


@pytest.mark.parametrize("password", ["", "a\nb", "\0secret", "secret\ud800", "secret" * 1_000])
def test_passwords_that_are_none(users: Users, store: FolderStore, password: str) -> None:
    """A password that cannot be sent is refused without being shown."""
    with pytest.raises(InvalidValue) as caught:
        users.put("ann", password, upload=True)
    accepted = f"1 to {MAX_PASSWORD_LENGTH:,} printable characters"
    assert str(caught.value) == f"invalid password '(not shown)': {accepted}"
    assert contents(store) == {}


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_is_accepted_gets_in(username: str, password: str) -> None:
    """Whatever is accepted as name and password arrives as such in a Basic header."""
    try:
        credentials = (check_username(username), check_password(password))
    except InvalidValue:
        return
    assert parse_basic(basic(*credentials)) == credentials
