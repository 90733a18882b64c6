"""One private project's objects against the fold of its events: the files, their sizes and digests, the pages.

Knows nothing of the rest of the store, nor of where events and listing come from.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from indexer.digests import digest_of
from indexer.errors import CorruptObject, Missing
from indexer.keys import LEFT_SUFFIXES, METADATA, PAGES, PROJECTS, file_key, provenance_key
from indexer.log.events import Event
from indexer.log.project import File, Project, empty_project, fold
from indexer.names import ProjectName
from indexer.simple.page import Renderer, compress, decompress
from indexer.store.base import ObjectStore, Stored, side_by_side
from indexer.upkeep.retention import is_kept
from indexer.value import value
from indexer.verify.findings import Findings

# An upload is an object before it is an event: no upload takes so long, so a younger object may become one.
IN_FLIGHT = timedelta(hours=1)
MAX_HASHED = 8  # files read side by side: a few MiB of each are in memory


@value
class Held:
    """An object as the listing has it; `modified` in seconds since the epoch."""

    size: int
    modified: float


@value
class Group:
    """What belongs to one project: its events in order, and its objects by key."""

    name: ProjectName
    events: Sequence[Event]
    objects: Mapping[str, Held]


class ProjectCheck:
    """Checks private projects.

    Args:
        now: when orphans and removed files are that old.
        removed_days: for how long removed files are kept; 0 for ever.
        up_to: the event up to which the pages were made; None where pages cannot be compared.
    """

    def __init__(
        self,
        store: ObjectStore,
        renderer: Renderer,
        findings: Findings,
        *,
        now: datetime,
        removed_days: int,
        up_to: int | None,
    ) -> None:
        self._store = store
        self._renderer = renderer
        self._findings = findings
        self._now = now
        self._removed_days = removed_days
        self._up_to = up_to
        self.projects = 0
        self.files = 0
        self.bytes_hashed = 0

    def check(self, groups: Sequence[Group]) -> None:
        """Check that each file is there with its size, that each page is what it must be, and what else lies there."""
        pages: dict[str, bytes] = {}
        for group in groups:
            project = _folded(group)
            self.projects += bool(project.files)
            self.files += len(project.files)
            self._check_files(project, group.objects)
            pages |= self._expected_pages(group)
            if self._up_to is not None:
                self._check_orphans(project, group.objects)
        self._check_pages(pages)

    def check_content(self, group: Group) -> None:
        """Read a project's files and compare their digests."""
        project = _folded(group)
        digests = _digests(project)
        sizes = {file_key(project.name, file.filename): file.size for file in project.files.values()}
        # One of another size is reported already.
        held = {key: group.objects[key].size for key in digests if key in group.objects}
        present = [key for key, size in held.items() if sizes.get(key, size) == size]
        for key, found in side_by_side(self._store, self._find_sha256, present, at_once=MAX_HASHED):
            self.bytes_hashed += held[key]
            if found is not None and found != digests[key]:
                self._findings.lost(key, f"it has sha256 {found}, and {digests[key]} was published")

    def _find_sha256(self, key: str) -> str | None:
        try:
            return digest_of(self._store.read(key))
        except Missing:  # removed meanwhile; whether it may be missing is `_check_files`' concern
            return None

    def _check_files(self, project: Project, objects: Mapping[str, Held]) -> None:
        for file in project.files.values():
            key = file_key(project.name, file.filename)
            self._check_object(key, objects, file, size=file.size)
            if file.metadata_sha256 is not None:
                self._check_object(key + METADATA, objects, file, size=None)
            if file.provenance_sha256 is not None:
                beside = provenance_key(project.name, file.provenance_sha256)
                self._check_object(beside, objects, file, size=None)

    def _check_object(self, key: str, objects: Mapping[str, Held], file: File, *, size: int | None) -> None:
        held = objects.get(key)
        found = None if held is None else held.size
        if found is None or size not in (None, found):
            stat = self._store.stat(key)  # it was published after the listing was read, or is damaged
            found = None if stat is None else stat.size
        if found is not None:
            if size not in (None, found):
                self._findings.lost(key, f"it has {found:,} bytes, and {size:,} were published")
        elif file.removed_at is None:
            self._findings.lost(key, "the file is missing; it was published and is offered")
        elif is_kept(file.removed_at, self._removed_days, self._now):
            self._findings.lost(key, "the removed file is missing, though it could still be restored")

    def _expected_pages(self, group: Group) -> Mapping[str, bytes]:
        if self._up_to is None:
            return {}
        project = fold(empty_project(group.name), (event for event in group.events if event.seq <= self._up_to))
        if not project.files:
            return {}
        return {
            self._renderer.json_key(project.name, project.seq): self._renderer.render_json(project),
            self._renderer.html_key(project.name, project.seq): self._renderer.render_html(project),
        }

    def _check_pages(self, pages: Mapping[str, bytes]) -> None:
        for key, stored in self._store.find_all(pages):
            if fault := find_fault(key, stored, pages[key]):
                self._findings.stale(key, fault)

    def _check_orphans(self, project: Project, objects: Mapping[str, Held]) -> None:
        named = _digests(project).keys()
        young = (self._now - IN_FLIGHT).timestamp()
        for key, held in objects.items():
            if key in named or held.modified > young:
                continue
            if key.startswith(PAGES) and not project.files:
                self._findings.unneeded(key, "the page is of a project that has no files")
            elif key.endswith(LEFT_SUFFIXES) and key.startswith(PROJECTS):
                self._findings.unneeded(key, "serverless-pypi 0.0.6 left it; this version has no use for it")
            elif key.startswith(PROJECTS):
                self._findings.unneeded(key, "no event names it; a reindex publishes it, or says why not")


def find_fault(key: str, stored: Stored | None, content: bytes) -> str | None:
    """Return what is wrong with a compressed page that must have this content, or None.

    Other compressed bytes of the same content are as good: each zlib makes its own.
    """
    if stored is None:
        return "the page is missing"
    if stored.body == compress(content):
        return None
    try:
        same = decompress(key, stored.body) == content
    except CorruptObject as fault:
        return fault.reason
    return None if same else "the page is not what the log's events make of it"


def _folded(group: Group) -> Project:
    return fold(empty_project(group.name), group.events)


def _digests(project: Project) -> Mapping[str, str]:
    """Return what is to be stored of a project's files, with its digest, by key."""
    digests = {}
    for file in project.files.values():
        key = file_key(project.name, file.filename)
        digests[key] = file.sha256
        if file.metadata_sha256 is not None:
            digests[key + METADATA] = file.metadata_sha256
        if file.provenance_sha256 is not None:
            digests[provenance_key(project.name, file.provenance_sha256)] = file.provenance_sha256
    return digests
