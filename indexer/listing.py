"""An upstream's project page, read: what we serve in its place, and where its files come from. Pure.

The page we serve keeps all that the upstream gives, unknown keys too, but every file's link is relative to it, and
every wheel is said to have metadata: where the upstream announces none, it is taken from the wheel. What is of the
wrong type or unsafe is left out, so that nobody after this module has to doubt a page.

Simple repository API (PEP 503, 592, 658, 691, 700, 714, 740, 792). An HTML page is `indexer.html_listing`'s to read.
"""

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

import orjson

from indexer.errors import InvalidValue, UpstreamNonsense
from indexer.fills import advertised
from indexer.html import file_link
from indexer.names import Filename, ProjectName, check_filename, normalize_name
from indexer.sources import Source
from indexer.url import absolute_url, shown_url
from indexer.value import value
from indexer.wire import API_VERSION, ProjectPage

_MAX_DIGEST_CHARS = 256  # sha512 has 128

# What a file's entry may hold where the specification says what that is; anything else is served as if it were absent.
_FILE_TYPES: Mapping[str, tuple[type, ...]] = {
    "size": (int,),
    "upload-time": (str,),
    "requires-python": (str, NoneType),
    "yanked": (bool, str),
    "gpg-sig": (bool,),
    "provenance": (str, NoneType),
    "core-metadata": (),  # what is said of these is `_metadata`'s to read
    "dist-info-metadata": (),
}


@value
class Listing:
    """An upstream project.

    Attributes:
        page: what is served; to be rendered as JSON or HTML.
        sources: where each file comes from.
        dropped: how many entries were left out: no safe name, no usable link, or a name that was there before.
    """

    page: ProjectPage
    sources: Mapping[Filename, Source]
    dropped: int


def parse_listing(
    project: ProjectName, content: bytes, *, content_type: str, url: str, hash_dist_info_metadata: bool
) -> Listing:
    """Read a project page as the upstream sent it.

    Args:
        url: where it was, for its relative links.
        hash_dist_info_metadata: whether the legacy key carries the metadata's digest as `core-metadata` always does, or
            is a bare flag.

    Raises:
        UpstreamNonsense: it is no page of this project: a login form, a broken page, another project's.
    """
    read = _READERS.get(content_type.partition(";")[0].strip().lower())
    page = None if read is None else read(project, content, url)
    if page is None:
        raise UpstreamNonsense(f"{shown_url(url)} answered with something that is no page of the project {project}")
    return _listing(project, page, url, hash_dist_info_metadata=hash_dist_info_metadata)


def _read_json(project: ProjectName, content: bytes, _url: str) -> dict[str, Any] | None:
    try:
        page = orjson.loads(content)
        orjson.dumps(page)  # reads 1,024 levels of nesting, writes 254: what cannot be served must fail here
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    if not isinstance(page, dict) or not isinstance(page.get("files"), list):
        return None
    meta = page.get("meta")
    version = str(meta.get("api-version", "1.0")) if isinstance(meta, dict) else "1.0"
    return page if version.startswith("1.") and _is_named(page.get("name", project), project) else None


def _is_named(name: object, project: ProjectName) -> bool:
    try:
        return isinstance(name, str) and normalize_name(name) == project
    except InvalidValue:
        return False


def _read_html(project: ProjectName, content: bytes, url: str) -> dict[str, Any] | None:
    from indexer.html_listing import read_html_page

    return read_html_page(project, content, url)


def _listing(project: ProjectName, page: dict[str, Any], url: str, *, hash_dist_info_metadata: bool) -> Listing:
    files: list[dict[str, Any]] = []
    sources: dict[Filename, Source] = {}
    for entry in page["files"]:
        filename = _find_filename(entry)
        link = entry.get("url") if filename is not None else None
        source_url = absolute_url(link, base=url) if isinstance(link, str) else None
        if filename is None or source_url is None or filename in sources:
            continue
        file = _file(filename, entry, url)
        metadata = _metadata(entry)
        if metadata:
            file["core-metadata"] = metadata
            file["dist-info-metadata"] = metadata if hash_dist_info_metadata else True
        elif filename.endswith(".whl"):
            file = advertised(file)
        elif metadata is False:
            file["core-metadata"] = file["dist-info-metadata"] = False
        files.append(file)
        sources[filename] = Source(
            url=source_url,
            hashes=file["hashes"],
            size=file.get("size"),
            metadata=metadata or False,
            upload_time=file.get("upload-time"),
        )
    served = _public(page) | {
        "meta": _public(page.get("meta")) | {"api-version": API_VERSION},
        "name": project,
        "versions": _versions(project, page.get("versions"), sources),
        "files": files,
    }
    if "project-status" in served:
        served["project-status"] = _texts(_public(served["project-status"]))
    return Listing(
        page=served,  # type: ignore[arg-type]  # a TypedDict cannot hold keys nobody has thought of yet
        sources=sources,
        dropped=len(page["files"]) - len(files),
    )


def _find_filename(entry: object) -> Filename | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
        return None
    try:
        return check_filename(entry["filename"])
    except InvalidValue:
        return None


def _file(filename: Filename, entry: dict[str, Any], url: str) -> dict[str, Any]:
    file = {
        key: value
        for key, value in entry.items()
        if not key.startswith("_") and (key not in _FILE_TYPES or type(value) in _FILE_TYPES[key])
    }
    if file.get("size", 0) < 0:
        del file["size"]
    if file.get("provenance") is not None:
        file["provenance"] = absolute_url(file["provenance"], base=url)
    return file | {"filename": filename, "url": file_link(filename), "hashes": _hashes(entry.get("hashes"))}


def _metadata(entry: dict[str, Any]) -> bool | dict[str, str] | None:
    """Return what is announced about `.metadata`: digests, a flag, or nothing.

    PEP 714: clients "SHOULD prefer core-metadata over dist-info-metadata".
    """
    for key in ("core-metadata", "dist-info-metadata"):
        value = entry.get(key)
        if isinstance(value, dict):
            return _hashes(value) or True
        if isinstance(value, bool):
            return value
    return None


def _hashes(value: object) -> dict[str, str]:
    """Return the entries that can be digests, in lower case."""
    return {algorithm: digest.lower() for algorithm, digest in _texts(value).items() if _is_digest(algorithm, digest)}


def _is_digest(algorithm: str, digest: str) -> bool:
    printable = algorithm.isascii() and algorithm.replace("_", "").replace("-", "").isalnum()
    return (
        printable and len(digest) <= _MAX_DIGEST_CHARS and bool(digest) and not digest.strip("0123456789abcdefABCDEF")
    )


def _public(value: object) -> dict[str, Any]:
    """Return the members that are not private to the upstream: "Keys prefixed with an underscore are private"."""
    return {key: member for key, member in value.items() if not key.startswith("_")} if isinstance(value, dict) else {}


def _texts(value: object) -> dict[str, str]:
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}


def _versions(project: ProjectName, given: object, filenames: Mapping[Filename, Source]) -> list[str]:
    """Return the upstream's versions, or where it gives none those its files' names tell."""
    if isinstance(given, list):
        return list(dict.fromkeys(version for version in given if isinstance(version, str)))
    from indexer.html_listing import find_version

    found = (find_version(project, filename) for filename in filenames)
    return list(dict.fromkeys(version for version in found if version is not None))


_READERS: dict[str, Callable[[ProjectName, bytes, str], dict[str, Any] | None]] = {
    "application/vnd.pypi.simple.v1+json": _read_json,
    "application/json": _read_json,
    "application/vnd.pypi.simple.v1+html": _read_html,
    "text/html": _read_html,
    "application/xhtml+xml": _read_html,
}
