"""A private project as a page of the simple API, and the page read back as the project. Pure.

The JSON page is also how a project's state is stored: what clients do not need stands under keys that begin with `_`,
which the specification keeps private. So one object serves clients as it is and lets the indexer go on from it.

Simple repository API 1.4 (PEP 503, 592, 629, 658, 691, 700, 714, 792); `Accept` has its home in `pypi_lambda.http`.
"""

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from indexer.errors import CorruptObject, InvalidValue
from indexer.json_bytes import decode_json, encode_json
from indexer.keys import PROVENANCE, page_key
from indexer.log.project import ACTIVE, WITHHELD_STATUS, File, FileTurn, Project, StatusTurn
from indexer.names import ProjectName, check_filename, is_normalized
from indexer.value import value

if TYPE_CHECKING:
    from indexer.simple.wire import ProjectFile, ProjectPage

RENDERER_VERSION = 4  # a change of what is rendered needs a new number: pages are written once
LISTING_VERSION = 2  # likewise of what is made of an upstream's page: those are asked for again
GZIP_LEVEL = 6  # 9 takes twice the time and saves 1 %
MAX_PAGE_BYTES = 67_108_864  # 64 MiB unpacked: the largest public page that we know, of 46,724 files, has 21


@value
class Renderer:
    """How pages are rendered.

    Attributes:
        hash_dist_info_metadata: whether HTML has the metadata's digest, or says only that there is metadata. JSON has
            it always, where it is known.
    """

    hash_dist_info_metadata: bool = True

    @property
    def tag(self) -> str:
        """Names this way of rendering, in keys and in the snapshot."""
        return f"{RENDERER_VERSION}{'' if self.hash_dist_info_metadata else 'f'}"

    @property
    def mirror_tag(self) -> str:
        """Names this way of making pages of an upstream's."""
        return f"{self.tag}-{LISTING_VERSION}"

    def json_key(self, name: ProjectName, seq: int) -> str:
        """Return the key of a project's JSON page after event `seq`."""
        return page_key(name, seq, self.tag, "json")

    def html_key(self, name: ProjectName, seq: int) -> str:
        """Return the key of a project's HTML page after event `seq`."""
        return page_key(name, seq, self.tag, "html")

    def render_json(self, project: Project) -> bytes:
        """Return the JSON page, from which `decode_page` reads the project back."""
        return encode_json(self.page(project))

    def render_html(self, project: Project) -> bytes:
        """Return the HTML page."""
        return self.html(self.page(project))

    def html(self, page: "ProjectPage") -> bytes:
        """Return a page as HTML, whoever made it."""
        from indexer.simple.html import render_project_html

        return render_project_html(page, hash_metadata=self.hash_dist_info_metadata)

    def page(self, project: Project) -> "ProjectPage":
        """Return the page as the dict that JSON carries; files sorted by name: equal projects give equal bytes."""
        from indexer.simple.wire import API_VERSION  # to send a page that is stored takes none of its types

        files = [project.files[name] for name in sorted(project.files)]
        present = [file for file in files if not file.removed]
        # "quarantined: [...] the index MUST NOT offer any distributions for installation" of such a project
        offered = [] if project.status == WITHHELD_STATUS else present
        page: dict[str, Any] = {
            "meta": {"api-version": API_VERSION, "_last-serial": project.seq},
            "name": project.name,
            "versions": list(dict.fromkeys(file.version for file in offered)),
            "files": [self._file(file) for file in offered],
            "_seq": project.seq,
        }
        if project.status != ACTIVE:
            page["project-status"] = {"status": project.status}
            if project.status_reason:
                page["project-status"]["reason"] = project.status_reason
        if project.statuses:
            page["_statuses"] = [[turn.at, turn.status, turn.reason] for turn in project.statuses]
        if withheld := [self._file(file) for file in files if file.removed or not offered]:
            page["_withheld"] = withheld
        return page  # type: ignore[return-value]  # a TypedDict cannot name keys that the specification leaves to us

    def _file(self, file: File) -> "ProjectFile":
        from indexer.simple.html import file_link

        wire: dict[str, Any] = {
            "filename": file.filename,
            "url": file_link(file.filename),
            "hashes": {"sha256": file.sha256},
            "size": file.size,
            "upload-time": file.upload_time,
            "yanked": _yanked(file),
            "_version": file.version,
        }
        if file.turns:
            wire["_turns"] = [[turn.at, turn.yanked, turn.removed] for turn in file.turns]
        if file.requires_python is not None:
            wire["requires-python"] = file.requires_python
        if file.metadata_sha256 is not None:
            wire["core-metadata"] = {"sha256": file.metadata_sha256}
        if file.provenance_sha256 is not None:
            wire["provenance"] = f"{file_link(file.filename)}{PROVENANCE}"
            wire["_provenance"] = {"sha256": file.provenance_sha256, "verified": False}
        return wire  # type: ignore[return-value]  # likewise


def decode_page(key: str, content: bytes) -> Project:
    """Return the project that a JSON page shows.

    Args:
        key: where the page was stored, for the error.
        content: the page, not compressed.

    Raises:
        CorruptObject: the bytes are no such page.
    """
    try:
        page = decode_json(content)
        if not is_normalized(page["name"]):
            raise ValueError(f"name {page['name']!r} is not normalised")
        files = [_decode_file(wire) for wire in [*page["files"], *page.get("_withheld", [])]]
        statuses = [StatusTurn(at=at, status=status, reason=reason) for at, status, reason in page.get("_statuses", [])]
        return Project(
            name=ProjectName(page["name"]),
            seq=int(page["_seq"]),
            files={file.filename: file for file in files},
            statuses=tuple(statuses),
        )
    except (ValueError, TypeError, LookupError, AttributeError, InvalidValue) as fault:
        raise CorruptObject(key, f"no readable page: {fault}") from fault


def _decode_file(wire: Mapping[str, Any]) -> File:
    turns = [FileTurn(at=at, yanked=yanked, removed=removed) for at, yanked, removed in wire.get("_turns", [])]
    metadata = wire.get("core-metadata")
    file = File(
        filename=check_filename(wire["filename"]),
        version=wire["_version"],
        size=wire["size"],
        sha256=wire["hashes"]["sha256"],
        upload_time=wire["upload-time"],
        requires_python=wire.get("requires-python"),
        metadata_sha256=None if metadata is None else metadata["sha256"],
        provenance_sha256=wire["_provenance"]["sha256"] if "_provenance" in wire else None,
        turns=tuple(turns),
    )
    if wire["yanked"] != _yanked(file):
        raise ValueError(f"{file.filename} is yanked and is not")
    return file


def _yanked(file: File) -> bool | str:
    return False if file.yanked is None else file.yanked or True


def compress(content: bytes) -> bytes:
    """Return the content as gzip, the same bytes for the same content: the header carries no time."""
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(content) + packer.flush()


def decompress(key: str, body: bytes, *, limit: int = MAX_PAGE_BYTES) -> bytes:
    """Return the content of one whole gzip member of at most `limit` bytes.

    Raises:
        CorruptObject: truncated, altered, longer than the limit, or followed by something else.
    """
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(body, limit)
    except zlib.error as fault:
        raise CorruptObject(key, f"no readable gzip: {fault}") from fault
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptObject(key, f"no single gzip member of at most {limit} bytes")
    return content
