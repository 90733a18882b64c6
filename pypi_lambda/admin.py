"""Commands on users: what the command line and the Lambda function's commands do."""

from collections.abc import Callable
from datetime import datetime

from indexer.errors import AlreadyExists, InvalidValue
from indexer.events import UserPut, UserRemoved, timestamp
from indexer.log import ORIGIN, Log
from indexer.store import ObjectStore
from indexer.value import value
from pypi_lambda.auth import UserRecord, decode_user, encode_user, hash_password, user_key

MAX_USERNAME_LENGTH = 128
MAX_PASSWORD_LENGTH = 1_024  # a Basic header passes API Gateway's limit of 10,240 bytes, whatever it is encoded as
USERS_PREFIX = "users/"


@value
class ListedUser:
    """A user as listed; `username` is None where only its digest is known, as of users of serverless-pypi 0.0.6."""

    username: str | None
    digest: str
    upload: bool


class Users:
    """The users of one index.

    Args:
        now: the current time.
        new_id: 128 random bits as hex.
        by: who gives the commands, for the log.
    """

    def __init__(self, store: ObjectStore, *, now: Callable[[], datetime], new_id: Callable[[], str], by: str) -> None:
        self._store = store
        self._log = Log(store)
        self._now = now
        self._new_id = new_id
        self._by = by

    def put(self, username: str, password: str, *, upload: bool, only_new: bool = False) -> None:
        """Add a user or change one.

        Args:
            only_new: leave a user that is there as it is.

        Raises:
            InvalidValue: the username or the password cannot be one.
            AlreadyExists: there is such a user, and only a new one was wanted.
        """
        check_username(username)
        check_password(password)
        body = encode_user(UserRecord(hash=hash_password(password), upload=upload))
        if only_new:
            self._store.put_new(user_key(username), body, content_type="application/json")
        else:
            self._store.put(user_key(username), body, content_type="application/json")
        self._append(UserPut(username=username, upload=upload))

    def remove(self, username: str) -> bool:
        """Remove a user, from the next request on; return whether there was one."""
        check_username(username)
        if self._store.stat(user_key(username)) is not None:
            self._store.delete(user_key(username))
        elif not self._is_logged(username):
            return False
        self._append(UserRemoved(username=username))
        return True

    def _is_logged(self, username: str) -> bool:
        """Tell whether there is a user as far as the log knows: a removal may have broken off before it was logged."""
        there = False
        for event in self._log.read_after(ORIGIN):
            if isinstance(event.change, UserPut | UserRemoved) and event.change.username == username:
                there = isinstance(event.change, UserPut)
        return there

    def list(self) -> "list[ListedUser]":  # the quotes keep this `list` from being taken for the method
        """Return all users, by name; the names come from the log, for the records hold none."""
        names: dict[str, str] = {}
        for event in self._log.read_after(ORIGIN):
            if isinstance(event.change, UserPut):
                names[user_key(event.change.username)] = event.change.username
        users = [
            ListedUser(
                username=names.get(stat.key),
                digest=stat.key.removeprefix(USERS_PREFIX).removesuffix(".json"),
                upload=decode_user(stat.key, self._store.get(stat.key).body).upload,
            )
            for stat in self._store.list(USERS_PREFIX)
        ]
        return sorted(users, key=lambda user: (user.username is None, user.username or user.digest))

    def _append(self, change: UserPut | UserRemoved) -> None:
        self._log.append(ORIGIN, change, by=self._by, at=timestamp(self._now()), id=self._new_id())


def check_username(username: str) -> str:
    """Return the username.

    Raises:
        InvalidValue: it is empty, too long, or has a colon, which Basic authentication has no way to send, or control
            characters.
    """
    if not username or len(username) > MAX_USERNAME_LENGTH or ":" in username or not username.isprintable():
        accepted = f"1 to {MAX_USERNAME_LENGTH} printable characters without ':'"
        raise InvalidValue("username", username, accepted)
    return username


def check_password(password: str) -> str:
    """Return the password; the error does not show it.

    Raises:
        InvalidValue: it is empty, too long, or has control characters.
    """
    if not password or len(password) > MAX_PASSWORD_LENGTH or not password.isprintable():
        raise InvalidValue("password", "(not shown)", f"1 to {MAX_PASSWORD_LENGTH:,} printable characters")
    return password


def add_first_user(users: Users, store: ObjectStore, username: str, password: str) -> bool:
    """Add a user that may upload where there is none at all; return whether this call did."""
    if next(iter(store.list(USERS_PREFIX)), None) is not None:
        return False
    try:
        users.put(username, password, upload=True, only_new=True)
    except AlreadyExists:
        return False
    return True
