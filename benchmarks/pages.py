"""Upstream project pages of any size, the same ones on every machine: names, digests, sizes and dates have the shape
and the entropy of the real ones, so a page compresses as a real page does.

Compared with the public index's own pages in November 2026: numpy has 4,415 files in 154 releases, six has 48 in 29.

PEP 691, 700, 714 (project pages).
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from random import Random
from typing import Any
from urllib.parse import urljoin

import orjson

LARGE = ("large-project", 4_415)
SMALL = ("small-project", 48)

_FIRST_RELEASE = datetime(2010, 6, 29, 19, 56, 36, tzinfo=UTC)
_INTERPRETERS = ("cp39", "cp310", "cp311", "cp312", "cp313", "pp310")
_PLATFORMS = (
    "macosx_10_9_x86_64",
    "macosx_14_0_arm64",
    "manylinux2014_x86_64.manylinux_2_17_x86_64",
    "manylinux2014_aarch64.manylinux_2_17_aarch64",
    "win32",
    "win_amd64",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    """A project's page in both of its forms."""

    name: str
    filenames: tuple[str, ...]
    json: bytes
    html: bytes


def make_page(name: str, files: int, *, origin: str = "") -> ProjectPage:
    """Return the page of a project with so many files.

    Args:
        origin: where the files are, as the public index has them on another host; "" for the index's own.
    """
    random = Random(name)
    entries = [_entry(random, filename, origin) for filename in islice(_filenames(name, files), files)]
    versions = list(dict.fromkeys(entry["filename"].removesuffix(".tar.gz").split("-")[1] for entry in entries))
    page = {
        "meta": {"_last-serial": 36_000_000, "api-version": "1.4"},
        "name": name,
        "versions": versions,
        "files": entries,
        "project-status": {"status": "active"},
    }
    return ProjectPage(
        name=name,
        filenames=tuple(entry["filename"] for entry in entries),
        json=orjson.dumps(page),
        html=_render_html(name, entries),
    )


def _filenames(name: str, files: int) -> Iterator[str]:
    stem = name.replace("-", "_")
    for release in count():
        version = f"{1 + release // 50}.{release // 5 % 10}.{release % 5}"
        yield f"{stem}-{version}.tar.gz"
        if files < 100:  # a project in pure Python has one wheel
            yield f"{stem}-{version}-py2.py3-none-any.whl"
            continue
        for interpreter in _INTERPRETERS:
            for platform in _PLATFORMS[: 3 + release % 4]:
                yield f"{stem}-{version}-{interpreter}-{interpreter}-{platform}.whl"


def _entry(random: Random, filename: str, origin: str) -> dict[str, Any]:
    place = random.randbytes(32).hex()  # a digest of another kind than the one that is told
    uploaded = _FIRST_RELEASE + timedelta(microseconds=random.randrange(500_000_000_000_000))
    metadata: bool | dict[str, str] = filename.endswith(".whl") and {"sha256": random.randbytes(32).hex()}
    return {
        "core-metadata": metadata,
        "data-dist-info-metadata": metadata,
        "filename": filename,
        "hashes": {"sha256": random.randbytes(32).hex()},
        "provenance": None,
        "requires-python": random.choice((">=3.9", ">=3.10", ">=3.11", ">=3.12", ">=2.7,!=3.0.*,!=3.1.*,!=3.2.*")),
        "size": random.randrange(10_000, 20_000_000),
        "upload-time": uploaded.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "url": urljoin(f"{origin}/", f"packages/{place[:2]}/{place[2:4]}/{place[4:]}/{filename}"),
        "yanked": "broken on 32-bit machines" if random.random() < 0.016 else False,
    }


def _render_html(name: str, entries: list[dict[str, Any]]) -> bytes:
    links = "".join(f"{_link(entry)}<br />\n" for entry in entries)
    head = f'<head>\n<meta name="pypi:repository-version" content="1.4">\n<title>Links for {name}</title>\n</head>'
    body = f"<body>\n<h1>Links for {name}</h1>\n{links}</body>"
    return f"<!DOCTYPE html>\n<html>\n{head}\n{body}\n</html>\n".encode()


def _link(entry: dict[str, Any]) -> str:
    attributes = {"data-requires-python": entry["requires-python"]}
    if entry["core-metadata"]:
        digest = f"sha256={entry['core-metadata']['sha256']}"
        attributes |= {"data-dist-info-metadata": digest, "data-core-metadata": digest}
    if entry["yanked"]:
        attributes["data-yanked"] = entry["yanked"]
    written = "".join(f' {key}="{html.escape(value)}"' for key, value in attributes.items())
    return f'<a href="{entry["url"]}#sha256={entry["hashes"]["sha256"]}"{written}>{entry["filename"]}</a>'
