"""The legacy JSON document of a project, made of its page and one file's metadata. Pure.

It has the members of the public index's "JSON API" that clients read: pip-tools, Renovate, bandersnatch, grayskull.
What is not known is null.

"Core metadata specifications"; PEP 592 (yanked), PEP 639 (licences), PEP 691 (pages).
"""

from collections.abc import Iterable, Mapping
from email import message_from_string
from typing import Any

from indexer.distributions.versions import latest, newest_first, normal_version, version_finder
from indexer.names import ProjectName
from indexer.value import value
from indexer.version import is_same_version

MAX_METADATA_BYTES = 1_048_576  # 1 MiB: what is behind it is description, and of that nobody reads so much
WHEEL = ".whl"

_BUILT = {".egg": "bdist_egg", ".exe": "bdist_wininst", ".msi": "bdist_msi", ".rpm": "bdist_rpm", ".dmg": "bdist_dmg"}
# member: its header
_SINGLE = {
    "author": "author",
    "author_email": "author-email",
    "description_content_type": "description-content-type",
    "download_url": "download-url",
    "home_page": "home-page",
    "keywords": "keywords",
    "license": "license",
    "license_expression": "license-expression",
    "maintainer": "maintainer",
    "maintainer_email": "maintainer-email",
    "requires_python": "requires-python",
    "summary": "summary",
}
_SEVERAL = {
    "dynamic": "dynamic",
    "license_files": "license-file",
    "provides_extra": "provides-extra",
    "requires_dist": "requires-dist",
}


@value
class Release:
    """The files of one version.

    Attributes:
        files: as the page has them.
    """

    version: str
    files: tuple[Mapping[str, Any], ...]

    @property
    def is_yanked(self) -> bool:
        """Whether every one of its files is."""
        return all(map(_is_yanked, self.files))

    def described(self) -> Mapping[str, Any]:
        """Return the file whose metadata is told: one that has some beside it, else an sdist, else any."""
        with_metadata = [file for file in self.files if file.get("core-metadata")]
        sdists = [file for file in self.files if _kind(file["filename"]) == "sdist"]
        return (with_metadata or sdists or list(self.files))[0]


def releases_of(page: Mapping[str, Any]) -> dict[str, Release]:
    """Return a page's releases by version, as PEP 440 writes it, the oldest first; files without one are in none."""
    find_version = version_finder(ProjectName(page["name"]))
    files: dict[str, list[Mapping[str, Any]]] = {}
    for file in page["files"]:
        version = file.get("_version") or find_version(file["filename"])
        if version is not None:
            files.setdefault(normal_version(version), []).append(file)
    return {version: Release(version=version, files=tuple(files[version])) for version in reversed(newest_first(files))}


def find_release(releases: Mapping[str, Release], version: str | None) -> Release | None:
    """Return the release of a version, however that is written; without one, the release that installers would take."""
    if version is not None:
        return releases.get(normal_version(version)) or _find_equal(releases, version)
    newest = latest((each.version, _is_yanked(file)) for each in releases.values() for file in each.files)
    return None if newest is None else releases[newest]


def _find_equal(releases: Mapping[str, Release], version: str) -> Release | None:
    """Return the release of an equal version: 1.0 and 1.0.0 are."""
    return next((release for known, release in releases.items() if is_same_version(known, version)), None)


def render_document(
    name: ProjectName,
    release: Release,
    metadata: bytes | None,
    *,
    releases: Iterable[Release],
    files_url: str,
    project_url: str,
    serial: int,
) -> dict[str, Any]:
    """Return the document.

    Args:
        release: what `info` and `urls` are about.
        metadata: of the file that `release.described()` names, where it is at hand.
        releases: all that are to be listed; none in the document of one version.
        files_url: what the files' links are relative to.
        project_url: where the project's page is.
        serial: the number of the last event that concerned it.
    """
    document = {
        "info": _info(name, release, metadata, project_url),
        "last_serial": serial,
        "urls": _urls(release, files_url),
        "vulnerabilities": [],
    }
    listed = {each.version: _urls(each, files_url) for each in releases}
    return {**document, "releases": listed} if listed else document


def _info(name: ProjectName, release: Release, metadata: bytes | None, project_url: str) -> dict[str, Any]:
    headers, body = _read_metadata(metadata or b"")
    reasons = [file["yanked"] for file in release.files if isinstance(file.get("yanked"), str)]
    info: dict[str, Any] = {
        "name": next(iter(headers.get("name", ())), name),
        "version": release.version,
        **{member: next(iter(headers.get(header, ())), None) for member, header in _SINGLE.items()},
        **{member: headers.get(header) for member, header in _SEVERAL.items()},
        "classifiers": headers.get("classifier", []),
        "platform": ", ".join(headers.get("platform", [])) or None,
        "project_urls": _project_urls(headers.get("project-url", [])),
        "description": body if body.strip() else next(iter(headers.get("description", ())), None),
        "package_url": project_url,
        "project_url": project_url,
        "release_url": project_url,
        "bugtrack_url": None,
        "docs_url": None,
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "yanked": release.is_yanked,
        "yanked_reason": next(iter(reasons), None) if release.is_yanked else None,
    }
    if info["requires_python"] is None:
        info["requires_python"] = release.described().get("requires-python")
    return info


def _read_metadata(metadata: bytes) -> tuple[dict[str, list[str]], str]:
    """Return the headers by name in lower case, and the description where it is the body."""
    message = message_from_string(metadata[:MAX_METADATA_BYTES].decode("utf-8", "replace"))
    headers: dict[str, list[str]] = {}
    for header, text in message.items():
        headers.setdefault(header.lower(), []).append(str(text).strip())
    payload = message.get_payload()
    return headers, payload if isinstance(payload, str) else ""


def _project_urls(texts: Iterable[str]) -> dict[str, str] | None:
    pairs = (text.partition(",") for text in texts)
    return {label.strip(): url.strip() for label, _, url in pairs if url.strip()} or None


def _urls(release: Release, files_url: str) -> list[dict[str, Any]]:
    return [_url(release.version, file, files_url) for file in release.files]


def _url(version: str, file: Mapping[str, Any], files_url: str) -> dict[str, Any]:
    filename, hashes, yanked = file["filename"], file["hashes"], file.get("yanked", False)
    uploaded = file.get("upload-time")
    return {
        "comment_text": "",
        "digests": dict(hashes),
        "downloads": -1,
        "filename": filename,
        "has_sig": file.get("gpg-sig") is True,
        "md5_digest": hashes.get("md5"),
        "packagetype": _kind(filename),
        "python_version": _python_version(filename),
        "requires_python": file.get("requires-python"),
        "size": file.get("size"),
        # "2026-11-27T10:00:00", without a zone, as the public index writes it: it is UTC
        "upload_time": uploaded and uploaded[:19],
        "upload_time_iso_8601": uploaded,
        "url": files_url + file["url"],
        "yanked": _is_yanked(file),
        "yanked_reason": yanked if isinstance(yanked, str) and yanked else None,
    }


def _is_yanked(file: Mapping[str, Any]) -> bool:
    return bool(file.get("yanked"))


def _kind(filename: str) -> str:
    if filename.endswith(WHEEL):
        return "bdist_wheel"
    dumb = "-linux" in filename or ".linux" in filename or ".macosx" in filename or ".win" in filename
    return _BUILT.get(filename[-4:].lower(), "bdist_dumb" if dumb else "sdist")


def _python_version(filename: str) -> str:
    if filename.endswith(WHEEL):
        return filename.split("-")[-3] if filename.count("-") >= 4 else "any"
    if filename.endswith(".egg") and "-py" in filename:
        return filename.removesuffix(".egg").rpartition("-py")[2].partition("-")[0]
    return "source" if _kind(filename) == "sdist" else "any"
