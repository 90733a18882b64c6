"""What real clients send is understood, and a form that is wrong is refused for what is wrong in it."""

import hashlib
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.distributions.distribution import check_distribution
from pypi_lambda.http.faults import BadRequest, PayloadTooLarge, RequestError, UnsupportedMediaType
from pypi_lambda.http.model import Readable
from pypi_lambda.publish.forms import (
    MAX_FIELD_BYTES,
    MAX_PARTS,
    MAX_TEXT_BYTES,
    SPOOL_BYTES,
    UploadForm,
    check_digests,
    read_upload,
)

CAPTURED = Path(__file__).parents[2] / "data" / "uploads"
CAPTURED_HEADERS: dict[str, dict[str, str]] = json.loads((CAPTURED / "headers.json").read_text("utf-8"))
CONTENT = b"the file's bytes \r\n--\r\n-b\0\xff"
MAX_BYTES = 1_000_000
MULTIPART = "multipart/form-data; boundary=b"

Part = tuple[str, bytes]  # a disposition's parameters, and the body


def text(name: str, value: str | bytes) -> Part:
    return f'name="{name}"', value.encode() if isinstance(value, str) else value


def content(data: bytes = CONTENT, *, filename: str = "spam-1.0.tar.gz") -> Part:
    return f'name="content"; filename="{filename}"', data


def encode(*parts: Part) -> bytes:
    encoded = (
        b"--b\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), body) for head, body in parts
    )
    return b"".join(encoded) + b"--b--\r\n"


def form(*parts: Part, name: str = "Spam", version: str = "1.0") -> bytes:
    """Return a form that has all it needs, and these parts behind."""
    return encode(text("name", name), text("version", version), content(), *parts)


_opened: list[UploadForm] = []


@pytest.fixture(autouse=True)
def closed_forms() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def read_from(
    body: Readable, *, content_type: str = MULTIPART, length: int | None = None, max_bytes: int = MAX_BYTES
) -> UploadForm:
    _opened.append(read_upload(body, content_type=content_type, content_length=length, max_bytes=max_bytes))
    return _opened[-1]


def read(body: bytes, *, content_type: str = MULTIPART, max_bytes: int = MAX_BYTES) -> UploadForm:
    return read_from(io.BytesIO(body), content_type=content_type, length=len(body), max_bytes=max_bytes)


def refused(body: bytes, *, content_type: str = MULTIPART, max_bytes: int = MAX_BYTES) -> str:
    with pytest.raises(BadRequest) as caught:
        read(body, content_type=content_type, max_bytes=max_bytes)
    return caught.value.message


class Stream:
    """A body that is made while it is read, in reads as short as a socket's."""

    def __init__(self, chunks: Iterator[bytes], *, most: int = 10_000) -> None:
        self._chunks = chunks
        self._left = b""
        self._most = most

    def read(self, size: int = -1, /) -> bytes:
        self._left = self._left or next(self._chunks, b"")
        size = min(size, self._most) if size >= 0 else self._most
        taken, self._left = self._left[:size], self._left[size:]
        return taken


@pytest.mark.parametrize("capture", sorted(CAPTURED_HEADERS))
@pytest.mark.parametrize("known_length", [True, False])
def test_real_clients_are_understood(capture: str, known_length: bool) -> None:
    """What the clients send is read, its digests fit, and its file is the distribution that it says."""
    body = (CAPTURED / f"{capture}.bin").read_bytes()
    headers = CAPTURED_HEADERS[capture]
    length = int(headers["content-length"])
    assert length == len(body)
    read_form = read_from(
        io.BytesIO(body), content_type=headers["content-type"], length=length if known_length else None
    )
    check_digests(read_form)
    found = check_distribution(read_form.content, read_form.filename, name=read_form.project, version=read_form.version)
    assert (found.project, found.version, found.requires_python) == ("spam-eggs", "1.0", ">=3.9")
    assert read_form.filename == ("spam_eggs-1.0.tar.gz" if "sdist" in capture else "spam_eggs-1.0-py3-none-any.whl")
    assert read_form.find("author_email") == "Zoë Example <zoe@example.org>"
    assert len(read_form.values("classifiers")) == 2


def test_attestations_behind_the_file_are_read() -> None:
    """Fields after `content` belong to the form."""
    body = (CAPTURED / "uv-wheel-attested.bin").read_bytes()
    read_form = read(body, content_type=CAPTURED_HEADERS["uv-wheel-attested"]["content-type"])
    assert read_form.fields[-1][0] == "attestations"


def test_form_is_read_whole() -> None:
    """All that a form has is in the value, lists in their order and empty fields left out."""
    read_form = read(form(text("classifiers", "B"), text("summary", ""), text("classifiers", "A"), name="Spam.Eggs"))
    assert read_form.content.read() == CONTENT
    assert read_form == UploadForm(
        fields=(("name", "Spam.Eggs"), ("version", "1.0"), ("classifiers", "B"), ("classifiers", "A")),
        filename=read_form.filename,
        project=read_form.project,
        version="1.0",
        content=read_form.content,
        size=len(CONTENT),
        md5_digest=hashlib.md5(CONTENT).hexdigest(),
        sha256_digest=hashlib.sha256(CONTENT).hexdigest(),
        blake2_256_digest=hashlib.blake2b(CONTENT, digest_size=32).hexdigest(),
    )
    assert (read_form.project, read_form.filename) == ("spam-eggs", "spam-1.0.tar.gz")
    assert (read_form.find("summary"), read_form.values("classifiers")) == (None, ("B", "A"))


@pytest.mark.parametrize("most", [1, 2, 3, 7, 50])
def test_short_reads_change_nothing(most: int) -> None:
    """However the bytes arrive, the form is the same."""
    body = form(text("summary", "x"))
    read_form = read_from(Stream(iter([body]), most=most))
    assert (read_form.content.read(), read_form.find("summary")) == (CONTENT, "x")


def test_nothing_is_read_behind_the_announced_length() -> None:
    """On a connection that stays open the next request is left where it is."""
    body = form()
    source = io.BytesIO(body + b"POST /")
    read_from(source, length=len(body))
    assert source.read() == b"POST /"


def test_large_file_goes_to_disk() -> None:
    """Memory stays bounded however large the file is."""
    size = 4 * SPOOL_BYTES
    chunks = [encode(content(b""))[: -len(b"\r\n--b--\r\n")], *[bytes(65_536)] * (size // 65_536), b"\r\n"]
    tail = encode(text("name", "spam"), text("version", "1.0"))
    tracemalloc.start()
    read_form = read_from(Stream(iter([*chunks, tail]), most=65_536), max_bytes=size)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (read_form.size, read_form.sha256_digest) == (size, hashlib.sha256(bytes(size)).hexdigest())
    assert peak_bytes < 2 * SPOOL_BYTES + 1_000_000


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/json", "multipart/mixed; boundary=b", ";", "\xff"]
)
def test_other_media_types_are_not_supported(content_type: str) -> None:
    """Only multipart/form-data is a form."""
    with pytest.raises(UnsupportedMediaType, match="an upload is multipart/form-data"):
        read(form(), content_type=content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="b\x00"',
        'multipart/form-data; boundary="é"',
        "multipart/form-data; boundary=" + "b" * 201,
        "multipart/form-data; boundary=b" + " " * 1_000,
    ],
)
def test_boundary_is_needed(content_type: str) -> None:
    """A form without a usable boundary is refused."""
    assert "boundary" in refused(form(), content_type=content_type)


def test_media_type_is_read_as_http_says() -> None:
    """Case, quotes and other parameters of the Content-Type do not matter."""
    assert read(form(), content_type='Multipart/Form-Data; charset=utf-8; Boundary="b"').size == len(CONTENT)


def test_every_truncation_is_refused() -> None:
    """A form that lacks its end is refused, whether or not its length was announced."""
    body = form(text("summary", "x"))[: -len(b"\r\n")]
    for end in range(len(body)):
        assert refused(body[:end])
        with pytest.raises(BadRequest):
            read_from(io.BytesIO(body[:end]))
        with pytest.raises(BadRequest):
            read_from(io.BytesIO(body[:end]), length=len(body))


def test_announced_length_is_not_overstepped() -> None:
    """A form that goes on behind its announced length is refused like a truncated one."""
    with pytest.raises(BadRequest, match="no complete multipart/form-data"):
        read_from(io.BytesIO(form()), length=100)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    """No bytes raise anything but a refusal."""
    assert refused(data)


@given(st.binary(max_size=40), st.integers(0, 400))
def test_damaged_forms_are_refused_or_read(damage: bytes, place: int) -> None:
    """Bytes put anywhere into a form raise nothing but a refusal."""
    body = form(text("summary", "x"))
    try:
        read(body[:place] + damage + body[place:])
    except RequestError as error:
        assert error.status in (400, 413)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (encode(), "missing field 'content': it has the file"),
        (encode(text("name", "spam"), text("version", "1.0")), "missing field 'content': it has the file"),
        (encode(content(), text("version", "1.0")), "missing field 'name': it is needed and not empty"),
        (form(name=""), "missing field 'name': it is needed and not empty"),
        (form(name=" "), "missing field 'name': it is needed and not empty"),
        (form(version=""), "missing field 'version': it is needed and not empty"),
        (form(text("name", "ham")), "duplicate field 'name': it is accepted once"),
        (form(text("name", "")), "duplicate field 'name': it is accepted once"),
        (form(content()), "duplicate field 'content': it is accepted once"),
        (
            form(text("sha256_digest", "a"), text("sha256_digest", "b")),
            "duplicate field 'sha256_digest': it is accepted once",
        ),
        (
            form(text("gpg_signature", ""), text("gpg_signature", "")),
            "duplicate field 'gpg_signature': it is accepted once",
        ),
        (form(text(":action", "submit")), "invalid :action 'submit': 'file_upload' is accepted"),
        (form(text("protocol_version", "2")), "invalid protocol_version '2': '1' is accepted"),
        (form(text("filetype", "bdist_wheel")), "invalid filetype 'bdist_wheel': the file's name is 'spam-1.0.tar.gz'"),
        (form(text("filetype", "bdist_egg")), "invalid filetype 'bdist_egg': 'bdist_wheel' and 'sdist' are accepted"),
        (form(text("summary", b"\xff")), "invalid 'summary' b'\\xff': it is UTF-8"),
        (form(text("summary", "a\0b")), "invalid 'summary' 'a\\x00b': it has no NUL character"),
        (form(text("", "x")), "a part of the form has no name"),
    ],
)
def test_form_that_is_wrong_is_refused_for_it(body: bytes, sentence: str) -> None:
    """The answer names the field and the value."""
    assert refused(body) == sentence


@pytest.mark.parametrize(
    "name", ["../spam", "spam/eggs", "-spam", "sp\nam", "sp\x1bam", "ѕpam", "<b>", "spam" * 100, "%2e%2e", "."]
)
def test_hostile_names_are_refused(name: str) -> None:
    """A project's name that no project can have is refused."""
    assert refused(form(name=name)).startswith("invalid name ")


@pytest.mark.parametrize(
    "filename", ["", "../x.whl", "a/b.whl", "a\\b.whl", ".whl", "a..whl", "ѕ.whl", "s\x07.whl", "%0D%0A.whl", "s" * 300]
)
def test_hostile_filenames_are_refused(filename: str) -> None:
    """A file's name is one harmless path segment."""
    body = encode(text("name", "spam"), text("version", "1.0"), content(filename=filename))
    assert refused(body).startswith("invalid filename ")


def test_content_without_a_filename_is_refused() -> None:
    """A file needs a name."""
    body = encode(text("name", "spam"), text("version", "1.0"), text("content", CONTENT))
    assert refused(body).startswith("invalid filename ''")


def test_signature_is_ignored() -> None:
    """A GnuPG signature, which old clients send, is any bytes."""
    assert read(form(('name="gpg_signature"; filename="x.asc"', b"\xff\0"))).find("gpg_signature") is None


def test_missing_action_and_unknown_lists_are_accepted() -> None:
    """The path says what to do, and fields of metadata versions to come may repeat."""
    assert read(form(text("later", "1"), text("later", "2"))).values("later") == ("1", "2")


DIGESTS = {
    "md5_digest": hashlib.md5(CONTENT).hexdigest(),
    "sha256_digest": hashlib.sha256(CONTENT).hexdigest(),
    "blake2_256_digest": hashlib.blake2b(CONTENT, digest_size=32).hexdigest(),
}


@pytest.mark.parametrize("field", DIGESTS)
def test_each_digest_given_is_compared(field: str) -> None:
    """Every digest that was sent has to fit, and the answer names the one that does not."""
    read_form = read(form(text(field, "00")))
    with pytest.raises(BadRequest) as caught:
        check_digests(read_form)
    assert caught.value.message == f"invalid {field} '00': the content received has {DIGESTS[field]}"


@pytest.mark.parametrize("fields", [(), tuple(DIGESTS), ("md5_digest",)])
def test_digests_that_fit_are_accepted(fields: tuple[str, ...]) -> None:
    """Any subset may be sent, in either case, and an empty one is none."""
    sent = {name: DIGESTS[name].upper() if name in fields else "" for name in DIGESTS}
    check_digests(read(form(*(text(name, value) for name, value in sent.items()))))


def test_file_up_to_the_limit_is_accepted() -> None:
    """The limit belongs to what is accepted."""
    assert read(form(), max_bytes=len(CONTENT)).size == len(CONTENT)


@pytest.mark.parametrize(
    ("parts", "max_bytes", "limit"),
    [
        ((), len(CONTENT) - 1, f"content is larger than {len(CONTENT) - 1:,} bytes"),
        ((text("summary", b"x" * (MAX_FIELD_BYTES + 1)),), MAX_BYTES, "'summary' is larger than 4,194,304 bytes"),
        (
            (text("gpg_signature", b"x" * (MAX_FIELD_BYTES + 1)),),
            MAX_BYTES,
            "'gpg_signature' is larger than 4,194,304 bytes",
        ),
        (
            (text("a", b"x" * MAX_FIELD_BYTES),) * 3,
            MAX_BYTES,
            f"the text of all fields is larger than {MAX_TEXT_BYTES:,} bytes",
        ),
        ((text("classifiers", "x"),) * MAX_PARTS, MAX_BYTES, "at most 10,000 fields"),
        (((f'name="{"x" * 5_000}"', b""),), MAX_BYTES, "headers of 4 KiB"),
    ],
    ids=["content", "field", "signature", "all fields", "number of fields", "header"],
)
def test_what_is_too_large_is_refused_with_the_limit(parts: tuple[Part, ...], max_bytes: int, limit: str) -> None:
    """The answer to a form over a limit tells the limit."""
    with pytest.raises(PayloadTooLarge) as caught:
        read(form(*parts), max_bytes=max_bytes)
    assert limit in caught.value.message


def test_announced_length_over_the_limit_is_refused_unread() -> None:
    """A body that announces more than any form has is refused before it is read."""
    source = io.BytesIO(form())
    with pytest.raises(PayloadTooLarge):
        read_from(source, length=10**9)
    assert source.tell() == 0


def test_endless_body_is_refused() -> None:
    """A body without an announced length ends at the limit, also when it goes on behind the form."""

    def endless() -> Iterator[bytes]:
        yield form()
        while True:
            yield bytes(65_536)

    with pytest.raises(PayloadTooLarge, match="the request is larger than"):
        read_from(Stream(endless(), most=65_536))


def test_refused_form_leaves_no_file_behind() -> None:
    """The file of a form that is refused is closed: an open one would be a ResourceWarning, and a disk would fill."""
    with pytest.raises(BadRequest):
        read(encode(content(bytes(SPOOL_BYTES + 1))), max_bytes=2 * SPOOL_BYTES)
