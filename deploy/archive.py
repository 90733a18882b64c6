"""The archive: entries → the bytes of a zip, the same ones for the same entries.

Names are sorted, and times and permissions are constants. The rest is zlib's: another implementation of it (zlib-ng,
say) packs the same contents into other bytes, which is why `contents_sha256` exists.

https://docs.aws.amazon.com/lambda/latest/dg/python-package.html (permissions 644 for files, 755 for executables)
"""

import io
import zipfile
from collections.abc import Iterable
from hashlib import sha256

from deploy.contents import Entry

MOMENT = (1980, 1, 1, 0, 0, 0)  # the first that a zip can name
LEVEL = 9

_FILE, _EXECUTABLE = 0o100644, 0o100755
_UNIX = 3  # else the permissions would be read as MS-DOS attributes


def encode_zip(entries: Iterable[Entry]) -> bytes:
    """Return the zip with these entries."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for entry in _sorted(entries):
            info = zipfile.ZipInfo(entry.name, date_time=MOMENT)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = _UNIX
            info.external_attr = (_EXECUTABLE if entry.name.endswith(".so") else _FILE) << 16
            archive.writestr(info, entry.body)
    return out.getvalue()


def contents_sha256(entries: Iterable[Entry]) -> str:
    """Return a digest of names and contents, which does not depend on how they are compressed."""
    digest = sha256()
    for entry in _sorted(entries):
        digest.update(f"{entry.name}\0{len(entry.body)}\0".encode() + entry.body)
    return digest.hexdigest()


def _sorted(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.name)
