"""What lies under `projects/`, folder by folder, each with the project that the snapshot knows there."""

from collections.abc import Callable, Iterator
from itertools import groupby, islice

from indexer.derive.rebuild import get_project
from indexer.derive.snapshot import Snapshot
from indexer.keys import PROJECTS, project_of
from indexer.log.project import Project, empty_project
from indexer.names import ProjectName, is_normalized
from indexer.store.base import ObjectStore, Stat
from indexer.value import value

PAGES_AT_ONCE = 32  # read side by side


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
    while batch := list(islice(groups, PAGES_AT_ONCE)):
        projects = store.gather(*(_reader(store, snapshot, name) for name, _ in batch))
        for project, (_, stats) in zip(projects, batch, strict=True):
            yield Folder(project=project, stats=stats)


def _folder(stat: Stat) -> str:
    return project_of(PROJECTS, stat.key)


def _reader(store: ObjectStore, snapshot: Snapshot, name: str) -> Callable[[], Project]:
    if not is_normalized(name):
        return lambda: empty_project(ProjectName(name))
    return lambda: get_project(store, snapshot, ProjectName(name))
