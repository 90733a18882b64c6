"""The inputs of production's size: upstream names, private projects, and a store that holds them; the same everywhere.

What takes long is kept under `.bench-cache`, under a digest of the code that made it.

The public index in November 2026: 927,000 names, 13.3 MB, 4.0 MB packed by zstd at level 9. As many from here are
13.6 MB and 4.1 MB.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from random import Random

import orjson

from benchmarks.pages import make_page
from benchmarks.report import ROOT, progress
from indexer.derive.master import encode_names, names_digest, put_master
from indexer.derive.rebuild import get_project, load_snapshot, rebuild
from indexer.derive.snapshot import NameFilter, ProjectTable, Snapshot, UpstreamNames, decode_snapshot, encode_snapshot
from indexer.keys import SNAPSHOT_KEY, log_key, user_key
from indexer.log.events import Change, FileAdded, UpstreamRefreshed, decode_event, encode_event, timestamp
from indexer.log.log import ORIGIN, Head, head_of
from indexer.log.project import fold
from indexer.names import Filename, ProjectName
from indexer.simple.page import Renderer, compress
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.upstream.listing import parse_listing
from indexer.upstream.sources import encode_sources
from indexer.value import replace
from pypi_lambda.access.auth import hash_password
from pypi_lambda.access.records import UserRecord, encode_user
from pypi_lambda.clock import utc_now
from pypi_lambda.mirror.check import Check, digest_of
from pypi_lambda.mirror.kept_pages import KeptPage, KeptPages, Listed, Revision
from pypi_lambda.view.index import page_of
from tests.support.builders import MEMORY

CACHE = ROOT / ".bench-cache"
GENERATION = 1  # of what is generated here; raised with every change to it, so that what is kept is made anew
UPSTREAM_NAMES = 927_000
PRIVATE_PROJECTS = 1_000
FILES_PER_PROJECT = 5
USERNAME = "installer"
PASSWORD = "a password of a usual length"
AT = "2026-11-01T10:20:30.000040Z"
COPIES_AT_ONCE = 16

_SYLLABLES = (
    "ab ac ad al am an ar as at ba be bi bo ca ce chi co cor da de di do e el en er est fa fi fo ga gen go gra ha hehy",
    "i id im in ing ion ip is it ja ju ka ker ki ko la le li lo lu ma me mi mo mu na ne ni no nu o ol on op or os",
)
_SOUNDS = " ".join(_SYLLABLES).split()
# What many names begin or end with.
_COMMON = ("py", "django", "odoo", "aws", "azure", "flask", "client", "api", "data", "test", "tools", "plugin", "sdk")
_WORDS = 60_000
_BATCH = 65_536
_ENDS = ("", "", "", "", "", "", "2", "3", "py", "lib", "-py", "-ng")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large an index is."""

    names: int = UPSTREAM_NAMES
    projects: int = PRIVATE_PROJECTS

    def __str__(self) -> str:
        return f"{self.names:,} names, {self.projects:,} projects"


def code_digest(*paths: str) -> str:
    """Return a digest of the product's files below these paths, for the names of what was made by them."""
    files = sorted(file for path in paths for file in _files(ROOT / path))
    content = b"".join(file.relative_to(ROOT).as_posix().encode() + file.read_bytes() for file in files)
    return sha256(content).hexdigest()[:12]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for file in path.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file


def kept(name: str, make: Callable[[Path], object]) -> Path:
    """Return a path below the cache, made when it is not there; what was begun and not finished does not count."""
    path = CACHE / name
    if not path.exists():
        unfinished = CACHE / f"{name}.{os.getpid()}.unfinished"
        CACHE.mkdir(exist_ok=True)
        try:
            make(unfinished)
            if not path.exists():  # else another process was faster
                unfinished.rename(path)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.unlink(missing_ok=True)
    return path


def upstream_names(count: int) -> list[ProjectName]:
    """Return so many different names, sorted."""
    path = kept(f"names-{count}-{GENERATION}", lambda path: path.write_bytes(encode_names(generate_names(count))))
    return [ProjectName(name) for name in path.read_text("utf-8").split("\n")]


def generate_names(count: int) -> set[ProjectName]:
    """Return so many different names of the real shape: one to three words, a few of which are in very many names."""
    random = Random(count)
    words = [*_COMMON, *("".join(random.choices(_SOUNDS, k=random.choice((1, 2, 2, 3, 3, 4)))) for _ in range(_WORDS))]
    weights = list(accumulate(1 / (place + 30) for place in range(len(words))))
    names: set[ProjectName] = set()
    while True:
        first, second, third = (random.choices(words, cum_weights=weights, k=_BATCH) for _ in range(3))
        ends, joints = random.choices(_ENDS, k=_BATCH), random.choices(("-", "-", "-", ""), k=_BATCH)
        lengths = random.choices((1, 2, 3), (25, 52, 23), k=_BATCH)
        for length, one, two, three, joint, end in zip(lengths, first, second, third, joints, ends, strict=True):
            stem = one if length == 1 else f"{one}{joint}{two}" if length == 2 else f"{one}{joint}{two}{joint}{three}"
            names.add(ProjectName(stem + end))
            if len(names) == count:
                return names


def private_names(count: int) -> list[ProjectName]:
    """Return the names of so many private projects."""
    random = Random(count)
    return [ProjectName(f"acme-{''.join(random.choices(_SOUNDS, k=4))}-{number:06}") for number in range(count)]


def changes_of(projects: Sequence[ProjectName]) -> Iterator[FileAdded]:
    """Yield the uploads that made them, one version of each after another."""
    random = Random(len(projects))
    for version in range(FILES_PER_PROJECT):
        for project in projects:
            yield FileAdded(
                project=project,
                filename=Filename(f"{project.replace('-', '_')}-1.{version}-py3-none-any.whl"),
                version=f"1.{version}",
                size=random.randrange(10_000, 2_000_000),
                sha256=random.randbytes(32).hex(),
                upload_time=AT,
                requires_python=">=3.11",
                metadata_sha256=random.randbytes(32).hex(),
            )


def make_store(shape: Shape) -> Path:
    """Return a folder that holds an index of this shape: every event in the log, and what a rebuild made of it."""
    digest = code_digest("indexer")
    return kept(f"store-{shape.names}-{shape.projects}-{GENERATION}-{digest}", lambda folder: _fill(folder, shape))


def _fill(folder: Path, shape: Shape) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as quick:
        _write_index(FolderStore(Path(quick)), shape)
        shutil.copytree(quick, folder)


def _write_index(store: ObjectStore, shape: Shape) -> None:
    content = encode_names(upstream_names(shape.names))
    put_master(store, content)
    changes: list[Change] = [
        UpstreamRefreshed(names_sha256=names_digest(content), count=shape.names),
        *changes_of(private_names(shape.projects)),
    ]
    write_log(store, changes)
    rebuild(store, Renderer())


def write_log(store: ObjectStore, changes: Sequence[Change]) -> None:
    """Write the log of a store that has none: by its own rules, but without asking each time who else was faster."""
    head, random = ORIGIN, Random(0)
    for change in progress(changes, "writing the log"):
        seq, id_ = head.seq + 1, random.randbytes(16).hex()
        body = encode_event(seq=seq, id=id_, prev=head.digest, at=AT, by="benchmark", change=change)
        store.put(log_key(seq), body)
        head = head_of(decode_event(log_key(seq), body))


def make_snapshot(shape: Shape) -> bytes:
    """Return the snapshot of an index of this shape, without the index around it: enough to start from."""
    digest = code_digest("indexer/derive/snapshot.py", "indexer/frame.py")
    name = f"snapshot-{shape.names}-{shape.projects}-{GENERATION}-{digest}"
    return kept(name, lambda path: path.write_bytes(encode_snapshot(_snapshot(shape)))).read_bytes()


def _snapshot(shape: Shape) -> Snapshot:
    names = upstream_names(shape.names)
    digest = names_digest(encode_names(names))
    projects = private_names(shape.projects)
    first = 2 + (FILES_PER_PROJECT - 1) * shape.projects  # the events of the last version
    return Snapshot(
        head=Head(seq=first + shape.projects - 1, digest=sha256(digest.encode()).hexdigest()),
        renderer=Renderer().tag,
        index_seq=2 + shape.projects,
        projects=ProjectTable().with_changes({name: first + place for place, name in enumerate(projects)}),
        upstream=UpstreamNames(names_sha256=digest, count=shape.names, at=AT, filter=NameFilter.of(names)),
    )


def put_snapshot(store: ObjectStore, shape: Shape, like: ObjectStore, project: ProjectName) -> None:
    """Put a snapshot of this shape into a store, and its first project's page, like that of a project elsewhere."""
    body = make_snapshot(shape)
    snapshot = decode_snapshot(SNAPSHOT_KEY, body)
    store.put(SNAPSHOT_KEY, body)
    renderer, name = Renderer(), private_names(shape.projects)[0]
    seq = snapshot.projects.find(name)
    assert seq is not None
    model = get_project(like, load_snapshot(like, renderer).snapshot, project)
    page = replace(fold(model, []), name=name, seq=seq)
    store.put(renderer.json_key(name, seq), compress(renderer.render_json(page)))
    store.put(renderer.html_key(name, seq), compress(renderer.render_html(page)))


def put_user(store: ObjectStore) -> None:
    """Put the one who installs, with as many rounds of the hash as any user's password has."""
    store.put(user_key(USERNAME), encode_user(UserRecord(hash=hash_password(PASSWORD), upload=False)))


def put_mirrored_page(store: ObjectStore, name: ProjectName, files: int) -> None:
    """Put a page of the upstream as if it had been fetched just now."""
    renderer = Renderer()
    listing = parse_listing(
        name,
        make_page(name, files, origin="http://upstream.example").json,
        content_type="application/vnd.pypi.simple.v1+json",
        url=f"http://upstream.example/simple/{name}/",
    )
    page, sources = page_of(compress(orjson.dumps(listing.page))), encode_sources(listing.sources)
    check = Check(
        page_digest=digest_of(page.body),
        sources_digest=digest_of(sources),
        renderer=renderer.tag,
        at=utc_now().timestamp(),
        fresh_seconds=86_400,
        etag=None,
        last_modified=None,
        missing_since=None,
    )
    revision = Revision(kept=KeptPage(page=page, check=check), sources=Listed(sources=listing.sources, body=sources))
    KeptPages(store, renderer_tag=renderer.tag).update(name, lambda _: revision)


def mirrored_names(count: int) -> list[ProjectName]:
    """Return the first names of the upstream, evenly over the alphabet."""
    names = upstream_names(UPSTREAM_NAMES)
    return names[1 :: len(names) // count][:count]


def copy_store(folder: Path, store: ObjectStore) -> int:
    """Copy a folder's objects into a store and return how many there are."""
    source = FolderStore(folder)
    keys = [stat.key for stat in source.list("")]

    def copy(key: str) -> None:
        store.put(key, source.get(key).body)

    with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
        for _ in pool.map(copy, progress(keys, "filling the store")):
            pass
    return len(keys)


def names_document(shape: Shape) -> bytes:
    """Return the upstream's names as one JSON list."""
    return orjson.dumps(upstream_names(shape.names))


def projects_document(shape: Shape) -> bytes:
    """Return the private projects as one JSON object, each with its files."""
    found: dict[str, list[dict[str, str]]] = {}
    for change in changes_of(private_names(shape.projects)):
        entry = {"filename": change.filename, "sha256": change.sha256, "upload-time": timestamp(utc_now())}
        found.setdefault(change.project, []).append(entry)
    return orjson.dumps(found)
