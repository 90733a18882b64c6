"""What `verify` looks at in the records of users and tokens: that they say what the log says."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from indexer.errors import CorruptObject
from indexer.keys import (
    TOKENS,
    USERS,
    user_key,
)
from indexer.log.events import Event, TokenCreated, TokenRevoked, UserPut, UserRemoved
from indexer.store.base import ObjectStore, Stat
from indexer.verify.findings import Findings, Remedy, Severity
from indexer.verify.project import Group
from pypi_lambda.access.records import UserRecord, decode_user
from pypi_lambda.access.tokens import ID_LENGTH, decode_token

Record = TypeVar("Record")


class AccessExaminer:
    """Checks that every user and token of the log has a readable record that says the same."""

    def __init__(self, store: ObjectStore, findings: Findings) -> None:
        self._store = store
        self._findings = findings
        self._users: dict[str, UserPut] = {}
        self._tokens: dict[str, TokenCreated] = {}
        self._user_keys: list[str] = []
        self._token_keys: list[str] = []

    def see_event(self, event: Event) -> None:
        """Take notice of who may do what from then on."""
        match event.change:
            case UserPut(username=username):
                self._users[user_key(username)] = event.change
            case UserRemoved(username=username):
                self._users.pop(user_key(username), None)
            case TokenCreated(token=token):
                self._tokens[token] = event.change
            case TokenRevoked(token=token):
                self._tokens.pop(token, None)

    def see_object(self, area: str, stat: Stat) -> None:
        """Take notice of a record."""
        if area == USERS:
            self._user_keys.append(stat.key)
        elif area == TOKENS:
            self._token_keys.append(stat.key)

    def examine(self, group: Group, *, deep: bool) -> None:
        """Nothing here belongs to projects."""

    def finish(self) -> None:
        """Compare records with the log."""
        for key, user in self._read(self._user_keys, decode_user):
            self._check_user(key, user)
        for key, token in self._read(self._token_keys, decode_token):
            known = self._tokens.get(key.removeprefix(TOKENS)[:ID_LENGTH])
            if known is None:
                self._findings.lost(key, "the log knows no such token: it was planted, or its revocation broke off")
            elif _rights(token) != _rights(known) or token.expires != known.expires:
                self._findings.lost(key, "the record gives other rights than the log's event")
        self._check_missing()

    def _check_user(self, key: str, user: UserRecord) -> None:
        known = self._users.get(key)
        if known is None:
            problem = "the log knows no such user: serverless-pypi 0.0.6 added it, or somebody put it there"
            self._findings.add(key, problem, Severity.NOTE, Remedy.LOOK)
        elif (user.upload, user.projects) != (known.upload, known.projects):
            self._findings.lost(key, "the record gives other rights than the log's event")

    def _check_missing(self) -> None:
        users, there = set(self._user_keys), {key.removeprefix(TOKENS)[:ID_LENGTH] for key in self._token_keys}
        for key, user in self._users.items():
            if key not in users and self._store.stat(key) is None:
                self._findings.lost(key, f"the record of the user {user.username!r} is missing")
        for token, made in self._tokens.items():
            if token not in there:
                problem = f"the record of the token {token} of {made.username!r} is missing"
                self._findings.lost(f"{TOKENS}{token}…", problem)

    def _read(self, keys: list[str], decode: Callable[[str, bytes], Record]) -> Iterator[tuple[str, Record]]:
        for key, stored in self._store.find_all(keys):
            try:
                if stored is not None:  # else it was removed meanwhile
                    yield key, decode(key, stored.body)
            except CorruptObject as fault:
                self._findings.lost(key, fault.reason)


def _rights(record: object) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in ("username", "upload", "projects"))
