"""An upstream's project page, read: what we serve in its place, and where its files come from. Pure.

The page we serve keeps all that the upstream gives, unknown keys too, but every file's link is relative to it, and
every wheel is said to have metadata: where the upstream announces none, it is taken from the wheel. What is of the
wrong form or unsafe is left out, so that nobody after this module has to doubt a page; files that are left out are
named under `_dropped`, those that no digest proves have `_unverified`.

Simple repository API (PEP 503, 592, 658, 691, 700, 714, 740, 792). An HTML page is `indexer.upstream.html_listing`'s to
read.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from indexer.digests import Hashes, proves
from indexer.distributions.wheel_names import is_wheel_of
from indexer.errors import InvalidValue, UpstreamNonsense
from indexer.names import Filename, ProjectName, check_listed_filename, is_project
from indexer.simple.html import file_link
from indexer.simple.marks import UNVERIFIED, with_dropped
from indexer.simple.wire import API_VERSION, ProjectPage
from indexer.upstream.entry import read_values
from indexer.upstream.fills import advertised
from indexer.upstream.hashes import joined, read_hashes, read_link, shown, strongest
from indexer.upstream.sources import Source
from indexer.upstream.url import absolute_url, shown_url
from indexer.value import value

# PEP 708 was rejected: no client heeds these, and we are no party to what they say.
_REJECTED_KEYS = frozenset({"tracks", "alternate-locations"})

_MAJOR = re.compile(r"\s*([0-9]{1,9})\b")


@value
class Dropped:
    """An entry that is not served, as far as it has a name, and why."""

    filename: str
    reason: str


@value
class Listing:
    """An upstream project.

    Attributes:
        page: what is served; to be rendered as JSON or HTML.
        sources: where each file comes from.
        dropped: the entries that were left out; the page names the first of them.
    """

    page: ProjectPage
    sources: Mapping[Filename, Source]
    dropped: tuple[Dropped, ...]


def parse_listing(project: ProjectName, content: bytes, *, content_type: str, url: str) -> Listing:
    """Read a project page as the upstream sent it.

    Args:
        url: where it was, for its relative links.

    Raises:
        UpstreamNonsense: it is no page of this project: a login form, a broken page, another project's.
    """
    media_type, _, parameters = content_type.partition(";")
    read = _READERS.get(media_type.strip().lower())
    page = None if read is None else read(project, content, url, parameters)
    if page is None:
        raise UpstreamNonsense(f"{shown_url(url)} answered with something that is no page of the project {project}")
    return _listing(project, page, url)


def _read_json(project: ProjectName, content: bytes, _url: str, _parameters: str) -> dict[str, Any] | None:
    try:
        page = _loaded(content)
        orjson.dumps(page)  # reads 1,024 levels of nesting, writes 254: what cannot be served must fail here
    except (ValueError, LookupError, orjson.JSONEncodeError):
        return None
    if not isinstance(page, dict) or not isinstance(page.get("files"), list):
        return None
    return page if _is_known_version(page.get("meta")) and _is_named(page.get("name", project), project) else None


def _is_known_version(meta: object) -> bool:
    """Tell whether a page is of a version that clients read: what names none is, for they do not look at it."""
    version = str(meta.get("api-version")) if isinstance(meta, dict) else ""
    major = _MAJOR.match(version)
    return major is None or int(major[1]) == 1


def _loaded(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        from json import detect_encoding  # as clients do it: a byte order mark, UTF-16

        encoding = detect_encoding(content)
        if encoding == "utf-8":
            raise
        return orjson.loads(content.decode(encoding))


def _is_named(name: object, project: ProjectName) -> bool:
    return isinstance(name, str) and is_project(name, project)


def _read_html(project: ProjectName, content: bytes, url: str, parameters: str) -> dict[str, Any] | None:
    from indexer.upstream.html_listing import read_html_page

    return read_html_page(project, content, url, parameters=parameters)


def _listing(project: ProjectName, page: dict[str, Any], url: str) -> Listing:
    files: list[dict[str, Any]] = []
    sources: dict[Filename, Source] = {}
    dropped: list[Dropped] = []
    for entry in page["files"]:
        try:
            file, source = _read_entry(project, entry, url)
            if file["filename"] in sources:
                raise _Unusable("a file of this name is listed before it")
        except _Unusable as fault:
            dropped.append(Dropped(filename=_shown_name(entry), reason=str(fault)))
            continue
        files.append(file)
        sources[file["filename"]] = source
    served = _public(page) | {
        "meta": _public(page.get("meta")) | {"api-version": API_VERSION},
        "name": project,
        "versions": _versions(project, page.get("versions"), sources),
        "files": files,
    }
    if "project-status" in served:
        served["project-status"] = _texts(_public(served["project-status"]))
    if dropped:
        served = with_dropped(served, [(each.filename, each.reason) for each in dropped])
    return Listing(
        page=served,  # type: ignore[arg-type]  # a TypedDict cannot hold keys nobody has thought of yet
        sources=sources,
        dropped=tuple(dropped),
    )


class _Unusable(Exception):
    """An entry cannot be served."""


def _read_entry(project: ProjectName, entry: object, url: str) -> tuple[dict[str, Any], Source]:
    """Return what is served in an entry's place, and where the file comes from."""
    if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
        raise _Unusable("the entry names no file")
    try:
        filename, link = check_listed_filename(entry["filename"]), entry.get("url")
    except InvalidValue as fault:
        raise _Unusable(f"its name is none that is served: {fault.accepted}") from None
    source_url = absolute_url(link, base=url) if isinstance(link, str) else None
    if source_url is None:
        raise _Unusable("its link is no http or https URL")
    digests = joined(read_hashes(entry.get("hashes")), read_link(entry["url"]))
    if digests.fault is not None:
        raise _Unusable(f"{digests.fault}: it cannot be checked")
    hashes = strongest(digests.hashes)
    file = read_values(entry, url=url) | {"filename": filename, "url": file_link(filename), "hashes": shown(hashes)}
    if not proves(hashes):
        file[UNVERIFIED] = True
    is_wheel = filename.endswith(".whl")
    is_ours = is_wheel and is_wheel_of(project, filename)
    metadata = _metadata(entry) if is_ours or not is_wheel else None
    if metadata:
        file["core-metadata"] = metadata
    elif is_ours:
        file = advertised(file)
    elif metadata is False:
        file["core-metadata"] = False
    source = Source(
        url=source_url,
        hashes=hashes,
        size=file.get("size"),
        metadata=metadata or False,
        upload_time=file.get("upload-time"),
    )
    return file, source


def _shown_name(entry: object) -> str:
    filename = entry.get("filename") if isinstance(entry, dict) else None
    return filename if isinstance(filename, str) else ""


def _metadata(entry: dict[str, Any]) -> bool | Hashes | None:
    """Return what is announced about `.metadata`: digests, a flag, or nothing.

    PEP 714: clients "SHOULD prefer core-metadata over dist-info-metadata".
    """
    for key in ("core-metadata", "dist-info-metadata"):
        value = entry.get(key)
        if isinstance(value, dict):
            return shown(strongest(read_hashes(value).hashes)) or True
        if isinstance(value, bool):
            return value
    return None


def _public(value: object) -> dict[str, Any]:
    """Return the members that are not private to the upstream: "Keys prefixed with an underscore are private"."""
    if not isinstance(value, dict):
        return {}
    return {key: member for key, member in value.items() if key[:1] != "_" and key not in _REJECTED_KEYS}


def _texts(value: object) -> dict[str, str]:
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}


def _versions(project: ProjectName, given: object, filenames: Mapping[Filename, Source]) -> list[str]:
    """Return the upstream's versions, or where it gives none those its files' names tell."""
    if isinstance(given, list):
        return list(dict.fromkeys(version for version in given if isinstance(version, str)))
    from indexer.distributions.versions import find_version

    found = (find_version(project, filename) for filename in filenames)
    return list(dict.fromkeys(version for version in found if version is not None))


_READERS: dict[str, Callable[[ProjectName, bytes, str, str], dict[str, Any] | None]] = {
    "application/vnd.pypi.simple.v1+json": _read_json,
    "application/json": _read_json,
    "application/vnd.pypi.simple.v1+html": _read_html,
    "text/html": _read_html,
    "application/xhtml+xml": _read_html,
}
