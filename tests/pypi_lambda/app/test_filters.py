"""A filter on what is offered is a module and a line: it holds for pages, files, earlier moments and `why` at once."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from indexer.json_bytes import decode_json
from indexer.log.events import timestamp
from indexer.names import ProjectName
from indexer.simple.page import Renderer, decompress
from indexer.store.reads import Reads
from indexer.value import replace
from pypi_lambda.app.service import FILTERS, Service
from pypi_lambda.clock import new_id, utc_now
from pypi_lambda.command.context import Context
from pypi_lambda.http.faults import Forbidden
from pypi_lambda.manage.registry import parse_command
from pypi_lambda.mirror.offer import FileQuery, Filter, Offer, page_with
from pypi_lambda.view.index import Page
from tests.support.apps import HTML, JSON, Site, running_site
from tests.support.distributions import Distribution, make_wheel

OLD, RECALLED, YOUNG = (make_wheel("six", version) for version in ("1.0", "1.1", "2.0"))
REASON = "six 1.1 was recalled"


class Recall(Filter):
    """Hides one version: all that somebody has to write for a filter of his own."""

    def __init__(self, inner: Offer, renderer: Renderer) -> None:
        super().__init__(inner)
        self._renderer = renderer

    def find_page(
        self, name: ProjectName, extension: str, reads: Reads, *, moment: datetime | None = None
    ) -> Page | None:
        page = self.inner.find_page(name, "json", reads, moment=moment)
        if page is None or name != "six":
            return page
        content = decode_json(decompress("a page", page.body))
        files = [file for file in content["files"] if file["filename"] != RECALLED.filename]
        shown = page_with({**content, "files": files}, extension, self._renderer)
        return replace(shown, warning=page.warning)

    def check_file(self, file: FileQuery) -> None:
        if file.filename == RECALLED.filename:
            raise Forbidden(REASON)
        self.inner.check_file(file)


def recall(offer: Offer, service: Service, is_dated: bool) -> Offer:
    return Recall(offer, service.renderer)


def ago(days: int) -> str:
    return timestamp(utc_now() - timedelta(days=days))


def paths(*distributions: Distribution) -> list[str]:
    return [f"/simple/six/{each.filename}" for each in distributions]


def listed(site: Site, accept: str, prefix: str = "") -> list[bool]:
    """Tell which of the three a page lists."""
    text = site.get(f"{prefix}/simple/six/", accept=accept).text
    return [each.filename in text for each in (OLD, RECALLED, YOUNG)]


def why(site: Site, distribution: Distribution) -> dict[str, Any]:
    context = Context(
        service=site.service,
        settings=site.settings,
        now=utc_now,
        new_id=new_id,
        sleep=lambda seconds: None,
        by="ann",
        on_rebuilt=lambda seq: None,
    )
    found = parse_command("why", {"project": "six", "filename": distribution.filename}).run(context)
    file = found["file"]
    assert isinstance(file, dict)
    return {key: file[key] for key in ("delivered", "because")}


@pytest.mark.parametrize("min_age_days", [0, 7])
def test_a_filter_of_one_s_own(tmp_path: Path, min_age_days: int) -> None:
    """What it hides is on no page, is not delivered, and `why` has its reason; the cooldown goes on beside it."""
    with running_site(tmp_path, upstream_min_age_days=min_age_days) as site:
        site.service.filters = (*FILTERS, recall)
        for distribution, days in ((OLD, 30), (RECALLED, 20), (YOUNG, 1)):
            site.upstream.add(distribution, upload_time=ago(days))
        is_young_offered = not min_age_days
        for accept in (JSON, HTML):
            assert listed(site, accept) == [True, False, is_young_offered]
            assert listed(site, accept, f"/at/{ago(10)}") == [True, False, False]
        statuses = [site.get(path).status for path in paths(OLD, RECALLED, YOUNG)]
        assert statuses == [200, 403, 200 if is_young_offered else 403]
        assert site.get(f"/at/{ago(10)}{paths(RECALLED)[0]}").status == 403
        assert site.get(paths(RECALLED)[0]).text.strip().endswith(REASON)
        assert why(site, RECALLED) == {"delivered": False, "because": REASON}
        assert why(site, OLD)["delivered"] is True
        assert why(site, YOUNG)["delivered"] is is_young_offered


def test_without_it_all_is_offered(tmp_path: Path) -> None:
    """The version is hidden by the filter alone."""
    with running_site(tmp_path) as site:
        for distribution in (OLD, RECALLED):
            site.upstream.add(distribution, upload_time=ago(20))
        assert listed(site, JSON) == [True, True, False]
        assert site.get(paths(RECALLED)[0]).status == 200
