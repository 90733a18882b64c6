"""A large mirrored file comes into the store in bounded memory."""

from pathlib import Path

from benchmarks.ingest import LIMIT_MB, QUICK_SIZE_BYTES, measure
from tests.support.servers import BUCKET, S3Server


def test_folder(tmp_path: Path) -> None:
    """A process that takes 200 MB into a folder grows by less than 64 MB."""
    assert measure("folder", {"BUCKET": f"file://{tmp_path / 'data'}"}, size=QUICK_SIZE_BYTES).growth_mb < LIMIT_MB


def test_bucket(seaweedfs: S3Server) -> None:
    """A process that takes 200 MB into a bucket grows by less than 64 MB."""
    environ = {**seaweedfs.environ, "BUCKET": BUCKET, "REPO_BASE_PREFIX": "ingest-memory"}
    assert measure("bucket", environ, size=QUICK_SIZE_BYTES).growth_mb < LIMIT_MB
