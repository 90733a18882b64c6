"""Events are read back as they were written, and what is no event is refused."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.errors import CorruptObject
from indexer.log.events import (
    KINDS,
    Change,
    Event,
    FileAdded,
    FileRemoved,
    FileRestored,
    FileUnyanked,
    FileYanked,
    NamesReserved,
    NamesUnreserved,
    ProjectStatusSet,
    TokenCreated,
    TokenRevoked,
    UpstreamRefreshed,
    UserPut,
    UserRemoved,
    decode_event,
    timestamp,
)
from indexer.names import Filename, ProjectName
from indexer.value import names_of
from tests.support.builders import (
    AT,
    added,
    any_filenames,
    any_names,
    event_bytes,
    file_changes,
    other_changes,
    sha256,
    texts,
)

KEY = "log/00000000000000000001.json"
PROJECT = ProjectName("demo")
FILENAME = Filename("demo-1.0.tar.gz")
EXAMPLES: dict[str, Change] = {
    "FileAdded": added(),
    "FileYanked": FileYanked(project=PROJECT, filename=FILENAME, reason="broken"),
    "FileUnyanked": FileUnyanked(project=PROJECT, filename=FILENAME),
    "FileRemoved": FileRemoved(project=PROJECT, filename=FILENAME, reason="leaked"),
    "FileRestored": FileRestored(project=PROJECT, filename=FILENAME),
    "ProjectStatusSet": ProjectStatusSet(project=PROJECT, status="archived", reason="old"),
    "NamesReserved": NamesReserved(patterns=("our-*", "private")),
    "NamesUnreserved": NamesUnreserved(patterns=("our-*",)),
    "UserPut": UserPut(username="ann", upload=True, projects=("demo-*",)),
    "TokenCreated": TokenCreated(token="1d", username="ann", name="ci", upload=True, projects=("demo",), expires=AT),
    "TokenRevoked": TokenRevoked(token="1d", username="ann"),
    "UserRemoved": UserRemoved(username="ann"),
    "UpstreamRefreshed": UpstreamRefreshed(names_sha256=sha256("names"), count=927_000),
}
STORED_FIELDS = {
    (kind, name) for kind, change in EXAMPLES.items() for name in ["seq", "id", "at", *names_of(type(change))]
}
OPTIONAL = {
    ("FileAdded", "requires_python"),
    ("FileAdded", "metadata_sha256"),
    ("FileAdded", "provenance_sha256"),
    ("FileRemoved", "reason"),
    ("UserPut", "projects"),
    ("TokenCreated", "projects"),
    ("TokenCreated", "expires"),
}


def document(kind: str, /, **changes: Any) -> bytes:
    """Return the stored bytes of an example with some of its members replaced."""
    return orjson.dumps({**json.loads(event_bytes(EXAMPLES[kind])), **changes})


def refusal(body: bytes) -> str:
    with pytest.raises(CorruptObject) as caught:
        decode_event(KEY, body)
    assert caught.value.key == KEY
    return caught.value.reason


def test_every_kind_has_an_example() -> None:
    """No kind of event is left out of these tests."""
    assert EXAMPLES.keys() == KINDS.keys()


@given(
    change=file_changes(any_names, any_filenames) | other_changes(),
    seq=st.integers(1, 2**53),
    id=texts,
    by=texts,
    client=texts,
)
@example(change=EXAMPLES["FileAdded"], seq=1, id="1d", by="me", client="")
def test_round_trip(change: Change, seq: int, id: str, by: str, client: str) -> None:
    """An event is read back as it was written, under the digest of its bytes; equal events have equal bytes."""
    body = event_bytes(change, seq=seq, id=id, by=by, client=client, prev=sha256("before"))
    assert body == event_bytes(change, seq=seq, id=id, by=by, client=client, prev=sha256("before"))
    assert decode_event(KEY, body) == Event(
        seq=seq, id=id, prev=sha256("before"), at=AT, by=by, client=client, change=change, digest=sha256(body)
    )


def test_stored_form() -> None:
    """The bytes of an event stay what they are: logs are kept for ever."""
    assert event_bytes(EXAMPLES["FileAdded"], seq=7, prev="00ff") == (
        b'{"v":1,"seq":7,"id":"1d","prev":"00ff","at":"2024-11-23T10:20:30.000040Z","by":"me","kind":"FileAdded",'
        b'"project":"demo","filename":"demo-1.0-py3-none-any.whl","version":"1.0","size":25,'
        b'"sha256":"%s","upload_time":"2024-11-23T10:20:30.000040Z","requires_python":">=3.9","metadata_sha256":"%s"}'
        % (sha256("demo-1.0-py3-none-any.whl").encode(), sha256("demo-1.0-py3-none-any.whl.metadata").encode())
    )


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_truncation_is_refused(kind: str) -> None:
    """An event that breaks off anywhere is refused."""
    body = event_bytes(EXAMPLES[kind])
    for length in range(len(body)):
        refusal(body[:length])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"v": 2}, "unknown event version 2; this process may be older than the log"),
        ({"v": None}, "unknown event version None; this process may be older than the log"),
        ({"kind": "FileForged"}, "unknown kind 'FileForged'; this process may be older than the log"),
        ({"kind": None}, "unknown kind None; this process may be older than the log"),
        ({"project": "De.mo"}, "project 'De.mo' is not normalised"),
    ],
)
def test_what_is_unknown_is_named(changes: dict[str, Any], reason: str) -> None:
    """An unknown version or kind is a loud error that says what it was."""
    assert refusal(document("FileAdded", **changes)) == f"no readable event: {reason}"


@pytest.mark.parametrize("filename", ["../demo-1.0.tar.gz", "a/b", "", ".hidden", "a b"])
def test_unsafe_filename_is_refused(filename: str) -> None:
    """No event brings in a file name from which no key may be built."""
    assert "invalid filename" in refusal(document("FileYanked", filename=filename))


@pytest.mark.parametrize(("kind", "name"), sorted(STORED_FIELDS - OPTIONAL))
@pytest.mark.parametrize("wrong", [None, 1.5, {}, [1]])
def test_wrong_type_is_refused(kind: str, name: str, wrong: object) -> None:
    """A field that is missing or of another type is refused."""
    refusal(document(kind, **{name: wrong}))


def test_flag_is_no_number() -> None:
    """`true` is not taken for the number 1."""
    assert refusal(document("FileAdded", size=True)) == "no readable event: field size is True"


def test_number_is_no_flag() -> None:
    """The number 1 is not taken for `true`."""
    assert refusal(document("UserPut", upload=1)) == "no readable event: field upload is 1"


@pytest.mark.parametrize("name", ["requires_python", "metadata_sha256", "provenance_sha256"])
def test_optional_field_may_be_absent(name: str) -> None:
    """An event from before an optional field was there reads as one without it."""
    members = json.loads(event_bytes(EXAMPLES["FileAdded"]))
    members.pop(name, None)
    change = decode_event(KEY, orjson.dumps(members)).change
    assert isinstance(change, FileAdded)
    assert getattr(change, name) is None


@given(
    body=st.binary(max_size=40)
    | st.recursive(st.none() | st.integers(0, 2**63) | st.text(), st.lists).map(orjson.dumps)
)
def test_anything_else_is_refused(body: bytes) -> None:
    """Bytes that are no event are refused, and nothing else happens."""
    refusal(body)


@given(
    members=st.dictionaries(
        st.sampled_from([*json.loads(document("FileAdded"))]), st.none() | st.integers(0, 2**63) | texts
    )
)
def test_altered_members_never_crash(members: dict[str, Any]) -> None:
    """An event with any of its members replaced is read or refused."""
    try:
        decode_event(KEY, document("FileAdded", **members))
    except CorruptObject as fault:
        assert fault.key == KEY  # noqa: PT017  # it may be read, too


def test_timestamp_is_in_utc() -> None:
    """A moment is written in UTC with six digits, wherever it was taken."""
    moment = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(moment) == "2025-12-31T23:30:00.000000Z"
