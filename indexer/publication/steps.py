"""Publishing a file: the order of steps that survives a crash between any two of them.

    rules → file (put-if-absent) → `.metadata` → provenance → event: this is the commit

Before the commit there is at most an unpublished object, which a retry with the same bytes takes over. Every way in
comes here: forms, parts, the drop box, other indexes, and files that lie in their place.
"""

from contextlib import suppress
from hashlib import sha256

from indexer.errors import AlreadyExists
from indexer.keys import METADATA, file_key, provenance_key
from indexer.log.events import Event, FileAdded, ProjectChange
from indexer.log.journal import Journal, Step, pass_by
from indexer.log.project import Project, fold
from indexer.publication.candidate import Candidate
from indexer.publication.place import put_file
from indexer.publication.rules import check_publishable
from indexer.store.base import ObjectStore


def publish(
    store: ObjectStore, candidate: Candidate, project: Project, journal: Journal, *, step: Step = pass_by
) -> Event:
    """Store a file that was checked, and what goes with it; return the event that publishes it.

    Args:
        project: as it is at the journal's head.
        step: called with each event that others wrote since.

    Raises:
        Published: it is published already, with this content.
        Taken, Closed: it may not be published here, or not now.
    """
    check_publishable(candidate, project)
    if candidate.chunks is not None:
        put_file(store, candidate, candidate.chunks, journal.now)
    metadata_sha256 = _put_metadata(store, candidate)
    _put_provenance(store, candidate)

    def check_again(event: Event) -> None:
        nonlocal project
        step(event)
        if isinstance(event.change, ProjectChange) and event.change.project == project.name:
            project = fold(project, [event])
            check_publishable(candidate, project)

    return journal.append(_change(candidate, metadata_sha256), step=check_again)


def _change(candidate: Candidate, metadata_sha256: str | None) -> FileAdded:
    return FileAdded(
        project=candidate.project,
        filename=candidate.filename,
        version=candidate.found.version,
        size=candidate.size,
        sha256=candidate.sha256,
        upload_time=candidate.upload_time or "",  # that of the event
        requires_python=candidate.found.requires_python,
        metadata_sha256=metadata_sha256,
        provenance_sha256=candidate.provenance_sha256,
    )


def _put_metadata(store: ObjectStore, candidate: Candidate) -> str | None:
    """Store a file's `.metadata`, if it is of the kind that has one, and return its sha256."""
    metadata = candidate.found.metadata
    if metadata is None:
        return None
    key = file_key(candidate.project, candidate.filename) + METADATA
    try:
        store.put_new(key, metadata, immutable=True)
    except AlreadyExists:
        # It was made of the file that lies beside it, which has these bytes, or by a predecessor from an upload's form.
        store.put(key, metadata, immutable=True)
    return sha256(metadata).hexdigest()


def _put_provenance(store: ObjectStore, candidate: Candidate) -> None:
    if candidate.provenance is None or candidate.provenance_sha256 is None:
        return
    key = provenance_key(candidate.project, candidate.provenance_sha256)
    with suppress(AlreadyExists):  # its key is its digest
        store.put_new(key, candidate.provenance, content_type="application/json", immutable=True)
