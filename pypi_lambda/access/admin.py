"""Commands on users: what the command line and the Lambda function's commands do."""

from indexer.errors import AlreadyExists, Changed, CorruptObject, InvalidValue
from indexer.keys import USERS, user_key
from indexer.log.events import UserPut, UserRemoved
from indexer.log.journal import Journal
from indexer.store.base import ObjectStore, Stored
from indexer.value import value
from pypi_lambda.access.auth import Authenticator, hash_password
from pypi_lambda.access.records import (
    MAX_RECORD_BYTES,
    TOKEN_PREFIX,
    TOKEN_USERNAME,
    UserRecord,
    decode_user,
    encode_user,
)
from pypi_lambda.http.faults import Unauthorized

MAX_USERNAME_LENGTH = 128
MAX_PASSWORD_LENGTH = 1_024  # a Basic header passes API Gateway's limit of 10,240 bytes, whatever it is encoded as


@value
class ListedUser:
    """A user as listed.

    Attributes:
        username: None where only its digest is known, as of users of serverless-pypi 0.0.6.
        projects: patterns of the names under which the user may upload; empty for all.
    """

    username: str | None
    digest: str
    upload: bool
    projects: tuple[str, ...] = ()


class Users:
    """The users of one index.

    Args:
        journal: of who gives the commands.
    """

    def __init__(self, store: ObjectStore, journal: Journal) -> None:
        self._store = store
        self._journal = journal

    def put(
        self, username: str, password: str, *, upload: bool, projects: tuple[str, ...] = (), only_new: bool = False
    ) -> bool:
        """Add a user or change one; return whether anything changed.

        Args:
            projects: patterns of the names under which the user may upload; empty for all.
            only_new: leave a user that is there as it is.

        Raises:
            InvalidValue: the username or the password cannot be one.
            AlreadyExists: there is such a user, and only a new one was wanted.
        """
        check_username(username)
        check_password(password)
        key = user_key(username)
        stored = None if only_new else self._store.find(key, limit=MAX_RECORD_BYTES)
        before = None if stored is None else _find_record(key, stored)
        if before is not None and _is_same(before, username, upload, projects) and _opens(stored, username, password):
            return False
        record = UserRecord(
            hash=hash_password(password),
            upload=upload,
            projects=projects,
            username=username,
            id=before.id if before is not None and before.id else self._journal.new_id(),
        )
        change = UserPut(username=username, upload=upload, projects=projects)
        if only_new:
            self._store.put_new(key, encode_user(record), content_type="application/json")
            self._journal.append(change)
        else:
            # The event first: should this break off, the same again does it all, and nothing is unlogged.
            self._journal.append(change)
            try:
                self._write(key, encode_user(record), stored)
            except (AlreadyExists, Changed):  # by another command: what it made may be another user, with another id
                return self.put(username, password, upload=upload, projects=projects)
        return True

    def _write(self, key: str, body: bytes, stored: Stored | None) -> None:
        if stored is None:
            self._store.put_new(key, body, content_type="application/json")
        else:
            self._store.replace(key, body, etag=stored.etag, content_type="application/json")

    def remove(self, username: str) -> bool:
        """Remove a user, from the next request on; return whether there was one."""
        check_username(username)
        if self._store.stat(user_key(username)) is None:
            return False
        # The event first, as above.
        self._journal.append(UserRemoved(username=username))
        self._store.delete(user_key(username))
        return True

    def list(self) -> "list[ListedUser]":  # the quotes keep this `list` from being taken for the method
        """Return all users, by name."""
        keys = (stat.key for stat in self._store.list(USERS))
        found = self._store.find_all(keys, limit=MAX_RECORD_BYTES)
        users = [_listed(key, stored) for key, stored in found if stored is not None]
        return sorted(users, key=lambda user: (user.username is None, user.username or user.digest))


def _listed(key: str, stored: Stored) -> ListedUser:
    record = decode_user(key, stored.body)
    digest = key.removeprefix(USERS).removesuffix(".json")
    return ListedUser(username=record.username or None, digest=digest, upload=record.upload, projects=record.projects)


def _find_record(key: str, stored: Stored) -> UserRecord | None:
    try:
        return decode_user(key, stored.body)
    except CorruptObject:
        return None  # a new one repairs it


def _is_same(record: UserRecord, username: str, upload: bool, projects: tuple[str, ...]) -> bool:
    return (record.username, record.upload, record.projects) == (username, upload, projects)


def _opens(stored: Stored | None, username: str, password: str) -> bool:
    try:
        Authenticator().check(username, password, stored)
    except Unauthorized:
        return False
    return True


def check_username(username: str) -> str:
    """Return the username.

    Raises:
        InvalidValue: it is empty, too long, or has a colon, which Basic authentication has no way to send, or control
            characters; or it stands for a token.
    """
    if not username or len(username) > MAX_USERNAME_LENGTH or ":" in username or not username.isprintable():
        accepted = f"1 to {MAX_USERNAME_LENGTH} printable characters without ':'"
        raise InvalidValue("username", username, accepted)
    if username == TOKEN_USERNAME or username.startswith(TOKEN_PREFIX):
        raise InvalidValue("username", username[: len(TOKEN_USERNAME)], "a name that does not stand for a token")
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
    if next(iter(store.list(USERS)), None) is not None:
        return False
    try:
        users.put(username, password, upload=True, only_new=True)
    except AlreadyExists:
        return False
    return True
