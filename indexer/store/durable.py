"""What makes a file outlive a crash of the machine, and tell its versions apart.

Owns fsync, the lock between processes, and the random part of a file's time. Knows no keys; errors are the system's.

Reading list: fsync(2), flock(2); "inode(7)" on timestamps.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

NOISE_BYTES = 3
_NOISE_MASK = 0xFFFFF  # 20 bits of nanoseconds: about a millisecond, below which nobody asks when a file was written


def seal(file: BinaryIO, noise: bytes) -> os.stat_result:
    """Make the content of a file durable and its status unlike that of any earlier file, and return the status.

    Inode, time and size alone could repeat: a freed inode is handed out again at once, and the kernel's file times
    advance only every few milliseconds. So the lowest bits of the time are made random.

    Args:
        noise: `NOISE_BYTES` random bytes.
    """
    file.flush()
    status = os.fstat(file.fileno())
    modified_ns = status.st_mtime_ns & ~_NOISE_MASK | int.from_bytes(noise, "big") & _NOISE_MASK
    os.utime(file.fileno(), ns=(status.st_atime_ns, modified_ns))
    os.fsync(file.fileno())
    return os.fstat(file.fileno())


def make_folders(folder: str) -> None:
    """Create a folder and those above it, each durable."""
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folders(os.path.dirname(folder))
        with suppress(FileExistsError):
            os.mkdir(folder)
    sync_folder(os.path.dirname(folder))


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable: syncing a file does not sync its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Keep out everybody else who locks this file, in this process and in others; a process that dies lets go."""
    # A descriptor of its own for each: flock belongs to the open file, so threads exclude each other too.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
