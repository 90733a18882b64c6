"""How a large object comes under a key that must be new: sent under another key first, then copied inside the store.

Owns the folder of staged objects and the choice of how to copy. It exists because obstore completes a multipart upload
without conditions, so that a large object cannot be written in place.

Reading list: "Conditional requests" in the Amazon S3 user guide; CopyObject and CompleteMultipartUpload in its API
reference.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from indexer.errors import AlreadyExists, IndexerError, Missing, StoreUnavailable
from indexer.store.s3_client import ATTEMPT, TRIES, Clients, head, translated

if TYPE_CHECKING:
    from obstore.store import S3Store as Client


class Staging:
    """Writes large new objects by way of the keys below `folder`."""

    def __init__(self, clients: Clients, folder: str, random_bytes: Callable[[int], bytes]) -> None:
        self._clients = clients
        self._folder = folder
        self._random_bytes = random_bytes
        self._copies_by_header: bool | None = None

    def write_new(self, key: str, path: str, chunks: Iterable[bytes], attributes: Mapping[str, str]) -> None:
        """Write an object from chunks where there is none.

        Raises:
            AlreadyExists: the key is taken.
        """
        from indexer.store.s3_upload import upload  # with `queue` 1 ms, of which a cold start needs nothing

        attempt = self._random_bytes(16).hex()
        staged = self._folder + attempt
        try:
            upload(self._clients.bulk, key, staged, chunks, {**attributes, ATTEMPT: attempt})
            self._copy_new(staged, key, path, attempt)
        finally:
            with suppress(IndexerError), translated(staged):
                obstore.delete(self._clients.prompt, staged)

    def _copy_new(self, staged: str, key: str, path: str, attempt: str) -> None:
        client = self._copying_client(staged)
        fault: IndexerError = StoreUnavailable(key, "conflicting writes of this object did not end")
        for _ in range(TRIES):
            try:
                with translated(key):
                    return obstore.copy(client, staged, path, overwrite=False)
            except AlreadyExists:
                pass  # or 409, or an earlier try's lost answer: see what is there
            except Missing as error:
                raise StoreUnavailable(key, "its staged copy vanished") from error
            except StoreUnavailable as error:
                fault = error
            found = head(self._clients.prompt, key, path)
            if found is not None and found.attributes.get(ATTEMPT) == attempt:  # only a copy by header keeps it
                return None
            if found is not None:
                raise AlreadyExists(key) from fault
        raise fault

    def _copying_client(self, staged: str) -> "Client":
        """Return the client whose way of copying this server honours, found out by a copy that must be refused.

        Amazon S3 honours both. SeaweedFS 4.48 looks for the object before it completes an upload, without a lock, so
        that two copies in parts may both succeed; ministack 1.5 copies by header whatever is there.
        """
        if self._copies_by_header is None:
            taken = f"{staged}-taken"
            with translated(taken):
                obstore.put(self._clients.prompt, taken, b"", use_multipart=False)
            try:
                obstore.copy(self._clients.copier, staged, taken, overwrite=False)
                self._copies_by_header = False
            except AlreadyExistsError:
                self._copies_by_header = True
            except BaseError:  # "501 Not Implemented" in some regions; or it failed today, so ask again next time
                return self._clients.bulk
            finally:
                with suppress(IndexerError), translated(taken):
                    obstore.delete(self._clients.prompt, taken)
        return self._clients.copier if self._copies_by_header else self._clients.bulk
