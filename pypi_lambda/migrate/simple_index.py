"""Another index over its simple API: devpi, Artifactory, CodeArtifact, or one of our own.

Simple repository API (PEP 503, 592, 691, 700, 792), read as the mirror reads its upstream.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from indexer.errors import InvalidValue, Missing, UpstreamUnavailable
from indexer.log.project import STATUSES
from indexer.names import ProjectName, normalize_name
from indexer.patterns import matches_any
from indexer.upstream.client import Fetched, Upstream
from indexer.upstream.listing import parse_listing
from indexer.upstream.sources import Source
from indexer.upstream.url import shown_url
from pypi_lambda.migrate.origin import OriginFile, OriginProject, checked_time
from pypi_lambda.mirror.files import MAX_FILE_BYTES


class SimpleIndexOrigin:
    """Some projects of an index.

    Args:
        wanted: names, and patterns of normalised names in which `*` is any run of characters.
        now: the current time.
    """

    def __init__(self, upstream: Upstream, wanted: tuple[str, ...], *, now: Callable[[], datetime]) -> None:
        if not wanted:
            raise InvalidValue("projects", "", "the names of projects, or patterns such as 'acme-*'")
        self._upstream = upstream
        self._patterns = tuple(text.lower() for text in wanted if "*" in text)
        self._chosen = {normalize_name(text, field="projects") for text in wanted if "*" not in text}
        self._now = now

    def names(self) -> tuple[ProjectName, ...]:
        """Return the names that are wanted; the index is asked for all of its names only where there are patterns."""
        found: set[ProjectName] = set()
        if self._patterns:
            found = {name for name in self._upstream.fetch_names() if matches_any(name, self._patterns)}
        return tuple(sorted(self._chosen | found))

    def read_project(self, name: ProjectName) -> OriginProject:
        """Return a project as the index has it now."""
        answer = self._upstream.fetch_page(name)
        if not isinstance(answer, Fetched):
            raise UpstreamUnavailable(f"{self._upstream.index_url} has no project {name!r}")
        listing = parse_listing(name, answer.content, content_type=answer.content_type, url=answer.url)
        wire: dict[str, Any] = {file["filename"]: file for file in listing.page["files"]}
        files = tuple(self._file(wire[filename], source) for filename, source in listing.sources.items())
        return OriginProject(name=name, files=files, status=_find_status(listing.page))

    def _file(self, wire: dict[str, Any], source: Source) -> OriginFile:
        @contextmanager
        def open_() -> Iterator[Iterator[bytes]]:
            with self._upstream.open_file(source.url, limit=MAX_FILE_BYTES) as download:
                if download is None:
                    raise Missing(shown_url(source.url))
                yield download.chunks

        yanked = wire.get("yanked", False)
        return OriginFile(
            filename=wire["filename"],
            where=shown_url(source.url),
            hashes=source.hashes,
            upload_time=checked_time(wire.get("upload-time"), now=self._now()),
            yanked=None if yanked is False else "" if yanked is True else str(yanked),
            open=open_,
        )


def _find_status(page: Any) -> tuple[str, str] | None:
    status = page.get("project-status", {})
    return (status["status"], status.get("reason", "")) if status.get("status") in STATUSES else None
