"""What the upstream of these tests has."""

from tests.support.distributions import make_metadata, make_sdist, make_wheel
from tests.support.fake_upstream import FakeUpstream

APP = make_wheel("Demo.App", "1.0", requires=("demo_library>=1", "demo-source", "demo-plain"))
LIBRARY = {version: make_wheel("demo-library", version) for version in ("1.0", "1.1", "2.0")}
SOURCE = make_sdist("demo-source", "1.0")
PLAIN = make_wheel("demo-plain", "1.0")
PYTHON = {
    "1.0": make_wheel("demo-python", "1.0", requires_python=">=3.8"),
    "2.0": make_wheel("demo-python", "2.0", requires_python=">=3.99"),
}
SHARED = make_wheel("demo-shared", "9.0")
REQUESTS = make_wheel("requests", "99.0", metadata=make_metadata("requests", "99.0"))
YANK_REASON = "breaks <b>everything</b>"


def publish_catalog(upstream: FakeUpstream) -> None:
    """Publish it.

    `Demo.App` needs a project of which the newest version is yanked, one that has only an sdist, and one whose metadata
    the upstream does not announce. `requests` is what the printed commands install.
    """
    upstream.add(APP)
    for version, wheel in LIBRARY.items():
        upstream.add(wheel, yanked=YANK_REASON if version == "2.0" else False)
    upstream.add(SOURCE)
    upstream.add(PLAIN, metadata=None)
    for wheel in PYTHON.values():
        upstream.add(wheel)
    upstream.add(SHARED)
    upstream.add(REQUESTS)
