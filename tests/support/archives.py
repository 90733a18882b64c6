"""Archives to the byte, good ones and hostile ones: what no packaging tool would build."""

import gzip
import io
import stat
import tarfile
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256

Members = Mapping[str, bytes]


def metadata(*, name: str = "spam-eggs", version: str = "1.0", extra: str = "") -> bytes:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{extra}\nHam — and eggs\n".encode()


def wheel_members(
    *, folder: str = "spam_eggs-1.0.dist-info", text: bytes | None = None, others: Members | None = None
) -> dict[str, bytes]:
    members = {
        "spam/__init__.py": b"ham = 1\n",
        f"{folder}/METADATA": metadata() if text is None else text,
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\n",
        **(others or {}),
    }
    return {**members, f"{folder}/RECORD": record(members, f"{folder}/RECORD")}


def record(members: Members, path: str) -> bytes:
    """Build the RECORD of these members, which lies at the path."""
    rows = [
        record_row(name, sha256(data).digest(), len(data)) for name, data in members.items() if not name.endswith("/")
    ]
    return "".join([*rows, f"{path},,\n"]).encode()


def record_row(name: str, digest: bytes, size: int) -> str:
    """Build the line of RECORD for a member with this sha256."""
    return f"{name},sha256={urlsafe_b64encode(digest).decode().rstrip('=')},{size}\n"


def sdist_members(
    *, folder: str = "spam_eggs-1.0", text: bytes | None = None, others: Members | None = None
) -> dict[str, bytes]:
    return {
        f"{folder}/spam/__init__.py": b"ham = 1\n",
        f"{folder}/PKG-INFO": metadata() if text is None else text,
        **(others or {}),
    }


def zip_bytes(members: Members, *, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.comment = comment
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return target.getvalue()


def zip_streamed(members: Members, *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive as a pipe takes it: sizes and checksums stand behind each member."""

    class Pipe:
        data = b""

        def write(self, data: bytes) -> int:
            self.data += bytes(data)
            return len(data)

        def flush(self) -> None:
            """Do nothing."""

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:  # type: ignore[call-overload]  # needs no seek
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return pipe.data


def zip_with(members: Members, *infos: zipfile.ZipInfo) -> bytes:
    """Return a zip archive to which empty members were added, with whatever their headers say."""
    target = io.BytesIO(zip_bytes(members))
    with zipfile.ZipFile(target, "a") as archive:
        for info in infos:
            archive.writestr(info, b"")
    return target.getvalue()


def zip_link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def tar_bytes(members: Members, *infos: tarfile.TarInfo, tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar archive of files, and behind them members without content, with whatever their headers say."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tar_format) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in infos:
            archive.addfile(info)
    return target.getvalue()


def tar_gz_bytes(members: Members, *infos: tarfile.TarInfo) -> bytes:
    return gzip.compress(tar_bytes(members, *infos), mtime=0)


def tar_link(name: str, target: str, *, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info
