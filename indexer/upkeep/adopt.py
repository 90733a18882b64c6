"""Files that somebody put straight under `projects/{name}/`, as serverless-pypi had it for large ones: checked, then
published.

The fold is idempotent and a file never changes, so adopting one whose upload is in flight at this moment does no harm:
both events name the same object.
"""

import logging
from collections.abc import Callable, Iterator

from indexer.derive.snapshot import Snapshot
from indexer.distributions.distribution import check_distribution
from indexer.errors import DigestMismatch, InvalidValue, Missing, Unpublishable
from indexer.keys import BESIDE_SUFFIXES, PROJECTS, file_key
from indexer.log.events import Event, ProjectChange, timestamp
from indexer.log.journal import Journal
from indexer.log.project import Project, fold
from indexer.names import Filename, ProjectName, check_filename, is_normalized
from indexer.publication.candidate import Candidate, check_stored
from indexer.publication.rules import Published
from indexer.publication.steps import publish
from indexer.store.base import ObjectStore, Stat
from indexer.store.reader import open_whole
from indexer.upkeep.survey import Folder, survey
from indexer.value import replace, value

logger = logging.getLogger(__name__)


@value
class Refusal:
    """An object that cannot be published, and why."""

    key: str
    reason: str


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
        names = (stat.key.rpartition("/")[2] for stat in folder.stats)
        beside = frozenset(map(Filename, names)) if self._respelled else frozenset[Filename]()
        for stat in _unpublished(folder):
            try:
                self._adopt(stat.key, folder.project, beside)
            except Published:  # by another, since the snapshot
                continue
            except (InvalidValue, Missing, Unpublishable) as fault:
                logger.warning("%s is not published: %s", stat.key, fault)
                self.refused.append(Refusal(key=stat.key, reason=str(fault)))
            else:
                logger.info("%s is published", stat.key)
                self.adopted.append(stat.key)
        self._tail.pop(folder.project.name, None)

    def _adopt(self, key: str, project: Project, beside: frozenset[Filename]) -> None:
        candidate = replace(_check_in_place(self._store, key), beside=beside)
        known = fold(project, self._tail.get(project.name, ()))
        self._note(publish(self._store, candidate, known, self._journal, step=self._note))

    def _note(self, event: Event) -> None:
        if isinstance(event.change, ProjectChange):
            self._tail.setdefault(event.change.project, []).append(event)


def _check_in_place(store: ObjectStore, key: str) -> Candidate:
    project, filename = _parse_key(key)
    stat = store.stat(key)
    if stat is None:
        raise Missing(key)
    changed = InvalidValue("key", key, "it changed while it was read; it is looked at again next time")
    try:
        found = check_stored(store, key, filename, stat.size, hashes={}, name=project)
    except DigestMismatch:
        raise changed from None
    if store.stat(key) != stat:  # whoever copies into a folder writes in pieces
        raise changed
    return replace(found, chunks=None, upload_time=timestamp(stat.modified))


def is_publishable(store: ObjectStore, stat: Stat) -> bool:
    """Tell whether an object could be published: whether adopting it would not refuse it."""
    try:
        project, filename = _parse_key(stat.key)
        check_distribution(open_whole(store, stat.key, stat.size), filename, name=project)
    except InvalidValue:
        return False
    return True


def _parse_key(key: str) -> tuple[ProjectName, Filename]:
    name, slash, filename = key.removeprefix(PROJECTS).partition("/")
    if not slash or not is_normalized(name):
        raise InvalidValue("key", key, "a file lies at projects/{normalised name}/{file name}")
    return ProjectName(name), check_filename(filename)
