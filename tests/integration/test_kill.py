"""SIGKILL of the whole server in the middle of uploads, and of a download."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Event, Lock

import requests

from indexer.log.log import ORIGIN, Log
from tests.integration.commands import Place
from tests.integration.running import Server, serving
from tests.support.distributions import Distribution, make_wheel
from tests.support.fake_upstream import FakeUpstream

UPLOADERS = 4
ROUNDS = 2
ACKNOWLEDGED_BEFORE_THE_KILL = 12


def _wheels(round_number: int, uploader: int) -> list[Distribution]:
    return [make_wheel(f"project-{uploader % 2}", f"{round_number}.{uploader}.{number}") for number in range(50)]


def _upload_until_killed(
    server: Server, wheels: list[list[Distribution]]
) -> tuple[list[Distribution], list[Distribution]]:
    """Upload side by side, kill the server in the midst, and return what was acknowledged, and what was cut off."""
    acknowledged: list[Distribution] = []
    cut_off: list[Distribution] = []
    lock, enough = Lock(), Event()

    def upload(mine: list[Distribution]) -> None:
        for wheel in mine:
            try:
                assert server.upload(wheel).status_code == 200
            except requests.ConnectionError:
                with lock:
                    cut_off.append(wheel)
                return
            with lock:
                acknowledged.append(wheel)
                if len(acknowledged) >= ACKNOWLEDGED_BEFORE_THE_KILL:
                    enough.set()

    with ThreadPoolExecutor(len(wheels)) as pool:
        running = [pool.submit(upload, mine) for mine in wheels]
        enough.wait(timeout=300)
        server.kill()
        for each in running:
            each.result()
    return acknowledged, cut_off


def test_nothing_acknowledged_is_lost(place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """Killed amid uploads, the index has all that it acknowledged, and takes what was cut off when it is sent again."""
    user = None
    acknowledged: list[Distribution] = []
    for round_number in range(ROUNDS):
        with serving(place, logs, upstream=upstream.url, user=user, options=["--workers", "2"]) as server:
            user = server.user
            done, cut_off = _upload_until_killed(server, [_wheels(round_number, each) for each in range(UPLOADERS)])
        assert len(cut_off) == UPLOADERS
        acknowledged += done
        with serving(place, logs, upstream=upstream.url, user=user) as server:
            _check_present(server, acknowledged)
            assert [server.upload(wheel).status_code for wheel in cut_off] == [200] * len(cut_off)
            acknowledged += cut_off
            _check_present(server, acknowledged)
    events = list(Log(place.open()).read_after(ORIGIN))  # reading it checks that it has no gap and is whole
    assert len(events) >= len(acknowledged)


def test_a_killed_download_leaves_nothing(place: Place, upstream: FakeUpstream, logs: Path) -> None:
    """Killed while a mirrored file arrives, the index has nothing of it, and takes it in from the start when asked."""
    wheel = make_wheel("large", files={"large_data.bin": Random(1).randbytes(20_000_000)})
    path, arrived, release = upstream.add(wheel), Event(), Event()
    upstream.override(path, body=wheel.content, arrived=arrived, sent_first=15_000_000, release=release)
    file = f"/simple/large/{wheel.filename}"
    with serving(place, logs, upstream=upstream.url) as server, ThreadPoolExecutor(1) as pool:
        user = server.user
        server.await_reindexed()
        asked = pool.submit(server.answers, file)
        assert arrived.wait(timeout=300)
        server.kill()
        assert asked.result() is False
    release.set()
    assert list(place.open().list("cache/")) == []
    upstream.restore(path)
    with serving(place, logs, upstream=upstream.url, user=user) as server:
        assert server.get(file).content == wheel.content


def _check_present(server: Server, wheels: list[Distribution]) -> None:
    listed = {
        file["filename"]: file["hashes"]["sha256"]
        for name in sorted({wheel.project for wheel in wheels})
        for file in server.get_page(name)["files"]
    }
    assert {wheel.filename: wheel.sha256 for wheel in wheels}.items() <= listed.items()
    for wheel in wheels[-UPLOADERS:]:
        assert server.get(f"/simple/{wheel.project}/{wheel.filename}").content == wheel.content
