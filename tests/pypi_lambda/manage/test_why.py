"""Every decision on what may enter is explained."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from indexer.log.events import FileRemoved, FileYanked, NamesReserved, ProjectStatusSet, timestamp
from indexer.log.log import head_of
from indexer.names import Filename, ProjectName
from indexer.store.folder import FolderStore
from pypi_lambda.cli.why import lines_of
from pypi_lambda.clock import utc_now
from tests.support.apps import Site, running_site
from tests.support.builders import AT, added, write_log
from tests.support.contexts import run_command
from tests.support.distributions import make_wheel
from tests.support.fake_upstream import FakeUpstream

OLD, YOUNG = make_wheel("six", "1.0"), make_wheel("six", "2.0")
YESTERDAY = utc_now() - timedelta(days=1)
LONG_AGO = "2024-05-06T07:08:09.000000Z"
ALLOWED = {"upstream_allow": ("s*", "demo")}


def why(store: FolderStore, project: str, filename: str | None = None, **context: Any) -> dict[str, Any]:
    argument = {"project": project} | ({} if filename is None else {"filename": filename})
    return run_command(store, "why", argument, **context)


def project(name: str, standing: str, rule: object, because: str, **more: object) -> dict[str, object]:
    found = {"project": name, "standing": standing, "rule": rule, "because": because}
    return (
        found
        | {"minAgeDays": 0.0, "minAgeExempt": None, "upstreamFault": None, "files": 0, "heldBack": []}
        | {
            "unverified": 0,
            "dropped": {"count": 0, "files": []},
            "privateHosts": [],
            **more,
        }
    )


class TestNames:
    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            (
                {"upstream_deny": ("x", "s*x")},
                project(
                    "six",
                    "denied",
                    {"setting": "UPSTREAM_DENY", "pattern": "s*x"},
                    "the pattern 's*x' of UPSTREAM_DENY covers it",
                ),
            ),
            (
                {"upstream_allow": ("numpy",)},
                project(
                    "six",
                    "not allowed",
                    {"setting": "UPSTREAM_ALLOW", "pattern": None},
                    "no pattern of UPSTREAM_ALLOW covers it",
                ),
            ),
        ],
    )
    def test_kept_out(self, store: FolderStore, settings: dict[str, Any], expected: object) -> None:
        """A name that is kept out is so by a pattern of a setting, and nobody is asked."""
        with FakeUpstream() as upstream:
            assert why(store, "Six", upstream=upstream.url, **settings) == expected
            assert upstream.requests == []

    def test_reserved(self, store: FolderStore) -> None:
        """A reserved name is so by a pattern in the log."""
        write_log(store, NamesReserved(patterns=("acme-*",)))
        assert why(store, "acme-tools") == project(
            "acme-tools",
            "reserved",
            {"reserved": "acme-*"},
            "the pattern 'acme-*' reserves it, and nothing is published under it yet",
        )

    def test_of_the_list(self, tmp_path: Path) -> None:
        """The upstream's list, or its absence, decides on what no rule is about."""
        with running_site(tmp_path) as site:
            context = {"upstream": site.upstream.url}
            assert isinstance(site.store, FolderStore)
            before = why(site.store, "six", **context)
            site.upstream.add(OLD)
            site.read_names()
            known, unknown, asked, allowed = (
                why(site.store, name, **context, **settings)
                for name, settings in (
                    ("six", {}),
                    ("nine", {}),
                    ("nine", {"upstream_ask_unknown": True}),
                    ("six", ALLOWED),
                )
            )
        because = "no list of the upstream was read yet, so it is asked for every name"
        assert before == project("six", "upstream", None, because)
        because = "the upstream's list has it, and no rule keeps it out"
        assert known == project("six", "upstream", None, because, files=1)
        rule = {"setting": "UPSTREAM_ASK_UNKNOWN", "pattern": None}
        because = "the upstream's list does not have it, so it is not asked until the next reindex"
        assert unknown == project("nine", "unknown", rule, because)
        because = "the upstream's list does not have it, and UPSTREAM_ASK_UNKNOWN has it asked all the same"
        assert asked == project("nine", "upstream", rule, because)
        rule = {"setting": "UPSTREAM_ALLOW", "pattern": "s*"}
        because = "the pattern 's*' of UPSTREAM_ALLOW covers it"
        assert allowed == project("six", "upstream", rule, because, files=1)

    def test_an_upstream_that_is_down(self, store: FolderStore) -> None:
        """What the upstream does not say is told as its fault."""
        assert "127.0.0.1" in why(store, "six")["upstreamFault"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path, upstream_min_age_days=7.0) as site:
        site.upstream.add(OLD, upload_time=LONG_AGO)
        site.upstream.add(YOUNG, upload_time=timestamp(YESTERDAY))
        yield site


def why_in(site: Site, *arguments: str, **settings: Any) -> dict[str, Any]:
    assert isinstance(site.store, FolderStore)
    return why(site.store, *arguments, upstream=site.upstream.url, upstream_min_age_days=7.0, **settings)


UNTIL = timestamp(YESTERDAY + timedelta(days=7))


class TestAges:
    def test_a_project(self, site: Site) -> None:
        """The files that are held back are named, each with its dates."""
        site.upstream.add(make_wheel("six", "3.0"), upload_time=None)
        done = why_in(site, "six")
        assert (done["files"], done["minAgeDays"], done["minAgeExempt"]) == (3, 7.0, None)
        assert done["heldBack"] == [
            {"filename": YOUNG.filename, "uploadTime": timestamp(YESTERDAY), "until": UNTIL},
            {"filename": "six-3.0-py3-none-any.whl", "uploadTime": None, "until": None},
        ]
        assert lines_of(done) == [
            "six is upstream: no list of the upstream was read yet, so it is asked for every name",
            "2 of 3 files are younger than 7 days (UPSTREAM_MIN_AGE_DAYS), or may be:",
            f"  {YOUNG.filename}  until {UNTIL}",
            "  six-3.0-py3-none-any.whl  until its upload time is known",
        ]

    def test_an_exempt_project(self, site: Site) -> None:
        """An exemption is named by its pattern."""
        done = why_in(site, "six", upstream_min_age_exempt=("a", "s*"))
        assert (done["minAgeDays"], done["minAgeExempt"], done["heldBack"]) == (0.0, "s*", [])
        assert lines_of(done)[1:] == ["files of any age may enter: 's*' of UPSTREAM_MIN_AGE_EXEMPT covers it"]

    def test_files(self, site: Site) -> None:
        """What is said of a file is what a request for it gets."""
        assert site.get(f"/simple/six/{OLD.filename}").status == 200
        young = site.get(f"/simple/six/{YOUNG.filename}")
        assert young.status == 403
        assert why_in(site, "six", YOUNG.filename)["file"] == {
            "filename": YOUNG.filename,
            "delivered": False,
            "because": young.text.rstrip("\n"),
            "uploadTime": timestamp(YESTERDAY),
            "until": UNTIL,
            "stored": False,
            "sha256": YOUNG.sha256,
            "verified": True,
        }
        done = why_in(site, "six", OLD.filename)
        assert done["file"] == {
            "filename": OLD.filename,
            "delivered": True,
            "because": "it is old enough",
            "uploadTime": LONG_AGO,
            "until": "2024-05-13T07:08:09.000000Z",
            "stored": True,
            "sha256": OLD.sha256,
            "verified": True,
        }
        assert lines_of(done)[1:] == [
            f"{OLD.filename} is delivered: it is old enough",
            f"  uploaded: {LONG_AGO}",
            f"  sha256: {OLD.sha256}",
            "  stored: yes",
            "  verified: by its digest",
        ]

    @pytest.mark.parametrize(
        ("settings", "because"),
        [
            ({}, "the upstream does not list it"),
            ({"upstream_deny": ("*",)}, "its project is denied"),
        ],
    )
    def test_an_absent_file(self, site: Site, settings: dict[str, Any], because: str) -> None:
        """A file that is not there, or must not be, is said to be so."""
        file = why_in(site, "six", "six-9.tar.gz", **settings)["file"]
        assert (file["delivered"], file["because"], file["stored"]) == (False, because, False)

    def test_a_project_that_is_gone(self, site: Site) -> None:
        """A stored file of a project that the upstream has no longer is delivered, and others are not."""
        site.get(f"/simple/six/{OLD.filename}")
        site.upstream.remove("six")
        site.upstream.names.append("numpy")
        site.read_names()
        files = [why_in(site, "six", each.filename)["file"] for each in (OLD, YOUNG)]
        assert [(file["delivered"], file["because"]) for file in files] == [
            (True, "it is old enough"),
            (False, "its project is unknown, and it is not stored"),
        ]


class TestPrivate:
    BECAUSE = "files were published here under this name, which hides whatever the upstream has"

    def test_a_project(self, store: FolderStore) -> None:
        """A private project is told with its status."""
        demo = ProjectName("demo")
        write_log(store, added(), ProjectStatusSet(project=demo, status="archived", reason="done"))
        done = why(store, "demo", upstream_deny=("*",))
        assert done == {
            "project": "demo",
            "standing": "private",
            "rule": None,
            "because": self.BECAUSE,
            "status": "archived",
            "statusReason": "done",
        }
        assert lines_of(done) == [f"demo is private: {self.BECAUSE}", "its status is archived: done"]

    def test_files(self, store: FolderStore) -> None:
        """A private file is delivered unless it was removed, or never published, or its project is quarantined."""
        demo = ProjectName("demo")
        filenames = {version: Filename(f"demo-{version}.tar.gz") for version in ("1", "2", "3", "4")}
        events = write_log(
            store,
            *(added("demo", filenames[version], version=version) for version in ("1", "2", "3")),
            FileYanked(project=demo, filename=filenames["2"], reason="broken"),
            FileRemoved(project=demo, filename=filenames["3"]),
        )
        store.put(f"projects/demo/{filenames['1']}", b"content")
        files = [why(store, "demo", filename)["file"] for filename in filenames.values()]
        assert [(file["delivered"], file["because"], file["stored"], file["uploadTime"]) for file in files] == [
            (True, "it is private and published", True, AT),
            (True, "it is private and published, and yanked: broken", False, AT),
            (False, f"it was removed at {AT}", False, AT),
            (False, "no such file was published", False, None),
        ]
        quarantined = ProjectStatusSet(project=demo, status="quarantined", reason="")
        write_log(store, quarantined, after=head_of(events[-1]))
        file = why(store, "demo", filenames["1"])["file"]
        assert (file["delivered"], file["because"]) == (False, "its project is quarantined")
