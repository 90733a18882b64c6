"""A store in a folder of this machine: every object is a plain file, every write atomic and durable.

Owns the files' places and the translation of the file system's errors. Knows nothing of what the objects mean, reads no
clock and no environment. Several processes may share one folder. obstore's local store is not used: it has no
replace-if-unchanged and no etag under our control.

Reading list: link(2), rename(2) and flock(2) for what is atomic among processes.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO

from indexer.errors import AlreadyExists, Changed, Missing, StoreUnavailable, TooLarge
from indexer.store.base import BINARY, CHUNK_BYTES, MAX_OBJECT_BYTES, Stat, Stored, check_key, check_prefix, is_key
from indexer.store.durable import NOISE_BYTES, locked, make_folders, seal, sync_folder

PRIVATE_FOLDER = ".tmp"  # no key begins with a dot, so nothing in it can be read or listed
KEPT_BYTES, KEPT_OBJECTS = 4_096, 1_024  # users' records have 200 bytes: what is read again and again is that small
LEFTOVER_SECONDS = 86_400  # a day: no write takes so long, so an older temporary file belongs to a killed process
Identity = tuple[int, int, int, int]
_ABSENT = (FileNotFoundError, NotADirectoryError)
_READ = os.O_RDONLY | os.O_CLOEXEC


class FolderStore:
    """Objects as files below `root`, which is created when there is none.

    Args:
        random_bytes: where names of temporary files and the random part of etags come from.
    """

    def __init__(self, root: Path, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._base = os.path.abspath(root) + "/"
        self._private = self._base + PRIVATE_FOLDER + "/"
        self._lock = self._private + "lock"
        self._random_bytes = random_bytes
        self._kept: dict[str, tuple[Identity, Stored]] = {}
        with _translated(str(root)):
            os.makedirs(self._private, exist_ok=True)
            self._remove_leftovers()

    def find(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored | None:
        """Return the object, or None when there is none."""
        status = self._find_status(key)
        if status is None:
            return None
        kept = self._kept.get(key)
        if kept is not None and kept[0] == _identity(status) and status.st_size <= limit:
            return kept[1]
        return self._read_whole(key, limit)

    def find_all(self, keys: Iterable[str], *, limit: int = MAX_OBJECT_BYTES) -> Iterator[tuple[str, Stored | None]]:
        """Yield each key with its object, or None where there is none, one after the other."""
        for key in keys:
            yield key, self.find(key, limit=limit)

    def get(self, key: str, *, limit: int = MAX_OBJECT_BYTES) -> Stored:
        """Return the object."""
        stored = self.find(key, limit=limit)
        if stored is None:
            raise Missing(key)
        return stored

    def stat(self, key: str) -> Stat | None:
        """Return what is known of the object, or None when there is none."""
        status = self._find_status(key)
        return None if status is None else _stat(key, status)

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` up to, not including, `end`, in chunks."""
        opened = self._open(key)
        if opened is None:
            raise Missing(key)
        descriptor, status = opened
        file = open(descriptor, "rb", buffering=0)  # noqa: SIM115
        chunks = _chunks(key, file, start, status.st_size if end is None else min(end, status.st_size))
        next(chunks)  # begun, it closes the file also when it is dropped at once
        return chunks

    def put_new(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object where there is none and return its etag."""
        return self._store(key, (body,), self._link)

    def put(self, key: str, body: bytes, *, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object whether or not there is one and return its etag."""
        return self._store(key, (body,), self._move)

    def replace(self, key: str, body: bytes, *, etag: str, content_type: str = BINARY, immutable: bool = False) -> str:
        """Write an object in the place of the one that has this etag and return the new etag."""

        def move_if_unchanged(temporary: str, path: str) -> None:
            with locked(self._lock):
                found = self.stat(key)
                if found is None or found.etag != etag:
                    raise Changed(key)
                os.replace(temporary, path)

        return self._store(key, (body,), move_if_unchanged)

    def write(
        self,
        key: str,
        chunks: Iterable[bytes],
        *,
        content_type: str = BINARY,
        new: bool = False,
        immutable: bool = False,
    ) -> None:
        """Write an object of any size from chunks, in bounded memory."""
        self._store(key, chunks, self._link if new else self._move)

    def list(self, prefix: str, *, after: str = "") -> Iterator[Stat]:
        """Yield the objects whose keys begin with `prefix` and sort after `after`, in the order of the keys' bytes."""
        return self._walk(check_prefix(prefix), after)

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is no error."""
        path = self._path(key)
        with _translated(key), locked(self._lock):
            try:
                os.unlink(path)
            except (*_ABSENT, IsADirectoryError):
                return
            sync_folder(os.path.dirname(path))

    def signed_url(self, key: str, *, seconds: int) -> str | None:
        """Return None: the app delivers a folder's objects itself."""
        check_key(key)
        return None

    def signed_put_url(self, key: str, *, seconds: int) -> str | None:
        """Return None: the app takes a folder's objects itself."""
        check_key(key)
        return None

    def gather(self, *calls: Callable[[], Any]) -> Sequence[Any]:
        """Run the calls one after the other: a file is read sooner than a thread starts."""
        results = []
        failures = []
        for call in calls:
            try:
                results.append(call())
            except Exception as error:  # raised below, when all have ended
                failures.append(error)
        if failures:
            raise failures[0]
        return results

    def _path(self, key: str) -> str:
        return self._base + check_key(key)

    def _open(self, key: str) -> tuple[int, os.stat_result] | None:
        try:
            descriptor = os.open(self._path(key), _READ)
        except _ABSENT:
            return None
        except OSError as error:
            raise _unavailable(key, error) from error
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            os.close(descriptor)
            return None
        return descriptor, status

    def _find_status(self, key: str) -> os.stat_result | None:
        try:
            status = os.stat(self._path(key))
        except _ABSENT:
            return None
        except OSError as error:
            raise _unavailable(key, error) from error
        return status if S_ISREG(status.st_mode) else None

    def _read_whole(self, key: str, limit: int) -> Stored | None:
        opened = self._open(key)
        if opened is None:
            return None
        descriptor, status = opened
        try:
            if status.st_size > limit:
                raise TooLarge(key, limit)
            body = os.read(descriptor, status.st_size)
        except OSError as error:
            raise _unavailable(key, error) from error
        finally:
            os.close(descriptor)
        if len(body) != status.st_size:
            raise StoreUnavailable(key, f"read {len(body):,} of {status.st_size:,} bytes")
        stored = Stored(body=body, etag=_etag(status))
        if len(body) <= KEPT_BYTES:
            self._keep(key, _identity(status), stored)
        return stored

    def _keep(self, key: str, identity: Identity, stored: Stored) -> None:
        # A look at the status tells whether the file is still that one: objects are never written in place, so it has a
        # new inode, and its time has random bits (`indexer.store.durable`). It saves three of four system calls, at
        # each of which another thread takes the interpreter.
        if len(self._kept) >= KEPT_OBJECTS:
            self._kept.clear()
        self._kept[key] = identity, stored

    def _store(self, key: str, chunks: Iterable[bytes], publish: Callable[[str, str], None]) -> str:
        """Write the chunks to a temporary file, give it its name with `publish`, and return its etag."""
        path = self._path(key)
        temporary = f"{self._private}{self._random_bytes(16).hex()}"
        try:
            with _translated(key):
                file = open(temporary, "xb")  # noqa: SIM115
            with file:
                # Only our own calls are translated: an OSError of the generator is not the store's.
                for chunk in chunks:
                    with _translated(key):
                        file.write(chunk)
                with _translated(key):
                    status = seal(file, self._random_bytes(NOISE_BYTES))
            with _translated(key):
                make_folders(os.path.dirname(path))
                try:
                    publish(temporary, path)
                except FileExistsError:
                    raise AlreadyExists(key) from None
                sync_folder(os.path.dirname(path))
        finally:
            with suppress(OSError):
                os.unlink(temporary)
        return _etag(status)

    def _link(self, temporary: str, path: str) -> None:
        # link, unlike rename, fails when the name is taken: the one test-and-set that every process respects.
        os.link(temporary, path)

    def _move(self, temporary: str, path: str) -> None:
        with locked(self._lock):
            os.replace(temporary, path)

    def _remove_leftovers(self) -> None:
        # The file system's own clock, read off a file just touched: the one that the leftovers' times come from.
        with locked(self._lock):
            os.utime(self._lock)
            now_ns = os.stat(self._lock).st_mtime_ns
        for entry in os.scandir(self._private):
            with suppress(FileNotFoundError):
                if entry.name != "lock" and now_ns - entry.stat().st_mtime_ns > LEFTOVER_SECONDS * 1_000_000_000:
                    os.unlink(entry.path)

    def _walk(self, folder: str, after: str) -> Iterator[Stat]:
        for key in self._entries(folder, after):
            if key.endswith("/"):
                yield from self._walk(key, after)
                continue
            try:
                status = os.stat(self._base + key)
            except _ABSENT:
                continue  # removed since the folder was read
            except OSError as error:
                raise _unavailable(key, error) from error
            if S_ISREG(status.st_mode):
                yield _stat(key, status)

    def _entries(self, folder: str, after: str) -> Iterator[str]:
        """Yield what a folder holds after `after`; a folder's own key ends in `/`.

        Texts sort as their bytes in UTF-8 do. Kept are the names alone: of 200,000 events a tenth of their entries.
        """
        try:
            with os.scandir(self._base + folder) as entries:
                found = [folder + entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries]
        except _ABSENT:
            return
        except OSError as error:
            raise _unavailable(folder, error) from error
        found.sort()
        for key in found:
            if (key > after or (key.endswith("/") and after.startswith(key))) and is_key(key.removesuffix("/")):
                yield key


def _identity(status: os.stat_result) -> Identity:
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _etag(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _stat(key: str, status: os.stat_result) -> Stat:
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return Stat(key=key, size=status.st_size, etag=_etag(status), modified=modified)


def _chunks(key: str, file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with file, _translated(key):
        yield b""
        file.seek(start)
        while start < end:
            chunk = file.read(min(CHUNK_BYTES, end - start))
            if not chunk:
                raise StoreUnavailable(key, f"the file ends before byte {end:,}")
            start += len(chunk)
            yield chunk


def _unavailable(key: str, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(key, error.strerror or str(error))


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable(key, error) from error
