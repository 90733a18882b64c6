"""The local server against the other indexes: the same two project pages, the same client, in turn, several rounds.

    python -m benchmarks.http [--quick] [--peers devpi,peryx]

All mirror one loopback upstream, or where they do not mirror are given as many files of their own. Each is installed
from the registry into an environment of its own, once, under `.venv-bench`. The client sends what pip sends, and asks
for HTML alone in a second table. Each round measures every server in turn, so a ratio is one of neighbours in time.
Beside them stand a private page of ours, and an application that only sends our page's bytes: what this machine, this
client and our server can do at most.

Prints tables, writes `benchmarks/results/http.json` and charts under `docs/charts`. Takes no more than ten minutes
after the installation, one or two with `--quick`. A peer that cannot be installed or started is reported and left out.
Linux only.
"""

import argparse
import math
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.load import CONNECTIONS, Answer, BadAnswer, Throughput, ask, client, load
from benchmarks.pages import LARGE, SMALL, ProjectPage, make_page
from benchmarks.peers import CEILING, OURS, OURS_PRIVATE, PEERS, Served, install, installed_versions, serving
from benchmarks.processes import (
    NotStarted,
    cpu_seconds,
    free_port,
    listens,
    resident_megabytes,
    running,
    settle,
)
from benchmarks.report import ROOT, Table, draw_bars, progress, write_results
from benchmarks.stats import ratio_by_round

CACHE = ROOT / ".venv-bench"
SECONDS, ROUNDS = 2, 3
MEASURING_SECONDS = 330.0  # when they are over, no other round begins
MAX_SECONDS = 6  # for a server that takes so long over a page that two seconds say nothing
BATCHES = 3  # of one page a connection, where that time allows it
COMPLETE_SECONDS = 60.0  # until a page has all its files: pypiron looks through its folder first, peryx reads 2.7 MB
SETTLE_SECONDS = 8.0  # for the pages that the last client left without waiting for them
ENOUGH_REQUESTS = 100  # for the cut ones at the end not to matter to the processor time of each
FASTEST_OF = ("peryx", "devpi", "proxpi", "pypiserver", "simple-repository-server")

# The headers of pip 26 and of a client that reads HTML only.
FORMATS: Mapping[str, Mapping[str, str]] = {
    "pip": {
        "Accept": "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
        "Accept-Encoding": "gzip, deflate",
        "Cache-Control": "max-age=0",
    },
    "html": {"Accept": "text/html", "Accept-Encoding": "gzip, deflate", "Cache-Control": "max-age=0"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One page of one running server, in one format."""

    peer: str
    page: str
    form: str
    served: Served
    answer: Answer
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with each request."""
        return {**FORMATS[self.form], **PEERS[self.peer].headers}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one round measured of a target; processor time is the server's, the upstream's not in it."""

    peer: str
    page: str
    form: str
    round: int
    requests: int
    seconds: float
    per_second: float
    p50_milliseconds: float | None
    p90_milliseconds: float | None
    p99_milliseconds: float | None
    cpu_milliseconds: float
    upstream_requests: float
    resident_megabytes: float


def main() -> None:
    """Measure and report."""
    arguments = _arguments()
    rounds, seconds = (1, 1) if arguments.quick else (ROUNDS, SECONDS)
    formats = ("pip",) if arguments.quick else tuple(FORMATS)
    bins, failed = _installed([OURS, OURS_PRIVATE, CEILING, *arguments.peers])
    upstream_port = free_port()
    pages = [make_page(name, files) for name, files in (LARGE, SMALL)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.enter_context(_upstream(upstream_port, Path(folder)))
        started, commands = _start_all(stack, bins, Path(folder), upstream_port, pages, failed)
        targets = _targets(started, pages, formats, seconds, failed)
        samples = _measure(targets, rounds, upstream_port, failed)
    for name, reason in failed.items():
        print(f"{name}: {reason}", file=sys.stderr)
    path = write_results(
        "http",
        {
            "client": client(),
            "connections": CONNECTIONS,
            "rounds": rounds,
            "pages": {page.name: len(page.filenames) for page in pages},
            "headers": FORMATS,
            "peers": {name: _described(name, bins[name], commands[name], targets) for name in commands},
            "failed": {
                name: reason.replace(folder, "FOLDER").replace(f"{ROOT}", ".") for name, reason in failed.items()
            },
            "samples": [asdict(sample) for sample in samples],
        },
        quick=arguments.quick,
    )
    _print_tables(samples, targets, formats)
    if not arguments.quick:
        _draw(samples)
    print(f"\n{path}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, what pip sends only")
    others = [name for name in PEERS if name not in (OURS, OURS_PRIVATE, CEILING)]
    parser.add_argument("--peers", default=",".join(others), help="of %(default)s")
    arguments = parser.parse_args()
    arguments.peers = [name for name in arguments.peers.split(",") if name]
    if unknown := set(arguments.peers) - set(others):
        parser.error(f"unknown peers: {', '.join(sorted(unknown))}")
    return arguments


def _installed(names: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    bins, failed = {}, {}
    for name in progress(names, "installing"):
        try:
            bins[name] = install(name, CACHE)
        except NotStarted as error:
            failed[name] = f"not installed: {error}"
    return bins, failed


@contextmanager
def _upstream(port: int, folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.upstream", str(port)]
    log = folder / "upstream.txt"
    with running(command, environ={}, folder=ROOT, log=log, is_ready=lambda: listens(port)):
        yield


def _asked(port: int) -> int:
    return int(ask(port, "/asked", {}).body)


def _start_all(
    stack: ExitStack,
    bins: Mapping[str, Path],
    folder: Path,
    upstream_port: int,
    pages: Sequence[ProjectPage],
    failed: dict[str, str],
) -> tuple[dict[str, dict[str, Served]], dict[str, list[str]]]:
    started, commands = {}, {}
    for name in progress(tuple(bins), "starting"):
        upstream = f"http://127.0.0.1:{upstream_port}/simple/"
        try:
            started[name], commands[name] = stack.enter_context(
                serving(name, bins[name], folder / name, upstream, pages)
            )
        except NotStarted as error:
            failed[name] = f"not started: {error}"
    return started, commands


def _targets(
    started: Mapping[str, Mapping[str, Served]],
    pages: Sequence[ProjectPage],
    formats: Sequence[str],
    seconds: int,
    failed: dict[str, str],
) -> list[Target]:
    """Warm every page of every server, and return what is to be measured: those that answer with all the files."""
    wanted = [(peer, page, form) for page in pages for form in formats for peer in started if _speaks(peer, form)]
    targets = []
    for peer, page, form in progress(wanted, "warming"):
        served = started[peer][page.name]
        headers = {**FORMATS[form], **PEERS[peer].headers}
        try:
            answer = _complete(served, headers, len(page.filenames))
            began = time.perf_counter()
            ask(served.port, served.path, headers, seconds=COMPLETE_SECONDS)
            batches = math.ceil(BATCHES * CONNECTIONS * (time.perf_counter() - began))
            chosen = min(max(seconds, batches), MAX_SECONDS)
            if chosen == seconds:  # it is quick, and some get quicker still
                load(served.port, served.path, headers, seconds=1)
        except BadAnswer as error:
            failed[f"{peer}, {page.name}, {form}"] = str(error)
            continue
        targets.append(Target(peer=peer, page=page.name, form=form, served=served, answer=answer, seconds=chosen))
    return targets


def _speaks(peer: str, form: str) -> bool:
    return peer != CEILING or form == "pip"


def _complete(served: Served, headers: Mapping[str, str], files: int) -> Answer:
    deadline = time.monotonic() + COMPLETE_SECONDS
    while True:
        try:
            answer = ask(served.port, served.path, headers, seconds=COMPLETE_SECONDS)
            if (found := _count_files(answer)) == files:
                return answer
            fault = BadAnswer(f"{served.path} has {found} of {files} files")
        except BadAnswer as error:
            fault = error
        if time.monotonic() > deadline:
            raise fault
        time.sleep(0.5)


def _count_files(answer: Answer) -> int:
    if "json" in answer.content_type:
        return len(orjson.loads(answer.body)["files"])
    return len(re.findall(rb"<a\s[^>]*href=", answer.body))


def _measure(targets: Sequence[Target], rounds: int, upstream_port: int, failed: dict[str, str]) -> list[Sample]:
    samples: list[Sample] = []
    began = time.monotonic()
    for number in range(rounds):
        if time.monotonic() > began + MEASURING_SECONDS:
            failed[f"round {number}"] = f"left out: {MEASURING_SECONDS:.0f} s were over"
            break
        for target in progress(targets, f"measuring, round {number + 1} of {rounds}"):
            try:
                samples.append(_sample(target, number, upstream_port))
            except BadAnswer as error:
                failed[f"{target.peer}, {target.page}, {target.form}, round {number}"] = str(error)
    return samples


def _sample(target: Target, number: int, upstream_port: int) -> Sample:
    served = target.served
    settle(served.pid, seconds=SETTLE_SECONDS)
    asked, used = _asked(upstream_port), cpu_seconds(served.pid)
    throughput = load(served.port, served.path, target.headers, seconds=target.seconds)
    used, asked = cpu_seconds(served.pid) - used, _asked(upstream_port) - asked
    return Sample(
        peer=target.peer,
        page=target.page,
        form=target.form,
        round=number,
        requests=throughput.requests,
        seconds=throughput.seconds,
        per_second=throughput.per_second,
        p50_milliseconds=throughput.p50,
        p90_milliseconds=throughput.p90,
        p99_milliseconds=throughput.p99,
        cpu_milliseconds=_cpu_milliseconds(target, throughput, used),
        upstream_requests=asked / throughput.requests,
        resident_megabytes=resident_megabytes(served.pid),
    )


def _cpu_milliseconds(target: Target, throughput: Throughput, used: float) -> float:
    """Return the processor time of a request: of a slow server from requests one by one, none of them cut short."""
    if throughput.requests >= ENOUGH_REQUESTS:
        return used / throughput.requests * 1e3
    served = target.served
    settle(served.pid, seconds=SETTLE_SECONDS)
    before = cpu_seconds(served.pid)
    for _ in range(BATCHES):
        ask(served.port, served.path, target.headers)
    return (cpu_seconds(served.pid) - before) / BATCHES * 1e3


def _described(name: str, bin: Path, commands: Sequence[str], targets: Sequence[Target]) -> dict[str, Any]:
    return {
        "about": PEERS[name].about,
        "commands": commands,
        "versions": installed_versions(name, bin),
        "answers": {
            f"{target.page}, {target.form}": {
                "content_type": target.answer.content_type,
                "encoding": target.answer.encoding,
                "bytes": target.answer.bytes_sent,
                "files": _count_files(target.answer),
            }
            for target in targets
            if target.peer == name
        },
    }


def _is_of(sample: Sample, peer: str, page: str, form: str) -> bool:
    return (sample.peer, sample.page, sample.form) == (peer, page, form)


def _middle(samples: Sequence[Sample], peer: str, page: str, form: str, field: str) -> float | None:
    values = [getattr(sample, field) for sample in samples if _is_of(sample, peer, page, form)]
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _print_tables(samples: Sequence[Sample], targets: Sequence[Target], formats: Sequence[str]) -> None:
    titles = {"pip": "What pip sends: JSON is preferred, HTML is taken", "html": "HTML alone"}
    for form in formats:
        for page, files in (LARGE, SMALL):
            print(f"\n{titles[form]}; a page of {files:,} files\n")
            print(_table(samples, targets, page, form).markdown())
            print(f"\n{_verdict(samples, page, form)}")


def _table(samples: Sequence[Sample], targets: Sequence[Target], page: str, form: str) -> Table:
    rows = []
    for target in targets:
        if (target.page, target.form) != (page, form):
            continue
        peer = target.peer
        rows.append(
            (
                peer,
                _middle(samples, peer, page, form, "per_second"),
                _middle(samples, peer, page, form, "p50_milliseconds"),
                _middle(samples, peer, page, form, "p99_milliseconds"),
                _middle(samples, peer, page, form, "cpu_milliseconds"),
                _middle(samples, peer, page, form, "upstream_requests"),
                target.answer.bytes_sent / 1_000,
                f"{'JSON' if 'json' in target.answer.content_type else 'HTML'}, {target.answer.encoding}",
                _ours_against(samples, peer, page, form, "per_second"),
                _ours_against(samples, peer, page, form, "cpu_milliseconds"),
            )
        )
    columns = (
        "index",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "upstream",
        "KB",
        "sent as",
        "ours ÷ it",
        "CPU: it ÷ ours",
    )
    return Table(columns=columns, rows=tuple(rows))


def _ours_against(
    samples: Sequence[Sample], peer: str, page: str, form: str, field: str, *, ours_is: str = OURS
) -> str:
    ours, theirs = (
        {sample.round: getattr(sample, field) for sample in samples if _is_of(sample, name, page, form)}
        for name in (ours_is, peer)
    )
    rounds = sorted(number for number in ours.keys() & theirs.keys() if ours[number] and theirs[number])
    if peer == ours_is or not rounds:
        return "–"
    pair = [ours[number] for number in rounds], [theirs[number] for number in rounds]
    return str(ratio_by_round(*(reversed(pair) if field == "cpu_milliseconds" else pair)))


def _verdict(samples: Sequence[Sample], page: str, form: str) -> str:
    speeds = {name: _middle(samples, name, page, form, "per_second") for name in FASTEST_OF}
    known = {name: speed for name, speed in speeds.items() if speed is not None}
    if not known:
        return ""
    fastest, of = max(known, key=lambda name: known[name]), (page, form, "per_second")
    lines = [f"Against the fastest of {', '.join(known)}, {fastest}: {_ours_against(samples, fastest, *of)}"]
    lines += [f"Of what static bytes reach: {_ours_against(samples, CEILING, *of)}"] if form == "pip" else []
    private = _ours_against(samples, "pypiron", *of, ours_is=OURS_PRIVATE)
    return "\n\n".join([*lines, f"Private pages, ours against pypiron's: {private}"])


def _draw(samples: Sequence[Sample]) -> None:
    names = [name for name in PEERS if any(sample.peer == name for sample in samples)]
    for field, unit, stem in (
        ("per_second", "requests per second", "http"),
        ("cpu_milliseconds", "milliseconds of the server's processor time a request", "http-cpu"),
    ):
        series = {
            f"{files:,} files": [_middle(samples, name, page, "pip", field) for name in names]
            for page, files in (LARGE, SMALL)
        }
        draw_bars(stem, "A warm project page, four connections", groups=names, series=series, unit=unit)


if __name__ == "__main__":
    main()
