"""What every test module may ask for; one that needs more of it makes its own by the same name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from indexer.store.folder import FolderStore

settings.register_profile("tests", deadline=None)  # a slow machine is no failure
settings.load_profile("tests")
pytest.register_assert_rewrite("tests.support.store_contract")

from tests.support.apps import Site, running_site  # noqa: E402
from tests.support.fake_upstream import FakeUpstream  # noqa: E402
from tests.support.servers import ministack, rclone, seaweedfs  # noqa: E402, F401  # after the rewrite, for all to use


@pytest.fixture(scope="session")
def function_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Lambda function's zip, unpacked; it is built once."""
    from tests.aws.lambda_code import build_code

    return build_code(tmp_path_factory.mktemp("function"))


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """A store that holds nothing."""
    return FolderStore(tmp_path / "data")


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    """An upstream without projects."""
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An index that holds nothing, and an upstream without projects."""
    with running_site(tmp_path) as site:
        yield site
