"""Users: added, changed, removed, listed; each change is in the log, no secret is."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import AlreadyExists, InvalidValue
from indexer.events import UserPut, UserRemoved
from indexer.folder import FolderStore
from indexer.log import ORIGIN, Log
from pypi_lambda.admin import (
    MAX_PASSWORD_LENGTH,
    MAX_USERNAME_LENGTH,
    ListedUser,
    Users,
    add_first_user,
    check_password,
    check_username,
)
from pypi_lambda.auth import Authenticator, User, user_key
from pypi_lambda.http import Unauthorized, parse_basic
from tests.adversary import Adversary, Fault, Mischief
from tests.builders import AT, NOW, basic, contents, ids
from tests.mirrors import PATIENCE_SECONDS


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


@pytest.fixture
def users(store: FolderStore) -> Users:
    return Users(store, now=lambda: NOW, new_id=ids(), by="me")


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
    """No object has a password, and no record the username."""
    users.put("ann-with-a-long-name", "a password", upload=True)
    for key, body in contents(store).items():
        assert b"a password" not in body
        assert not key.startswith("users/") or b"ann" not in key.encode() + body


def test_listed(store: FolderStore, users: Users) -> None:
    """Users are listed by name with their roles; one that is in no event comes last, as a digest."""
    users.put("zoe", "a password", upload=False)
    users.put("ann", "a password", upload=True)
    users.put("bob", "a password", upload=True)
    users.remove("bob")
    store.put(user_key("of old"), b'{"hash": "", "upload": true}')
    digests = {name: user_key(name).removeprefix("users/").removesuffix(".json") for name in ("ann", "zoe", "of old")}
    assert users.list() == [
        ListedUser(username="ann", digest=digests["ann"], upload=True),
        ListedUser(username="zoe", digest=digests["zoe"], upload=False),
        ListedUser(username=None, digest=digests["of old"], upload=True),
    ]


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
        late = Users(slow, now=lambda: NOW, new_id=ids("late "), by="me")
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
    for command in (lambda: users.put(username, "a password", upload=True), lambda: users.remove(username)):
        with pytest.raises(InvalidValue, match=r"^invalid username "):
            command()
    assert contents(store) == {}


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
