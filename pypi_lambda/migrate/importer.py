"""Publishing what another index has: each file checked as an upload is, with its upload time, yank and status.

What is here already stays as it is, so an import that broke off is started again and goes on. A file that fails is
named and passed over.
"""

import logging
from tempfile import TemporaryFile
from typing import IO

from indexer.digests import digest_of, verified
from indexer.distributions.distribution import check_distribution
from indexer.errors import IndexerError
from indexer.keys import file_key
from indexer.log.events import FileYanked, ProjectStatusSet
from indexer.log.project import ACTIVE, File, Project
from indexer.names import Filename, ProjectName
from indexer.publication.candidate import Candidate
from indexer.store.reader import chunks_of
from indexer.value import value
from pypi_lambda.command.context import Context
from pypi_lambda.migrate.origin import Failure, Origin, OriginFile, OriginProject, checked_reason
from pypi_lambda.publish.upload import Publisher

REBUILD_EVERY = 64  # files: a tail that a process would reload the snapshot for

logger = logging.getLogger(__name__)


@value
class Imported:
    """What an import did.

    Attributes:
        published: keys of the files that are new here.
        present: how many were here before.
        yanked: keys of the files that were yanked here, because they are there.
        left_out: of files that were taken all the same, where they are and what is wrong with them.
    """

    projects: int
    published: tuple[str, ...]
    present: int
    yanked: tuple[str, ...]
    failures: tuple[Failure, ...]
    left_out: tuple[Failure, ...] = ()


class Importer:
    """Brings the projects of another index over.

    Args:
        lenient: take whatever pip installs; a value that is none stays off the page.
    """

    def __init__(self, context: Context, *, lenient: bool = False) -> None:
        self._context = context
        self._lenient = lenient
        self._left_out: list[Failure] = []
        self._service = context.service
        self._publisher = Publisher(
            context.service.store,
            context.service.index,
            now=context.now,
            new_id=context.new_id,
            request_rebuild=lambda seq: None,
        )
        self._published: list[str] = []
        self._yanked: list[str] = []
        self._failures: list[Failure] = []
        self._present = 0

    def run(self, origin: Origin) -> Imported:
        """Bring all of it over that is not here yet.

        Raises:
            IndexerError: the other index cannot be read at all, or our own store fails.
        """
        names = origin.names()
        for count, name in enumerate(names):
            self._context.on_progress(count, len(names))
            try:
                project = origin.read_project(name)
            except IndexerError as fault:
                self._failures.append(Failure(where=name, reason=str(fault)))
                continue
            self._bring(project)
        self._context.on_progress(len(names), len(names))
        self._rebuild()
        return Imported(
            projects=len(names),
            published=tuple(self._published),
            present=self._present,
            yanked=tuple(self._yanked),
            failures=tuple(self._failures),
            left_out=tuple(self._left_out),
        )

    def _bring(self, project: OriginProject) -> None:
        self._failures += project.failures
        known = self._known(project.name).files
        beside = frozenset(file.filename for file in project.files)
        for file in project.files:
            try:
                self._bring_file(project.name, file, known.get(file.filename), beside)
            except (IndexerError, OSError) as fault:  # the latter: no room for the copy, or a folder's file is gone
                logger.info("%s is passed over: %s", file.where, fault)
                self._failures.append(Failure(where=file.where, reason=str(fault)))
        self._mark(project)

    def _known(self, name: ProjectName) -> Project:
        return self._publisher.project(self._service.index.refresh(), name)

    def _bring_file(self, name: ProjectName, file: OriginFile, known: File | None, beside: frozenset[Filename]) -> None:
        if known is not None and known.sha256 == file.hashes.get("sha256"):
            self._present += 1
            return
        with TemporaryFile() as copy, file.open() as chunks:
            size = 0
            for chunk in verified(file.filename, chunks, hashes=file.hashes, size=None):
                size += copy.write(chunk)
            self._publish(name, file, copy, size, beside)
        if known is not None:  # the same content, or publishing would have refused it
            self._present += 1
            return
        self._published.append(file_key(name, file.filename))
        if len(self._published) % REBUILD_EVERY == 0:
            self._rebuild()

    def _publish(
        self, name: ProjectName, file: OriginFile, copy: IO[bytes], size: int, beside: frozenset[Filename]
    ) -> None:
        found = check_distribution(copy, file.filename, name=name, lenient=self._lenient)
        candidate = Candidate(
            filename=file.filename,
            found=found,
            size=size,
            sha256=digest_of(chunks_of(copy)),
            chunks=lambda: chunks_of(copy),
            upload_time=file.upload_time,
            beside=beside,
        )
        self._publisher.publish_checked(candidate, by=self._context.by)
        for sentence in found.left_out:
            logger.warning("%s is taken all the same: %s", file.where, sentence)
            self._left_out.append(Failure(where=file.where, reason=sentence))

    def _mark(self, project: OriginProject) -> None:
        """Yank and set the status as the other index has it, where nobody here has said anything yet."""
        here = self._known(project.name)
        for file in project.files:
            known = here.files.get(file.filename)
            if file.yanked is not None and known is not None and not known.turns:
                reason = checked_reason(file.yanked)
                self._context.append(FileYanked(project=project.name, filename=file.filename, reason=reason))
                self._yanked.append(file_key(project.name, file.filename))
        if project.status is not None and project.status[0] != ACTIVE and here.files and not here.statuses:
            status, reason = project.status[0], checked_reason(project.status[1])
            self._context.append(ProjectStatusSet(project=project.name, status=status, reason=reason))

    def _rebuild(self) -> None:
        self._service.rebuilds.request(self._service.index.refresh().current.head.seq)
