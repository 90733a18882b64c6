"""`GET /` in a browser: the private projects, how to install and upload, and for uploaders what happened last."""

import shlex
from collections.abc import Sequence
from functools import partial
from urllib.parse import parse_qs, quote, urlencode

from markupsafe import Markup

from indexer.distributions.versions import latest
from indexer.errors import CorruptObject
from indexer.keys import log_key
from indexer.log.describe import tell_change
from indexer.log.events import Event, decode_event
from indexer.log.project import ACTIVE, Project
from indexer.names import ProjectName
from indexer.store.base import ObjectStore, Stored, side_by_side
from indexer.value import values_of
from pypi_lambda import __version__
from pypi_lambda.access.records import User
from pypi_lambda.browse.layout import copyable, page
from pypi_lambda.http.address import find_root
from pypi_lambda.http.model import Request, Response
from pypi_lambda.view.index import Index
from pypi_lambda.view.view import View

PROJECTS_A_PAGE = 50  # each is read from the store the first time: some round trips, side by side
LAST_EVENTS = 15
MAX_QUERY_LENGTH = 200


class Overview:
    """The first page."""

    def __init__(self, store: ObjectStore, index: Index) -> None:
        self._store = store
        self._index = index

    def answer(self, request: Request, user: User, view: View) -> Response:
        """Return the page that a user asks for; `q` in the query is what is searched for, `page` which part of it."""
        query = parse_qs(request.query[: 4 * MAX_QUERY_LENGTH], errors="replace")
        wanted = query.get("q", [""])[0][:MAX_QUERY_LENGTH].strip()
        names = _matching(view, wanted)
        number = _page_number(query.get("page", ["1"])[0], len(names))
        on_this_page = names[(number - 1) * PROJECTS_A_PAGE : number * PROJECTS_A_PAGE]
        read = side_by_side(self._store, partial(self._index.project, view), on_this_page)
        projects = [project for _, project in read]
        content = [
            _search(request, wanted),
            _count(view, wanted, len(names)),
            _table(request, projects),
            _pages(request, wanted, number, len(names)),
            _instructions(request, user),
        ]
        if user.upload:
            content.append(self._events(view))
        shown = Markup().join(content)
        return page("Package index", root=request.base_path, user=user.username, version=__version__, content=shown)

    def _events(self, view: View) -> Markup:
        last = view.current.head.seq
        keys = [log_key(seq) for seq in range(last, max(0, last - LAST_EVENTS), -1)]
        read = [_find_event(key, stored) for key, stored in self._store.find_all(keys)]
        items = Markup().join(_tell(event) for event in read if event is not None)
        return Markup("<h2>Recent events</h2><ul class=events>{}</ul>").format(items) if items else items


def _find_event(key: str, stored: Stored | None) -> Event | None:
    try:
        return None if stored is None else decode_event(key, stored.body)
    except CorruptObject:  # `verify` is who says so
        return None


def _tell(event: Event) -> Markup:
    said = f"{event.by} {tell_change(type(event.change).__name__, values_of(event.change))}"
    return Markup('<li><span class="dim">{}</span> {}</li>').format(event.at[:16].replace("T", " "), said)


def _matching(view: View, wanted: str) -> Sequence[ProjectName]:
    needle = wanted.lower().replace("_", "-").replace(".", "-")
    return [name for name, _ in view.current.projects.items() if needle in name]


def _page_number(raw: str, count: int) -> int:
    last = max(1, -(-count // PROJECTS_A_PAGE))
    return min(max(1, int(raw)), last) if raw.isascii() and raw.isdecimal() and len(raw) < 10 else 1


def _search(request: Request, wanted: str) -> Markup:
    return Markup(
        '<form action="{}/" role="search"><input name="q" type="search" value="{}" '
        'placeholder="Search private projects" aria-label="Search private projects"><button>Search</button></form>'
    ).format(request.base_path, wanted)


def _count(view: View, wanted: str, count: int) -> Markup:
    upstream = view.current.upstream
    mirrored = (
        f", and {upstream.count:,} of the upstream" if upstream is not None and view.has_upstream and not wanted else ""
    )
    found = f" that match “{wanted}”" if wanted else ""
    return Markup('<p class="dim">{:,} private projects{}{}</p>').format(count, found, mirrored)


def _table(request: Request, projects: Sequence[Project]) -> Markup:
    if not projects:
        return Markup()
    rows = Markup().join(_row(request, project) for project in projects)
    return Markup(
        '<div class="scroll"><table>'
        "<tr><th>Project</th><th>Latest</th><th>Uploaded</th><th class=number>Files</th></tr>{}</table></div>"
    ).format(rows)


def _row(request: Request, project: Project) -> Markup:
    files = [file for file in project.files.values() if not file.removed]
    newest = latest((file.version, file.yanked is not None) for file in files)
    uploaded = max((file.upload_time for file in files), default="")[:10]
    link = f"{request.base_path}/project/{quote(project.name)}/"
    mark = "" if project.status == ACTIVE else Markup(' <span class="mark">{}</span>').format(project.status)
    return Markup(
        '<tr><td><a href="{}">{}</a>{}</td><td>{}</td><td class="date">{}</td><td class="number">{}</td></tr>'
    ).format(link, project.name, mark, newest or "–", uploaded, len(files))


def _pages(request: Request, wanted: str, number: int, count: int) -> Markup:
    last = max(1, -(-count // PROJECTS_A_PAGE))
    if last == 1:
        return Markup()

    def link(label: str, target: int) -> Markup:
        query = urlencode({**({"q": wanted} if wanted else {}), "page": target})
        return Markup('<a href="{}/?{}">{}</a> ').format(request.base_path, query, label)

    before = link("Previous", number - 1) if number > 1 else ""
    after = link("Next", number + 1) if number < last else ""
    return Markup("<p>{}{}<span class=dim>Page {} of {}</span></p>").format(before, after, number, last)


def _instructions(request: Request, user: User) -> Markup:
    root, index = root_of(request), index_of(request, user)
    content = [
        Markup("<h2>Install</h2>"),
        copyable(f"pip install --index-url {index} PROJECT"),
        copyable(f"uv pip install --index-url {index} PROJECT"),
    ]
    if user.upload:
        content += [
            Markup("<h2>Upload</h2>"),
            copyable(f"twine upload --repository-url {root}/ -u {shlex.quote(user.username)} dist/*"),
            copyable(f"uv publish --publish-url {root}/ -u {shlex.quote(user.username)} dist/*"),
        ]
    return Markup().join(content)


def root_of(request: Request) -> str:
    """Return the index's address as this client knows it, without a slash at its end; shown to the client alone."""
    return find_root(request) or "https://INDEX"


def index_of(request: Request, user: User) -> str:
    """Return the index URL with the user's name in it; clients ask for the password."""
    scheme, _, rest = root_of(request).partition("://")
    return f"{scheme}://{quote(user.username, safe='')}@{rest}/simple/"
