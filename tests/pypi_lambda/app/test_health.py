"""What a load balancer and a person are told of how the index is."""

import json
from pathlib import Path

from pypi_lambda.app.health import Health
from tests.support.apps import Site, running_site
from tests.support.builders import NOW
from tests.support.clocks import Ticks
from tests.support.distributions import make_wheel


class TestHealth:
    """`GET /health`."""

    def test_what_it_says(self, site: Site) -> None:
        """It names the version, the log's end and the age of the upstream's list, and what is degraded."""
        site.upload(make_wheel("demo", "1.0"))
        document = json.loads(site.get("/health", user=None).text)
        assert (document["status"], document["seq"], document["upstreamListAgeSeconds"], document["reasons"]) == (
            "degraded",
            1,
            None,
            ["the upstream's list of projects was never read"],
        )
        assert site.head("/health", user=None).status == 200

    def test_failing_store(self, tmp_path: Path) -> None:
        """A process that cannot read its store is not healthy, and says no more than that."""
        with running_site(tmp_path) as site:
            health = Health(site.service.index, now=lambda: NOW, clock=Ticks())
            (tmp_path / "data" / "log").mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / "log" / f"{1:020}.json").write_bytes(b"damaged")
            response = health.answer()
            assert isinstance(response.body, bytes)
            assert (response.status, json.loads(response.body)["reasons"]) == (503, ["the store cannot be read"])
