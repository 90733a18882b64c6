"""No false refusals: the newest wheel and sdist of the most used public projects, through the checks of an upload.

    python -m benchmarks.popular FOLDER [--limit N]

FOLDER keeps what was downloaded, so a second run asks nobody. Of each project in `popular.txt` one wheel of the newest
release is taken, a pure one before one for Linux before any other, and its sdist; files over 60 MB are left out and
counted. One download at a time, with a pause between two projects.

Prints each refusal, the slowest checks in processor time, and a summary line.
"""

import argparse
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests
from packaging.version import InvalidVersion, Version
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from indexer.distributions.distribution import check_distribution, parse_filename
from indexer.errors import InvalidValue
from indexer.names import check_filename, normalize_name

NAMES = Path(__file__).with_name("popular.txt")
MAX_BYTES = 60_000_000
PAUSE_SECONDS = 0.2
TIMEOUT_SECONDS = 60
SLOWEST = 8


def find_newest(session: requests.Session, name: str) -> list[dict[str, Any]]:
    """Return the wheel and the sdist of a project's newest release, as its page has them."""
    answer = session.get(
        f"{PYPI_SIMPLE_ENDPOINT.rstrip('/')}/{name}/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json"},
        timeout=TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
    releases: dict[Version, list[dict[str, Any]]] = {}
    for file in answer.json()["files"]:
        try:
            said = parse_filename(check_filename(file["filename"]), project=normalize_name(name))
            version = Version(said.version)
        except (InvalidValue, InvalidVersion):
            continue
        if said.kind != "legacy" and not version.is_prerelease and not file.get("yanked"):
            url = urljoin(answer.url, file["url"])
            releases.setdefault(version, []).append({**file, "kind": said.kind, "url": url})
    newest = releases[max(releases)] if releases else []
    wheels = sorted((file for file in newest if file["kind"] == "wheel"), key=_preference)
    return [*wheels[:1], *[file for file in newest if file["kind"] == "sdist"][:1]]


def _preference(file: dict[str, Any]) -> tuple[bool, bool, bool]:
    name = file["filename"]
    return not name.endswith("-none-any.whl"), "manylinux" not in name, "x86_64" not in name


def download(session: requests.Session, file: dict[str, Any], folder: Path) -> bool:
    """Download a file that is not there yet; tell whether it is small enough to be."""
    if (file.get("size") or 0) > MAX_BYTES:
        return False
    with session.get(file["url"], stream=True, timeout=TIMEOUT_SECONDS) as answer:
        answer.raise_for_status()
        if int(answer.headers.get("Content-Length", 0)) > MAX_BYTES:
            return False
        part = folder / f"{file['filename']}.part"
        with part.open("wb") as target:
            target.writelines(answer.iter_content(1_048_576))
        part.rename(folder / file["filename"])
    return True


def collect(folder: Path, limit: int) -> tuple[int, int]:
    """Download what is missing; return how many files were too large and how many projects have none."""
    too_large = without = 0
    session = requests.Session()
    for name in NAMES.read_text("utf-8").split()[:limit]:
        marker = folder / f"{name}.done"
        if not marker.exists():
            try:
                files = find_newest(session, name)
                large = [file["filename"] for file in files if not download(session, file, folder)]
            except (requests.RequestException, ValueError) as fault:
                print(f"{name}: not downloaded: {fault}")
                continue
            marker.write_text(f"{len(files)} {len(large)}\n")
            time.sleep(PAUSE_SECONDS)
        count, large_count = map(int, marker.read_text().split())
        too_large += large_count
        without += count == 0
    return too_large, without


def main() -> None:
    """Download, check, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=1_000, help="how many projects")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    too_large, without = collect(arguments.folder, arguments.limit)
    seconds: list[tuple[float, str]] = []
    refused = 0
    for path in sorted(arguments.folder.iterdir()):
        if not path.name.endswith((".whl", ".tar.gz", ".zip")):
            continue
        begun = time.process_time()
        try:
            with path.open("rb") as content:
                check_distribution(content, check_filename(path.name))
        except InvalidValue as refusal:
            refused += 1
            print(f"REFUSED {path.name}: {refusal}")
        seconds.append((time.process_time() - begun, path.name))
    for took, name in sorted(seconds, reverse=True)[:SLOWEST]:
        print(f"{took:8.2f} s  {name}")
    wheels = sum(name.endswith(".whl") for _, name in seconds)
    projects = len({normalize_name(marker.stem) for marker in arguments.folder.glob("*.done")})
    print(
        f"{projects} projects: {wheels} wheels and {len(seconds) - wheels} sdists checked, {refused} refused; "
        f"{too_large} files over {MAX_BYTES // 1_000_000} MB left out, {without} projects without a file"
    )


if __name__ == "__main__":
    main()
