"""`GET /project/{name}/` in a browser: a private project's versions, files and README."""

from urllib.parse import quote

from markupsafe import Markup

from indexer.distributions.versions import latest, newest_first
from indexer.keys import METADATA, file_key
from indexer.log.project import ACTIVE, WITHHELD_STATUS, File, Project
from indexer.names import ProjectName
from indexer.store.base import ObjectStore
from pypi_lambda import __version__
from pypi_lambda.access.records import User
from pypi_lambda.browse.layout import copyable, page
from pypi_lambda.browse.overview import index_of
from pypi_lambda.browse.readme import render_description
from pypi_lambda.http.faults import NotFound
from pypi_lambda.http.model import Request, Response
from pypi_lambda.view.index import Index
from pypi_lambda.view.view import View

MAX_ROWS = 1_000  # 400 bytes each: a load balancer carries 1 MB
_UNITS = ("bytes", "KB", "MB", "GB")


class Detail:
    """The page of one project."""

    def __init__(self, store: ObjectStore, index: Index) -> None:
        self._store = store
        self._index = index

    def answer(self, request: Request, user: User, view: View, name: ProjectName) -> Response:
        """Return the project's page.

        Raises:
            NotFound: there is no such private project.
        """
        if view.current.projects.find(name) is None:
            raise NotFound(f"there is no private project {name!r}")
        project = self._index.project(view, name)
        files = [file for file in project.files.values() if not file.removed]
        newest = latest((file.version, file.yanked is not None) for file in files)
        content = [_head(project, newest), *_install(request, user, project, newest), _files(request, project, files)]
        readme = self._readme(project, [file for file in files if file.version == newest])
        if readme is not None:
            content.append(Markup('<h2>Description</h2><div class="readme">{}</div>').format(readme))
        return page(
            name, root=request.base_path, user=user.username, version=__version__, content=Markup().join(content)
        )

    def _readme(self, project: Project, files: list[File]) -> Markup | None:
        """Return the description that the latest version's wheel has; an sdist's metadata is not at hand."""
        described = next((file for file in files if file.metadata_sha256 is not None), None)
        if described is None:
            return None
        stored = self._store.find(file_key(project.name, described.filename) + METADATA)
        return None if stored is None else render_description(stored.body)


def _head(project: Project, latest: str | None) -> Markup:
    version = Markup(' <span class="dim">{}</span>').format(latest) if latest else ""
    head = Markup("<h1>{}{}</h1>").format(project.name, version)
    if project.status == ACTIVE:
        return head
    reason = f": {project.status_reason}" if project.status_reason else ""
    kind = "mark bad" if project.status == WITHHELD_STATUS else "mark"
    return head + Markup('<p><span class="{}">{}{}</span>').format(kind, project.status, reason)


def _install(request: Request, user: User, project: Project, latest: str | None) -> list[Markup]:
    if latest is None or project.status == WITHHELD_STATUS:
        return []
    index = index_of(request, user)
    return [
        copyable(f"pip install --index-url {index} {project.name}=={latest}"),
        copyable(f"uv add --index {index} {project.name}=={latest}"),
    ]


def _files(request: Request, project: Project, files: list[File]) -> Markup:
    rows = []
    for version in newest_first(file.version for file in files):
        of_version = sorted((file for file in files if file.version == version), key=lambda file: file.filename)
        rows += [_row(request, project, file, version if number == 0 else "") for number, file in enumerate(of_version)]
    if len(rows) > MAX_ROWS:
        more = Markup('<tr><td></td><td class="dim">and {:,} older files</td></tr>').format(len(rows) - MAX_ROWS)
        rows = [*rows[:MAX_ROWS], more]
    return Markup(
        '<h2>Files</h2><div class="scroll"><table>'
        "<tr><th>Version</th><th>File</th><th>Uploaded</th><th class=number>Size</th></tr>{}</table></div>"
    ).format(Markup().join(rows))


def _row(request: Request, project: Project, file: File, version: str) -> Markup:
    name = Markup("{}").format(file.filename)
    if project.status != WITHHELD_STATUS:
        link = f"{request.base_path}/simple/{quote(project.name)}/{quote(file.filename)}"
        name = Markup('<a href="{}">{}</a>').format(link, name)
    if file.yanked is not None:
        reason = f": {file.yanked}" if file.yanked else ""
        name += Markup(' <span class="mark">yanked{}</span>').format(reason)
    if file.provenance_sha256 is not None and project.status != WITHHELD_STATUS:
        name += Markup('<br><a class="dim" href="{}.provenance">attestations, not verified</a>').format(link)
    if file.requires_python:
        name += Markup('<br><span class="dim">Python {}</span>').format(file.requires_python)
    return Markup('<tr><td>{}</td><td>{}</td><td class=date>{}</td><td class="number">{}</td></tr>').format(
        version, name, file.upload_time[:10], shown_size(file.size)
    )


def shown_size(size: int) -> str:
    """Return a number of bytes for people."""
    number = float(size)
    unit = 0
    while number >= 1_000 and unit < len(_UNITS) - 1:
        number, unit = number / 1_000, unit + 1
    return f"{number:,.0f} {_UNITS[unit]}" if unit == 0 or number >= 10 else f"{number:.1f} {_UNITS[unit]}"
