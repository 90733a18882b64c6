"""What checking a file costs at worst: archives that are made to exhaust their reader, through the checks of an upload.

    python -m benchmarks.hostile [--quick]

Told is the processor time of each check, and what became of the file. No file of under 100 KB may cost more than a
second, and none at all more than five; `--quick` leaves out those of many megabytes. Exits with 1 where one does.

The figures are of the machine that runs it. Unit tests show the refusals, and measure nothing
(tests/indexer/archives/test_archive.py, tests/indexer/distributions/test_distribution.py).
"""

import argparse
import gzip
import io
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from random import Random

from indexer.distributions.distribution import check_distribution
from indexer.errors import InvalidValue
from indexer.names import Filename
from tests.support.archives import record

WHEEL = Filename("spam_eggs-1.0-py3-none-any.whl")
SDIST = Filename("spam_eggs-1.0.tar.gz")
INFO = "spam_eggs-1.0.dist-info"
SMALL_BYTES = 100_000
SMALL_SECONDS, MOST_SECONDS = 1.0, 5.0
HEAD = "Metadata-Version: 2.4\nName: spam-eggs\nVersion: 1.0\n"


def wheel(text: str = "", *, entry_points: str = "", others: dict[str, bytes] | None = None, method: int = 8) -> bytes:
    """Build a wheel with these metadata fields, and files beside them."""
    members = {**(others or {}), f"{INFO}/METADATA": f"{HEAD}{text}".encode(), f"{INFO}/WHEEL": b"Wheel-Version: 1.0\n"}
    if entry_points:
        members[f"{INFO}/entry_points.txt"] = entry_points.encode()
    members[f"{INFO}/RECORD"] = record(members, f"{INFO}/RECORD")
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return target.getvalue()


def sdist(blocks: bytes, *, level: int = 9) -> bytes:
    """Build an sdist of its metadata and these blocks."""
    return gzip.compress(member("PKG-INFO", f"{HEAD}\n".encode()) + blocks + bytes(1024), level)


def member(name: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Build a member of a tar archive."""
    return header(name, len(data), kind=kind) + data + bytes(-len(data) % 512)


def header(name: str, size: int, *, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Build the header of a member of this size."""
    info = tarfile.TarInfo(f"spam_eggs-1.0/{name}")
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def pax(pairs: bytes, count: int) -> bytes:
    """Build an extended header of so many records, and its member."""
    length = len(pairs) + 3
    while len(str(length)) + len(pairs) + 2 != length:
        length += 1
    line = f"{length} ".encode() + pairs + b"\n"
    return member("pax", line * count, kind=tarfile.XHDTYPE) + member("x")


def tiny_blocks(count: int) -> bytes:
    """Build a deflated stream of so many small blocks, each with Huffman codes of its own, and what it inflates to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    random = Random(0)
    parts = []
    for _ in range(count):
        parts.append(packer.compress(bytes(random.choices(range(256), k=40)) * 2))
        parts.append(packer.flush(zlib.Z_SYNC_FLUSH))
    return b"".join([*parts, packer.flush()])


def tiny_gzip(count: int) -> bytes:
    """Build an sdist whose deflated stream is slow to inflate for its size."""
    raw = zlib.decompress(packed := tiny_blocks(count), -15)
    name = member("PKG-INFO", f"{HEAD}\n".encode()) + header("blocks", len(raw))
    rest = bytes(-len(raw) % 512) + bytes(1024)
    head = gzip.compress(name)
    trailer = zlib.crc32(raw).to_bytes(4, "little") + (len(raw) & 0xFFFFFFFF).to_bytes(4, "little")
    return head + b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed + trailer + gzip.compress(rest)


def requirements(count: int, text: str) -> str:
    """Build so many requirements, each of another name and version: nothing is remembered from one to the next."""
    return "".join(f"Requires-Dist: {text.replace('x', f'x{n}', 1).replace('1', f'1.{n}', 1)}\n" for n in range(count))


def small_cases() -> Iterator[tuple[str, Filename, Callable[[], bytes]]]:
    """Yield files that are small and say much."""
    yield "60 extended headers of 1 MiB", SDIST, lambda: sdist(pax(b"a=" + b"x" * 1_000, 1_040) * 60)
    yield "60 extended headers of short records", SDIST, lambda: sdist(pax(b"a=b", 170_000) * 60)
    yield "short records up to the limit", SDIST, lambda: sdist(pax(b"a=b", 33_000) * 6)
    yield "long records up to the limit", SDIST, lambda: sdist(pax(b"path=" + b"x" * 1_000, 1_000) * 8)
    yield (
        "60 long names of 1 MiB",
        SDIST,
        lambda: sdist((member("l", b"x" * 1_000_000, kind=tarfile.GNUTYPE_LONGNAME) + member("x")) * 60),
    )
    yield "100,000 members", SDIST, lambda: sdist(member("x") * 100_000)
    yield "members up to the limit", SDIST, lambda: sdist(member("x") * 20_000)
    yield "20,000 deep paths", SDIST, lambda: sdist(member("a/" * 40 + "x") * 20_000)
    yield "64 MiB of zeros", SDIST, lambda: sdist(member("x", bytes(66_000_000)))
    yield "1 GiB of zeros, packed twice", SDIST, lambda: gzip.compress(sdist(member("x", bytes(80_000_000))), 9)
    yield "4 MiB of metadata, all text", WHEEL, lambda: wheel("\n" + "x\n" * 2_000_000)
    yield "4 MiB of metadata, all headers", WHEEL, lambda: wheel("Keywords: x\n" * 340_000)
    yield "4 MiB of metadata, one header", WHEEL, lambda: wheel("License: " + "x" * 4_000_000 + "\n")
    yield "1 MiB in one header", WHEEL, lambda: wheel("License: " + "x" * 1_000_000 + "\n")
    yield "1 MiB in folded lines", WHEEL, lambda: wheel("License: x\n" + " " + "y" * 50 + "\n" + " y\n" * 19_000)
    yield "20,000 headers", WHEEL, lambda: wheel("Keywords: x\n" * 19_900)
    yield "20,000 headers beyond ASCII", WHEEL, lambda: wheel("Classifier: é\n" * 19_900)
    yield "many names of headers", WHEEL, lambda: wheel("".join(f"X-{number}: 1\n" for number in range(300_000)))
    yield "requirements up to the limit", WHEEL, lambda: wheel(requirements(4_000, "x>=1,<2; python_version>'3' and a"))
    yield (
        "good requirements up to the limit",
        WHEEL,
        lambda: wheel(requirements(4_000, "x[a,b]>=1,<2,!=1.5;python_version>'3'")),
    )
    yield "short requirements up to the limit", WHEEL, lambda: wheel(requirements(14_000, "x>1,<2"))
    yield "many specifiers", WHEEL, lambda: wheel(requirements(130, "x" + ",".join(["==1"] * 490)))
    yield "many markers", WHEEL, lambda: wheel(requirements(130, "x;" + " or ".join(["os_name=='a'"] * 120)))
    yield "nested markers", WHEEL, lambda: wheel(requirements(130, "x;" + "(" * 900 + "os_name=='a'" + ")" * 900))
    yield "a long licence", WHEEL, lambda: wheel("License-Expression: " + " OR ".join(["MIT"] * 280) + "\n")
    yield "a nested licence", WHEEL, lambda: wheel("License-Expression: " + "(" * 900 + "MIT" + ")" * 900 + "\n")
    yield "20,000 names of licences' files", WHEEL, lambda: wheel("License-File: a\n" * 19_900)
    yield (
        "20,000 labels of URLs",
        WHEEL,
        lambda: wheel("".join(f"Project-URL: {number}, x\n" for number in range(19_900))),
    )
    yield "a long Requires-Python", WHEEL, lambda: wheel("Requires-Python: " + ",".join(["!=3.0"] * 160) + "\n")
    yield (
        "256 KiB of entry points",
        WHEEL,
        lambda: wheel(entry_points="[a]\n" + "".join(f"x{number}=a:b\n" for number in range(20_000))),
    )
    yield "256 KiB of groups", WHEEL, lambda: wheel(entry_points="".join(f"[a{number}]\n" for number in range(25_000)))
    yield "4 MiB of entry points", WHEEL, lambda: wheel(entry_points="[a]\n" + "x=a:b\n" * 690_000)
    yield "1,000 members", WHEEL, lambda: wheel(others={f"{number}": b"" for number in range(600)})
    yield "60 MB of zeros", WHEEL, lambda: wheel(others={"zeros": bytes(60_000_000)})
    yield "4 MiB of RECORD", WHEEL, record_of_nothing
    yield "small blocks", SDIST, lambda: tiny_gzip(800)


def large_cases() -> Iterator[tuple[str, Filename, Callable[[], bytes]]]:
    """Yield files that may be as large as they like."""
    yield "60,000 members", WHEEL, lambda: wheel(others={f"a/{number}": b"" for number in range(30_000)}, method=0)
    yield (
        "100,000 members",
        SDIST,
        lambda: sdist(b"".join(member(f"{number}", Random(number).randbytes(30)) for number in range(99_000)), level=1),
    )
    yield "1 GiB of zeros", SDIST, lambda: sdist(member("x", bytes(1_050_000_000)), level=1)
    yield "700 MB of zeros", WHEEL, lambda: wheel(others={"z": bytes(700_000_000), "r": Random(0).randbytes(9_000_000)})
    yield "60 MB in small blocks", SDIST, lambda: tiny_gzip(500_000)
    yield (
        "300 MB of noise",
        WHEEL,
        lambda: wheel(others={f"{number}": Random(number).randbytes(30_000_000) for number in range(10)}),
    )


def record_of_nothing() -> bytes:
    """Build a wheel whose RECORD names files that are not there."""
    target = io.BytesIO(wheel())
    with zipfile.ZipFile(target) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members[f"{INFO}/RECORD"] += b",,\n" * 1_300_000
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target.getvalue()


def check(filename: Filename, content: bytes) -> tuple[float, str]:
    """Return the processor time of a check, and what became of the file."""
    begun = time.process_time()
    try:
        check_distribution(io.BytesIO(content), filename)
    except InvalidValue as refusal:
        answer = str(refusal)
    else:
        answer = "accepted"
    return time.process_time() - begun, answer


def main() -> None:
    """Measure, print, and tell by the exit code whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without the files of many megabytes")
    quick = parser.parse_args().quick
    check(WHEEL, wheel())  # what is imported for the first file is not its cost
    over = False
    for name, filename, build in [*small_cases(), *([] if quick else large_cases())]:
        content = build()
        seconds, answer = check(filename, content)
        bound = SMALL_SECONDS if len(content) < SMALL_BYTES else MOST_SECONDS
        over |= seconds > bound
        mark = "OVER" if seconds > bound else ""
        print(f"{seconds:6.2f} s  {len(content):>11,} B  {mark:4}  {name:38}  {answer[:90]}", flush=True)
    sys.exit(over)


if __name__ == "__main__":
    main()
