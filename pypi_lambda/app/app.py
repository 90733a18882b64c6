"""The routes: what is asked for, and who answers it. What errors answer is in `pypi_lambda.app.faults`.

Every request but `GET /health` is authenticated. What a request needs of the store is read side by side with the user's
record and the log's next event; only when all of it is there is anything decided.

Simple repository API (PEP 503, 691, 700, 714); legacy upload API: docs/facts.md.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from indexer.errors import (
    IndexerError,
    InvalidValue,
)
from indexer.names import Filename, ProjectName, check_listed_filename, normalize_name
from indexer.store.reads import Reads
from indexer.value import replace
from pypi_lambda.access.auth import read_claim
from pypi_lambda.access.records import MAX_RECORD_BYTES, User
from pypi_lambda.app.files import Asked, Files
from pypi_lambda.app.service import Service
from pypi_lambda.http.faults import (
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    RequestError,
)
from pypi_lambda.http.headers import negotiate
from pypi_lambda.http.model import NO_SNIFFING, PLAIN_TEXT, Request, Response, without_body
from pypi_lambda.http.percent import quote_path, quote_query
from pypi_lambda.metrics.metrics import metered
from pypi_lambda.view.index import NOTHING, Page, Wanted
from pypi_lambda.view.view import Standing, View

if TYPE_CHECKING:
    from datetime import datetime

PROMETHEUS_TEXT = ("Content-Type", "text/plain; version=0.0.4; charset=utf-8")  # "Exposition formats"
BESIDE_SIMPLE = ""  # stands for what `/{project}/json` is below: no path has such a segment

logger = logging.getLogger(__name__)


class App:
    """Answers requests with the parts of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._index = service.index
        self._files = Files(service)
        read = {"GET": self._root, "HEAD": self._root}
        # method by method for each shape of a path; `simple` stands for its aliases, `*` for one segment
        self._routes: dict[tuple[str, ...], dict[str, Callable[..., Response]]] = {
            ("health",): {"GET": self._health, "HEAD": self._health},
            ("metrics",): {"GET": self._metrics, "HEAD": self._metrics},
            (): {"GET": self._home, "HEAD": self._home, "POST": self._upload},
            ("project", "*"): {"GET": self._detail, "HEAD": self._detail},
            ("legacy",): {"POST": self._upload},
            ("uploads",): {"POST": self._begin_parts},
            ("uploads", "*"): {"POST": self._commit_parts},
            ("uploads", "*", "*"): {"PUT": self._put_part},
            ("simple",): {**read, "POST": self._upload},
            ("simple", "*"): {"GET": self._project, "HEAD": self._project},
            ("simple", "*", "*"): {"GET": self._file, "HEAD": self._file},
            ("packages", "*", "*"): {"GET": self._file, "HEAD": self._file},
            (BESIDE_SIMPLE, "*"): {"GET": self._document_beside, "HEAD": self._document_beside},
            ("pypi", "*", "*"): {"GET": self._document, "HEAD": self._document},
            ("pypi", "*", "*", "*"): {"GET": self._document, "HEAD": self._document},
            **{("at", *("*" * count)): {"GET": self._at, "HEAD": self._at} for count in (2, 3, 4, 5)},
        }

    def __call__(self, request: Request) -> Response:
        """Return the response to a request; only a bug raises."""
        try:
            response = self._respond(request)
        except IndexerError as error:
            from pypi_lambda.app.faults import answer_fault

            response = answer_fault(error, request)
        return without_body(response) if request.method == "HEAD" else response

    def _respond(self, request: Request) -> Response:
        segments = tuple(segment for segment in request.path.split("/") if segment)
        if segments and segments[0] == "+simple":  # hatch reads {upload URL}/+simple/{name}/ before it uploads
            segments = ("simple", *segments[1:])
        elif segments[1:] == ("json",) and (segments[0], "*") not in self._routes:
            segments = (BESIDE_SIMPLE, segments[0])
        shape = segments[:1] + ("*",) * (len(segments) - 1)
        methods = self._routes.get(shape)
        if shape == ("health",) and methods is not None and request.method in methods:
            return self._health(request)
        if methods is None:
            self._authenticate(request)
            raise NotFound(f"there is nothing at {request.path[:200]!r}")
        if request.method not in methods:
            self._authenticate(request)
            raise MethodNotAllowed(request.method, allowed=tuple(methods))
        return methods[request.method](request, *segments[1:])

    def _authenticate(self, request: Request) -> User:
        return self._read(request)[0]

    @contextmanager
    def _reading(self, request: Request) -> Iterator[None]:
        """Read what a request means; one that means nothing is refused only to those who may ask."""
        try:
            yield
        except RequestError:
            self._authenticate(request)
            raise

    def _read(self, request: Request, wanted: Wanted = NOTHING) -> tuple[User, View, Reads]:
        """Authenticate, bring the view up to date, and read what is wanted, all in one round trip.

        Raises:
            Unauthorized: the credentials are missing or wrong.
            TooManyRequests: they were wrong too often.
        """
        claim = read_claim(request.headers.get("authorization"))
        view = self._index.view
        event, reads = self._index.read(view, replace(wanted, records=claim.keys, record_limit=MAX_RECORD_BYTES))
        records = [reads.find(key) for key in claim.keys]
        user = self._service.authenticator.check_claim(claim, records, client=request.client)
        return user, self._index.follow(view, event), reads

    def _health(self, request: Request) -> Response:
        return self._service.health.answer()

    def _metrics(self, request: Request) -> Response:
        self._authenticate(request)
        return Response(status=200, headers=(PROMETHEUS_TEXT, NO_SNIFFING), body=self._service.render_metrics())

    def _home(self, request: Request) -> Response:
        user, view, _ = self._read(request)
        if not _is_browser(request):
            return _redirect(request, "/simple/")
        from pypi_lambda.browse.overview import Overview

        return Overview(self._service.store, self._index).answer(request, user, view)

    def _detail(self, request: Request, raw: str) -> Response:
        with self._reading(request):
            name = _project_name(raw)
        user, view, _ = self._read(request)
        if name != raw or not request.path.endswith("/"):
            return _redirect(request, f"/project/{name}/")
        from pypi_lambda.browse.detail import Detail

        return Detail(self._service.store, self._index).answer(request, user, view, name)

    def _upload(self, request: Request) -> Response:
        return _send_text(self._service.publisher.receive(request, self._uploader(request)))

    def _uploader(self, request: Request) -> User:
        user = self._authenticate(request)
        # A browser that knows somebody's password sends it with whatever any page makes it send, and says so with this
        # header (Fetch, "append a request Origin header"). No client that uploads is a page.
        if "origin" in request.headers:
            raise Forbidden("uploads from web pages are not taken")
        if not user.upload:
            who = f"{user.username!r} with this token" if user.token else f"{user.username!r}"
            raise Forbidden(f"{who} may read but not upload; ask the administrator for the upload role")
        return user

    def _begin_parts(self, request: Request) -> Response:
        return self._service.parts.begin(request, self._uploader(request))

    def _put_part(self, request: Request, upload: str, number: str) -> Response:
        return self._service.parts.put_part(request, self._uploader(request), upload, number)

    def _commit_parts(self, request: Request, upload: str) -> Response:
        return self._service.parts.commit(request, self._uploader(request), upload)

    def _root(self, request: Request) -> Response:
        with self._reading(request):
            page_format = negotiate(request.headers.get("accept"))
        _, view, _ = self._read(request)
        if not request.path.endswith("/"):
            return _redirect(request, "/simple/")
        return self._service.page_delivery.send_root(request, view.current, page_format)

    def _at(self, request: Request, raw_moment: str, *segments: str) -> Response:
        """Answer from what was there at an earlier moment: the same addresses, below another base."""
        path = "/".join(["", *segments]).replace("/+simple", "/simple", 1) + ("/" if request.path.endswith("/") else "")
        if segments[1:] == ("json",) and segments[0] not in ("simple", "+simple"):
            segments = (BESIDE_SIMPLE, segments[0])
        answer = _AT_MOMENTS.get((segments[0].removeprefix("+"), len(segments)))
        if answer is None:
            self._authenticate(request)
            raise NotFound(f"there is nothing at {request.path[:200]!r}")
        with self._reading(request):
            moment = self._moment(raw_moment)
        prefix = f"/at/{raw_moment}"
        request = replace(
            request,
            path=path,
            base_path=request.base_path + prefix,
            root_url=request.root_url and request.root_url + quote_path(prefix),
        )
        if len(segments) == 1:
            self._authenticate(request)
            raise NotFound("an earlier moment has no list of projects; ask for one: /at/{date}/simple/{project}/")
        return answer(self, request, *segments[1:], moment=moment)

    def _moment(self, raw: str) -> "datetime":
        try:
            return self._service.past.parse_moment(raw)
        except InvalidValue as error:
            raise BadRequest(str(error)) from None

    def _project(self, request: Request, raw: str, *, moment: "datetime | None" = None) -> Response:
        with self._reading(request):
            name, page_format = _project_name(raw), negotiate(request.headers.get("accept"))
        if name != raw or not request.path.endswith("/"):
            self._authenticate(request)
            return _redirect(request, f"/simple/{name}/")
        extension = "html" if page_format.is_html else "json"
        wanted = self._wanted(name, extension)
        _, view, reads = self._read(request, wanted)
        page = self._page(view, name, extension, reads, moment)
        self._service.count_page(kept=not wanted.pages)
        if view.standing(name) is Standing.PRIVATE:
            page = self._service.page_delivery.with_addresses(request, name, page)
        response = self._service.page_delivery.send_project(request, page, page_format)
        if response is None:
            page = self._page(view, name, "json", reads, moment)
            return self._service.page_delivery.send_copy(request, name, page, page_format)
        return response

    def _document(self, request: Request, raw: str, *rest: str, moment: "datetime | None" = None) -> Response:
        """Answer with the legacy JSON document of a project, or of one version: `rest` is `[version,] "json"`.

        Its files are below `packages/`, as the public index has them: bandersnatch takes them from nowhere else.
        """
        if rest[-1] != "json":
            self._authenticate(request)
            raise NotFound(f"there is nothing at {request.path[:200]!r}")
        version = rest[0] if len(rest) > 1 else None
        return self._tell(request, raw, "/".join(["/pypi", "{}", *rest]), version, "packages", moment)

    def _document_beside(self, request: Request, raw: str, *, moment: "datetime | None" = None) -> Response:
        """Answer with the document as pip-tools asks for it: it compares the addresses of files with the page's."""
        return self._tell(request, raw, "/{}/json", None, "simple", moment)

    def _tell(
        self, request: Request, raw: str, path: str, version: str | None, files: str, moment: "datetime | None"
    ) -> Response:
        with self._reading(request):
            name = _project_name(raw)
        if name != raw:
            self._authenticate(request)
            return _redirect(request, path.replace("{}", name, 1))
        _, view, reads = self._read(request, self._wanted(name, "json"))
        page = self._page(view, name, "json", reads, moment)
        return self._service.documents.answer(request, view, name, page, version, files)

    def _wanted(self, name: ProjectName, extension: str) -> Wanted:
        """Return what will probably be needed for a project's page."""
        view = self._index.view
        standing = view.standing(name)
        if standing is Standing.PRIVATE:
            key = self._index.find_page_key(view, name, extension)
            return NOTHING if key is None else Wanted(pages=(key,))
        return Wanted(pages=self._service.mirror.pages.keys_to_read(name)) if standing is Standing.UPSTREAM else NOTHING

    def _page(
        self,
        view: View,
        name: ProjectName,
        extension: str,
        reads: Reads,
        moment: "datetime | None" = None,
    ) -> Page:
        standing = view.standing(name)
        if standing is Standing.PRIVATE:
            if moment is not None:
                return self._service.past.page(self._index.project(view, name), extension, moment)
            return self._index.page(view, name, extension, reads)
        page = None
        if standing is Standing.UPSTREAM:
            page = self._service.offer(moment).find_page(name, extension, reads, moment=moment)
        if page is None:
            raise NotFound(f"there is no project {name!r}")
        return page

    def _file(self, request: Request, raw: str, raw_filename: str, *, moment: "datetime | None" = None) -> Response:
        if request.path.endswith("/"):
            self._authenticate(request)
            raise NotFound(f"a file's address has no slash at its end: {request.path[:200]!r}")
        with self._reading(request):
            name, filename = _project_name(raw), _filename(raw_filename)
        if name != raw:
            self._authenticate(request)
            return _redirect(request, f"/simple/{name}/{filename}")
        asked = Asked(name=name, filename=filename, moment=moment)
        _, view, reads = self._read(request, self._files.wanted(asked))
        return self._files.answer(request, view, asked, reads)


def make_app(service: Service) -> Callable[[Request], Response]:
    """Return the app with each request timed."""
    return metered(App(service), service.metrics, clock=perf_counter)


# what is answered below `/at/{date}/`, by the first segment there and how many there are
_AT_MOMENTS: dict[tuple[str, int], Callable[..., Response]] = {
    ("simple", 1): App._root,
    ("simple", 2): App._project,
    ("simple", 3): App._file,
    ("packages", 3): App._file,
    ("pypi", 3): App._document,
    ("pypi", 4): App._document,
    (BESIDE_SIMPLE, 2): App._document_beside,
}


def _send_text(text: str) -> Response:
    return Response(status=200, headers=(PLAIN_TEXT, NO_SNIFFING), body=f"{text}\n".encode())


def _is_browser(request: Request) -> bool:
    """Tell whether the request is a browser's, which names HTML; installers ask for an index in its own words."""
    return "text/html" in request.headers.get("accept", "")


def _project_name(raw: str) -> ProjectName:
    try:
        return normalize_name(raw)
    except InvalidValue as error:
        raise NotFound(str(error)) from None


def _filename(raw: str) -> Filename:
    try:
        return check_listed_filename(raw)
    except InvalidValue as error:
        raise NotFound(str(error)) from None


def _redirect(request: Request, path: str) -> Response:
    # Encoded whatever the front door did: no header begins in what a client sent.
    query = f"?{quote_query(request.query)}" if request.query else ""
    return Response(status=301, headers=(("Location", f"{quote_path(request.base_path + path)}{query}"),))
