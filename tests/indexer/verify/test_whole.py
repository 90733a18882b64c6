"""Whatever is deleted, truncated or altered is found and named; what is derived comes back; truth is not touched."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import InvalidValue, UnknownVersion
from indexer.frame import pack, unpack
from indexer.keys import SNAPSHOT_KEY, user_key
from indexer.names import ProjectName
from indexer.store.base import ObjectStore
from indexer.store.s3 import S3Store
from indexer.verify.findings import Findings
from indexer.verify.project import IN_FLIGHT, Group, Held
from pypi_lambda.app.service import make_service
from pypi_lambda.clock import utc_now
from pypi_lambda.mirror.examiner import MirrorExaminer
from tests.support.adversary import Adversary, Fault, Mischief
from tests.support.apps import READER
from tests.support.builders import added, contents
from tests.support.distributions import make_metadata
from tests.support.mirrors import eventually
from tests.support.servers import BUCKET
from tests.support.whole_index import SDIST, SIX, WHEEL, WholeIndex, ask_for_six, whole_index

TRUTH = ("log/", "projects/", "users/", "tokens/")
# What of each kind's damage is: who can tell it again.
SEVERITIES = {
    **dict.fromkeys(
        ("first event", "event", "last event", "file", "metadata", "removed file", "user", "token"), "truth"
    ),
    **dict.fromkeys(
        ("snapshot", "page", "HTML page", "root", "HTML root", "names", "filter"),
        "derived",
    ),
    **dict.fromkeys(("mirrored page", "check", "sources", "mirrored file", "mirrored metadata"), "derived"),
}
MIRRORED = ("mirrored page", "check", "sources", "mirrored file", "mirrored metadata")
# What may be gone: it is made when it is needed, or fetched again; a page without its check is out of use.
FORGETTABLE = ("root", "HTML root", "check", "mirrored file", "mirrored metadata")


@pytest.fixture(scope="module", params=["folder", "seaweedfs"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeIndex]:
    folder = tmp_path_factory.mktemp("whole")
    store: ObjectStore | None = None
    if request.param == "seaweedfs":
        environ = request.getfixturevalue("seaweedfs").environ
        store = S3Store(BUCKET, uuid.uuid4().hex, environ=environ)
    with whole_index(folder, store) as index:
        yield index


@pytest.fixture
def index(whole: WholeIndex) -> Iterator[WholeIndex]:
    """The same index for all tests of a store, brought back to what it was after each."""
    service = make_service(whole.site.settings, store=whole.store)
    with restored(whole.store):
        yield replace(whole, site=replace(whole.site, service=service))
        service.rebuilder.wait()


@contextmanager
def restored(store: ObjectStore) -> Iterator[None]:
    before = contents(store)
    yield
    after = contents(store)
    for key in after.keys() - before.keys():
        store.delete(key)
    for key, body in before.items():
        if after.get(key) != body:
            store.put(key, body)


def delete(store: ObjectStore, key: str) -> None:
    store.delete(key)


def truncate(store: ObjectStore, key: str) -> None:
    body = store.get(key).body
    store.put(key, body[: len(body) // 2])


def alter(store: ObjectStore, key: str) -> None:
    """Change a byte, so that what is read as JSON stays JSON, and gives somebody other rights or another name."""
    body = store.get(key).body
    replaced = {b'"by":"': b'"by":"x', b'"upload":true': b'"upload":false', b'"page":"': b'"page":"x'}
    for old, new in replaced.items():
        if key.startswith(("log/", "users/", "tokens/", "upstream/pages/")) and old in body:
            store.put(key, body.replace(old, new, 1))
            return
    middle = len(body) // 2
    store.put(key, body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :])


HARMS = (delete, truncate, alter)


def named(done: Any, *severities: str) -> set[str]:
    """The keys of the findings, without what is worth knowing only."""
    wanted = severities or ("truth", "derived", "orphan")
    return {finding["key"] for finding in done["findings"] if finding["severity"] in wanted}


def test_nothing_is_found_in_a_whole_index(index: WholeIndex) -> None:
    """Where nothing is damaged nothing is reported, every file is read, and nothing is written."""
    before = contents(index.store)
    done = index.run("verify", deep=True)
    assert (done["damage"], done["findings"], done["next"]) == (0, [], None)
    assert (done["projects"], done["files"], done["mirroredFiles"], done["mirroredFilesUnproved"]) == (2, 4, 2, 0)
    assert done["bytesRead"] == sum(map(len, contents(index.store, "projects/").values()))
    assert contents(index.store) == before


@pytest.mark.parametrize(
    ("kind", "harm"),
    [(kind, harm) for kind in SEVERITIES for harm in HARMS if harm is not delete or kind not in FORGETTABLE],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_damage_is_found_and_named(index: WholeIndex, kind: str, harm: Callable[[ObjectStore, str], None]) -> None:
    """Each kind of object, deleted, truncated or altered, is named, and as what it is."""
    key = index.keys[kind]
    harm(index.store, key)
    if (kind, harm) == ("check", alter):
        key = index.keys["mirrored page"]  # the two are at odds, and nobody can tell which of them is altered
    done = index.run("verify", deep=True)
    found = {finding["key"].rstrip("…"): finding["severity"] for finding in done["findings"]}
    assert [severity for name, severity in found.items() if key.startswith(name)] == [SEVERITIES[kind]]
    assert done["damage"] == 1


@pytest.mark.parametrize("kind", FORGETTABLE)
def test_what_may_be_gone_is_no_damage(index: WholeIndex, kind: str) -> None:
    """What is made or fetched when it is needed may be missing; where something else shows that, it is said."""
    index.store.delete(index.keys[kind])
    done = index.run("verify", deep=True)
    assert done["damage"] == 0
    expected = {
        "root": {index.keys["root"]},
        "HTML root": {index.keys["HTML root"]},
        "check": {index.keys["mirrored page"], index.keys["sources"]},
    }
    assert named(done, "note", "orphan") == expected.get(kind, set())


def test_a_record_with_a_verifier(tmp_path: Path) -> None:
    """What a right password leaves in a record is no damage, and stays; rights that are altered beside it are."""
    key = user_key(READER[0])
    with whole_index(tmp_path, password_key=bytes(range(32))) as index:
        assert index.site.get("/simple/", user=READER).status == 200
        eventually(lambda: b'"verifier"' in index.store.get(key).body)
        before = index.store.get(key).body
        assert index.run("verify", deep=True, repair=True)["findings"] == []
        assert index.store.get(key).body == before
        index.store.put(key, before.replace(b'"upload":false', b'"upload":true'))
        assert named(index.run("verify", deep=True), "truth") == {key}


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("kind", [kind for kind in SEVERITIES if SEVERITIES[kind] == "derived" and kind != "names"])
def test_repair_brings_back_what_is_derived(
    index: WholeIndex, kind: str, harm: Callable[[ObjectStore, str], None]
) -> None:
    """After a repair, and a request for what comes from the upstream, everything is as it was, byte for byte."""
    before = contents(index.store)
    harm(index.store, index.keys[kind])
    index.run("verify", deep=True, repair=True)
    if kind in MIRRORED:
        ask_for_six(replace(index.site, service=make_service(index.site.settings, store=index.store)))
    after = contents(index.store)
    assert index.run("verify", deep=True)["damage"] == 0
    check = index.keys["check"]  # says when it was asked
    assert {**after, check: b""} == {**before, check: b""}


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("kind", [kind for kind in SEVERITIES if SEVERITIES[kind] == "truth"])
def test_repair_touches_no_truth(index: WholeIndex, kind: str, harm: Callable[[ObjectStore, str], None]) -> None:
    """What is damaged of the truth, and all the rest of it, is left exactly as it is found; and it is still damaged."""
    harm(index.store, index.keys[kind])
    index.store.delete(index.keys["page"])
    before = {key: body for key, body in contents(index.store).items() if key.startswith(TRUTH)}
    index.run("verify", deep=True, repair=True)
    assert {key: body for key, body in contents(index.store).items() if key.startswith(TRUTH)} == before
    assert index.run("verify", deep=True)["damage"] > 0


def test_damaged_log_is_not_built_upon(index: WholeIndex) -> None:
    """With a damaged log a repair leaves even what is derived: it may be all that is left of what the log said."""
    truncate(index.store, index.keys["event"])
    index.store.delete(index.keys["page"])
    before = contents(index.store)
    done = index.run("verify", repair=True)
    assert contents(index.store) == before
    assert done["repaired"] == [] or done["repaired"] == [
        "nothing was rebuilt: the log is damaged, and what was derived of it may be all there is"
    ]


def test_lost_list_comes_back_with_a_reindex(index: WholeIndex) -> None:
    """The upstream's names are nowhere else in the store: a repair says so, and a reindex brings them back."""
    names = index.store.get(index.keys["names"])
    index.store.delete(index.keys["names"])
    done = index.run("verify", repair=True)
    assert [finding["remedy"] for finding in done["findings"]] == ["`reindex` reads the list from the upstream again"]
    assert index.run("verify")["damage"] == 1
    index.run("reindex")
    assert index.run("verify")["damage"] == 0
    assert index.store.get(index.keys["names"]).body == names.body


def test_cut_log_is_found_by_a_head_that_was_noted(index: WholeIndex) -> None:
    """Without a snapshot nobody could tell that the log's end was cut off, but for who noted a head before."""
    head = index.run("verify")["head"]
    index.store.delete(index.keys["last event"])
    index.store.delete(SNAPSHOT_KEY)
    assert named(index.run("verify"), "truth") == set()
    done = index.run("verify", expect=head)
    assert named(done, "truth") == {index.keys["last event"]}
    assert "the log's end was cut off" in done["findings"][0]["problem"]


def test_replaced_last_event_is_found_by_a_head_that_was_noted(index: WholeIndex) -> None:
    """The same for a last event that somebody wrote anew."""
    head = index.run("verify")["head"]
    alter(index.store, index.keys["last event"])
    index.store.delete(SNAPSHOT_KEY)
    assert named(index.run("verify"), "truth") == set()
    assert named(index.run("verify", expect=head), "truth") == {index.keys["last event"]}


def test_earlier_head_is_still_in_the_log(index: WholeIndex) -> None:
    """A head that was noted long ago proves as much as the log's end."""
    head = index.run("verify")["head"]
    index.site.happen(added("new"))
    done = index.run("verify", expect=head)
    assert named(done, "truth") == {
        f"projects/new/{added('new').filename}",
        f"projects/new/{added('new').filename}.metadata",
    }
    assert done["head"] != head


@pytest.mark.parametrize("noted", ["", "7", "0:" + "0" * 64, f"7:{'0' * 63}", f"7:{'g' * 64}"])
def test_head_that_is_none(index: WholeIndex, noted: str) -> None:
    """What is no head is refused in a sentence."""
    with pytest.raises(InvalidValue, match=r"invalid verify\.expect .*: SEQ:DIGEST"):
        index.run("verify", expect=noted)


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("projects/demo/notes.txt", "no event names it"),
        ("projects/nobody/demo-1.0-py3-none-any.whl", "no event names it"),
        (f"projects/demo/{WHEEL.filename}.asc", "0.0.6"),
        ("projects/demo/index.json", "0.0.6"),
        (f"projects/other/{SDIST.filename}.metadata", "no event names it"),
        ("pages/nobody/00000000000000000003-2.json.gz", "no files"),
        ("log/notes.txt", "no event's key"),
        ("elsewhere/object", "outside"),
        ("upstream/other/object", "outside"),
    ],
)
def test_orphans_are_reported(index: WholeIndex, key: str, word: str) -> None:
    """What nothing names is reported, as no damage, and a repair leaves it."""
    index.store.put(key, b"?")
    done = index.run("verify", now=lambda: utc_now() + IN_FLIGHT * 2, repair=True)
    assert (done["damage"], named(done, "orphan")) == (0, {key})
    assert word in done["findings"][0]["problem"]
    assert index.store.get(key).body == b"?"


def test_upload_in_flight_is_no_orphan(index: WholeIndex) -> None:
    """A file that was put there just now may be about to be published."""
    index.store.put("projects/demo/demo-9.0.tar.gz", b"?")
    assert index.run("verify")["findings"] == []


def test_index_that_is_behind_is_whole(index: WholeIndex) -> None:
    """What happened since the snapshot is no damage; the pages of before are still compared."""
    snapshot = index.store.get(SNAPSHOT_KEY).body
    index.run("yank", project="demo", version="2.0")
    index.store.put(SNAPSHOT_KEY, snapshot)
    assert index.run("verify", deep=True)["findings"] == []
    index.store.delete(index.keys["page"])
    assert named(index.run("verify")) == {index.keys["page"]}


def test_removed_file_may_be_gone_after_its_retention(index: WholeIndex) -> None:
    """The bytes of a removed file must be there for as long as it can be restored, and no longer."""
    for key in (index.keys["removed file"], f"{index.keys['removed file']}.metadata"):
        index.store.delete(key)
    assert len(named(index.run("verify"), "truth")) == 2
    later = utc_now() + timedelta(days=31)
    assert named(index.run("verify", now=lambda: later), "truth") == set()


def test_deep_verification_goes_on_where_it_stopped(index: WholeIndex) -> None:
    """One that has no time left says where it stopped; the next ones read the rest, and each file is read once."""
    alter(index.store, index.keys["file"])
    read, next_, found = 0, "", set[str]()
    for _ in range(5):
        done = index.run("verify", deep=True, after=next_, seconds=0)
        read, found = read + done["bytesRead"], found | named(done, "truth")
        next_ = done["next"]
        if next_ is None:
            break
    assert next_ is None
    assert read == sum(map(len, contents(index.store, "projects/").values()))
    assert found == {index.keys["file"]}


def test_snapshot_of_a_newer_version_stays(index: WholeIndex) -> None:
    """A snapshot that a newer version wrote is no damage: verify and rebuild refuse in a sentence, and leave it."""
    import msgpack

    document = msgpack.unpackb(unpack(index.store.get(SNAPSHOT_KEY).body, limit=1_000_000))
    index.store.put(SNAPSHOT_KEY, pack(msgpack.packb(document | {"v": 2})))
    before = contents(index.store)
    for name, argument in (("verify", {"repair": True}), ("rebuild", {"upTo": "from zero"})):
        with pytest.raises(UnknownVersion, match="a newer version of this program wrote it"):
            index.run(name, **argument)
    assert index.site.get("/simple/demo/").status == 200
    assert contents(index.store) == before


def test_object_that_is_replaced_meanwhile(tmp_path: Path) -> None:
    """A mirrored page that another process writes between two readings is not reported."""
    with whole_index(tmp_path) as index:
        once = iter([True])
        page = "upstream/pages/six.json.gz"
        fault = Fault(Mischief.TRUNCATED, when=lambda call: call.key == page and next(once, False))
        findings = Findings()
        group = Group(
            name=ProjectName("six"), events=(), objects={"upstream/pages/six.check": Held(size=1, modified=0.0)}
        )
        examiner = MirrorExaminer(Adversary(index.store, fault), findings)
        examiner.examine(group, deep=False)
        assert findings.damage == 0


class TestMirroredMetadata:
    """What an earlier version kept beside mirrored files, whatever the upstream had sent."""

    @pytest.mark.parametrize(
        "kept",
        [b"", b"<!DOCTYPE html><title>Sign in</title>", make_metadata("seven", "1.17.0"), make_metadata("six", "1.16")],
        ids=["nothing", "login page", "another project", "another version"],
    )
    @pytest.mark.parametrize("is_listed", [True, False])
    def test_kept_wrongly(self, index: WholeIndex, kept: bytes, is_listed: bool) -> None:
        """It is named by a verification that reads files, and goes when repairs are asked for."""
        key = index.keys["mirrored metadata"]
        index.store.put(key, kept)
        if not is_listed:  # as when the upstream has dropped the project
            for part in ("check", "mirrored page", "sources"):
                index.store.delete(index.keys[part])
        assert named(index.run("verify"), "derived") == set()
        done = index.run("verify", deep=True)
        assert [found["problem"] for found in done["findings"] if found["key"] == key] == [
            "it is not the metadata of that file: an earlier version kept whatever the upstream sent"
        ]
        index.run("verify", deep=True, repair=True)
        assert index.store.find(key) is None

    @pytest.mark.parametrize("said", [True, {"sha256": "0" * 64}, {"sha512": "0" * 128}], ids=str)
    def test_corrected_digest(self, index: WholeIndex, said: Any) -> None:
        """Metadata that was found in the wheel is no damage, whatever the upstream announced for it."""
        key, upstream = index.keys["mirrored metadata"], index.site.upstream
        for lost in (key, index.keys["check"]):
            index.store.delete(lost)
        upstream.add(SIX, core_metadata=said)
        try:
            index.site.get(f"/simple/six/{SIX.filename}.metadata")
        finally:
            upstream.add(SIX)
        assert index.store.get(key).body == SIX.metadata
        assert key not in named(index.run("verify", deep=True))
        index.store.put(key, SIX.metadata + b"Summary: more\n")
        assert key in named(index.run("verify", deep=True), "derived")
