"""What every test module may ask for."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tests", deadline=None)  # a slow machine is no failure
settings.load_profile("tests")
pytest.register_assert_rewrite("tests.support.store_contract")

from tests.support.servers import ministack, rclone, seaweedfs  # noqa: E402, F401  # after the rewrite, for all to use


@pytest.fixture(scope="session")
def function_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Lambda function's zip, unpacked; it is built once."""
    from tests.aws.lambda_code import build_code

    return build_code(tmp_path_factory.mktemp("function"))
