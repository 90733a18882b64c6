"""Who may do what: users' records, and Basic credentials checked against them.

A record lies under the sha256 of its username and holds a role and a password hash, as serverless-pypi 0.0.6 had it. It
is read on every request, so a removed user is out at once; what makes that cheap is that a verified password is
remembered, only as a keyed digest over username, password and record: a changed record no longer matches it.

passlib makes the hashes; verifying one is a line of the standard library, while importing passlib would take 50 ms of a
cold start.
"""

import json
import os
import re
from binascii import a2b_base64
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b, pbkdf2_hmac, sha256
from threading import Lock

from indexer.errors import CorruptObject
from indexer.json_bytes import encode_json
from indexer.store import Stored
from indexer.value import value
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
_HASH = re.compile(
    r"\$pbkdf2-sha512\$(?P<rounds>[1-9][0-9]{0,8})\$(?P<salt>(?:[A-Za-z0-9./]{4})*(?:[A-Za-z0-9./]{2,3})?)"
    r"\$(?P<checksum>[A-Za-z0-9./]{86})"
)

Pbkdf2 = Callable[[str, bytes, bytes, int], bytes]


@value
class UserRecord:
    """What is stored of a user: the password's hash in passlib's format, and whether uploading is allowed."""

    hash: str
    upload: bool


@value
class User:
    """Somebody who proved to be this user."""

    username: str
    upload: bool


def user_key(username: str) -> str:
    """Return the key of a user's record."""
    return f"users/{sha256(username.encode()).hexdigest()}.json"


def encode_user(record: UserRecord) -> bytes:
    """Return the record's bytes."""
    return encode_json({"hash": record.hash, "upload": record.upload})


def decode_user(key: str, body: bytes) -> UserRecord:
    """Return the record; CorruptObject when the bytes are none."""
    try:
        document = json.loads(body)  # the runtime client has it loaded; orjson takes 5 ms of the first request
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
    """Checks credentials and remembers, for one process, which were right.

    Args:
        pbkdf2: derives a key from the name of a hash, a password, a salt and a number of rounds.
    """

    def __init__(self, *, pbkdf2: Pbkdf2 = pbkdf2_hmac) -> None:
        self._pbkdf2 = pbkdf2
        self._secret = os.urandom(32)
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._lock = Lock()

    def check(self, username: str, password: str, stored: Stored | None) -> User:
        """Return the user.

        Args:
            stored: the record under `user_key(username)`, or None when there is none.

        Raises:
            Unauthorized: unknown user or wrong password; nothing, not even the time it takes, tells which.
        """
        key = user_key(username)
        if stored is None:
            self._verify(key, password, _NOBODY)
            raise Unauthorized(REFUSED)
        record = decode_user(key, stored.body)
        token = self._digest(username, password, stored.body)
        if not self._remembers(token):
            if not self._verify(key, password, record.hash):
                raise Unauthorized(REFUSED)
            self._remember(token)
        return User(username=username, upload=record.upload)

    @property
    def remembered(self) -> frozenset[bytes]:
        """All that is known of credentials that were right: keyed digests."""
        with self._lock:
            return frozenset(self._verified)

    def _verify(self, key: str, password: str, hash_: str) -> bool:
        from hmac import compare_digest

        rounds, salt, checksum = _decode_hash(key, hash_)
        derived = self._pbkdf2("sha512", password.encode(), salt, rounds)
        if rounds < PASSWORD_ROUNDS:
            # A hash of serverless-pypi 0.0.6 has 25,000 rounds: without the rest, time would tell its user from nobody.
            self._pbkdf2("sha512", password.encode(), salt, PASSWORD_ROUNDS - rounds)
        return compare_digest(derived, checksum)

    def _digest(self, username: str, password: str, record: bytes) -> bytes:
        parts = [username.encode(), password.encode(), record]
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return blake2b(framed, key=self._secret, digest_size=32).digest()

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


def _decode_hash(key: str, text: str) -> tuple[int, bytes, bytes]:
    """Return rounds, salt and checksum of a hash in passlib's format; its base64 has `.` for `+` and no padding."""
    match = _HASH.fullmatch(text)
    if match is None:
        raise CorruptObject(key, "the password's hash is not in passlib's pbkdf2_sha512 format")
    salt, checksum = (
        a2b_base64(part.replace(".", "+") + "=" * (-len(part) % 4)) for part in (match["salt"], match["checksum"])
    )
    return int(match["rounds"]), salt, checksum
