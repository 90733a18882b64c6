"""RECORD: that a wheel's list of its files names what is there, with digests and sizes.

"Recording installed projects" and "Binary distribution format": "RECORD is a list of (almost) all the files in the
wheel and their secure hashes", signatures and RECORD itself left out.
"""

import base64
import csv
import io
from collections.abc import Iterator, Mapping

from indexer.archives.zip_members import Verified
from indexer.errors import InvalidValue

MAX_ROWS = 200_000  # twice as many as an archive has members; a wheel names each once
# "RECORD.jws … RECORD.p7s": signatures, which can only be made once RECORD is done.
_UNLISTED = ("", ".jws", ".p7s")
_SECURE = ("sha256", "sha384", "sha512")  # "the hash algorithm must be sha256 or better"


def check_record(data: bytes, path: str, members: Mapping[str, Verified]) -> None:
    """Make sure that RECORD and archive have the same files.

    Args:
        path: of RECORD in the wheel.
        members: what the archive has.

    Raises:
        InvalidValue: field `RECORD`.
    """
    unlisted = {path + ending for ending in _UNLISTED}
    missing = set(members) - unlisted
    listed: set[str] = set()
    for name, digest, size in _rows(data):
        if name in listed:
            raise _refusal(name, "each file is listed once")
        listed.add(name)
        if name in unlisted:
            continue
        if name not in members:
            raise _refusal(name, "it lists files that are in the wheel")
        missing.discard(name)
        _check_row(name, digest, size, members[name])
    if missing:
        raise _refusal(min(missing), "it lists every file in the wheel")


def _rows(data: bytes) -> Iterator[tuple[str, str, str]]:
    try:
        for count, row in enumerate(csv.reader(io.StringIO(data.decode("utf-8"), newline="")), start=1):
            if count > MAX_ROWS:
                raise _refusal("(not shown)", f"it has at most {MAX_ROWS:,} lines")
            if len(row) != 3:  # an empty line ends pip with a traceback
                raise _refusal(",".join(row)[:200], "a line has a path, a digest and a size")
            yield row[0], row[1], row[2]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise _refusal("(not shown)", f"it is a CSV file in UTF-8: {fault}") from None


def _check_row(name: str, digest: str, size: str, member: Verified) -> None:
    algorithm, _, told = digest.partition("=")
    algorithm = algorithm.lower()  # bdist_wheel under Python 2.7 writes `SHA256`
    if algorithm not in _SECURE:
        raise _refusal(f"{name},{digest}", f"a file has a digest of {', '.join(_SECURE)}")
    if size and size != str(member.size):
        raise _refusal(f"{name},{size}", f"a file's size is that in the wheel, {member.size:,} bytes")
    if algorithm == "sha256" and member.sha256 is not None:
        # "urlsafe-base64-nopad"; some builders pad all the same or write hexadecimal digits, and installers do not look
        found = base64.urlsafe_b64encode(member.sha256).decode().rstrip("=")
        if told.rstrip("=") != found and told.lower() != member.sha256.hex():
            raise _refusal(f"{name},{digest}", f"a file's digest is that of what is in the wheel, {found}")


def _refusal(found: str, accepted: str) -> InvalidValue:
    return InvalidValue("RECORD", found, accepted)
