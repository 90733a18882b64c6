"""Reading the log by a command: the last events, the next ones, and those that are wanted."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from indexer.errors import CorruptObject, InvalidValue
from indexer.keys import log_key
from indexer.log.events import Change, FileYanked, UserPut, UserRemoved, timestamp
from indexer.log.log import ORIGIN, Head, Log, head_of
from indexer.names import ProjectName
from indexer.store.base import ObjectStore
from indexer.value import replace
from pypi_lambda.manage.audit import MAX_LOOKED_AT, parse_since
from pypi_lambda.manage.registry import parse_command
from tests.support.adversary import Adversary
from tests.support.builders import AT, NOW, added, event_bytes, ids, sha256
from tests.support.contexts import run_command, running_context


def append(store: ObjectStore, *changes: Change, by: str = "me", at: str = AT, after: Head = ORIGIN) -> Head:
    log, new_id = Log(store), ids(f"{at} {after.seq} ")
    for change in changes:
        after = head_of(log.append(after, change, by=by, at=at, id=new_id(), client="here"))
    return after


def seqs(done: dict[str, Any]) -> list[int]:
    return [event["seq"] for event in done["events"]]


def many(store: ObjectStore, count: int, **details: Any) -> Head:
    return append(store, *(added(f"project-{number % 3}", version=f"{number}.0") for number in range(count)), **details)


def fill(folder: Path, count: int) -> None:
    """Write a long log, and not through the store, which waits for the disk each time."""
    (folder / "log").mkdir(parents=True)
    prev = ""
    for seq in range(1, count + 1):
        body = event_bytes(UserRemoved(username="zoe"), seq=seq, prev=prev, id=f"{seq:032x}")
        prev = sha256(body)
        (folder / log_key(seq)).write_bytes(body)


class TestLast:
    def test_by_default(self, store: ObjectStore) -> None:
        """The last fifty events are told, in their order, and where to go on in both directions."""
        many(store, 60)
        done = run_command(store, "log")
        assert (seqs(done), done["head"], done["earlier"], done["next"]) == (list(range(11, 61)), 60, 11, None)

    def test_an_event(self, store: ObjectStore) -> None:
        """An event is told with all that it says, its digest, and that of the one before."""
        before = append(store, added("demo"))
        append(store, FileYanked(project=ProjectName("demo"), filename=added("demo").filename, reason=""), after=before)
        stored = Log(store).get_event(2)
        assert run_command(store, "log", {"limit": 1})["events"] == [
            {
                "seq": 2,
                "id": stored.id,
                "prev": before.digest,
                "digest": stored.digest,
                "at": AT,
                "by": "me",
                "client": "here",
                "kind": "FileYanked",
                "project": "demo",
                "filename": added("demo").filename,
                "reason": "",
            }
        ]

    def test_backwards(self, store: ObjectStore) -> None:
        """Asked again with `before`, it goes back to the first event."""
        many(store, 7)
        seen, before = [], None
        while True:
            done = run_command(store, "log", {"limit": 3, "before": before})
            seen.append(seqs(done))
            before = done["earlier"]
            if before is None:
                break
        assert seen == [[5, 6, 7], [2, 3, 4], [1]]

    def test_empty(self, store: ObjectStore) -> None:
        """A log without events is told as that."""
        assert run_command(store, "log") == {"events": [], "head": 0, "earlier": None, "next": None}

    def test_cost(self, store: ObjectStore) -> None:
        """However long the log is, no more of it is read than is told; it is never listed."""
        many(store, 300)
        with running_context(store) as context:
            context.service.rebuilder.request(0)
        watched = Adversary(store)
        run_command(watched, "log")
        read = [call for call in watched.calls if call.key.startswith("log/")]
        assert ({call.method for call in read}, len(read)) == ({"find"}, 52)  # the next one, and the one before


class TestNext:
    def test_pages(self, store: ObjectStore) -> None:
        """With `after` the events behind a number are told, as many at a time as was asked for."""
        many(store, 7)
        seen, after = [], 2
        while after is not None:
            done = run_command(store, "log", {"limit": 3, "after": after})
            seen.append(seqs(done))
            after = done["next"]
        assert seen == [[3, 4, 5], [6, 7]]

    @pytest.mark.parametrize("after", [7, 8, 1_000])
    def test_at_the_end(self, store: ObjectStore, after: int) -> None:
        """Behind the last event there is nothing, yet."""
        many(store, 7)
        assert run_command(store, "log", {"after": after}) == {"events": [], "head": 7, "earlier": None, "next": None}

    def test_long_answers(self, store: ObjectStore) -> None:
        """An answer has some megabytes at most, in both directions, whatever was asked for."""
        append(store, *(UserPut(username="x" * 200_000, upload=False) for _ in range(30)))
        forwards = run_command(store, "log", {"after": 0, "limit": 1_000})
        backwards = run_command(store, "log", {"limit": 1_000})
        assert (seqs(forwards), forwards["next"]) == (list(range(1, 22)), 21)
        assert (seqs(backwards), backwards["earlier"]) == (list(range(10, 31)), 10)


class TestWanted:
    def test_project(self, store: ObjectStore) -> None:
        """Only events about a project are told, looking back no further than is needed."""
        many(store, 9)
        done = run_command(store, "log", {"project": "Project_1", "limit": 2})
        assert (seqs(done), done["earlier"]) == ([5, 8], 5)
        assert seqs(run_command(store, "log", {"project": "project-1", "before": 5})) == [2]
        assert seqs(run_command(store, "log", {"project": "project-1", "after": 2})) == [5, 8]

    def test_user(self, store: ObjectStore) -> None:
        """What a user did, and what was done to it, is told."""
        head = append(store, UserPut(username="ann", upload=True), added("demo"))
        head = append(store, added("demo", version="2.0"), by="ann", after=head)
        append(store, UserRemoved(username="bob"), UserRemoved(username="ann"), after=head)
        assert seqs(run_command(store, "log", {"user": "ann"})) == [1, 3, 5]

    def test_since(self, store: ObjectStore) -> None:
        """Events from a moment on are told; with the moment of an event, that one too."""
        head = ORIGIN
        for day in range(1, 10):
            head = append(store, added("demo", version=f"{day}.0"), at=f"2024-03-0{day}T12:00:00.000000Z", after=head)
        for since, first in (
            ("2024-03-07", 7),
            ("2024-03-07T12:00:00Z", 7),
            ("2024-03-07T12:00:01Z", 8),
            ("2024-01-01", 1),
        ):
            done = run_command(store, "log", {"since": since})
            assert (seqs(done), done["earlier"]) == (list(range(first, 10)), None)
            assert seqs(run_command(store, "log", {"since": since, "after": 0})) == list(range(first, 10))
        assert seqs(run_command(store, "log", {"since": "2024-03-07", "limit": 2})) == [8, 9]
        assert seqs(run_command(store, "log", {"since": "1h"})) == []

    def test_bounded_look(self, store: ObjectStore, tmp_path: Path) -> None:
        """Where hardly any event is wanted, an answer looks at so many and says where to go on."""
        fill(tmp_path / "data", MAX_LOOKED_AT + 10)
        done = run_command(store, "log", {"user": "nobody"})
        assert (seqs(done), done["earlier"]) == ([], 11)
        done = run_command(store, "log", {"user": "nobody", "after": 0})
        assert (seqs(done), done["next"]) == ([], MAX_LOOKED_AT)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ({"limit": 0}, "invalid log.limit 0: a number from 1 to 5,000"),
        ({"limit": 5_001}, "invalid log.limit 5001: a number from 1 to 5,000"),
        ({"limit": True}, "invalid log.limit True: a number from 1 to 5,000"),
        ({"after": -1}, "invalid log.after -1: a whole number, not negative"),
        ({"after": 1, "before": 2}, "invalid log.before 2: after and before exclude each other"),
        ({"project": "nope"}, "invalid log.project 'nope': there is no private project of this name"),
        ({"since": "yesterday"}, "invalid log.since 'yesterday': an age such as '7d' or '24h', a date as "),
        ({"since": "9999-01-01"}, "invalid log.since '9999-01-01': an age such as '7d' or '24h', a date as "),
        ({"since": "999999w"}, "invalid log.since '999999w': an age such as '7d' or '24h', a date as "),
    ],
)
def test_nonsense(store: ObjectStore, argument: dict[str, Any], sentence: str) -> None:
    """What cannot be asked for is refused in one sentence."""
    many(store, 1)
    with pytest.raises(InvalidValue) as caught:
        run_command(store, "log", argument)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", datetime(2024, 11, 16, 10, 20, 30, tzinfo=UTC)),
        ("24h", datetime(2024, 11, 22, 10, 20, 30, tzinfo=UTC)),
        ("90m", datetime(2024, 11, 23, 8, 50, 30, tzinfo=UTC)),
        ("2w", datetime(2024, 11, 9, 10, 20, 30, tzinfo=UTC)),
        ("2024-11-01", datetime(2024, 11, 1, tzinfo=UTC)),
        ("2024-11-01T12:00:00+02:00", datetime(2024, 11, 1, 10, tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    """A moment is an age, a date, or a time with its zone."""
    now = datetime(2024, 11, 23, 10, 20, 30, tzinfo=UTC)
    assert parse_since(text, now, field="since") == timestamp(moment)


def test_an_altered_event(store: ObjectStore) -> None:
    """An event that was altered is not told as if it were the log's."""
    many(store, 5)
    body = store.get(log_key(3)).body
    store.put(log_key(3), body.replace(b'"by":"me"', b'"by":"xx"'))
    with pytest.raises(CorruptObject, match=r"does not continue the one before it; one of the two was altered"):
        run_command(store, "log", {"after": 2})


def test_clock(store: ObjectStore) -> None:
    """Ages count back from the context's clock."""
    many(store, 2)
    with running_context(store) as context:
        done = parse_command("log", {"since": "1h"}).run(replace(context, now=lambda: NOW))
    assert len(list(done["events"])) == 2  # type: ignore[call-overload]  # a list
