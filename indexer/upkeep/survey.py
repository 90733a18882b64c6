"""What lies under `projects/`, folder by folder, each with the project that the snapshot knows there."""

from collections.abc import Iterator
from functools import partial
from itertools import groupby

from indexer.derive.rebuild import get_project
from indexer.derive.snapshot import Snapshot
from indexer.keys import PROJECTS, project_of
from indexer.log.project import Project, empty_project
from indexer.names import ProjectName, is_normalized
from indexer.store.base import ObjectStore, Stat, side_by_side
from indexer.value import value


@value
class Folder:
    """A project as the snapshot has it, without files where it has none, and the objects that lie in its folder."""

    project: Project
    stats: tuple[Stat, ...]


def survey(store: ObjectStore, snapshot: Snapshot) -> Iterator[Folder]:
    """Yield every folder below `projects/`.

    Raises:
        Missing, CorruptObject: a page that the snapshot names is gone or unreadable.
    """
    groups = ((name, tuple(stats)) for name, stats in groupby(store.list(PROJECTS), key=_folder))
    yield from (folder for _, folder in side_by_side(store, partial(_look_into, store, snapshot), groups))


def _folder(stat: Stat) -> str:
    return project_of(PROJECTS, stat.key)


def _look_into(store: ObjectStore, snapshot: Snapshot, group: tuple[str, tuple[Stat, ...]]) -> Folder:
    name, stats = ProjectName(group[0]), group[1]
    project = get_project(store, snapshot, name) if is_normalized(name) else empty_project(name)
    return Folder(project=project, stats=stats)
