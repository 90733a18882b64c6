"""The upload form: the legacy upload API's multipart/form-data, read as a stream in bounded memory.

Owns what a client may send and in which shape. What the file itself is, is `indexer.distributions.distribution`'s.
Knows no store and no user. Not on the hot path: `multipart` and `tempfile` are imported where they are first needed.

The "Legacy API" (`/legacy/`) as twine, uv, flit, pdm, hatch and poetry use it: `tests/data/uploads`. RFC 7578.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, cast

from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName, check_filename, normalize_name
from indexer.value import value
from pypi_lambda.http.faults import BadRequest, PayloadTooLarge, UnsupportedMediaType
from pypi_lambda.http.model import Readable

MAX_FIELD_BYTES = (
    4_194_304  # 4 MiB: `description` repeats METADATA's, which `indexer.archives.archive` limits to as much
)
MAX_TEXT_BYTES = 8_388_608  # 8 MiB of fields in all: uv's `attestations` and thousands of dependencies beside it
MAX_PARTS = 10_000  # the largest sets of extras have over 2,000 `requires_dist`
MAX_PART_OVERHEAD_BYTES = 1_024  # of a boundary and a part's headers, for the bound on the whole body
MAX_CONTENT_TYPE_LENGTH = 500  # RFC 2046 allows a boundary of 70 characters
SPOOL_BYTES = 8_388_608  # 8 MiB stay in memory: all that API Gateway lets through
READ_BYTES = 65_536  # 64 KiB: the parser copies what it has at every read

# Fields where a second value would leave open which one counts. Others may repeat, unknown ones too: each metadata
# version brings new lists.
SINGLE = frozenset(
    {
        ":action",
        "protocol_version",
        "filetype",
        "pyversion",
        "metadata_version",
        "name",
        "version",
        "md5_digest",
        "sha256_digest",
        "blake2_256_digest",
        "content",
        "gpg_signature",
        "attestations",
        "summary",
        "description",
        "description_content_type",
        "requires_python",
        "license",
        "license_expression",
        "author",
        "author_email",
        "maintainer",
        "maintainer_email",
        "home_page",
        "download_url",
    }
)
REQUIRED = ("name", "version")
FIXED: Mapping[str, str] = {":action": "file_upload", "protocol_version": "1"}
FILETYPES: Mapping[str, tuple[str, ...]] = {"bdist_wheel": (".whl",), "sdist": (".tar.gz", ".zip")}
_DIGEST_FIELDS = ("md5_digest", "sha256_digest", "blake2_256_digest")
_BOUNDARY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,198}[\x21-\x7e])?")


@value
class UploadForm:
    """A form that was read to its end and has all its parts; nothing in it was compared with the file yet.

    Attributes:
        fields: the text fields in the order sent, empty ones left out.
        project: the field `name`, normalised.
        version: the field `version` as sent.
        content: the file, seekable; close it with the form.
        size: of the file, in bytes.
        md5_digest, sha256_digest, blake2_256_digest: of the file as received, in lower-case hexadecimal.
    """

    fields: tuple[tuple[str, str], ...]
    filename: Filename
    project: ProjectName
    version: str
    content: IO[bytes]
    size: int
    md5_digest: str
    sha256_digest: str
    blake2_256_digest: str

    def find(self, name: str) -> str | None:
        """Return a field's first value, or None when it was not sent or is empty."""
        return next((value for found, value in self.fields if found == name), None)

    def values(self, name: str) -> tuple[str, ...]:
        """Return all of a field's values in the order sent."""
        return tuple(value for found, value in self.fields if found == name)

    def close(self) -> None:
        """Remove the file."""
        self.content.close()


def read_upload(body: Readable, *, content_type: str, content_length: int | None, max_bytes: int) -> UploadForm:
    """Return the form that a client uploads.

    Args:
        body: read up to `content_length` where that is known, else to its end.
        content_type: the header, `""` where there is none.
        max_bytes: the largest file.

    Raises:
        UnsupportedMediaType: it is no multipart/form-data.
        PayloadTooLarge: the file, a field, or the number of fields is over its limit.
        BadRequest: anything else about the form; the message has the field and the value.
    """
    import tempfile

    boundary = _parse_boundary(content_type)
    max_body_bytes = max_bytes + MAX_TEXT_BYTES + MAX_PARTS * MAX_PART_OVERHEAD_BYTES
    if content_length is not None and content_length > max_body_bytes:
        raise PayloadTooLarge(_too_large("the request", max_body_bytes))
    spool = cast(IO[bytes], tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES))  # noqa: SIM115 - the form's to close
    try:
        reader = _Reader(spool=spool, max_bytes=max_bytes)
        for event in _parse(body, boundary, content_length, max_body_bytes):
            reader.take(event)
        return reader.form()
    except BaseException:
        spool.close()
        raise


def check_digests(form: UploadForm) -> None:
    """Compare the digests that the client sent, whichever they are, with those of the bytes received.

    Raises:
        BadRequest: one differs.
    """
    for name in _DIGEST_FIELDS:
        sent, received = form.find(name), getattr(form, name)
        if sent is not None and sent.strip().lower() != received:
            raise BadRequest(f"invalid {name} {_shown(sent)}: the content received has {received}")


def _parse_boundary(content_type: str) -> str:
    from multipart import parse_options_header

    media_type, options = parse_options_header(content_type[:MAX_CONTENT_TYPE_LENGTH])
    if media_type != "multipart/form-data":
        raise UnsupportedMediaType(f"invalid Content-Type {_shown(content_type)}: an upload is multipart/form-data")
    boundary = str(options.get("boundary", ""))
    if len(content_type) > MAX_CONTENT_TYPE_LENGTH or not _BOUNDARY.fullmatch(boundary):
        raise BadRequest(f"invalid Content-Type {_shown(content_type)}: it has a boundary of 1 to 200 ASCII characters")
    return boundary


def _parse(body: Readable, boundary: str, content_length: int | None, max_body_bytes: int) -> Iterator[Any]:
    """Yield the parser's events: a segment, its chunks of bytes, None at its end."""
    from multipart import MultipartError, ParserLimitReached, PushMultipartParser

    length = -1 if content_length is None else content_length
    parser = PushMultipartParser(boundary, content_length=length, max_segment_count=MAX_PARTS)
    left = max_body_bytes if content_length is None else content_length
    try:
        while not parser.closed:
            chunk = body.read(min(READ_BYTES, left + 1 if content_length is None else left))
            left -= len(chunk)
            if left < 0:
                raise PayloadTooLarge(_too_large("the request", max_body_bytes))
            yield from parser.parse(chunk)
    except ParserLimitReached as error:
        limits = f"at most {MAX_PARTS:,} fields, each with 8 headers of 4 KiB"
        raise PayloadTooLarge(f"the form is over a limit, {limits}: {error}") from error
    except MultipartError as error:
        raise BadRequest(f"the request's body is no complete multipart/form-data: {error}") from error


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Puts the form together from the parser's events, one part at a time."""

    spool: IO[bytes]
    max_bytes: int
    name: str = ""
    text: bytearray = field(default_factory=bytearray)
    text_bytes: int = 0
    size: int = 0
    filename: str | None = None
    fields: list[tuple[str, str]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    digests: tuple[Any, ...] = field(
        default_factory=lambda: (
            hashlib.md5(usedforsecurity=False),
            hashlib.sha256(),
            hashlib.blake2b(digest_size=32),
        )
    )

    def take(self, event: Any) -> None:
        """Take a segment, a chunk, or None at a segment's end."""
        if event is None:
            self._end()
        elif not isinstance(event, (bytes, bytearray)):
            self._begin(event.name, event.filename)
        elif self.name == "content":
            self._add_content(event)
        else:
            self._add_text(event)

    def _begin(self, name: str, filename: str | None) -> None:
        if not name:
            raise BadRequest("a part of the form has no name")
        if name in self.seen and name in SINGLE:
            raise BadRequest(f"duplicate field {_shown(name)}: it is accepted once")
        self.seen.add(name)
        self.name = name
        self.text = bytearray()
        self.text_bytes += len(name)
        if name == "content":
            self.filename = filename or ""

    def _add_content(self, chunk: bytes | bytearray) -> None:
        self.size += len(chunk)
        if self.size > self.max_bytes:
            raise PayloadTooLarge(_too_large("content", self.max_bytes))
        for digest in self.digests:
            digest.update(chunk)
        self.spool.write(chunk)

    def _add_text(self, chunk: bytes | bytearray) -> None:
        self.text_bytes += len(chunk)
        self.text += chunk
        if len(self.text) > MAX_FIELD_BYTES:
            raise PayloadTooLarge(_too_large(f"the field {_shown(self.name)}", MAX_FIELD_BYTES))
        if self.text_bytes > MAX_TEXT_BYTES:
            raise PayloadTooLarge(_too_large("the text of all fields", MAX_TEXT_BYTES))

    def _end(self) -> None:
        if self.name in ("content", "gpg_signature"):  # a signature is bytes, and no index shows them any more
            return
        try:
            text = self.text.decode("utf-8")
        except UnicodeDecodeError:
            raise BadRequest(f"invalid {_shown(self.name)} {_shown(bytes(self.text[:200]))}: it is UTF-8") from None
        if "\0" in text:
            raise BadRequest(f"invalid {_shown(self.name)} {_shown(text)}: it has no NUL character")
        if text:
            self.fields.append((self.name, text))

    def form(self) -> UploadForm:
        """Return the form once all parts were taken."""
        if self.filename is None:
            raise BadRequest("missing field 'content': it has the file")
        values = dict(reversed(self.fields))
        for name in REQUIRED:
            if not values.get(name, "").strip():
                raise BadRequest(f"missing field {name!r}: it is needed and not empty")
        for name, accepted in FIXED.items():
            if values.get(name, accepted) != accepted:
                raise BadRequest(f"invalid {name} {_shown(values[name])}: {accepted!r} is accepted")
        try:
            filename = check_filename(self.filename)
            project = normalize_name(values["name"].strip())
        except InvalidValue as error:
            raise BadRequest(str(error)) from error
        _check_filetype(values.get("filetype"), filename)
        self.spool.seek(0)
        md5, sha256, blake2 = (digest.hexdigest() for digest in self.digests)
        return UploadForm(
            fields=tuple(self.fields),
            filename=filename,
            project=project,
            version=values["version"].strip(),
            content=self.spool,
            size=self.size,
            md5_digest=md5,
            sha256_digest=sha256,
            blake2_256_digest=blake2,
        )


def _check_filetype(filetype: str | None, filename: Filename) -> None:
    if filetype is None:
        return
    endings = FILETYPES.get(filetype)
    if endings is None:
        raise BadRequest(f"invalid filetype {_shown(filetype)}: {' and '.join(map(repr, FILETYPES))} are accepted")
    if not filename.endswith(endings):
        raise BadRequest(f"invalid filetype {_shown(filetype)}: the file's name is {filename!r}")


def _too_large(what: str, limit: int) -> str:
    return f"{what} is larger than {limit:,} bytes"


def _shown(value: str | bytes) -> str:
    shown = repr(value[:200])
    return shown if len(value) <= 200 else shown + "…"
