"""A project's status, the list of projects, and what is known of one."""

from pathlib import Path
from typing import Any

import pytest

from indexer.log.events import FileRemoved, FileYanked, ProjectStatusSet
from indexer.names import ProjectName
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from pypi_lambda.manage.projects import MAX_LISTED
from tests.support.builders import AT, added, sha256, write_log
from tests.support.contexts import changes, refusal, run_command

DEMO = ProjectName("demo")


WHEEL = added("demo")


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An index with one file of one project."""
    store = FolderStore(tmp_path)
    write_log(store, WHEEL)
    return store


class TestStatus:
    def test_set(self, store: ObjectStore) -> None:
        """A project gets a status with a reason; the same again changes nothing, without a reason the old one stays."""
        for argument, changed in (({"reason": "old"}, True), ({"reason": "old"}, False), ({}, False)):
            done = run_command(store, "projectStatus", {"project": "Demo", "status": "archived", **argument})
            assert done == {"project": "demo", "status": "archived", "reason": "old", "changed": changed}
        assert changes(store) == [ProjectStatusSet(project=DEMO, status="archived", reason="old")]

    def test_another(self, store: ObjectStore) -> None:
        """Another status does not take the reason of the one before along."""
        run_command(store, "projectStatus", {"project": "demo", "status": "quarantined", "reason": "malware?"})
        done = run_command(store, "projectStatus", {"project": "demo", "status": "active"})
        assert done == {"project": "demo", "status": "active", "reason": "", "changed": True}

    @pytest.mark.parametrize("argument", ["demo", {"project": "demo"}])
    def test_shown(self, store: ObjectStore, argument: object) -> None:
        """Without a status, the one that it has is told."""
        run_command(store, "projectStatus", {"project": "demo", "status": "deprecated", "reason": "use another"})
        done = run_command(store, "projectStatus", argument)
        assert done == {"project": "demo", "status": "deprecated", "reason": "use another", "changed": False}

    @pytest.mark.parametrize(
        ("argument", "sentence"),
        [
            ({"project": "demo", "status": "gone"}, "invalid projectStatus.status 'gone': one of active, archived,"),
            ({"project": "demo", "status": ["archived"]}, "invalid projectStatus.status ['archived']: one of active,"),
            ({"project": "demo", "status": "archived", "reason": "a\nb"}, "invalid projectStatus.reason 'a\\nb': one "),
            ({"project": "demo", "reason": "why"}, "invalid projectStatus.reason 'why': a reason goes with a status"),
            ({"project": "nope"}, "invalid projectStatus.project 'nope': there is no private project of this name"),
            ({"project": "nope", "status": "archived"}, "invalid projectStatus.project 'nope': there is no private "),
        ],
    )
    def test_nonsense(self, store: ObjectStore, argument: dict[str, Any], sentence: str) -> None:
        """A status that is none, and a project that is none, are refused."""
        assert refusal(store, "projectStatus", argument).startswith(sentence)


class TestList:
    def test_pages(self, store: ObjectStore) -> None:
        """Projects are listed by name, as many at a time as was asked for."""
        write_log(store, WHEEL, added("zoo"), added("acme"))
        first = run_command(store, "listProjects", {"limit": 2})
        rest = run_command(store, "listProjects", {"after": first["next"]})
        assert first == {"projects": [{"name": "acme", "seq": 3}, {"name": "demo", "seq": 1}], "next": "demo"}
        assert rest == {"projects": [{"name": "zoo", "seq": 2}], "next": None}

    @pytest.mark.parametrize("limit", [0, MAX_LISTED + 1])
    def test_limits(self, store: ObjectStore, limit: int) -> None:
        """An answer that would be empty for ever, or too long, is refused."""
        sentence = f"invalid listProjects.limit {limit}: a number from 1 to 20,000"
        assert refusal(store, "listProjects", {"limit": limit}) == sentence


class TestShow:
    def test_whole(self, store: ObjectStore) -> None:
        """All that is known of a project is told: status, files, sizes, digests, yanks, removals."""
        sdist = added("demo", "demo-1.0.tar.gz", requires_python=None)
        yank = FileYanked(project=DEMO, filename=WHEEL.filename, reason="broken")
        removal = FileRemoved(project=DEMO, filename=sdist.filename)
        status = ProjectStatusSet(project=DEMO, status="archived", reason="old")
        write_log(store, WHEEL, sdist, yank, removal, status)
        done = run_command(store, "showProject", "demo")
        common = {"version": "1.0", "uploadTime": AT}
        assert done == {
            "project": "demo",
            "status": "archived",
            "reason": "old",
            "statuses": [{"at": AT, "status": "archived", "reason": "old"}],
            "files": [
                {
                    **common,
                    "filename": WHEEL.filename,
                    "size": WHEEL.size,
                    "sha256": sha256(WHEEL.filename),
                    "requiresPython": ">=3.9",
                    "yanked": "broken",
                    "removedAt": None,
                    "history": [{"at": AT, "yanked": "broken", "removed": False}],
                },
                {
                    **common,
                    "filename": sdist.filename,
                    "size": sdist.size,
                    "sha256": sha256(sdist.filename),
                    "requiresPython": None,
                    "yanked": None,
                    "removedAt": AT,
                    "history": [{"at": AT, "yanked": None, "removed": True}],
                },
            ],
            "count": 2,
            "next": None,
        }

    def test_pages(self, store: ObjectStore) -> None:
        """A project's files come as many at a time as was asked for, by name."""
        write_log(store, WHEEL, added("demo", version="2.0"), added("demo", version="3.0"))
        seen, after = [], ""
        while after is not None:
            done = run_command(store, "showProject", {"project": "demo", "limit": 2, "after": after})
            seen.append([file["version"] for file in done["files"]])
            after = done["next"]
        assert seen == [["1.0", "2.0"], ["3.0"]]

    def test_unknown(self, store: ObjectStore) -> None:
        """A project that is none is refused."""
        sentence = "invalid showProject.project 'nope': there is no private project of this name"
        assert refusal(store, "showProject", "nope") == sentence
