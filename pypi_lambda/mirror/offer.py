"""What of the upstream is offered: the interface of the mirror, and of every filter that is put around it.

A filter is a module with one class that has an `Offer` inside and is one itself: it hides what it must, and asks the
inner one for the rest. `pypi_lambda.app.service.FILTERS` says which there are.
"""

from typing import TYPE_CHECKING, Any, Protocol

from indexer.json_bytes import encode_json
from indexer.simple.page import compress
from indexer.value import value
from pypi_lambda.view.index import page_of

if TYPE_CHECKING:
    from datetime import datetime

    from indexer.names import Filename, ProjectName
    from indexer.simple.page import Renderer
    from indexer.store.reads import Reads
    from pypi_lambda.view.index import Page


def page_with(content: Any, extension: str, renderer: "Renderer") -> "Page":
    """Return the page with this content, written as `json` or `html`."""
    return page_of(compress(encode_json(content) if extension == "json" else renderer.html(content)))


@value
class FileQuery:
    """A file of an upstream project, of which somebody asks whether it may be delivered.

    Attributes:
        filename: the file's own, also where its metadata is asked for.
        moment: when it should have been there; None for now.
        is_asked: whether the upstream is asked for this project at all; otherwise the last page that is kept must do.
        is_stored: whether what is asked for was taken in.
        stored_at: when the file was, as far as that was asked.
    """

    name: "ProjectName"
    filename: "Filename"
    moment: "datetime | None"
    is_asked: bool
    is_stored: bool
    stored_at: "datetime | None"


class Offer(Protocol):
    """What of the upstream is offered."""

    def find_page(
        self, name: "ProjectName", extension: str, reads: "Reads", *, moment: "datetime | None" = None
    ) -> "Page | None":
        """Return a project's page as it is offered, or None when the upstream has no such project.

        Args:
            extension: `json` or `html`.
            reads: has what the mirror's pages want of the store, where that was read ahead.
            moment: leave out what was not there at that time.

        Raises:
            NotFound: there was nothing at that time.
            UpstreamUnavailable: the upstream failed, and nothing is stored that could be served in its place.
        """

    def find_listing(self, name: "ProjectName", *, is_asked: bool) -> "Page | None":
        """Return the page as JSON by which a project's files are judged: with what is not offered, too.

        Args:
            is_asked: as for a `FileQuery`.
        """

    def check_file(self, file: FileQuery) -> None:
        """Make sure that a file may be delivered.

        Raises:
            RequestError, UpstreamNonsense: it may not; the message says why.
        """


class Filter:
    """An offer that hides nothing yet of the inner one."""

    def __init__(self, inner: Offer) -> None:
        self.inner = inner

    def find_page(
        self, name: "ProjectName", extension: str, reads: "Reads", *, moment: "datetime | None" = None
    ) -> "Page | None":
        """Return the inner one's page."""
        return self.inner.find_page(name, extension, reads, moment=moment)

    def find_listing(self, name: "ProjectName", *, is_asked: bool) -> "Page | None":
        """Return the inner one's listing."""
        return self.inner.find_listing(name, is_asked=is_asked)

    def check_file(self, file: FileQuery) -> None:
        """Ask the inner one."""
        self.inner.check_file(file)
