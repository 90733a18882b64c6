"""Commands on tokens.

The record is what lets a token in, and the log tells of it. So that no token lives that the log does not know, its
event comes first when it is made, and last when it is revoked.
"""

import os
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from indexer.errors import Changed, InvalidValue
from indexer.keys import TOKENS, token_key, token_use_key, user_key
from indexer.log.events import TokenCreated, TokenRevoked, timestamp
from indexer.log.log import ORIGIN, Log
from indexer.patterns import parse_patterns
from indexer.store.base import ObjectStore, Stored
from indexer.value import replace, value
from pypi_lambda.access.records import MAX_RECORD_BYTES, TOKEN_PREFIX, UserRecord, decode_user, encode_user
from pypi_lambda.access.tokens import (
    ID_LENGTH,
    SECRET_BYTES,
    TokenRecord,
    decode_token,
    encode_token,
    make_token,
    parse_token,
)
from pypi_lambda.command.arguments import NOT_SHOWN, Text
from pypi_lambda.command.context import Context, Result

# Whoever wants a token for ever says so: one that is forgotten somewhere ends by itself.
DEFAULT_LIFETIME = timedelta(days=90)
MAX_NAME_LENGTH = 128
MAX_PATTERNS = 100  # the record has to stay below MAX_RECORD_BYTES

_LIFETIME = re.compile(r"([1-9][0-9]{0,4})([dh])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1)}
_ID = re.compile(rf"[0-9a-f]{{{ID_LENGTH}}}")

Expiry = timedelta | datetime | None
"""How long a token lives, or until when; None for ever."""


def _parse_expiry(field: str, value: object) -> Expiry:
    accepted = (
        "a lifetime such as '90d' or '12h', a date such as '2030-01-31' (it ends when that day begins, UTC), 'never'"
    )
    if value == "never":
        return None
    if isinstance(value, str):
        if found := _LIFETIME.fullmatch(value):
            return int(found[1]) * _UNITS[found[2]]
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidValue(field, value, accepted) from None
        if moment.tzinfo is not None or len(value) == len("2030-01-31"):
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise InvalidValue(field, value, accepted)


def _parse_name(field: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME_LENGTH or not value.isprintable():
        raise InvalidValue(field, value, f"at most {MAX_NAME_LENGTH} printable characters")
    return value


def _parse_projects(field: str, value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise InvalidValue(field, value, "a list of patterns of project names, such as 'acme-*'")
    if len(texts) > MAX_PATTERNS:
        raise InvalidValue(field, f"{len(texts):,} patterns", f"at most {MAX_PATTERNS}")
    return parse_patterns(texts, field=field)


def _parse_id(field: str, value: object) -> str:
    """Return a token's id; of a token that leaked somewhere, the whole may be given."""
    token = parse_token(value) if isinstance(value, str) else None
    if token is not None:
        return token.id
    if not isinstance(value, str) or not _ID.fullmatch(value):
        shown = NOT_SHOWN if TOKEN_PREFIX in str(value) else value
        raise InvalidValue(field, shown, f"a token's id, {ID_LENGTH} hex digits, as the list has it")
    return value


@value
class CreateToken:
    """Make a token for a user, and answer it this once.

    Attributes:
        upload: whether it may upload; without, it reads.
        projects: patterns of the names under which it may upload; empty for all that its user may.
        name: what its owner calls it.
    """

    username: Text
    upload: bool = False
    projects: Annotated[tuple[str, ...], _parse_projects] = ()
    expires: Annotated[Expiry, _parse_expiry] = DEFAULT_LIFETIME
    name: Annotated[str, _parse_name] = ""

    def run(self, context: Context) -> Result:
        """Carry it out."""
        expires = self._find_expiry(context.now())
        text = make_token(self.username, os.urandom(SECRET_BYTES))
        token = parse_token(text)
        if token is None:  # serverless-pypi 0.0.6 had no limit
            raise InvalidValue("createToken.username", self.username, "a shorter name, for it is part of the token")
        user = self._identify(context.service.store, context.new_id)
        self._check_rights(user)
        record = TokenRecord(
            username=self.username,
            user=user.id,
            name=self.name,
            upload=self.upload,
            projects=self.projects,
            created=timestamp(context.now()),
            expires=expires,
        )
        context.append(_created(token.id, record))
        key = token_key(token.digest)
        context.service.store.put_new(key, encode_token(record), content_type="application/json")
        return {"token": text, "id": token.id, **_shown(record)}

    def _check_rights(self, user: UserRecord) -> None:
        if self.upload and not user.upload:
            raise InvalidValue(
                "createToken.upload", self.upload, f"{self.username!r} may not upload, nor may its tokens"
            )
        if self.projects and not self.upload:
            patterns = ", ".join(self.projects)
            raise InvalidValue("createToken.projects", patterns, "what limits uploads goes with upload")

    def _find_expiry(self, now: datetime) -> str | None:
        if self.expires is None:
            return None
        moment = self.expires if isinstance(self.expires, datetime) else now + self.expires
        if moment <= now:
            raise InvalidValue("createToken.expires", timestamp(moment), "a time to come")
        return timestamp(moment)

    def _identify(self, store: ObjectStore, new_id: Callable[[], str]) -> UserRecord:
        """Return the user's record, with an id to bind the token to; it is given one if it has none yet."""
        key = user_key(self.username)
        while True:
            stored = store.find(key, limit=MAX_RECORD_BYTES)
            if stored is None:
                raise InvalidValue("createToken.username", self.username, "there is no such user")
            record = decode_user(key, stored.body)
            if record.id:
                return record
            record = replace(record, id=new_id(), username=self.username)
            try:
                store.replace(key, encode_user(record), etag=stored.etag, content_type="application/json")
            except Changed:
                continue
            return record


@value
class RevokeToken:
    """Take a token back; the next request with it is refused."""

    id: Annotated[str, _parse_id]
    short = "id"

    def run(self, context: Context) -> Result:
        """Carry it out."""
        store = context.service.store
        found = next(store.list(TOKENS, after=TOKENS + self.id), None)
        if found is not None and found.key.startswith(TOKENS + self.id):
            username: str | None = decode_token(found.key, store.get(found.key, limit=MAX_RECORD_BYTES).body).username
            store.delete(found.key)
            store.delete(token_use_key(self.id))
        else:
            username = self._find_logged(Log(store))
        if username is not None:
            context.append(TokenRevoked(token=self.id, username=username))
        return {"revoked": self.id, "username": username, "existed": username is not None}

    def _find_logged(self, log: Log) -> str | None:
        """Return whose token the log knows as one that is not revoked: a revocation may have broken off before that."""
        username = None
        for event in log.read_after(ORIGIN):
            change = event.change
            if isinstance(change, TokenCreated | TokenRevoked) and change.token == self.id:
                username = change.username if isinstance(change, TokenCreated) else None
        return username


@value
class ListTokens:
    """List tokens, a user's or all, with when they were last used, to the day."""

    username: str | None = None
    short = "username"

    def run(self, context: Context) -> Result:
        """Carry it out."""
        store, at = context.service.store, timestamp(context.now())
        records = [found for found in _read_tokens(store) if self.username in (None, found[1].username)]
        users = _read_user_ids(store, {record.username for _, record, _ in records})
        tokens = [
            {"id": token, **_shown(record), "lastUsed": used, "state": _state(record, users[record.username], at)}
            for token, record, used in sorted(records, key=lambda item: (item[1].username, item[1].created, item[0]))
        ]
        return {"tokens": tokens}


def _created(token: str, record: TokenRecord) -> TokenCreated:
    return TokenCreated(
        token=token,
        username=record.username,
        name=record.name,
        upload=record.upload,
        projects=record.projects,
        expires=record.expires,
    )


def _shown(record: TokenRecord) -> Result:
    """Return what commands say of a token."""
    return {
        "username": record.username,
        "name": record.name,
        "upload": record.upload,
        "projects": list(record.projects),
        "created": record.created,
        "expires": record.expires,
    }


def _state(record: TokenRecord, user: str, at: str) -> str:
    if record.user != user:
        return "user removed"
    return "expired" if record.expires is not None and record.expires <= at else "valid"


def _read_tokens(store: ObjectStore) -> Iterable[tuple[str, TokenRecord, str | None]]:
    """Yield all tokens by id, with when they were last used."""
    keys = [stat.key for stat in store.list(TOKENS)]
    ids = [key.removeprefix(TOKENS)[:ID_LENGTH] for key in keys]
    bodies = _read_all(store, keys)
    uses = _read_all(store, [token_use_key(token) for token in ids])
    for token, key, stored, used in zip(ids, keys, bodies, uses, strict=True):
        if stored is not None:  # not revoked meanwhile
            yield token, decode_token(key, stored.body), None if used is None else used.body.decode("utf-8", "replace")


def _read_user_ids(store: ObjectStore, usernames: Iterable[str]) -> dict[str, str]:
    """Return the ids in the users' records; "-" stands for a user that is not there, and is no id."""
    names = sorted(usernames)
    keys = [user_key(name) for name in names]
    found = _read_all(store, keys)
    return {
        name: "-" if stored is None else decode_user(key, stored.body).id
        for name, key, stored in zip(names, keys, found, strict=True)
    }


def _read_all(store: ObjectStore, keys: list[str]) -> list[Stored | None]:
    return [stored for _, stored in store.find_all(keys, limit=MAX_RECORD_BYTES)]
