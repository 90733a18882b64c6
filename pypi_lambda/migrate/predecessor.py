"""A bucket of serverless-pypi 0.0.6, taken over in place.

    projects/{project}/{filename}, ….metadata, ….asc, index.json    private files, and the page that lists them
    cache/{project}/{filename}                                      mirrored files, never checked by 0.0.6
    users/{sha256(username)}.json                                   as ours
    database.json, index.json, index.html, legacy.html              its whole index; nothing reads them any more

Its `index.json` tells digests and yanks. A file is published with the digest that it has; where `index.json` tells
another one, which no installer can ever have accepted, that is named as a failure.
"""

import logging
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from indexer.derive.rebuild import rebuild
from indexer.digests import verified
from indexer.errors import CorruptObject, DigestMismatch, IndexerError, InvalidValue
from indexer.json_bytes import decode_json
from indexer.keys import CACHE, METADATA, OLD_PAGE, PROJECTS, USERS, file_key
from indexer.log.events import FileYanked
from indexer.log.journal import Journal
from indexer.names import Filename, ProjectName, check_filename, is_normalized
from indexer.upkeep.adopt import adopt
from indexer.value import value
from pypi_lambda.app.service import renderer_of
from pypi_lambda.command.context import Context
from pypi_lambda.migrate.origin import Failure, checked_reason

OBSOLETE = ("database.json", "index.html", "index.json", "legacy.html")

logger = logging.getLogger(__name__)


@value
class AdoptedBucket:
    """What was taken over.

    Attributes:
        adopted: keys of private files that were published.
        yanked: keys of those that were yanked there.
        users: how many records of users there are.
        verified: how many mirrored files are what the upstream lists.
        unverified: keys of mirrored files that the upstream lists no more, or with another digest.
        dropped: keys of those that were removed.
        obsolete: keys that nothing reads any more.
    """

    adopted: tuple[str, ...]
    yanked: tuple[str, ...]
    users: int
    verified: int
    unverified: tuple[str, ...]
    dropped: tuple[str, ...]
    obsolete: tuple[str, ...]
    failures: tuple[Failure, ...]


def adopt_bucket(context: Context, *, drop_unverified: bool) -> AdoptedBucket:
    """Take the bucket over, or go on where that broke off.

    Args:
        drop_unverified: remove mirrored files that cannot be verified; the upstream's are fetched again when asked for.
    """
    return _Adoption(context).run(drop_unverified=drop_unverified)


class _Adoption:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.service.store
        self._index = context.service.index
        self._yanked: list[str] = []
        self._unverified: list[str] = []
        self._verified = 0
        self._failures: list[Failure] = []

    def run(self, *, drop_unverified: bool) -> AdoptedBucket:
        adopted = self._publish()
        listed = [key for key in self._keys(PROJECTS) if key.endswith(OLD_PAGE)]
        cached = sorted(key for key in self._keys(CACHE) if not key.endswith(METADATA))
        for count, key in enumerate(listed):
            self._context.on_progress(count, len(listed) + len(cached))
            self._compare(key)
        done = len(listed)
        for folder, keys in groupby(cached, key=lambda key: key.rpartition("/")[0]):
            done += self._verify(folder.removeprefix(CACHE), list(keys))
            self._context.on_progress(done, len(listed) + len(cached))
        dropped = tuple(self._unverified) if drop_unverified else ()
        for key in dropped:
            self._store.delete(key + METADATA)
            self._store.delete(key)
        return AdoptedBucket(
            adopted=adopted,
            yanked=tuple(self._yanked),
            users=sum(1 for _ in self._store.list(USERS)),
            verified=self._verified,
            unverified=tuple(self._unverified),
            dropped=dropped,
            obsolete=tuple(key for key in OBSOLETE if self._store.stat(key) is not None),
            failures=tuple(self._failures),
        )

    def _keys(self, prefix: str) -> Iterator[str]:
        return (stat.key for stat in self._store.list(prefix))

    def _publish(self) -> tuple[str, ...]:
        renderer = renderer_of(self._context.settings)
        snapshot = rebuild(self._store, renderer).snapshot
        now, new_id = self._context.now, self._context.new_id
        journal = Journal(self._store, by="reindex", now=now, new_id=new_id, head=snapshot.head)
        adopted, refused = adopt(self._store, snapshot, journal, respelled=True)
        self._failures += [Failure(where=refusal.key, reason=refusal.reason) for refusal in refused]
        done = rebuild(self._store, renderer)
        self._index.reload()
        self._context.on_rebuilt(done.snapshot.head.seq)
        return tuple(adopted)

    def _compare(self, key: str) -> None:
        """Compare a project with its `index.json`, and yank what is yanked there."""
        try:
            name, listed = _read_listing(key, self._store.get(key).body)
            view = self._index.refresh()
            files = self._index.project(view, name).files
        except IndexerError as fault:
            self._failures.append(Failure(where=key, reason=str(fault)))
            return
        for filename, wire in listed.items():
            file = files.get(filename)
            where = file_key(name, filename)
            if file is None:
                self._failures.append(Failure(where=where, reason="listed, but not there or not published"))
                continue
            digest = wire.get("hashes", {}).get("sha256", file.sha256)
            if digest != file.sha256:
                reason = f"listed with sha256 {digest}, and has {file.sha256}"
                self._failures.append(Failure(where=where, reason=reason))
            if wire.get("yanked") and not file.turns:
                reason = checked_reason(wire["yanked"]) if isinstance(wire["yanked"], str) else ""
                self._context.append(FileYanked(project=name, filename=filename, reason=reason))
                self._yanked.append(where)

    def _verify(self, name: str, keys: list[str]) -> int:
        try:
            sources = self._context.service.mirror.pages.find_sources(ProjectName(name)) if is_normalized(name) else {}
        except IndexerError as fault:
            self._failures += [Failure(where=key, reason=str(fault)) for key in keys]
            return len(keys)
        for key in keys:
            source = (sources or {}).get(Filename(key.rpartition("/")[2]))
            if source is not None and source.hashes and self._is(key, source.hashes):
                self._verified += 1
            else:
                self._unverified.append(key)
        return len(keys)

    def _is(self, key: str, hashes: Any) -> bool:
        try:
            for _ in verified(key, self._store.read(key), hashes=hashes, size=None):
                pass
        except DigestMismatch as fault:
            logger.warning("%s", fault)
            return False
        return True


def _read_listing(key: str, body: bytes) -> tuple[ProjectName, dict[Filename, dict[str, Any]]]:
    name = key.removeprefix(PROJECTS).removesuffix(OLD_PAGE)
    try:
        if not is_normalized(name):
            raise InvalidValue("key", key, "a project lies at projects/{normalised name}/")
        return ProjectName(name), {check_filename(wire["filename"]): dict(wire) for wire in decode_json(body)["files"]}
    except (ValueError, TypeError, LookupError) as fault:
        raise CorruptObject(key, f"no readable page of serverless-pypi 0.0.6: {fault}") from None
