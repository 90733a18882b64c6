"""What every test module may ask for."""

import pytest

pytest.register_assert_rewrite("tests.store_contract")

from tests.servers import ministack, rclone, seaweedfs  # noqa: E402, F401  # after the rewrite, for all to use
