"""What an upload in parts announces: the name, the size and the digest of the file that will come."""

from hashlib import blake2b
from typing import Any

from indexer.errors import InvalidValue
from indexer.json_bytes import decode_json
from indexer.names import Filename, check_filename
from indexer.value import value
from pypi_lambda.http.faults import PayloadTooLarge
from pypi_lambda.http.model import Request
from pypi_lambda.publish.upload import MAX_FILE_BYTES

PART_BYTES = 67_108_864  # 64 MiB: one that breaks off costs a minute at 10 Mbit/s, and 5 GiB are 80
MAX_PARTS = MAX_FILE_BYTES // PART_BYTES
MAX_ANNOUNCEMENT_BYTES = 4_096


@value
class Announced:
    """A file that is to be sent; `size` in bytes, `sha256` in lower-case hex."""

    filename: Filename
    size: int
    sha256: str

    def part_sizes(self, part_bytes: int) -> tuple[int, ...]:
        """Return the parts' sizes in bytes, in order, where no part has more than `part_bytes`."""
        whole, rest = divmod(self.size, part_bytes)
        return (*([part_bytes] * whole), *([rest] if rest else []))


def upload_id(username: str, announced: Announced) -> str:
    """Return what names a user's upload of a file: hex."""
    text = f"{announced.filename}\n{announced.size}\n{announced.sha256}".encode()
    return owner(username) + blake2b(text, digest_size=16).hexdigest()


def parse_announced(document: Any) -> Announced:
    """Return what a JSON object announces.

    Raises:
        InvalidValue: a member is missing, or not what it must be.
    """
    if not isinstance(document, dict):
        raise InvalidValue("body", "(not shown)", "a JSON object with filename, size and sha256")
    filename, size, digest = (document.get(name) for name in ("filename", "size", "sha256"))
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InvalidValue("size", size, "a number of bytes")
    if not isinstance(digest, str) or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise InvalidValue("sha256", digest, "64 lower-case hexadecimal digits")
    return Announced(filename=check_filename(str(filename)), size=size, sha256=digest)


def read_announcement(request: Request) -> Announced:
    """Return what a request announces; InvalidValue or PayloadTooLarge where it is no announcement."""
    body = request.body.read(MAX_ANNOUNCEMENT_BYTES + 1)
    if len(body) > MAX_ANNOUNCEMENT_BYTES:
        raise PayloadTooLarge(f"an announcement has at most {MAX_ANNOUNCEMENT_BYTES:,} bytes")
    try:
        document = decode_json(body)
    except ValueError:
        document = None
    announced = parse_announced(document)
    if announced.size > MAX_FILE_BYTES:
        raise PayloadTooLarge(f"a file has at most {MAX_FILE_BYTES:,} bytes, and {announced.filename!r} more")
    return announced


def owner(username: str) -> str:
    """Return what the ids of all uploads of a user begin with: hex."""
    return blake2b(username.encode(), digest_size=8).hexdigest()
