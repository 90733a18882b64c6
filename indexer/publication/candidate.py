"""A file that was checked and is to be published, whichever way it came: in a form, in parts, by the drop box, from
another index, or by lying in its place.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256

from indexer.digests import Hashes, digest_of, verified
from indexer.distributions.distribution import Distribution, check_distribution
from indexer.names import Filename, ProjectName
from indexer.store.reader import Readable, open_whole
from indexer.store.witness import Witness
from indexer.value import value


@value
class Candidate:
    """A file that was checked and is to be published.

    Attributes:
        found: what the check found.
        size: in bytes.
        chunks: begins to read the content, from its start, each time it is called; None for a file in its place.
        provenance: what it was uploaded with attests, as it is served, or None.
        upload_time: `YYYY-MM-DDThh:mm:ss.ffffffZ` where it was there before; None for now.
        beside: files that may mean the same by another spelling: those that it comes from another index with.
    """

    filename: Filename
    found: Distribution
    size: int
    sha256: str
    chunks: Callable[[], Iterator[bytes]] | None
    provenance: bytes | None = None
    upload_time: str | None = None
    beside: frozenset[Filename] = frozenset()

    @property
    def project(self) -> ProjectName:
        """The project whose file it is."""
        return self.found.project

    @property
    def provenance_sha256(self) -> str | None:
        """The digest of the provenance, or None."""
        return None if self.provenance is None else sha256(self.provenance).hexdigest()


def check_stored(
    store: Readable, key: str, filename: Filename, size: int, *, hashes: Hashes, name: ProjectName | None = None
) -> Candidate:
    """Check a file whose bytes others can replace at any moment; return it with the digest of what was checked.

    Args:
        size: in bytes.
        hashes: the digests that were announced; none where nothing was.
        name: whose file it is said to be.

    Raises:
        InvalidValue: it is no distribution, or not the one that its name says.
        DigestMismatch: it is not what was announced, or was replaced while it was read.
        Missing: it is gone.
    """
    witness = Witness(store)
    found = check_distribution(open_whole(witness, key, size), filename, name=name)
    whole = verified(filename, store.read(key), hashes=hashes, size=size)
    digest = digest_of(witness.compared(filename, whole))
    return Candidate(
        filename=filename,
        found=found,
        size=size,
        sha256=digest,
        chunks=lambda: verified(filename, store.read(key), hashes={"sha256": digest}, size=size),
    )
