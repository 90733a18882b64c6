"""Basic credentials checked against records: passwords here, tokens in `pypi_lambda.access.tokens`, which is imported
when one is shown.

The user's record is read on every request, so a removed user is out at once. What makes that cheap: a password that was
right is remembered by `pypi_lambda.access.logins`, only as a keyed digest over username, password and record. A changed
record no longer matches it. What makes a process's first look cheap, where the installation has a key: the record's
second verifier (`pypi_lambda.access.verifiers`), left there by the first process that saw the password pass the slow
hash. Whatever it does not prove is looked at by the slow hash, so a wrong password always costs that.

passlib makes the hashes; verifying one is a line of the standard library, while importing passlib would take 50 ms of a
cold start.
"""

import logging
import os
import time
from binascii import a2b_base64
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING

from indexer.errors import CorruptObject
from indexer.keys import user_key
from indexer.lazy_pattern import pattern
from indexer.quick_hashes import blake2b, compare_digest
from indexer.store.base import Stored
from indexer.value import field, replace, value
from pypi_lambda.access.records import TOKEN_PREFIX, TOKEN_USERNAME, User, UserRecord, decode_user
from pypi_lambda.http.faults import Unauthorized
from pypi_lambda.http.headers import parse_basic

if TYPE_CHECKING:
    from pypi_lambda.access.logins import Logins, Rights
    from pypi_lambda.access.tokens import Token, TokenChecker

# OWASP Password Storage Cheat Sheet (2023 and later): 210,000 iterations for PBKDF2-HMAC-SHA512.
PASSWORD_ROUNDS = 210_000
REFUSED = "the username or the password is wrong"

# What an unknown user's password is checked against, so that it takes as long as a known one's. No password matches it.
_NOBODY = UserRecord(hash=f"$pbkdf2-sha512${PASSWORD_ROUNDS}${'.' * 22}${'.' * 86}", upload=False)
_HASH = pattern(
    r"\$pbkdf2-sha512\$(?P<rounds>[1-9][0-9]{0,8})\$(?P<salt>(?:[A-Za-z0-9./]{4})*(?:[A-Za-z0-9./]{2,3})?)"
    r"\$(?P<checksum>[A-Za-z0-9./]{86})"
)

Pbkdf2 = Callable[[str, bytes, bytes, int], bytes]
KeepVerifier = Callable[[str, Stored, str], None]

logger = logging.getLogger(__name__)


def hash_password(password: str) -> str:
    """Return the hash of a password with a new salt."""
    from passlib.hash import pbkdf2_sha512

    hashed: str = pbkdf2_sha512.using(rounds=PASSWORD_ROUNDS).hash(password)
    return hashed


@value
class Claim:
    """What a request says of whose it is; nothing of it is proved.

    Attributes:
        token: what was shown as password, where that is a token.
    """

    username: str
    password: str = field(repr=False)
    token: "Token | None" = None

    @property
    def keys(self) -> tuple[str, ...]:
        """What is to be read to check it."""
        return (user_key(self.username),) if self.token is None else self.token.keys


def read_claim(authorization: str | None) -> Claim:
    """Return what an Authorization header claims.

    A token may be the password of `__token__` or of its owner, or the username without a password.

    A username alone is no claim, and no failed one: pip and uv send what stands in an index's URL before they look for
    the password. An empty password is nobody's, so nothing is looked up for it.

    Raises:
        Unauthorized: there is none, or it is not Basic, or has no password.
    """
    credentials = parse_basic(authorization)
    if credentials is None:
        raise Unauthorized()
    username, password = credentials
    if not password and username.startswith(TOKEN_PREFIX):
        username, password = TOKEN_USERNAME, username
    if not password:
        raise Unauthorized()
    if not password.startswith(TOKEN_PREFIX):
        return Claim(username=username, password=password)
    from pypi_lambda.access.tokens import parse_token

    return Claim(username=username, password=password, token=parse_token(password))


class Authenticator:
    """Checks credentials and remembers, for one process, which were right.

    Args:
        pbkdf2: derives a key from the name of a hash, a password, a salt and a number of rounds; OpenSSL's by default.
        clock: monotonic seconds, for the throttle.
        make_token_checker: called when a token is shown; without, none is taken.
        password_key: the installation's, for second verifiers; empty for none.
        keep_verifier: writes one into the record under a key, without making anybody wait.
    """

    def __init__(
        self,
        *,
        pbkdf2: Pbkdf2 | None = None,
        clock: Callable[[], float] = time.monotonic,
        make_token_checker: "Callable[[], TokenChecker] | None" = None,
        password_key: bytes = b"",
        keep_verifier: KeepVerifier | None = None,
    ) -> None:
        self._pbkdf2 = pbkdf2 or _pbkdf2
        self._clock = clock
        self._make_token_checker = make_token_checker
        self._password_key = password_key
        self._keep_verifier = keep_verifier
        self._secret = os.urandom(32)
        self._made_logins: Logins | None = None
        self._lock = Lock()

    def check_claim(self, claim: Claim, records: Sequence[Stored | None], *, client: str) -> User:
        """Return the user.

        Args:
            records: what lies under the claim's `keys`.
            client: the address, or "" where it is not known.

        Raises:
            Unauthorized: it is wrong; nothing tells what about it.
            TooManyRequests: too much was wrong lately.
        """
        if claim.token is None:
            return self.check(claim.username, claim.password, records[0], client=client)
        return self._check_token(claim.token, claim.username, records, client)

    def check(self, username: str, password: str, stored: Stored | None, *, client: str = "") -> User:
        """Return the user whose password it is.

        Args:
            stored: the record under `user_key(username)`, or None when there is none.
            client: the address, or "" where it is not known.

        Raises:
            Unauthorized: unknown user or wrong password; nothing, not even the time it takes, tells which.
            TooManyRequests: too much was wrong lately; the password was not looked at.
        """
        digest = self._digest(username, password, _without_verifier(username, stored) if stored else b"")
        verify = partial(self._verify_record, username, password, stored)
        upload, projects = self._logins.log_in(digest, username, client, verify)
        return User(username=username, upload=upload, projects=projects)

    def _check_token(self, token: "Token", username: str, records: Sequence[Stored | None], client: str) -> User:
        from pypi_lambda.access.tokens import TokenRefused

        try:
            if self._token_checker is None:
                raise TokenRefused(f"token {token.id}: none is taken here")
            # No throttle before it: this is quick, cannot be guessed, and must not suffer from what others try.
            return self._token_checker.check(token, username, records)
        except TokenRefused as refusal:
            # Counted by token, not by the user that it names: anybody can write a name into one.
            self._logins.count_wrong(token.id, client)
            logger.warning("%s", refusal)
            raise Unauthorized(REFUSED) from None

    @property
    def _logins(self) -> "Logins":
        with self._lock:  # `cached_property` has none from Python 3.12 on: each of two would count for itself
            if self._made_logins is None:
                from pypi_lambda.access.logins import Logins
                from pypi_lambda.access.throttle import Throttle

                self._made_logins = Logins(Throttle(clock=self._clock))
            return self._made_logins

    @cached_property
    def _token_checker(self) -> "TokenChecker | None":
        return None if self._make_token_checker is None else self._make_token_checker()

    @property
    def remembered(self) -> frozenset[bytes]:
        """All that is known of credentials that were right: keyed digests."""
        return self._logins.remembered

    def _verify_record(self, username: str, password: str, stored: Stored | None) -> "Rights":
        key = user_key(username)
        if stored is None and username == TOKEN_USERNAME:  # a damaged token, and there is nobody to hide
            raise Unauthorized(REFUSED)
        record = _NOBODY if stored is None else decode_user(key, stored.body)
        verifier = self._make_verifier(username, password, record.hash)
        if not (verifier and _is_verifier(record.verifier, verifier)):
            if not self._verify(key, password, record.hash) or stored is None:
                raise Unauthorized(REFUSED)
            if verifier and self._keep_verifier is not None:
                self._keep_verifier(key, stored, verifier)
        return record.upload, record.projects

    def _make_verifier(self, username: str, password: str, hash_: str) -> str:
        if not self._password_key:
            return ""
        from pypi_lambda.access.verifiers import make_verifier

        return make_verifier(self._password_key, username, password, hash_)

    def _verify(self, key: str, password: str, hash_: str) -> bool:
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


def _pbkdf2(name: str, password: bytes, salt: bytes, rounds: int) -> bytes:
    from hashlib import pbkdf2_hmac

    return pbkdf2_hmac(name, password, salt, rounds)


def _is_verifier(stored: str, expected: str) -> bool:
    from pypi_lambda.access.verifiers import is_verifier

    return is_verifier(stored, expected)


def _without_verifier(username: str, stored: Stored) -> bytes:
    """Return what of a record may not change while its password is remembered: writing a verifier changes nothing."""
    try:
        record = decode_user(user_key(username), stored.body)
    except CorruptObject:
        return stored.body  # whoever looks at it says so
    return repr(replace(record, verifier="")).encode("utf-8", "surrogatepass")


def _decode_hash(key: str, text: str) -> tuple[int, bytes, bytes]:
    """Return rounds, salt and checksum of a hash in passlib's format; its base64 has `.` for `+` and no padding."""
    match = _HASH.fullmatch(text)
    if match is None:
        raise CorruptObject(key, "the password's hash is not in passlib's pbkdf2_sha512 format")
    salt, checksum = (
        a2b_base64(part.replace(".", "+") + "=" * (-len(part) % 4)) for part in (match["salt"], match["checksum"])
    )
    return int(match["rounds"]), salt, checksum
