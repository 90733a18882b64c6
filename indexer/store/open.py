"""Open the store that a setting names: a bucket or a folder.

An implementation is imported when it is asked for, so that a folder never pays for the S3 client.
"""

from indexer.errors import InvalidValue
from indexer.lazy_pattern import pattern
from indexer.store.base import ObjectStore, is_key

# "Bucket names must be between 3 (min) and 63 (max) characters long [and] can consist only of lowercase letters,
# numbers, periods (.), and hyphens (-)", "must begin and end with a letter or number" (S3 user guide)
_BUCKET = pattern(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def open_store(location: str, prefix: str, *, region: str = "") -> ObjectStore:
    """Return the store at a location, below a prefix.

    Args:
        location: the value of `BUCKET`: `name` or `s3://name` for a bucket, `file:///folder` or, from the working
            directory, `file://./folder` for a folder.
        prefix: the value of `REPO_BASE_PREFIX`, with or without slashes around it.
        region: where the bucket is, or "" for where the environment says that the code runs.

    Raises:
        InvalidValue: one of them is something else.
    """
    base = prefix.strip("/")
    if base and not is_key(base):
        raise InvalidValue(
            "REPO_BASE_PREFIX", prefix, "names separated by '/', none of which is empty or begins with '.'"
        )
    if location.startswith("file://"):
        return _open_folder(location, base)
    bucket = location.removeprefix("s3://").removesuffix("/")
    if not _BUCKET.fullmatch(bucket):
        raise InvalidValue("BUCKET", location, "a bucket as 'name' or 's3://name', or a folder as 'file:///folder'")
    import os

    from indexer.store.s3 import S3Store

    return S3Store(bucket, base, environ={**os.environ, "AWS_REGION": region} if region else os.environ)


def _open_folder(location: str, prefix: str) -> ObjectStore:
    from pathlib import Path  # with urllib.parse 4 ms, which a bucket's user need not pay
    from urllib.parse import unquote

    from indexer.store.folder import FolderStore

    path = unquote(location.removeprefix("file://"))
    if not path.startswith(("/", "./", "../")) or "\0" in path:
        raise InvalidValue(
            "BUCKET", location, "a folder is 'file:///folder', or 'file://./folder' from the working directory"
        )
    return FolderStore(Path(path, prefix))
