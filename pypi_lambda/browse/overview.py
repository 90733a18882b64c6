"""`GET /` in a browser: the private projects, how to install and upload, and for uploaders what happened last."""

import shlex
from collections.abc import Callable, Sequence
from urllib.parse import parse_qs, quote, urlencode

from indexer.errors import CorruptObject
from indexer.events import Event, decode_event
from indexer.keys import log_key
from indexer.names import ProjectName
from indexer.project import ACTIVE, Project
from indexer.store import ObjectStore
from indexer.value import values_of
from indexer.versions import latest
from pypi_lambda import __version__
from pypi_lambda.address import find_root
from pypi_lambda.browse.layout import Markup, copyable, joined, page, text
from pypi_lambda.http import Request, Response
from pypi_lambda.index import Index, View
from pypi_lambda.records import User
from pypi_lambda.telling import tell_change

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
        shown = names[(number - 1) * PROJECTS_A_PAGE : number * PROJECTS_A_PAGE]
        projects = self._store.gather(*(self._reader(view, name) for name in shown))
        content = [
            _search(request, wanted),
            _count(view, wanted, len(names)),
            _table(request, projects),
            _pages(request, wanted, number, len(names)),
            _instructions(request, user),
        ]
        if user.upload:
            content.append(self._events(view))
        return page(
            "Package index", root=request.base_path, user=user.username, version=__version__, content=joined(content)
        )

    def _reader(self, view: View, name: ProjectName) -> Callable[[], Project]:
        return lambda: self._index.project(view, name)

    def _events(self, view: View) -> Markup:
        last = view.current.head.seq
        keys = [log_key(seq) for seq in range(last, max(0, last - LAST_EVENTS), -1)]
        read = self._store.gather(*(self._finder(key) for key in keys))
        items = [Markup(f"<li>{_tell(event)}</li>") for event in read if event is not None]
        return (
            joined([Markup("<h2>Recent events</h2><ul class=events>"), *items, Markup("</ul>")]) if items else text("")
        )

    def _finder(self, key: str) -> Callable[[], Event | None]:
        def find() -> Event | None:
            stored = self._store.find(key)
            try:
                return None if stored is None else decode_event(key, stored.body)
            except CorruptObject:  # `verify` is who says so
                return None

        return find


def _tell(event: Event) -> Markup:
    said = f"{event.by} {tell_change(type(event.change).__name__, values_of(event.change))}"
    return Markup(f'<span class="dim">{text(event.at[:16].replace("T", " "))}</span> {text(said)}')


def _matching(view: View, wanted: str) -> Sequence[ProjectName]:
    needle = wanted.lower().replace("_", "-").replace(".", "-")
    return [name for name, _ in view.current.projects.items() if needle in name]


def _page_number(raw: str, count: int) -> int:
    last = max(1, -(-count // PROJECTS_A_PAGE))
    return min(max(1, int(raw)), last) if raw.isascii() and raw.isdecimal() and len(raw) < 10 else 1


def _search(request: Request, wanted: str) -> Markup:
    return Markup(
        f'<form action="{text(request.base_path)}/" role="search"><input name="q" type="search" value="{text(wanted)}" '
        'placeholder="Search private projects" aria-label="Search private projects"><button>Search</button></form>'
    )


def _count(view: View, wanted: str, count: int) -> Markup:
    upstream = view.current.upstream
    mirrored = f", and {upstream.count:,} of the upstream" if upstream is not None and not wanted else ""
    found = f" that match “{wanted}”" if wanted else ""
    return Markup(f'<p class="dim">{text(f"{count:,} private projects{found}{mirrored}")}</p>')


def _table(request: Request, projects: Sequence[Project]) -> Markup:
    if not projects:
        return text("")
    head = "<tr><th>Project</th><th>Latest</th><th>Uploaded</th><th class=number>Files</th></tr>"
    rows = [_row(request, project) for project in projects]
    return joined([Markup(f'<div class="scroll"><table>{head}'), *rows, Markup("</table></div>")])


def _row(request: Request, project: Project) -> Markup:
    files = [file for file in project.files.values() if not file.removed]
    newest = latest((file.version, file.yanked is not None) for file in files)
    uploaded = max((file.upload_time for file in files), default="")[:10]
    link = f"{text(request.base_path)}/project/{quote(project.name)}/"
    mark = "" if project.status == ACTIVE else f' <span class="mark">{text(project.status)}</span>'
    return Markup(
        f'<tr><td><a href="{link}">{text(project.name)}</a>{mark}</td><td>{text(newest or "–")}</td>'
        f'<td class="date">{text(uploaded)}</td><td class="number">{len(files)}</td></tr>'
    )


def _pages(request: Request, wanted: str, number: int, count: int) -> Markup:
    last = max(1, -(-count // PROJECTS_A_PAGE))
    if last == 1:
        return text("")

    def link(label: str, target: int) -> str:
        query = urlencode({**({"q": wanted} if wanted else {}), "page": target})
        return f'<a href="{text(request.base_path)}/?{text(query)}">{label}</a> '

    before = link("Previous", number - 1) if number > 1 else ""
    after = link("Next", number + 1) if number < last else ""
    return Markup(f"<p>{before}{after}<span class=dim>Page {number} of {last}</span></p>")


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
    return joined(content)


def root_of(request: Request) -> str:
    """Return the index's address as this client knows it, without a slash at its end; shown to the client alone."""
    return find_root(request) or "https://INDEX"


def index_of(request: Request, user: User) -> str:
    """Return the index URL with the user's name in it; clients ask for the password."""
    scheme, _, rest = root_of(request).partition("://")
    return f"{scheme}://{quote(user.username, safe='')}@{rest}/simple/"
