"""Who may do what: users' records, and Basic credentials checked against them.

A record lies under the sha256 of its username and holds a role and a password hash, as serverless-pypi 0.0.6 had it. It
is read on every request, so a removed user is out at once; what makes that cheap is that a verified password is
remembered, only as a keyed digest over username, password and record: a changed record no longer matches it.

passlib is imported when the first password is verified, not before.
"""

import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import pbkdf2_hmac, sha256
from threading import Lock

import orjson

from indexer.errors import CorruptObject
from indexer.store import Stored
from pypi_lambda.http import Unauthorized

# OWASP Password Storage Cheat Sheet (2023 and later): 210,000 iterations for PBKDF2-HMAC-SHA512.
PASSWORD_ROUNDS = 210_000
MAX_REMEMBERED = (
    1_024  # verified credentials per process, 32 bytes each; more users than that verify again now and then
)
MAX_RECORD_BYTES = 65_536  # 64 KiB: a record is about 200 bytes
REFUSED = "the username or the password is wrong"

# What an unknown user's password is checked against, so that it takes as long as a known one's. No password matches it.
_NOBODY = f"$pbkdf2-sha512${PASSWORD_ROUNDS}${'.' * 22}${'.' * 86}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """What is stored of a user: the password's hash in passlib's format, and whether uploading is allowed."""

    hash: str
    upload: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who proved to be this user."""

    username: str
    upload: bool


def user_key(username: str) -> str:
    """Return the key of a user's record."""
    return f"users/{sha256(username.encode()).hexdigest()}.json"


def encode_user(record: UserRecord) -> bytes:
    """Return the record's bytes."""
    return orjson.dumps({"hash": record.hash, "upload": record.upload})


def decode_user(key: str, body: bytes) -> UserRecord:
    """Return the record; CorruptObject when the bytes are none."""
    try:
        document = orjson.loads(body)
        hash_, upload = document["hash"], document.get("upload", False)
        if not isinstance(hash_, str) or not isinstance(upload, bool):
            raise TypeError("hash is text, upload is a flag")
        return UserRecord(hash=hash_, upload=upload)
    except (ValueError, TypeError, LookupError, AttributeError) as fault:
        # The fault's text could quote the hash.
        raise CorruptObject(key, f"no readable user record ({type(fault).__name__})") from None


def hash_password(password: str) -> str:
    """Return the hash of a password with a new salt."""
    from passlib.hash import pbkdf2_sha512

    hashed: str = pbkdf2_sha512.using(rounds=PASSWORD_ROUNDS).hash(password)
    return hashed


class Authenticator:
    """Checks credentials and remembers, for one process, which were right."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret or secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._lock = Lock()

    def check(self, username: str, password: str, stored: Stored | None) -> User:
        """Return the user.

        Args:
            stored: the record under `user_key(username)`, or None when there is none.

        Raises:
            Unauthorized: unknown user or wrong password; nothing, not even the time it takes, tells which.
        """
        record = None if stored is None else decode_user(user_key(username), stored.body)
        if record is None or stored is None:
            _verify(password, _NOBODY)
            raise Unauthorized(REFUSED)
        token = self._digest(username, password, stored.body)
        if not self._remembers(token):
            if not _verify(password, record.hash):
                raise Unauthorized(REFUSED)
            self._remember(token)
        return User(username=username, upload=record.upload)

    def _digest(self, username: str, password: str, record: bytes) -> bytes:
        parts = [username.encode(), password.encode(), record]
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._secret, framed, "sha256")

    def _remembers(self, token: bytes) -> bool:
        with self._lock:
            if token not in self._verified:
                return False
            self._verified.move_to_end(token)
            return True

    def _remember(self, token: bytes) -> None:
        with self._lock:
            self._verified[token] = None
            if len(self._verified) > MAX_REMEMBERED:
                self._verified.popitem(last=False)


def _verify(password: str, hash_: str) -> bool:
    from passlib.hash import pbkdf2_sha512

    try:
        known = pbkdf2_sha512.from_string(hash_)
    except ValueError:
        raise CorruptObject("users/", "a password hash is not in passlib's pbkdf2_sha512 format") from None
    verified: bool = pbkdf2_sha512.verify(password, hash_)
    if known.rounds < PASSWORD_ROUNDS:
        # A hash of serverless-pypi 0.0.6 has 25,000 rounds: without the rest, time would tell its user from nobody.
        pbkdf2_hmac("sha512", password.encode(), b"-" * 16, PASSWORD_ROUNDS - known.rounds)
    return verified
