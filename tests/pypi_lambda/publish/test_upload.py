"""Publishing: the order of steps, what is refused, and what two uploads of one name do to each other."""

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.errors import StoreUnavailable
from indexer.keys import user_key
from indexer.log.events import FileAdded, FileRemoved, FileRestored, ProjectStatusSet, UserPut
from indexer.log.log import ORIGIN, Log, head_of
from indexer.names import Filename, ProjectName
from indexer.publication.place import ORPHAN_AGE
from indexer.simple.page import Renderer
from indexer.store.base import ObjectStore, Stat
from indexer.store.folder import FolderStore
from indexer.value import replace
from pypi_lambda.access.admin import Users
from pypi_lambda.access.records import User
from pypi_lambda.http.faults import Conflict, Forbidden
from pypi_lambda.publish.forms import read_upload
from pypi_lambda.publish.upload import MAX_FILE_BYTES, Publisher
from pypi_lambda.view.index import Index
from tests.support.adversary import Adversary, Call, Fault, Mischief
from tests.support.apps import JSON, Answer, Site, running_site
from tests.support.builders import (
    AT,
    NOW,
    USERNAME,
    added,
    contents,
    ids,
    journal,
    make_app,
    put_user,
    upload_form,
    upload_request,
    write_log,
)
from tests.support.distributions import Distribution, make_sdist, make_wheel
from tests.support.mirrors import PATIENCE_SECONDS

WHEEL = make_wheel("De.Mo", "1.0", requires_python=">=3.9")
OTHER = make_wheel("De.Mo", "1.0", requires_python=">=3.9", files={"other.txt": b"other"})
SDIST = make_sdist("De.Mo", "1.0")
DEMO = ProjectName("de-mo")
KEY = f"projects/de-mo/{WHEEL.filename}"
WHO = User(username="somebody", upload=True)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = FolderStore(tmp_path / "data")
    put_user(store)
    return store


def publisher(
    store: ObjectStore,
    *,
    age: timedelta | None = None,
    request_rebuild: Callable[[int], None] = lambda seq: None,
) -> Publisher:
    """Build one, for which it is so long after the file was stored where an age is given."""
    stat = None if age is None else store.stat(KEY)
    now = NOW if age is None or stat is None else stat.modified + age
    index = Index(store, Renderer(), max_staleness_seconds=0, clock=lambda: 0.0, request_repair=lambda: None)
    return Publisher(store, index, now=lambda: now, new_id=ids("upload "), request_rebuild=request_rebuild)


def publish(publisher: Publisher, distribution: Distribution, who: User = WHO, client: str = "") -> str:
    body, content_type = upload_form(distribution)
    form = read_upload(io.BytesIO(body), content_type=content_type, content_length=len(body), max_bytes=MAX_FILE_BYTES)
    try:
        return publisher.publish(form, who, client=client)
    finally:
        form.close()


def changes(store: ObjectStore) -> list[object]:
    return [event.change for event in Log(store).read_after(ORIGIN)]


def added_wheel(distribution: Distribution = WHEEL) -> FileAdded:
    return FileAdded(
        project=DEMO,
        filename=Filename(distribution.filename),
        version="1.0",
        size=len(distribution.content),
        sha256=distribution.sha256,
        upload_time=AT,
        requires_python=">=3.9",
        metadata_sha256=distribution.metadata_sha256,
    )


class TestOrder:
    def test_of_a_wheel(self, store: FolderStore) -> None:
        """File, metadata, event: what is named is there before it is named, and the event is the last write."""
        adversary = Adversary(store)
        app = make_app(adversary)
        adversary.calls.clear()
        assert app(upload_request(WHEEL)).status == 200
        user = user_key(USERNAME)
        assert [(call.method, call.key) for call in adversary.calls] == [
            ("find", "log/00000000000000000001.json"),
            ("find", user),
            ("find", "log/00000000000000000001.json"),
            ("write", KEY),
            ("put_new", f"{KEY}.metadata"),
            ("find", "log/00000000000000000001.json"),
            ("put_new", "log/00000000000000000001.json"),
        ]

    def test_of_an_sdist(self, store: FolderStore) -> None:
        """An sdist has no metadata beside it: some of its fields may be dynamic."""
        adversary = Adversary(store)
        publish(publisher(adversary), SDIST)
        assert [call.method for call in adversary.calls if call.method not in ("find", "list", "stat")] == [
            "write",
            "put_new",
        ]
        assert list(contents(store, "projects/")) == [f"projects/de-mo/{SDIST.filename}"]

    def test_what_is_written(self, store: FolderStore) -> None:
        """The file and its metadata are stored to the byte, and the event says all that pages need."""
        assert publish(publisher(store), WHEEL) == f"{WHEEL.filename} is published"
        assert contents(store, "projects/") == {KEY: WHEEL.content, f"{KEY}.metadata": WHEEL.metadata}
        [event] = Log(store).read_after(ORIGIN)
        assert (event.by, event.at, event.change) == ("somebody", AT, added_wheel())

    def test_the_rebuild_comes_last(self, store: FolderStore) -> None:
        """A rebuild is asked for with the number of the event, after that was written."""
        seen: list[tuple[int, list[object]]] = []
        publish(publisher(store, request_rebuild=lambda seq: seen.append((seq, changes(store)))), WHEEL)
        assert seen == [(1, [added_wheel()])]

    @pytest.mark.parametrize("fault", [StoreUnavailable("snapshot", "away"), RuntimeError("can't start new thread")])
    def test_a_rebuild_that_fails(self, store: FolderStore, fault: Exception) -> None:
        """The upload succeeds whatever becomes of the rebuild."""

        def request_rebuild(_seq: int) -> None:
            raise fault

        assert publish(publisher(store, request_rebuild=request_rebuild), WHEEL) == f"{WHEEL.filename} is published"


class TestAgain:
    def test_the_same(self, store: FolderStore) -> None:
        """The same file again is a success that writes nothing, in this process and in another one."""
        first = publisher(store)
        said = publish(first, WHEEL)
        before = contents(store)
        adversary = Adversary(store)
        assert [publish(first, WHEEL), publish(publisher(adversary), WHEEL)] == [said] * 2
        assert contents(store) == before
        assert {call.method for call in adversary.calls} <= {"find", "stat", "list", "get"}

    def test_the_same_after_a_rebuild(self, site: Site) -> None:
        """The same file again is a success also when the log's tail is gone."""
        assert site.upload(WHEEL).status == 200
        site.rebuild()
        with running_site(Path("unused"), store=site.store) as another:
            assert another.upload(WHEEL).status == 200
        assert len(changes(site.store)) == 1

    def test_another_content(self, store: FolderStore) -> None:
        """Other content under a published name is refused in words that uv knows, and changes nothing."""
        publish(publisher(store), WHEEL)
        before = contents(store)
        for age in (None, ORPHAN_AGE * 100):
            with pytest.raises(Conflict) as caught:
                publish(publisher(store, age=age), OTHER)
            assert caught.value.message == (
                f"File already exists: '{WHEEL.filename}' was published with sha256 {WHEEL.sha256}, "
                f"and this one has {OTHER.sha256}; a published file never changes, use another version"
            )
        assert contents(store) == before

    @pytest.mark.parametrize("distribution", [WHEEL, OTHER])
    def test_a_removed_file(self, store: FolderStore, distribution: Distribution) -> None:
        """The name of a removed file stays taken."""
        publish(publisher(store), WHEEL)
        Log(store).append(
            ORIGIN, FileRemoved(project=DEMO, filename=Filename(WHEEL.filename)), by="me", at="", id="another"
        )
        with pytest.raises(Conflict, match=r"^File already exists: "):
            publish(publisher(store), distribution)

    def test_conflict_over_http(self, site: Site) -> None:
        """A conflict is 409 in plain text, not problem+json, which would turn off uv's own comparison."""
        site.upload(WHEEL)
        answer = site.upload(OTHER)
        assert (answer.status, answer.headers["Content-Type"]) == (409, "text/plain; charset=utf-8")
        assert answer.text.startswith("File already exists: ")


class TestOrphans:
    """A file that an upload left behind and nobody published."""

    def test_the_same_bytes(self, store: FolderStore) -> None:
        """A retry with the same bytes goes through at once."""
        store.put(KEY, WHEEL.content)
        etag = store.get(KEY).etag
        publish(publisher(store), WHEEL)
        assert (changes(store) != [], store.get(KEY).etag) == (True, etag)

    def test_metadata_of_other_bytes(self, store: FolderStore) -> None:
        """Metadata that was left behind is replaced by that of the file."""
        store.put(KEY, WHEEL.content)
        store.put(f"{KEY}.metadata", b"left behind")
        publish(publisher(store), WHEEL)
        assert store.get(f"{KEY}.metadata").body == WHEEL.metadata

    def test_other_bytes_of_late(self, store: FolderStore) -> None:
        """Other bytes are refused as long as their upload could still be under way, and nothing is touched."""
        store.put(KEY, OTHER.content)
        before = contents(store)
        for age in (timedelta(), ORPHAN_AGE - timedelta(seconds=1)):
            with pytest.raises(Conflict, match="with other content is under way or was interrupted"):
                publish(publisher(store, age=age), WHEEL)
        assert contents(store) == before

    def test_other_bytes_of_old(self, store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
        """Other bytes that belong to no upload any more are replaced, and the log says so."""
        store.put(KEY, OTHER.content)
        publish(publisher(store, age=ORPHAN_AGE), WHEEL)
        assert contents(store, "projects/") == {KEY: WHEEL.content, f"{KEY}.metadata": WHEEL.metadata}
        assert len(changes(store)) == 1
        assert f"replacing the orphan {KEY}" in caplog.text

    def test_other_bytes_that_change(self, store: FolderStore) -> None:
        """An orphan that somebody else replaces at this moment is left to him."""
        store.put(KEY, OTHER.content)
        late = publisher(store, age=ORPHAN_AGE)
        overtaken = Fault(Mischief.SLOW, when=lambda call: call.method == "replace")
        slow = publisher(Adversary(store, overtaken), age=ORPHAN_AGE)
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(publish, slow, WHEEL)
            assert overtaken.reached.wait(PATIENCE_SECONDS)
            third = make_wheel("De.Mo", "1.0", files={"third.txt": b""})
            publish(late, third)
            overtaken.release.set()
            with pytest.raises(Conflict, match="another upload"):
                running.result(PATIENCE_SECONDS)
        assert store.get(KEY).body == third.content
        assert len(changes(store)) == 1

    def test_made_young_meanwhile(self, store: FolderStore) -> None:
        """An orphan that another upload of its bytes goes on with is not replaced, though its tag stays the same."""

        class TaggedByContent(Adversary):
            looks = 0

            def stat(self, key: str) -> Stat | None:
                stat = super().stat(key)
                self.looks += key == KEY
                modified = NOW if self.looks > 1 else NOW - ORPHAN_AGE
                return stat and replace(stat, etag="of the content", modified=modified)

            def replace(
                self, key: str, body: bytes, *, etag: str, content_type: str = "", immutable: bool = False
            ) -> str:
                return self.inner.put(key, body)

        store.put(KEY, OTHER.content)
        with pytest.raises(Conflict, match="is under way; try again"):
            publish(publisher(TaggedByContent(store)), WHEEL)
        assert (store.get(KEY).body, changes(store)) == (OTHER.content, [])

    def test_gone_meanwhile(self, store: FolderStore) -> None:
        """An orphan that is gone when it is looked at is a conflict that a retry mends."""
        store.put(KEY, OTHER.content)
        fault = Fault(Mischief.MISSING, when=lambda call: (call.method, call.key) == ("stat", KEY))
        with pytest.raises(Conflict, match="try again"):
            publish(publisher(Adversary(store, fault)), WHEEL)


def is_commit(call: Call) -> bool:
    return call.method == "put_new" and call.key.startswith("log/")


class TestRaces:
    @pytest.mark.parametrize(
        ("rival", "published"),
        [(added_wheel(), True), (added_wheel(OTHER), False)],
        ids=["the same content", "other content"],
    )
    def test_another_commit_comes_first(self, store: FolderStore, rival: FileAdded, published: bool) -> None:
        """Who finds his file published at the moment of his own commit succeeds or is refused, and commits nothing."""
        fault = Fault(Mischief.SLOW, when=is_commit)
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(publish, publisher(Adversary(store, fault)), WHEEL)
            assert fault.reached.wait(PATIENCE_SECONDS)
            write_log(store, UserPut(username="x", upload=True), rival)
            fault.release.set()
            fault_raised = running.exception(PATIENCE_SECONDS)
        assert isinstance(fault_raised, Conflict) is not published
        assert changes(store) == [UserPut(username="x", upload=True), rival]

    def test_of_unlike_files(self, store: FolderStore) -> None:
        """Other events between check and commit are passed by."""
        fault = Fault(Mischief.SLOW, when=is_commit)
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(publish, publisher(Adversary(store, fault)), WHEEL)
            assert fault.reached.wait(PATIENCE_SECONDS)
            write_log(store, added("demo", WHEEL.filename), added("de-mo", SDIST.filename))
            fault.release.set()
            assert running.result(PATIENCE_SECONDS) == f"{WHEEL.filename} is published"
        assert len(changes(store)) == 3

    @pytest.mark.parametrize("rivals", [[WHEEL] * 6, [WHEEL, OTHER] * 3])
    def test_many_at_once(self, store: FolderStore, rivals: list[Distribution]) -> None:
        """Of many uploads of one name one content is published, once; who brought that succeeds, the others do not."""
        apps = [make_app(store, new_id=ids(f"{number:x}")) for number in range(len(rivals))]
        with ThreadPoolExecutor(len(rivals)) as threads:
            statuses = list(threads.map(lambda app, rival: app(upload_request(rival)).status, apps, rivals))
        [event] = changes(store)
        assert isinstance(event, FileAdded)
        for status, rival in zip(statuses, rivals, strict=True):
            assert status == 200 if rival.sha256 == event.sha256 else status == 409
        winner = WHEEL if event.sha256 == WHEEL.sha256 else OTHER
        assert contents(store, "projects/") == {KEY: winner.content, f"{KEY}.metadata": winner.metadata}

    def test_a_lost_answer_to_the_commit(self, store: FolderStore) -> None:
        """An upload whose commit was carried out while its answer was lost is a success when it is tried again."""
        fault = Fault(Mischief.LOST_ANSWER, when=is_commit)
        with pytest.raises(StoreUnavailable):
            publish(publisher(Adversary(store, fault)), WHEEL)
        assert publish(publisher(store), WHEEL) == f"{WHEEL.filename} is published"
        assert len(changes(store)) == 1


class TestClosed:
    """Projects that take no uploads, and versions that were removed."""

    @pytest.mark.parametrize("status", ["archived", "quarantined"])
    @pytest.mark.parametrize("reason", ["", "moved away"])
    def test_status(self, store: FolderStore, status: str, reason: str) -> None:
        """An archived or quarantined project takes no file, and says why; nothing is stored."""
        write_log(store, added("de-mo", version="0.1"), ProjectStatusSet(project=DEMO, status=status, reason=reason))
        before = contents(store)
        with pytest.raises(Forbidden) as caught:
            publish(publisher(store), WHEEL)
        told = f"project 'de-mo' is {status} and takes no uploads" + (": moved away" if reason else "")
        assert (str(caught.value), contents(store)) == (told, before)

    def test_other_statuses(self, store: FolderStore) -> None:
        """A deprecated project takes files, and one that is active again."""
        for number, status in enumerate(("deprecated", "archived", "active")):
            *_, last = [None, *Log(store).read_after(ORIGIN)]
            head = ORIGIN if last is None else head_of(last)
            status_set = ProjectStatusSet(project=DEMO, status=status, reason="")
            write_log(store, added("de-mo", version=f"0.{number}"), status_set, after=head)
            if status != "archived":
                publish(publisher(store), make_wheel("De.Mo", f"1.{number}"))
        assert len([change for change in changes(store) if isinstance(change, FileAdded)]) == 5

    def test_the_same_in_an_archive(self, store: FolderStore) -> None:
        """The same file again is a success in an archived project, as ever; not in one that offers no files."""
        archived = ProjectStatusSet(project=DEMO, status="archived", reason="")
        quarantined = ProjectStatusSet(project=DEMO, status="quarantined", reason="")
        events = write_log(store, added_wheel(), archived)
        assert publish(publisher(store), WHEEL) == f"{WHEEL.filename} is published"
        with pytest.raises(Conflict):
            publish(publisher(store), OTHER)
        write_log(store, quarantined, after=head_of(events[-1]))
        with pytest.raises(Forbidden):
            publish(publisher(store), WHEEL)

    @pytest.mark.parametrize("status", ["archived", "quarantined"])
    def test_race(self, store: FolderStore, status: str) -> None:
        """Where the status comes first in the log, an upload that had begun before is refused."""
        write_log(store, added("de-mo", version="0.1"))
        fault = Fault(Mischief.SLOW, when=lambda call: call.method == "write")
        with ThreadPoolExecutor(1) as thread:
            uploading = thread.submit(publish, publisher(Adversary(store, fault)), WHEEL)
            assert fault.reached.wait(PATIENCE_SECONDS)
            Log(store).append(
                ORIGIN, ProjectStatusSet(project=DEMO, status=status, reason="why"), by="me", at=AT, id="status"
            )
            fault.release.set()
            with pytest.raises(Forbidden, match=f"^project 'de-mo' is {status} and takes no uploads: why$"):
                uploading.result(PATIENCE_SECONDS)
        assert not any(isinstance(change, FileAdded) and change.version == "1.0" for change in changes(store))

    def test_a_removed_version(self, store: FolderStore) -> None:
        """A version that was removed is not published again under another file name; one of which a file is left is."""
        old, sdist = added_wheel(), make_sdist("De.Mo", "1.0")
        events = write_log(store, old, FileRemoved(project=DEMO, filename=old.filename))
        with pytest.raises(Conflict) as caught:
            publish(publisher(store), sdist)
        told = "version 1.0 of 'de-mo' was removed; restore it, or use another version"
        assert str(caught.value) == told
        write_log(store, FileRestored(project=DEMO, filename=old.filename), after=head_of(events[-1]))
        assert publish(publisher(store), sdist) == f"{sdist.filename} is published"

    def test_over_http(self, site: Site) -> None:
        """A client is told 403, and why."""
        assert site.upload(WHEEL).status == 200
        site.happen(ProjectStatusSet(project=DEMO, status="archived", reason="moved away"))
        answer = site.upload(SDIST)
        assert (answer.status, answer.text) == (403, "project 'de-mo' is archived and takes no uploads: moved away\n")


class TestPermitted:
    def test_patterns(self, store: FolderStore) -> None:
        """A user whose uploads are limited to some names publishes those, and is told the patterns for others."""
        limited = User(username="ann", upload=True, projects=("acme-*", "de-mo"))
        assert publish(publisher(store), WHEEL, limited) == f"{WHEEL.filename} is published"
        before = contents(store)
        with pytest.raises(Forbidden) as caught:
            publish(publisher(store), make_wheel("other", "1.0"), limited)
        assert str(caught.value) == "'ann' may not upload 'other'; it may upload acme-*, de-mo"
        assert contents(store) == before

    def test_through_the_record(self, site: Site) -> None:
        """What a user's record says holds for the next upload."""
        users = Users(site.store, journal(site.store, new_id=ids("user ")))
        users.put("ann", "a password", upload=True, projects=("acme-*",))
        user = ("ann", "a password")
        refused = site.upload(WHEEL, user=user)
        assert (refused.status, refused.text) == (403, "'ann' may not upload 'de-mo'; it may upload acme-*\n")
        assert site.upload(make_wheel("Acme.Tool", "1.0"), user=user).status == 200
        users.put("ann", "a password", upload=True)
        assert site.upload(WHEEL, user=user).status == 200


def test_from_where(store: FolderStore) -> None:
    """The event says who published, and from where."""
    publish(publisher(store), WHEEL, client="192.0.2.1")
    assert [(event.by, event.client) for event in Log(store).read_after(ORIGIN)] == [("somebody", "192.0.2.1")]


def test_from_where_over_http(site: Site) -> None:
    """The address of the client is in the event of its upload."""
    assert site.upload(WHEEL).status == 200
    assert [(event.by, event.client) for event in Log(site.store).read_after(ORIGIN)] == [("uploader", "127.0.0.1")]


class TestOverHttp:
    @pytest.mark.parametrize("path", ["/", "/legacy/", "/legacy", "/simple/", "/simple"])
    def test_every_address(self, site: Site, path: str) -> None:
        """A file is uploaded to the root, to /legacy/ or to /simple/, with a slash at the end or without."""
        body = f"{WHEEL.filename} is published\n".encode()
        assert site.upload(WHEEL, path=path) == Answer(
            status=200,
            headers={
                "Content-Type": "text/plain; charset=utf-8",
                "X-Content-Type-Options": "nosniff",
                "Content-Length": str(len(body)),
            },
            body=body,
        )

    def test_shown_at_once(self, site: Site, tmp_path: Path) -> None:
        """After the answer every process shows the file, delivers it, and lists the project."""
        with running_site(tmp_path / "other", store=site.store) as another:
            another.read_names()
            assert another.get("/simple/de-mo/").status == 404
            site.upload(WHEEL)
            for each in (site, another):
                page = json.loads(each.get("/simple/de-mo/", accept=JSON).body)
                assert [file["filename"] for file in page["files"]] == [WHEEL.filename]
                assert each.get(f"/simple/de-mo/{WHEEL.filename}").body == WHEEL.content
                projects = json.loads(each.get("/simple/", accept=JSON).body)["projects"]
                assert projects == [{"name": "de-mo", "_last-serial": 1}]

    def test_the_body_of_a_stranger_is_not_read(self, site: Site) -> None:
        """Who may not upload is refused before a byte of the body is read."""

        class Unreadable:
            def read(self, size: int = -1, /) -> bytes:
                raise AssertionError("the body is read")

        for user, status in ((None, 401), (("uploader", "wrong"), 401), (("reader", "pässwörd"), 403)):
            details = {"user": user, "body": Unreadable(), "content_type": "multipart/form-data; boundary=b"}
            assert site.request("POST", "/", **details).status == status

    @pytest.mark.parametrize(
        ("content_type", "status"),
        [
            (None, 415),
            ("application/json", 415),
            ("multipart/mixed; boundary=b", 415),
            ("multipart/form-data", 400),
            ("multipart/form-data; boundary=" + "b" * 600, 400),
            ("multipart/form-data; boundary=\xff", 400),
        ],
    )
    def test_types(self, site: Site, content_type: str | None, status: int) -> None:
        """A body that is no form is refused for its type."""
        body, _ = upload_form(WHEEL)
        assert site.request("POST", "/", body=body, content_type=content_type).status == status

    def test_too_long(self, site: Site) -> None:
        """A body that is announced to be longer than any file may be is refused unread."""
        body, content_type = upload_form(WHEEL)
        answer = site.request("POST", "/", body=body, content_type=content_type, content_length=str(10**12))
        assert (answer.status, answer.text) == (413, "the request is larger than 5,387,337,728 bytes\n")

    @pytest.mark.parametrize("length", ["-1", "x", "1e3", "0x10", " 5", "٣", "9" * 30])
    def test_lengths_that_are_none(self, site: Site, length: str) -> None:
        """A Content-Length that is no number of bytes is 400."""
        body, content_type = upload_form(WHEEL)
        assert site.request("POST", "/", body=body, content_type=content_type, content_length=length).status == 400

    def test_chunked(self, site: Site) -> None:
        """A body of a length that nobody announced is read to the form's end."""
        body, content_type = upload_form(WHEEL)
        assert site.request("POST", "/", body=io.BytesIO(body), content_type=content_type).status == 200

    @pytest.mark.parametrize("announced", [True, False])
    def test_every_truncation(self, site: Site, announced: bool) -> None:
        """A body that breaks off anywhere, as a server hands it over when the client leaves, publishes nothing."""
        body, content_type = upload_form(make_sdist("De.Mo", "1.0"))
        length = str(len(body)) if announced else ""
        lengths = [*range(0, len(body) - 4, 97), *range(len(body) - 40, len(body) - 4)]
        for end in lengths:
            part = io.BytesIO(body[:end])
            answer = site.request("POST", "/", body=part, content_type=content_type, content_length=length)
            assert answer.status == 400, end
        assert contents(site.store, "projects/") == {}
        assert changes(site.store) == []

    @pytest.mark.parametrize(
        ("old", "new", "sentence"),
        [
            (b'name="name"\r\n\r\nDe.Mo', b'name="name"\r\n\r\nother', "invalid name 'other': "),
            (b'name="version"\r\n\r\n1.0', b'name="version"\r\n\r\n1.1', "invalid version '1.1': "),
            (b'name="content"', b'name="gpg_signature"', "missing field 'content': "),
            (b'filename="de_mo', b'filename="../de_mo', f"invalid filename '../{WHEEL.filename}': "),
            (b'filename="de_mo', b'filename="a/de_mo', f"invalid filename 'a/{WHEEL.filename}': "),
            (b'filename="de_mo', b'filename="other', "invalid name "),
            (b".whl", b".exe", "invalid filename "),
            (b".whl", b".whl.metadata", "invalid filename "),
            (WHEEL.sha256.encode(), b"0" * 64, f"invalid sha256_digest '{'0' * 64}': "),
            (WHEEL.content[:30], b"x" * 30, "invalid "),
            (WHEEL.content[60:200], b"", "invalid "),
            (b"file_upload", b"file_remove", "invalid :action 'file_remove': "),
        ],
    )
    def test_wrong_forms(self, site: Site, old: bytes, new: bytes, sentence: str) -> None:
        """What is wrong about a form or the file in it is said with field and value, and nothing is stored."""
        body, content_type = upload_form(WHEEL)
        assert old in body
        answer = site.request("POST", "/", body=body.replace(old, new), content_type=content_type)
        assert (answer.status, answer.text[: len(sentence)]) == (400, sentence)
        assert contents(site.store, "projects/") == {}
        assert changes(site.store) == []
