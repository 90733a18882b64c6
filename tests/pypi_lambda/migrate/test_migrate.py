"""What another index has becomes ours: checked, with its upload times, yanks and statuses, as often as one likes."""

import io
import json
import os
import shutil
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from passlib.hash import pbkdf2_sha512

from indexer.keys import user_key
from indexer.log.events import timestamp
from indexer.log.log import ORIGIN, Log
from indexer.log.project import File, empty_project, fold
from indexer.names import Filename, ProjectName
from indexer.store.base import ObjectStore
from indexer.store.folder import FolderStore
from indexer.store.s3 import S3Store
from pypi_lambda.cli import main
from tests.support.builders import basic, contents, make_app, request, sha256
from tests.support.contexts import run_command
from tests.support.distributions import Distribution, make_metadata, make_sdist, make_tar, make_wheel, make_zip
from tests.support.fake_upstream import FakeUpstream
from tests.support.servers import BUCKET, S3Server

WHEEL = make_wheel("demo", "1.0", requires_python=">=3.9")
SDIST = make_sdist("demo", "1.0")
OTHER = make_wheel("other-thing", "0.1")
THEN = "2024-05-06T07:08:09.000000Z"


@pytest.fixture(params=["folder", "seaweedfs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "data")
    server: S3Server = request.getfixturevalue("seaweedfs")
    return S3Store(BUCKET, f"migrate-{tmp_path.name}", environ=server.environ)


def files(store: ObjectStore, project: str = "demo") -> dict[str, File]:
    """Return a project's files as the log has them."""
    folded = fold(empty_project(ProjectName(project)), Log(store).read_after(ORIGIN))
    return {str(name): file for name, file in folded.files.items()}


def write_folder(folder: Path, *distributions: Distribution) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    moment = datetime.fromisoformat(THEN).timestamp()
    for distribution in distributions:
        path = folder / distribution.filename
        path.write_bytes(distribution.content)
        os.utime(path, (moment, moment))
    return folder


class TestFolder:
    """A folder as pypiserver has it."""

    def test_files_are_published(self, store: ObjectStore, tmp_path: Path) -> None:
        """Every wheel and sdist in the folder is published, uploaded when it was written."""
        folder = write_folder(tmp_path / "packages", WHEEL, SDIST)
        write_folder(folder / "below", OTHER)
        done = run_command(store, "importFolder", str(folder))
        assert done == {
            "projects": 2,
            "published": [
                f"projects/demo/{WHEEL.filename}",
                f"projects/demo/{SDIST.filename}",
                f"projects/other-thing/{OTHER.filename}",
            ],
            "present": 0,
            "yanked": [],
            "failed": {},
            "leftOut": {},
        }
        found = files(store)[WHEEL.filename]
        assert (found.sha256, found.upload_time, found.requires_python) == (WHEEL.sha256, THEN, ">=3.9")
        assert store.get(f"projects/demo/{WHEEL.filename}").body == WHEEL.content

    def test_again(self, store: ObjectStore, tmp_path: Path) -> None:
        """A second import publishes what is new, and nothing twice."""
        folder = write_folder(tmp_path / "packages", WHEEL)
        run_command(store, "importFolder", str(folder))
        before = contents(store, "log/")
        assert run_command(store, "importFolder", str(folder))["present"] == 1
        assert contents(store, "log/") == before
        write_folder(folder, SDIST)
        done = run_command(store, "importFolder", str(folder))
        assert (done["published"], done["present"]) == ([f"projects/demo/{SDIST.filename}"], 1)

    def test_failures_are_named(self, store: ObjectStore, tmp_path: Path) -> None:
        """A file that is none of ours, or broken, or published with other content, is named; the rest goes on."""
        folder = write_folder(tmp_path / "packages", WHEEL)
        run_command(store, "importFolder", str(folder))
        (folder / WHEEL.filename).write_bytes(make_wheel("demo", "1.0", requires_python=">=3.12").content)
        (folder / "demo-3.0-py3-none-any.whl").write_bytes(b"no zip")
        (folder / "nothing.whl").write_bytes(b"")
        (folder / ".hidden.whl").write_bytes(b"")
        (folder / "notes.txt").write_bytes(b"")
        write_folder(folder, OTHER)
        done = run_command(store, "importFolder", str(folder))
        assert done["published"] == [f"projects/other-thing/{OTHER.filename}"]
        assert set(done["failed"]) == {WHEEL.filename, "demo-3.0-py3-none-any.whl", "nothing.whl"}
        assert "File already exists" in done["failed"][WHEEL.filename]
        assert files(store)[WHEEL.filename].sha256 == WHEEL.sha256


PYTHON_36 = make_wheel("old", "1.0", metadata=make_metadata("old", "1.0", requires_python=">=3.6.*"))
DOG = make_wheel("old", "1.1", metadata=make_metadata("old", "1.1", requires=["foo >= dog"], requires_python=">=3"))
NO_RECORD = make_wheel("old", "1.2", tag="py2-none-any")
BARE = make_sdist("old", "0.1")
DASHED = make_sdist("old", "1.3.post1")


def without_pkg_info() -> Distribution:
    members = {"old-0.1/setup.py": b"from setuptools import setup\nsetup(name='old', version='0.1')\n"}
    return replace(BARE, content=make_tar(members))


def without_record() -> Distribution:
    info = "old-1.2.dist-info"
    with zipfile.ZipFile(io.BytesIO(NO_RECORD.content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return replace(NO_RECORD, content=make_zip({**members, f"{info}/RECORD": b""}))


def dashed(name: str = "old-1.3-1.tar.gz") -> Distribution:
    metadata = make_metadata("old", "1.3-1", metadata_version="2.2")
    return replace(DASHED, filename=name, content=make_tar({"old-1.3-1/PKG-INFO": metadata}))


class TestLenient:
    """Old files that pip installs and an upload would refuse."""

    OLD = (PYTHON_36, DOG, without_record(), without_pkg_info())

    def test_without_it_they_are_refused(self, store: ObjectStore, tmp_path: Path) -> None:
        """Without `--lenient` each of them is named, and not published."""
        done = run_command(store, "importFolder", str(write_folder(tmp_path / "packages", *self.OLD)))
        assert (done["published"], done["leftOut"]) == ([], {})
        assert done["failed"].keys() == {old.filename for old in self.OLD}

    def test_with_it_they_are_taken(self, store: ObjectStore, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """With it they are published, what is invalid is off the page, and result and log say what that is."""
        folder = write_folder(tmp_path / "packages", *self.OLD)
        done = run_command(store, "importFolder", {"folder": str(folder), "lenient": True})
        assert done["failed"] == {}
        found = files(store, "old")
        assert found.keys() == {old.filename for old in self.OLD}
        assert found[PYTHON_36.filename].requires_python is None
        assert found[DOG.filename].requires_python == ">=3"
        told = {name: " ".join(sentences) for name, sentences in done["leftOut"].items()}
        assert told.keys() == found.keys()
        assert "invalid requires_python '>=3.6.*'" in told[PYTHON_36.filename]
        assert "invalid Requires-Dist 'foo >= dog'" in told[DOG.filename]
        assert "invalid RECORD" in told[NO_RECORD.filename]
        assert "PKG-INFO" in told[BARE.filename]
        assert all(f"{name} is taken all the same: " in caplog.text for name in told)

    def test_from_another_index(self, store: ObjectStore, upstream: FakeUpstream) -> None:
        """An invocation says `lenient` for another index, too."""
        upstream.add(DOG)
        argument = {"url": upstream.url, "projects": ["old"]}
        assert run_command(store, "importIndex", argument)["published"] == []
        done = run_command(store, "importIndex", {**argument, "lenient": True})
        assert (done["published"], len(done["leftOut"])) == ([f"projects/old/{DOG.filename}"], 1)

    @pytest.mark.parametrize(
        "broken",
        [
            replace(PYTHON_36, content=PYTHON_36.content[:-1]),
            replace(PYTHON_36, content=WHEEL.content),
            replace(BARE, content=make_tar({"one/PKG-INFO": b"", "two/PKG-INFO": b""})),
            replace(BARE, content=make_tar({"../old/PKG-INFO": b""})),
        ],
        ids=["cut short", "another project", "two folders", "out of its folder"],
    )
    def test_what_pip_does_not_install(self, store: ObjectStore, tmp_path: Path, broken: Distribution) -> None:
        """A file that pip does not install, or whose metadata is another project's, is refused all the same."""
        folder = write_folder(tmp_path / "packages", broken)
        done = run_command(store, "importFolder", {"folder": str(folder), "lenient": True})
        assert (done["published"], [*done["failed"]]) == ([], [broken.filename])

    @pytest.mark.parametrize("by", ["folder", "index"])
    def test_versions_with_a_dash(self, store: ObjectStore, tmp_path: Path, upstream: FakeUpstream, by: str) -> None:
        """`old-1.3-1` is version 1.3.post1 of the project that index, or content, names."""
        if by == "folder":
            done = run_command(store, "importFolder", str(write_folder(tmp_path / "packages", dashed())))
        else:
            upstream.add(dashed())
            done = run_command(store, "importIndex", {"url": upstream.url, "projects": ["old"]})
        assert (done["published"], done["failed"]) == (["projects/old/old-1.3-1.tar.gz"], {})
        assert files(store, "old")["old-1.3-1.tar.gz"].version == "1.3.post1"


class TestSimpleIndex:
    """Another index over its simple API."""

    def run(self, store: ObjectStore, upstream: FakeUpstream, *projects: str) -> dict[str, Any]:
        return run_command(store, "importIndex", {"url": upstream.url, "projects": list(projects)})

    @pytest.mark.parametrize("html_only", [False, True])
    def test_chosen_projects(self, store: ObjectStore, html_only: bool) -> None:
        """Chosen projects come with digest, yank and status, in both formats; no others do."""
        with FakeUpstream(html_only=html_only) as upstream:
            upstream.add(WHEEL, yanked="broken")
            upstream.add(SDIST)
            upstream.add(OTHER)
            upstream.set_status("demo", "deprecated", "old")
            done = self.run(store, upstream, "Demo")
        assert (done["projects"], done["yanked"], done["failed"]) == (1, [f"projects/demo/{WHEEL.filename}"], {})
        folded = fold(empty_project(ProjectName("demo")), Log(store).read_after(ORIGIN))
        assert {str(file.filename): (file.sha256, file.yanked) for file in folded.files.values()} == {
            WHEEL.filename: (WHEEL.sha256, "broken"),
            SDIST.filename: (SDIST.sha256, None),
        }
        assert (folded.status, folded.status_reason) == ("deprecated", "old")
        assert files(store, "other-thing") == {}

    def test_upload_time(self, store: ObjectStore, upstream: FakeUpstream) -> None:
        """A file keeps the time at which it was uploaded there."""
        upstream.add(WHEEL, **{"upload-time": "2024-05-06T07:08:09Z"})
        self.run(store, upstream, "demo")
        assert files(store)[WHEEL.filename].upload_time == THEN

    @pytest.mark.parametrize("told", ["0001-01-01T00:00:00+23:59", "0999-01-01", "9999-12-31T23:59:59-23:59", "then"])
    def test_impossible_upload_time(self, store: ObjectStore, upstream: FakeUpstream, told: str) -> None:
        """One that cannot be stands for none: the file counts as uploaded now."""
        upstream.add(WHEEL, **{"upload-time": told})
        self.run(store, upstream, "demo")
        assert files(store)[WHEEL.filename].upload_time > THEN

    @pytest.mark.parametrize(
        ("told", "reason"), [("broken\non\x1b[31m 3.14", "broken on\ufffd[31m 3.14"), ("x" * 300_000, "x" * 1_000)]
    )
    def test_wild_reasons(self, store: ObjectStore, upstream: FakeUpstream, told: str, reason: str) -> None:
        """Whatever is said there of a yank is said here in one line of bounded length, and ends no import."""
        upstream.add(WHEEL, yanked=told)
        upstream.add(OTHER)
        self.run(store, upstream, "demo", "other-thing")
        assert files(store)[WHEEL.filename].yanked == reason
        assert len(files(store, "other-thing")) == 1

    def test_patterns(self, store: ObjectStore, upstream: FakeUpstream) -> None:
        """A pattern stands for all projects of that index that it covers."""
        for distribution in (WHEEL, OTHER, make_wheel("other-one", "1.0")):
            upstream.add(distribution)
        assert self.run(store, upstream, "other-*")["projects"] == 2
        assert (len(files(store, "other-one")), len(files(store))) == (1, 0)

    def test_again(self, store: ObjectStore, upstream: FakeUpstream) -> None:
        """What is here already is not fetched again, and a yank that was taken back here stays taken back."""
        upstream.add(WHEEL, yanked="broken")
        self.run(store, upstream, "demo")
        run_command(store, "importIndex", {"url": upstream.url, "projects": ["demo"]})
        upstream.forget()
        done = self.run(store, upstream, "demo")
        assert (done["published"], done["present"], done["yanked"]) == ([], 1, [])
        assert [path for _, path in upstream.requests if path.endswith(".whl")] == []

    def test_failures_are_named(self, store: ObjectStore, upstream: FakeUpstream) -> None:
        """A project that is not there, a file whose bytes are not what is listed, are named; the rest goes on."""
        path = upstream.add(WHEEL)
        upstream.add(SDIST)
        upstream.override(path, body=b"other bytes")
        done = self.run(store, upstream, "demo", "missing")
        assert done["published"] == [f"projects/demo/{SDIST.filename}"]
        assert len(done["failed"]) == 2
        assert "missing" in done["failed"]
        assert any(where.endswith(WHEEL.filename) for where in done["failed"])
        assert store.find(f"projects/demo/{WHEEL.filename}") is None


def write_devpi_export(folder: Path, *distributions: Distribution) -> Path:
    """Write what `devpi-export` of devpi-server 6.20 wrote for the same uploads."""
    entries = []
    for distribution in distributions:
        version = distribution.filename.split("-")[1].removesuffix(".tar.gz")
        relpath = f"root/prod/{distribution.project}/{version}/{distribution.filename}"
        path = folder / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(distribution.content)
        entries.append(
            {
                "version": version,
                "entrymapping": {
                    "last_modified": "Mon, 06 May 2024 07:08:10 GMT",
                    "hash_spec": f"sha256={distribution.sha256}",
                    "hashes": {"sha256": distribution.sha256},
                    "project": distribution.project,
                    "version": version,
                },
                "log": [{"what": "upload", "who": "root", "when": [2024, 5, 6, 7, 8, 9], "dst": "root/prod"}],
                "type": "releasefile",
                "projectname": distribution.project,
                "relpath": relpath,
            }
        )
    document = {
        "users": {"root": {"username": "root"}},
        "indexes": {
            "root/pypi": {"indexconfig": {"type": "mirror"}, "projects": {}, "files": []},
            "root/prod": {"indexconfig": {"type": "stage", "bases": []}, "projects": {}, "files": entries},
        },
        "dumpversion": "2",
        "pythonversion": [3, 11, 7, "final", 0],
        "devpi_server": "6.20.3",
    }
    (folder / "dataindex.json").write_text(json.dumps(document))
    return folder


class TestDevpi:
    """A folder that `devpi-export` wrote."""

    def test_export(self, store: ObjectStore, tmp_path: Path) -> None:
        """The files of the one stage index are published with their upload times; again, nothing is."""
        folder = write_devpi_export(tmp_path / "export", WHEEL, SDIST, OTHER)
        done = run_command(store, "importDevpi", {"folder": str(folder)})
        assert (done["projects"], len(done["published"]), done["failed"]) == (2, 3, {})
        assert files(store)[WHEEL.filename].upload_time == THEN
        assert run_command(store, "importDevpi", {"folder": str(folder)})["present"] == 3

    def test_damaged_and_missing_files_are_named(self, store: ObjectStore, tmp_path: Path) -> None:
        """A file that is not what the export says, is gone, or lies elsewhere, is named; the rest goes on."""
        folder = write_devpi_export(tmp_path / "export", WHEEL, SDIST, OTHER)
        (folder / "root/prod/demo/1.0" / WHEEL.filename).write_bytes(b"other")
        shutil.move(folder / "root/prod/demo/1.0" / SDIST.filename, tmp_path / SDIST.filename)
        done = run_command(store, "importDevpi", {"folder": str(folder), "index": "root/prod"})
        assert done["published"] == [f"projects/other-thing/{OTHER.filename}"]
        assert len(done["failed"]) == 2

    def test_path_out_of_the_export(self, store: ObjectStore, tmp_path: Path) -> None:
        """A file outside of the export is not read, whatever its index says."""
        folder = write_devpi_export(tmp_path / "export", WHEEL)
        (tmp_path / WHEEL.filename).write_bytes(WHEEL.content)
        document = json.loads((folder / "dataindex.json").read_text())
        document["indexes"]["root/prod"]["files"][0]["relpath"] = f"../{WHEEL.filename}"
        (folder / "dataindex.json").write_text(json.dumps(document))
        done = run_command(store, "importDevpi", {"folder": str(folder)})
        assert (done["published"], list(done["failed"])) == ([], [f"../{WHEEL.filename}"])


def write_predecessor(store: ObjectStore, upstream: FakeUpstream) -> None:
    """Write a bucket as serverless-pypi 0.0.6 wrote it: two private files, one mirrored, a user."""
    listed = []
    for distribution in (WHEEL, SDIST):
        store.put(f"projects/demo/{distribution.filename}", distribution.content)
        form = f"Name: demo\nVersion: 1.0\nSummary: {distribution.filename}\n".encode()
        store.put(f"projects/demo/{distribution.filename}.metadata", form)
        listed.append(
            {
                "dist-info-metadata": {"sha256": sha256(form)},
                "filename": distribution.filename,
                "hashes": {"md5": "0" * 32, "sha256": distribution.sha256},
                "url": f"/simple/demo/{distribution.filename}",
                "yanked": "broken" if distribution is SDIST else False,
            }
        )
    page = {"files": listed, "meta": {"api-version": "1.0"}, "name": "Demo"}
    store.put("projects/demo/index.json", json.dumps(page).encode())
    upstream.add(OTHER)
    store.put(f"cache/other-thing/{OTHER.filename}", OTHER.content)
    for key in ("database.json", "index.json", "index.html", "legacy.html"):
        store.put(key, b"{}")
    hashed = pbkdf2_sha512.using(rounds=25_000).hash("old secret")
    store.put(user_key("old"), json.dumps({"hash": hashed, "upload": True}).encode())


class TestPredecessor:
    """A bucket of serverless-pypi 0.0.6."""

    def adopt(self, store: ObjectStore, upstream: FakeUpstream, **argument: Any) -> dict[str, Any]:
        return run_command(store, "adopt", argument, upstream=upstream.url)

    def test_bucket(self, store: ObjectStore, upstream: FakeUpstream) -> None:
        """Its files are published as they are yanked there, its mirrored files checked, its leftovers named."""
        write_predecessor(store, upstream)
        assert self.adopt(store, upstream) == {
            "adopted": [f"projects/demo/{WHEEL.filename}", f"projects/demo/{SDIST.filename}"],
            "yanked": [f"projects/demo/{SDIST.filename}"],
            "users": 1,
            "verified": 1,
            "unverified": [],
            "dropped": [],
            "obsolete": ["database.json", "index.html", "index.json", "legacy.html"],
            "failed": {},
        }
        stat = store.stat(f"projects/demo/{WHEEL.filename}")
        assert stat is not None
        found = files(store)
        assert {name: (file.sha256, file.yanked) for name, file in found.items()} == {
            WHEEL.filename: (WHEEL.sha256, None),
            SDIST.filename: (SDIST.sha256, "broken"),
        }
        assert found[WHEEL.filename].upload_time == timestamp(stat.modified.astimezone(UTC))
        assert store.get(f"projects/demo/{WHEEL.filename}.metadata").body == WHEEL.metadata

    def test_its_users_still_log_in(self, store: ObjectStore, upstream: FakeUpstream) -> None:
        """A user of that bucket reads its private project with the old password, and nobody with another."""
        write_predecessor(store, upstream)
        self.adopt(store, upstream)
        app = make_app(store)
        for password, status in (("old secret", 200), ("new secret", 401)):
            headers = {"authorization": basic("old", password)}
            assert app(request("GET", "/simple/demo/", headers=headers)).status == status

    def test_again(self, store: ObjectStore, upstream: FakeUpstream) -> None:
        """A second time nothing changes."""
        write_predecessor(store, upstream)
        self.adopt(store, upstream)
        before = contents(store, "log/")
        done = self.adopt(store, upstream)
        assert (done["adopted"], done["yanked"], done["verified"]) == ([], [], 1)
        assert contents(store, "log/") == before

    def test_unverified_files(self, store: ObjectStore, upstream: FakeUpstream) -> None:
        """Mirrored files that are not what the upstream lists are named, and removed when that is wanted."""
        write_predecessor(store, upstream)
        key, gone = f"cache/other-thing/{OTHER.filename}", "cache/other-thing/other_thing-0.0-py3-none-any.whl"
        store.put(key, b"altered")
        store.put(gone, b"nobody knows")
        assert self.adopt(store, upstream)["unverified"] == sorted([key, gone])
        assert store.get(key).body == b"altered"
        done = self.adopt(store, upstream, dropUnverified=True)
        assert (done["dropped"], list(contents(store, "cache/"))) == (sorted([key, gone]), [])

    def test_what_does_not_agree_is_named(self, store: ObjectStore, upstream: FakeUpstream) -> None:
        """A listed file that is missing, or has another digest than is listed, is named; the rest goes on."""
        write_predecessor(store, upstream)
        store.delete(f"projects/demo/{WHEEL.filename}")
        store.put(f"projects/demo/{SDIST.filename}", make_sdist("demo", "1.0", requires_python=">=3.12").content)
        done = self.adopt(store, upstream)
        assert list(done["failed"]) == [f"projects/demo/{WHEEL.filename}", f"projects/demo/{SDIST.filename}"]
        assert Filename(SDIST.filename) in files(store)


class TestCommandLine:
    """The same by `serverless-pypi`."""

    def run(self, *arguments: str, bucket: Path) -> Result:
        return CliRunner().invoke(main, [*arguments, "--bucket", bucket.as_uri()])

    def test_folder(self, tmp_path: Path) -> None:
        """`import folder` says what it did, and again that there was nothing to do."""
        folder = write_folder(tmp_path / "packages", WHEEL, OTHER)
        done = self.run("import", "folder", str(folder), bucket=tmp_path / "data")
        assert (done.exit_code, done.stderr.splitlines()[-1]) == (
            0,
            "2 projects: 2 files published, 0 yanked, 0 here before, 0 failed",
        )
        again = self.run("import", "folder", str(folder), "--json", bucket=tmp_path / "data")
        assert json.loads(again.stdout)["present"] == 2

    def test_failures(self, tmp_path: Path) -> None:
        """A failure is named, and the exit code says that there was one."""
        folder = write_folder(tmp_path / "packages", WHEEL)
        (folder / "nothing.whl").write_bytes(b"")
        done = self.run("import", "folder", str(folder), bucket=tmp_path / "data")
        assert (done.exit_code, "failed: nothing.whl: " in done.stderr) == (1, True)

    def test_index(self, tmp_path: Path, upstream: FakeUpstream) -> None:
        """`import index` takes the URL as an option or from the environment."""
        upstream.add(WHEEL)
        done = self.run("import", "index", "demo", "--url", upstream.url, bucket=tmp_path / "data")
        assert (done.exit_code, files(FolderStore(tmp_path / "data"))[WHEEL.filename].sha256) == (0, WHEEL.sha256)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("import", "index", "demo"), "Missing option '--url'"),
            (("import", "index", "de_mo!", "--url", "http://127.0.0.1:1/simple/"), "invalid projects 'de_mo!'"),
            (("import", "index", "demo", "--url", "ftp://x/"), "invalid"),
            (("import", "folder", "/nowhere"), "does not exist"),
            (("import", "devpi", "{tmp}"), "invalid folder '{tmp}': what devpi-export wrote, with a dataindex.json"),
            (("import", "folder", "{tmp}", "--function", "pypi"), "exclude each other"),
        ],
    )
    def test_wrong_input(self, arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
        """What cannot be is refused in a sentence, with exit code 2, and nothing is made."""
        texts = [text.replace("{tmp}", str(tmp_path)) for text in arguments]
        done = self.run(*texts, bucket=tmp_path / "data")
        assert (done.exit_code, sentence.replace("{tmp}", str(tmp_path)) in done.stderr) == (2, True), done.stderr
        assert not (tmp_path / "data" / "log").exists()

    def test_adopt(self, tmp_path: Path, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
        """`adopt` says what it took over and what is left to do."""
        monkeypatch.setenv("UPSTREAM_INDEX_URL", upstream.url)
        write_predecessor(FolderStore(tmp_path / "data"), upstream)
        done = self.run("adopt", bucket=tmp_path / "data")
        assert (done.exit_code, done.stderr.splitlines()[-6:]) == (
            0,
            [
                "2 private files published, 1 of them yanked; 1 users",
                "1 mirrored files are what the upstream lists",
                "no longer needed: database.json",
                "no longer needed: index.html",
                "no longer needed: index.json",
                "no longer needed: legacy.html",
            ],
        )
