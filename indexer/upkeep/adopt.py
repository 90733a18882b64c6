"""Files that somebody put straight under `projects/{name}/`, as serverless-pypi had it for large ones: checked, then
published.

The fold is idempotent and a file never changes, so adopting one whose upload is in flight at this moment does no harm:
both events name the same object.
"""

import logging
from collections.abc import Callable, Iterator
from hashlib import sha256

from indexer.derive.snapshot import Snapshot
from indexer.digests import digest_of
from indexer.distributions.distribution import Distribution, check_distribution
from indexer.errors import AlreadyExists, InvalidValue, Missing
from indexer.keys import BESIDE_SUFFIXES, METADATA, PROJECTS, file_key
from indexer.log.events import Event, FileAdded, ProjectChange, find_publication, timestamp
from indexer.log.identity import find_same, is_withdrawn
from indexer.log.log import Log
from indexer.log.project import CLOSED_STATUSES, Project, fold
from indexer.names import Filename, ProjectName, check_filename, is_normalized
from indexer.store.base import ObjectStore, Stat
from indexer.store.reader import open_whole
from indexer.upkeep.survey import Folder, survey
from indexer.value import value

# What lies beside files: ours, and what serverless-pypi 0.0.6 left there.

logger = logging.getLogger(__name__)


@value
class Refusal:
    """An object that cannot be published, and why."""

    key: str
    reason: str


class _Published(Exception):
    """Somebody else published the file meanwhile."""


def adopt(
    store: ObjectStore,
    snapshot: Snapshot,
    *,
    now: str,
    new_id: Callable[[], str],
    see: Callable[[Folder], None] = lambda folder: None,
    respelled: bool = False,
) -> tuple[list[str], list[Refusal]]:
    """Publish the files that lie in the store and are not published; return their keys, and what was refused.

    Args:
        snapshot: as it is stored; what the log has beyond it is looked at before anything is published.
        now: of the events.
        new_id: 128 random bits as hex.
        see: called with every folder on the way.
        respelled: whether files may mean the same by several spellings, as a predecessor's do.
    """
    adopted: list[str] = []
    refused: list[Refusal] = []
    for project, stat in _unpublished(store, snapshot, see):
        try:
            if _adopt_file(store, snapshot, project, stat.key, now=now, id=new_id(), respelled=respelled):
                adopted.append(stat.key)
        except (InvalidValue, Missing) as fault:
            logger.warning("%s is not published: %s", stat.key, fault)
            refused.append(Refusal(key=stat.key, reason=str(fault)))
    return adopted, refused


def _unpublished(
    store: ObjectStore, snapshot: Snapshot, see: Callable[[Folder], None]
) -> Iterator[tuple[Project, Stat]]:
    for folder in survey(store, snapshot):
        see(folder)
        published = {file_key(folder.project.name, filename) for filename in folder.project.files}
        for stat in folder.stats:
            if not stat.key.endswith(BESIDE_SUFFIXES) and stat.key not in published:
                yield folder.project, stat


def _check_taken(project: Project, filename: Filename, version: str, *, respelled: bool) -> None:
    key = file_key(project.name, filename)
    if project.status in CLOSED_STATUSES:
        raise InvalidValue("key", key, f"the project is {project.status} and takes no files")
    if is_withdrawn(project, version):
        raise InvalidValue("key", key, f"version {version} was removed; restore it, or use another version")
    same = find_same(project, filename, version)
    if same is not None and (same.removed or not respelled):
        raise InvalidValue("key", key, f"{same.filename!r} was published, and this is another name for it")


def _adopt_file(
    store: ObjectStore, snapshot: Snapshot, known: Project, key: str, *, now: str, id: str, respelled: bool
) -> bool:
    project, filename = _parse_key(key)
    stat = store.stat(key)
    if stat is None:
        raise Missing(key)
    found = check_distribution(open_whole(store, key, stat.size), filename, name=project)
    _check_taken(known, filename, found.version, respelled=respelled)
    digest = stored_sha256(store, key)
    if store.stat(key) != stat:  # whoever copies into a folder writes in pieces
        raise InvalidValue("key", key, "it changed while it was read; it is looked at again next time")
    change = FileAdded(
        project=project,
        filename=filename,
        version=found.version,
        size=stat.size,
        sha256=digest,
        upload_time=timestamp(stat.modified),
        requires_python=found.requires_python,
        metadata_sha256=put_metadata(store, project, filename, found),
    )
    return _append(store, snapshot, known, change, now=now, id=id, respelled=respelled)


def is_publishable(store: ObjectStore, stat: Stat) -> bool:
    """Tell whether an object could be published: whether adopting it would not refuse it."""
    try:
        project, filename = _parse_key(stat.key)
        check_distribution(open_whole(store, stat.key, stat.size), filename, name=project)
    except InvalidValue:
        return False
    return True


def stored_sha256(store: ObjectStore, key: str) -> str:
    """Return the digest of an object's content; Missing when there is none."""
    return digest_of(store.read(key))


def _parse_key(key: str) -> tuple[ProjectName, Filename]:
    name, slash, filename = key.removeprefix(PROJECTS).partition("/")
    if not slash or not is_normalized(name):
        raise InvalidValue("key", key, "a file lies at projects/{normalised name}/{file name}")
    return ProjectName(name), check_filename(filename)


def put_metadata(store: ObjectStore, project: ProjectName, filename: Filename, found: Distribution) -> str | None:
    """Store a checked file's `.metadata`, if it is of the kind that has one, and return its sha256."""
    if found.metadata is None:
        return None
    key = file_key(project, filename) + METADATA
    try:
        store.put_new(key, found.metadata, immutable=True)
    except AlreadyExists:
        # It was made of the file that lies beside it, which has these bytes, or by a predecessor from an upload's form.
        store.put(key, found.metadata, immutable=True)
    return sha256(found.metadata).hexdigest()


def _append(
    store: ObjectStore, snapshot: Snapshot, known: Project, change: FileAdded, *, now: str, id: str, respelled: bool
) -> bool:
    def step(event: Event) -> None:
        nonlocal known
        if find_publication(event, change) is not None:
            raise _Published
        if isinstance(event.change, ProjectChange) and event.change.project == change.project:
            known = fold(known, [event])
            _check_taken(known, change.filename, change.version, respelled=respelled)

    try:
        Log(store).append(snapshot.head, change, by="reindex", at=now, id=id, step=step)
    except _Published:
        return False
    logger.info("%s is published", file_key(change.project, change.filename))
    return True
