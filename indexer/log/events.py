"""What can happen to a private index, and how it is written down: one JSON object per event.

An event is stored once and never changed, so this codec is for ever: a new field is optional, a new meaning is a new
kind. An unknown version or kind is a loud error, because a process that is older than the log must not guess.
"""

from datetime import UTC, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

from indexer.errors import CorruptObject, InvalidValue
from indexer.json_bytes import decode_json, encode_json
from indexer.names import Filename, ProjectName, check_filename, is_normalized
from indexer.quick_hashes import sha256
from indexer.value import names_of, value, values_of

EVENT_VERSION = 1
LATER_FIELDS = frozenset({"provenance_sha256"})  # left out where they are empty: other events stay the bytes they were
MAX_REASON_LENGTH = 1_000  # of a yank or a status; it stands in the page, once for each file


@value
class FileAdded:
    """A file was published. The first one of a file name counts; what comes later under that name changes nothing.

    Attributes:
        version: as the file's name and metadata have it, for the page's `versions`.
        size: in bytes.
        sha256: of the file, lower-case hex.
        upload_time: `YYYY-MM-DDThh:mm:ss.ffffffZ`; of the source where the file was brought over from another index.
            "", before it is written, stands for the time of its event.
        metadata_sha256: of the `.metadata` object beside the file, or None where there is none.
        provenance_sha256: of what its upload attested, or None where it attested nothing.
    """

    project: ProjectName
    filename: Filename
    version: str
    size: int
    sha256: str
    upload_time: str
    requires_python: str | None = None
    metadata_sha256: str | None = None
    provenance_sha256: str | None = None


@value
class FileYanked:
    """A file was yanked (PEP 592); `reason` may be empty."""

    project: ProjectName
    filename: Filename
    reason: str


@value
class FileUnyanked:
    """A yank was taken back."""

    project: ProjectName
    filename: Filename


@value
class FileRemoved:
    """A file is no longer offered; its name stays taken."""

    project: ProjectName
    filename: Filename
    reason: str = ""


@value
class FileRestored:
    """A removed file is offered again."""

    project: ProjectName
    filename: Filename


@value
class ProjectStatusSet:
    """A project's status changed (PEP 792); `reason` may be empty."""

    project: ProjectName
    status: str
    reason: str


@value
class NamesReserved:
    """Project names that match (`*` is any run of characters) are private, even before their first upload."""

    patterns: tuple[str, ...]


@value
class NamesUnreserved:
    """These patterns, as they were reserved, count no longer."""

    patterns: tuple[str, ...]


@value
class UserPut:
    """A user was added or changed. The secret is in the user's record, never here.

    Attributes:
        projects: patterns of the names under which the user may upload; empty for all.
    """

    username: str
    upload: bool
    projects: tuple[str, ...] = ()


@value
class UserRemoved:
    """A user was removed."""

    username: str


@value
class TokenCreated:
    """A user got a token. The secret is nowhere; its digest is in the token's record.

    Attributes:
        token: what names the token in lists; tells nothing of the secret.
        name: what its owner calls it; may be empty.
        upload: whether it may upload, if its user may.
        projects: patterns of the names under which it may upload; empty for all that its user may.
        expires: `YYYY-MM-DDThh:mm:ss.ffffffZ`, or None for never.
    """

    token: str
    username: str
    name: str
    upload: bool
    projects: tuple[str, ...] = ()
    expires: str | None = None


@value
class TokenRevoked:
    """A token was taken back."""

    token: str
    username: str


@value
class UpstreamRefreshed:
    """The upstream's master index was read anew.

    Attributes:
        names_sha256: of the list of names, which also names the stored list and its filter.
        count: how many names.
    """

    names_sha256: str
    count: int


FileChange = FileAdded | FileYanked | FileUnyanked | FileRemoved | FileRestored
ProjectChange = FileChange | ProjectStatusSet
Change = (
    ProjectChange
    | NamesReserved
    | NamesUnreserved
    | UserPut
    | UserRemoved
    | TokenCreated
    | TokenRevoked
    | UpstreamRefreshed
)

KINDS: dict[str, type[Change]] = {kind.__name__: kind for kind in get_args(Change)}


@value
class Event:
    """A change with its place in the log.

    Attributes:
        seq: 1 for the first event, and no number is left out.
        id: random hex; tells a writer's own event from another's when the answer to a write was lost.
        prev: the digest of the event before, "" for the first: it ties the log together.
        at: UTC, `YYYY-MM-DDThh:mm:ss.ffffffZ`.
        by: the user or caller who asked for the change.
        client: from where: the client's address, or "" where there was none, as for a command.
        digest: sha256 of the stored bytes, as the next event's `prev` has it.
    """

    seq: int
    id: str
    prev: str
    at: str
    by: str
    client: str
    change: Change
    digest: str


def timestamp(moment: datetime) -> str:
    """Return a moment as `YYYY-MM-DDThh:mm:ss.ffffffZ`, as the simple API and the log have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def encode_event(*, seq: int, id: str, prev: str, at: str, by: str, client: str = "", change: Change) -> bytes:
    """Return the bytes of an event as they are stored."""
    document: dict[str, Any] = {"v": EVENT_VERSION, "seq": seq, "id": id, "prev": prev, "at": at, "by": by}
    if client:
        document["client"] = client
    document["kind"] = type(change).__name__
    document.update((name, item) for name, item in values_of(change).items() if item or name not in LATER_FIELDS)
    return encode_json(document)


def decode_event(key: str, body: bytes) -> Event:
    """Return the event that is stored in these bytes.

    Args:
        key: where the bytes came from, for the error.

    Raises:
        CorruptObject: they are no event, or one of a version or kind that this process does not know.
    """
    try:
        document = decode_json(body)
        if not isinstance(document, dict):
            raise ValueError("an event is a JSON object")
        if document.get("v") != EVENT_VERSION:
            raise ValueError(f"unknown event version {document.get('v')!r}; this process may be older than the log")
        kind = KINDS.get(document.get("kind", ""))
        if kind is None:
            raise ValueError(f"unknown kind {document.get('kind')!r}; this process may be older than the log")
        return Event(
            seq=_field(document, "seq", int),
            id=_field(document, "id", str),
            prev=_field(document, "prev", str),
            at=_field(document, "at", str),
            by=_field(document, "by", str),
            client=_field({"client": "", **document}, "client", str),
            change=_decode_change(kind, document),
            digest=sha256(body).hexdigest(),
        )
    except (ValueError, TypeError, InvalidValue) as fault:
        raise CorruptObject(key, f"no readable event: {fault}") from fault


def _decode_change(kind: type[Change], document: dict[str, Any]) -> Change:
    types = _types_of(kind.__name__)
    values = {name: _field(document, name, types[name]) for name in names_of(kind) if name in document}
    if not is_normalized(values.get("project", "a")):
        raise ValueError(f"project {values['project']!r} is not normalised")
    check_filename(values.get("filename", "a"))
    return kind(**values)


@cache  # looking them up anew is half the time that it takes to read an event
def _types_of(kind: str) -> dict[str, Any]:
    return get_type_hints(KINDS[kind])


def _field(document: dict[str, Any], name: str, type_: Any) -> Any:
    value = document.get(name)
    if type_ == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
    elif isinstance(type_, UnionType):
        if isinstance(value, (NoneType, str)):
            return value
    elif isinstance(value, getattr(type_, "__supertype__", type_)) and (type_ is bool or not isinstance(value, bool)):
        return value
    raise ValueError(f"field {name} is {value!r}")
