"""Tokens: what one looks like, what is stored of it, and whether it lets anybody in.

    spypi_{username, base64url}.{256 random bits, hex}{crc32 of all before, hex}

Letters, digits and `-_.` alone: safe in URLs, `.netrc` and environment variables. The prefix and the checksum are for
scanners that look for secrets, who need no network to tell a token from something alike; the username lets the records
of token and user be read at the same time. Stored is the plain sha256 of the whole token: nobody guesses 256 random
bits, so there is nothing that a slow hash would make slower. Nothing here compares secrets, at whatever speed: a token
is looked up by its digest.

Knows no request. GitHub, "Behind GitHub's new authentication token formats" (2021), for prefix and checksum.
"""

import binascii
import json
import logging
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from threading import Thread

from indexer.errors import CorruptObject, IndexerError
from indexer.json_bytes import encode_json
from indexer.keys import token_key, token_use_key, user_key
from indexer.log.events import timestamp
from indexer.store.base import ObjectStore, Stored
from indexer.value import value
from pypi_lambda.access.records import TOKEN_PREFIX, TOKEN_USERNAME, User, decode_user
from pypi_lambda.shared import Cache

SECRET_BYTES = 32
ID_LENGTH = 16  # hex digits of the token's digest: 64 bits tell all tokens apart, and nothing of the token
RECORD_VERSION = 1
MAX_NOTED = 1_024  # tokens whose use was noted today

# 684 characters are the base64 of a username of 128 characters, four bytes each.
_TOKEN = re.compile(TOKEN_PREFIX + r"([A-Za-z0-9_-]{2,684})\.[0-9a-f]{64}([0-9a-f]{8})")
_CHECKSUM_LENGTH = 8
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")

logger = logging.getLogger(__name__)


@value
class Token:
    """What is known of a token that somebody showed; the secret is not in it.

    Attributes:
        username: whose it says it is.
        digest: sha256 of the whole token, hex.
    """

    username: str
    digest: str

    @property
    def id(self) -> str:
        """What lists, logs and commands call the token."""
        return self.digest[:ID_LENGTH]

    @property
    def keys(self) -> tuple[str, str]:
        """Where the user's and the token's records are."""
        return user_key(self.username), token_key(self.digest)


@value
class TokenRecord:
    """What is stored of a token.

    Attributes:
        user: the id in its user's record at the time.
        name: what its owner calls it.
        upload: whether it may upload, if its user may.
        projects: patterns of the names under which it may upload; empty for all that its user may.
        created: `YYYY-MM-DDThh:mm:ss.ffffffZ`.
        expires: likewise, or None for never.
    """

    username: str
    user: str
    name: str
    upload: bool
    projects: tuple[str, ...]
    created: str
    expires: str | None


class TokenRefused(Exception):
    """A token lets nobody in; the sentence is for the log, not for the client."""


def make_token(username: str, secret: bytes) -> str:
    """Return a user's token with these random bytes."""
    name = binascii.b2a_base64(username.encode(), newline=False).decode().rstrip("=").translate(_TO_URL)
    text = f"{TOKEN_PREFIX}{name}.{secret.hex()}"
    return text + _checksum(text)


def parse_token(text: str) -> Token | None:
    """Return what a token says, or None when the text is none."""
    match = _TOKEN.fullmatch(text)
    if match is None or _checksum(text[:-_CHECKSUM_LENGTH]) != match[2]:
        return None
    name = match[1].translate(_FROM_URL)
    try:
        username = binascii.a2b_base64(name + "=" * (-len(name) % 4)).decode("utf-8")
    except ValueError:  # binascii.Error, UnicodeDecodeError
        return None
    return Token(username=username, digest=sha256(text.encode()).hexdigest())


def _checksum(text: str) -> str:
    return f"{binascii.crc32(text.encode()):08x}"


_TO_URL = str.maketrans("+/", "-_")
_FROM_URL = str.maketrans("-_", "+/")


def encode_token(record: TokenRecord) -> bytes:
    """Return the record's bytes."""
    return encode_json(
        {
            "v": RECORD_VERSION,
            "username": record.username,
            "user": record.user,
            "name": record.name,
            "upload": record.upload,
            "projects": list(record.projects),
            "created": record.created,
            "expires": record.expires,
        }
    )


def decode_token(key: str, body: bytes) -> TokenRecord:
    """Return the record; CorruptObject when the bytes are none, or of a version that this process does not know."""
    try:
        document = json.loads(body)
        if document["v"] != RECORD_VERSION:
            raise ValueError("another version")
        projects, upload, expires = document["projects"], document["upload"], document["expires"]
        texts = [document[name] for name in ("username", "user", "name", "created")]
        kinds = {type(text) for text in (*texts, *projects)}
        if type(projects) is not list or type(upload) is not bool or kinds != {str}:
            raise TypeError("upload is a flag, projects a list, the others are texts")
        if expires is not None and not _TIMESTAMP.fullmatch(expires):
            raise ValueError("expires is a timestamp")  # which are compared as texts
    except (ValueError, TypeError, LookupError, AttributeError) as fault:
        raise CorruptObject(key, f"no readable token record ({type(fault).__name__})") from None
    username, user, name, created = texts
    return TokenRecord(
        username=username,
        user=user,
        name=name,
        upload=upload,
        projects=tuple(projects),
        created=created,
        expires=expires,
    )


def run_in_thread(work: Callable[[], None]) -> None:
    """Begin the work and return."""
    Thread(target=work, daemon=True).start()


class TokenChecker:
    """Checks tokens for one process, and notes that they are used.

    Args:
        now: the current time.
        run: has something done without waiting for it.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        now: Callable[[], datetime],
        run: Callable[[Callable[[], None]], None] = run_in_thread,
    ) -> None:
        self._store = store
        self._now = now
        self._run = run
        self._noted: Cache[str, str] = Cache(MAX_NOTED)  # the day on which a use was noted, by token

    def check(self, token: Token, username: str, records: Sequence[Stored | None]) -> User:
        """Return the user whose token it is.

        Args:
            username: who shows it; `__token__` where that is not said.
            records: what lies under the token's `keys`.

        Raises:
            TokenRefused: it lets nobody in.
        """
        at = timestamp(self._now())
        user = _check(token, username, records, at)
        self._note_use(token.id, at)
        return user

    def _note_use(self, token: str, at: str) -> None:
        # Once a day: who asks whether a token is still in use means weeks. Beside the request, which neither waits for
        # it nor fails with it; in a container that is frozen meanwhile the note may be lost.
        day = at[:10]
        if self._noted.find(token) == day:
            return
        self._noted.put(token, day, cost=1)
        try:
            self._run(lambda: put_use(self._store, token, at))
        except RuntimeError as fault:  # no thread can be started
            logger.warning("that token %s was used is not noted: %s", token, fault)


def _check(token: Token, username: str, records: Sequence[Stored | None], at: str) -> User:
    stored_user, stored_token = records
    user_at, token_at = token.keys
    if stored_token is None:
        raise TokenRefused(f"token {token.id}: unknown, or revoked")
    record = decode_token(token_at, stored_token.body)
    if username not in (TOKEN_USERNAME, record.username):
        raise TokenRefused(f"token {token.id} of {record.username!r}: shown by {username[:128]!r}")
    if record.expires is not None and record.expires <= at:
        raise TokenRefused(f"token {token.id} of {record.username!r}: expired at {record.expires}")
    user = None if stored_user is None else decode_user(user_at, stored_user.body)
    if user is None or user_key(record.username) != user_at or not user.id or user.id != record.user:
        raise TokenRefused(f"token {token.id} of {record.username!r}: its user was removed")
    return User(
        username=record.username,
        upload=user.upload and record.upload,
        projects=user.projects,
        token=token.id,
        token_projects=record.projects,
    )


def put_use(store: ObjectStore, token: str, at: str) -> None:
    """Note that a token was used; a failure is a line in the log."""
    try:
        store.put(token_use_key(token), at.encode(), content_type="text/plain")
    except IndexerError as fault:
        logger.warning("that token %s was used is not noted: %s", token, fault)
