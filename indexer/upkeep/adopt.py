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
from indexer.log.journal import Journal
from indexer.log.project import CLOSED_STATUSES, Project, fold
from indexer.names import Filename, ProjectName, check_filename, is_normalized
from indexer.store.base import ObjectStore, Stat
from indexer.store.reader import open_whole
from indexer.upkeep.survey import Folder, survey
from indexer.value import value

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
    journal: Journal,
    *,
    see: Callable[[Folder], None] = lambda folder: None,
    respelled: bool = False,
) -> tuple[list[str], list[Refusal]]:
    """Publish the files that lie in the store and are not published; return their keys, and what was refused.

    Args:
        snapshot: as it is stored; what the log has beyond it is looked at before anything is published.
        journal: has read the log no further than the snapshot goes.
        see: called with every folder on the way.
        respelled: whether files may mean the same by several spellings, as a predecessor's do.
    """
    adoption = _Adoption(store, journal, respelled=respelled)
    for folder in survey(store, snapshot):
        see(folder)
        adoption.take(folder)
    return adoption.adopted, adoption.refused


def _unpublished(folder: Folder) -> Iterator[Stat]:
    published = {file_key(folder.project.name, filename) for filename in folder.project.files}
    for stat in folder.stats:
        if not stat.key.endswith(BESIDE_SUFFIXES) and stat.key not in published:
            yield stat


def _check_taken(project: Project, filename: Filename, version: str, *, respelled: bool) -> None:
    key = file_key(project.name, filename)
    if project.status in CLOSED_STATUSES:
        raise InvalidValue("key", key, f"the project is {project.status} and takes no files")
    if is_withdrawn(project, version):
        raise InvalidValue("key", key, f"version {version} was removed; restore it, or use another version")
    same = find_same(project, filename, version)
    if same is not None and (same.removed or not respelled):
        raise InvalidValue("key", key, f"{same.filename!r} was published, and this is another name for it")


class _Adoption:
    """Adopts the files of one folder after another; the log is read once.

    Attributes:
        adopted: keys of what was published.
    """

    def __init__(self, store: ObjectStore, journal: Journal, *, respelled: bool) -> None:
        self._store = store
        self._journal = journal
        self._respelled = respelled
        self._tail: dict[ProjectName, list[Event]] = {}  # of projects to come, and the one at hand
        self.adopted: list[str] = []
        self.refused: list[Refusal] = []

    def take(self, folder: Folder) -> None:
        """Publish what lies in a folder and is not published."""
        for stat in _unpublished(folder):
            known = fold(folder.project, self._tail.get(folder.project.name, ()))
            try:
                self._adopt(stat.key, known)
            except _Published:
                continue
            except (InvalidValue, Missing) as fault:
                logger.warning("%s is not published: %s", stat.key, fault)
                self.refused.append(Refusal(key=stat.key, reason=str(fault)))
            else:
                logger.info("%s is published", stat.key)
                self.adopted.append(stat.key)
        self._tail.pop(folder.project.name, None)

    def _adopt(self, key: str, known: Project) -> None:
        change = _look_into(self._store, key, known, respelled=self._respelled)

        def step(event: Event) -> None:
            nonlocal known
            self._note(event)
            if find_publication(event, change) is not None:
                raise _Published
            if isinstance(event.change, ProjectChange) and event.change.project == change.project:
                known = fold(known, [event])
                _check_taken(known, change.filename, change.version, respelled=self._respelled)

        self._note(self._journal.append(change, step=step))

    def _note(self, event: Event) -> None:
        if isinstance(event.change, ProjectChange):
            self._tail.setdefault(event.change.project, []).append(event)


def _look_into(store: ObjectStore, key: str, known: Project, *, respelled: bool) -> FileAdded:
    project, filename = _parse_key(key)
    if filename in known.files:  # since the snapshot
        raise _Published
    stat = store.stat(key)
    if stat is None:
        raise Missing(key)
    found = check_distribution(open_whole(store, key, stat.size), filename, name=project)
    _check_taken(known, filename, found.version, respelled=respelled)
    digest = stored_sha256(store, key)
    if store.stat(key) != stat:  # whoever copies into a folder writes in pieces
        raise InvalidValue("key", key, "it changed while it was read; it is looked at again next time")
    return FileAdded(
        project=project,
        filename=filename,
        version=found.version,
        size=stat.size,
        sha256=digest,
        upload_time=timestamp(stat.modified),
        requires_python=found.requires_python,
        metadata_sha256=put_metadata(store, project, filename, found),
    )


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
