"""What is not published, and why: one row for each kind of file that an installer, or all, cannot use.

Each row has the input, the rule with its source, and the answer. Archives that are made to exhaust their reader are in
tests/indexer/archives/test_archive.py and `benchmarks.hostile`. Beside the rows: what looks alike and is accepted.
"""

import bz2
import dataclasses
import gzip
import io
import struct
import zipfile
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Callable

import pytest

from indexer.distributions.distribution import Distribution, check_distribution
from indexer.errors import InvalidValue
from indexer.names import Filename, ProjectName
from tests.support.archives import (
    metadata,
    record,
    sdist_members,
    tar_bytes,
    tar_gz_bytes,
    wheel_members,
    zip_bytes,
    zip_streamed,
)

WHEEL = "spam_eggs-1.0-py3-none-any.whl"
SDIST = "spam_eggs-1.0.tar.gz"
INFO = "spam_eggs-1.0.dist-info"
MODULE = "spam/__init__.py"

CORE = "Core metadata specifications"
PEP_508 = "Dependency specifiers (PEP 508)"
PEP_639 = "PEP 639"
ENTRY_POINTS = "Entry points specification"
APPNOTE = "APPNOTE 4.3"
RECORD = "Binary distribution format: RECORD"
WHEEL_FORMAT = "Binary distribution format"
SDIST_FORMAT = "Source distribution format"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A file that is refused: its content, the rule and where that stands, and the refusal's beginning and end."""

    case: str
    content: Callable[[], bytes]
    source: str
    answer: str
    filename: str = WHEEL


def check(content: bytes, filename: str = WHEEL, *, lenient: bool = False) -> Distribution:
    return check_distribution(io.BytesIO(content), Filename(filename), name=ProjectName("spam-eggs"), lenient=lenient)


def saying(*headers: str, version: str = "2.4") -> Callable[[], bytes]:
    text = "\n".join([f"Metadata-Version: {version}", "Name: spam-eggs", "Version: 1.0", *headers, "", "Ham\n"])
    return lambda: zip_bytes(wheel_members(text=text.encode()))


def with_entry_points(text: str | bytes) -> Callable[[], bytes]:
    data = text.encode() if isinstance(text, str) else text
    return lambda: zip_bytes(wheel_members(others={f"{INFO}/entry_points.txt": data}))


def with_record(change: Callable[[str], str]) -> Callable[[], bytes]:
    members = wheel_members()
    text = members.pop(f"{INFO}/RECORD").decode()
    return lambda: zip_bytes({**members, f"{INFO}/RECORD": change(text).encode()})


def digest_in(text: str) -> str:
    return text.partition("sha256=")[2].partition(",")[0]


def b64_to_hex(digest: str) -> str:
    return urlsafe_b64decode(f"{digest}=").hex()


def with_wheel(text: str) -> Callable[[], bytes]:
    members = {**wheel_members(), f"{INFO}/WHEEL": text.encode()}
    members.pop(f"{INFO}/RECORD")
    return lambda: zip_bytes({**members, f"{INFO}/RECORD": record(members, f"{INFO}/RECORD")})


def patched(local: dict[int, bytes], central: dict[int, bytes] | None = None) -> Callable[[], bytes]:
    """Build a wheel in whose header of `MODULE`, its own or the directory's, bytes are others from an offset on."""

    def build() -> bytes:
        data = bytearray(zip_bytes(wheel_members()))
        name = MODULE.encode()
        for start, changes in ((data.index(name) - 30, local), (data.rindex(name) - 46, central or {})):
            for offset, new in changes.items():
                data[start + offset : start + offset + len(new)] = new
        return bytes(data)

    return build


def appended(*, listed: bool, junk: bytes = b"") -> Callable[[], bytes]:
    """Build a wheel with a member that its directory leaves out, or with bytes between two members."""

    def build() -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for name, data in wheel_members().items():
                archive.writestr(zipfile.ZipInfo(name), data)
            if junk:
                target.write(junk)
                archive.start_dir = target.tell()
            archive.writestr(zipfile.ZipInfo("hidden.py"), b"ham = 2\n")
            if not listed:
                archive.filelist.pop()
        return target.getvalue()

    return build


def streamed(damage: bytes | None = None) -> bytes:
    """Build a wheel whose members tell their sizes behind their content."""
    packed = bytearray(zip_streamed(wheel_members(), method=zipfile.ZIP_STORED))
    if damage is not None:
        place = packed.index(b"PK\x07\x08") + 4
        packed[place : place + len(damage)] = damage
    return bytes(packed)


def named_again(name: bytes, *, alike: str = MODULE) -> Callable[[], bytes]:
    """Build a wheel with a member that has a second name, as Info-ZIP writes it, beside its own."""

    def build() -> bytes:
        members = wheel_members(others={alike: b"ham = 1\n"})
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for path, data in members.items():
                info = zipfile.ZipInfo(path)
                if path == alike:
                    crc = zlib.crc32(path.encode())
                    info.extra = struct.pack("<HHBL", 0x7075, 5 + len(name), 1, crc) + name
                archive.writestr(info, data)
        return target.getvalue()

    return build


def with_files(*paths: str) -> Callable[[], bytes]:
    return lambda: zip_bytes(wheel_members(others=dict.fromkeys(paths, b"")))


def sdist_zip(*, hidden: bool) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in sdist_members().items():
            archive.writestr(zipfile.ZipInfo(name), data)
        archive.writestr(zipfile.ZipInfo("spam_eggs-1.0/hidden.py"), b"ham = 2\n")
        if hidden:
            archive.filelist.pop()
    return target.getvalue()


CRC = struct.pack("<L", 12_345)
ROWS = [
    # Metadata
    Row(case="no version, but a dog", content=saying("Requires-Dist: foo >= dog"), source=PEP_508,
        answer="invalid Requires-Dist 'foo >= dog': "),
    Row(case="a requirement of two names", content=saying("Requires-Dist: ham", "Requires-Dist: foo bar"),
        source=PEP_508, answer="invalid Requires-Dist 'foo bar': "),
    Row(case="an unknown marker", content=saying("Requires-Dist: foo; sys_version > '3'"), source=PEP_508,
        answer="invalid Requires-Dist \"foo; sys_version > '3'\": "),
    Row(case="a metadata version to come", content=saying(version="100000.0"), source=CORE,
        answer="invalid Metadata-Version '100000.0': one of 1.0, 1.1, 1.2, 2.1, "),
    Row(case="a metadata version that never was", content=saying(version="2.0"), source=CORE,
        answer="invalid Metadata-Version '2.0': one of 1.0, 1.1, 1.2, 2.1, "),
    Row(case="no metadata version",
        content=lambda: zip_bytes(wheel_members(text=b"Name: spam-eggs\nVersion: 1.0\n\n")), source=CORE,
        answer="invalid Metadata-Version None: one of 1.0, "),
    Row(case="a licence that SPDX has not", content=saying("License-Expression: My Own"), source=PEP_639,
        answer="invalid License-Expression 'My Own': "),
    Row(case="half a licence", content=saying("License-Expression: MIT OR"), source=PEP_639,
        answer="invalid License-Expression 'MIT OR': "),
    Row(case="a licence's file outside", content=saying("License-File: ../LICENSE"), source=PEP_639,
        answer="invalid License-File '../LICENSE': "),
    Row(case="a dynamic name", content=saying("Dynamic: Name"), source="PEP 643", answer="invalid Dynamic 'Name': "),
    Row(case="a dynamic field that is none", content=saying("Dynamic: Requires-Dist", "Dynamic: Taste"),
        source="PEP 643", answer="invalid Dynamic 'Taste': "),
    Row(case="an extra with a blank", content=saying("Provides-Extra: a b"), source="PEP 685",
        answer="invalid Provides-Extra 'a b': "),
    Row(case="an extra of a dash", content=saying("Provides-Extra: good", "Provides-Extra: -"), source="PEP 685",
        answer="invalid Provides-Extra '-': "),
    Row(case="a summary of two lines", content=saying("Summary: one\n  two"), source=CORE, answer="invalid Summary "),
    Row(case="a description of an unknown kind", content=saying("Description-Content-Type: text/html"), source=CORE,
        answer="invalid Description-Content-Type 'text/html': "),
    Row(case="an import name that is none", content=saying("Import-Name: spam-eggs", version="2.5"), source="PEP 794",
        answer="invalid Import-Name 'spam-eggs': "),
    Row(case="a header twice", content=saying("Summary: one", "Summary: two"), source=CORE,
        answer="invalid Summary 'one, two': metadata has this header once"),
    Row(case="a header that is none", content=saying("Requires-Dist ham", "Requires-Dist: spam"), source="RFC 5322",
        answer="invalid content b'Requires-Dist ham': metadata is headers, then a blank line"),
    # Entry points
    Row(case="a description in Latin-1", source=CORE,
        content=lambda: zip_bytes(wheel_members(text=metadata() + "K\xfchl\n".encode("latin-1"))),
        answer="invalid content b'"),
    Row(case="a description cut within a character", source=CORE,
        content=lambda: zip_bytes(wheel_members(text=metadata() + "K\xfc".encode()[:-1])),
        answer="invalid content b'"),
    Row(case="a line without =", content=with_entry_points("[console_scripts]\nfoo\n"), source=ENTRY_POINTS,
        answer="invalid entry_points.txt "),
    Row(case="a colon for =", content=with_entry_points("[console_scripts]\nfoo: spam:main\n"), source=ENTRY_POINTS,
        answer="invalid entry_points.txt "),
    Row(case="a script without a function", content=with_entry_points("[console_scripts]\nfoo = spam\n"),
        source=ENTRY_POINTS, answer="invalid entry_points.txt 'console_scripts: foo = spam': a script names"),
    Row(case="a script without a module", content=with_entry_points("[gui_scripts]\nfoo = :main\n"),
        source=ENTRY_POINTS, answer="invalid entry_points.txt 'gui_scripts: foo = :main': an entry point names a"),
    Row(case="a module with a dash", content=with_entry_points("[console_scripts]\nfoo = sp-am:main\n"),
        source=ENTRY_POINTS, answer="invalid entry_points.txt 'console_scripts: foo = sp-am:main': "),
    Row(case="dots without names", content=with_entry_points("[spam]\nfoo = spam..ham:main\n"), source=ENTRY_POINTS,
        answer="invalid entry_points.txt 'spam: foo = spam..ham:main': "),
    Row(case="a name twice", content=with_entry_points("[spam]\nfoo = a:b\nfoo = a:c\n"), source=ENTRY_POINTS,
        answer="invalid entry_points.txt "),
    Row(case="a group twice", content=with_entry_points("[spam]\nfoo = a:b\n[spam]\nbar = a:c\n"), source=ENTRY_POINTS,
        answer="invalid entry_points.txt "),
    Row(case="no group", content=with_entry_points("foo = a:b\n"), source=ENTRY_POINTS,
        answer="invalid entry_points.txt "),
    Row(case="a group with a blank", content=with_entry_points("[a b]\nfoo = a:b\n"), source=ENTRY_POINTS,
        answer="invalid entry_points.txt 'a b': a group's name"),
    Row(case="not in UTF-8", content=with_entry_points("[spam]\nfoo = a:b\n".encode("utf-16")), source=ENTRY_POINTS,
        answer="invalid entry_points.txt "),
    Row(case="a script that is a path", content=with_entry_points("[console_scripts]\n../foo = a:b\n"),
        source=ENTRY_POINTS, answer="invalid entry_points.txt 'console_scripts: ../foo = a:b': a script's name"),
    # The zip archive
    Row(case="a member that the directory lacks", content=appended(listed=False), source=APPNOTE,
        answer=f"invalid content '{WHEEL}': its directory names all that is in a zip archive"),
    Row(case="bytes between two members", content=appended(listed=True, junk=bytes(64)), source=APPNOTE,
        answer=f"invalid content '{WHEEL}': its directory names all that is in a zip archive"),
    Row(case="another name of its own", content=patched({30: b"ham/"}), source=APPNOTE,
        answer=f"invalid content '{MODULE}': a member's own header has its name"),
    Row(case="another size of its own", content=patched({22: b"\xff\xff\0\0"}), source=APPNOTE,
        answer=f"invalid content '{MODULE}': a member's own header has the checksum and the sizes"),
    Row(case="another packed size of its own", content=patched({18: b"\1\0\0\0"}), source=APPNOTE,
        answer=f"invalid content '{MODULE}': a member's own header has the checksum and the sizes"),
    Row(case="another checksum of its own", content=patched({14: CRC}), source=APPNOTE,
        answer=f"invalid content '{MODULE}': a member's own header has the checksum and the sizes"),
    Row(case="another method of its own", content=patched({8: b"\0\0"}), source=APPNOTE,
        answer=f"invalid content '{MODULE}': a member's own header has the method"),
    Row(case="encrypted by its own header", content=patched({6: b"\1\0"}), source=APPNOTE,
        answer=f"invalid content '{MODULE}': a member's own header has the method and the flags"),
    Row(case="a wrong checksum", content=patched({14: CRC}, {16: CRC}), source=APPNOTE,
        answer=f"invalid content '{MODULE}': a member has the length and the checksum (CRC-32)"),
    Row(case="longer than it says", content=patched({22: b"\7\0\0\0"}, {24: b"\7\0\0\0"}), source=APPNOTE,
        answer=f"invalid content '{MODULE}': a member "),
    Row(case="shorter than it says", content=patched({22: b"\x09\0\0\0"}, {24: b"\x09\0\0\0"}), source=APPNOTE,
        answer=f"invalid content '{MODULE}': a member has the length"),
    Row(case="a wrong data descriptor", content=lambda: streamed(CRC), source="APPNOTE 4.3.9",
        answer=f"invalid content '{MODULE}': a member's data descriptor"),
    Row(case="members in bzip2", content=lambda: zip_bytes(wheel_members(), method=zipfile.ZIP_BZIP2),
        source="uv 0.12 and later", answer=f"invalid content '{MODULE}': a zip archive's members are stored"),
    Row(case="members in LZMA", content=lambda: zip_bytes(wheel_members(), method=zipfile.ZIP_LZMA),
        source="uv 0.12 and later", answer=f"invalid content '{MODULE}': a zip archive's members are stored"),
    Row(case="bytes in front", content=lambda: b"junk" + zip_bytes(wheel_members()), source="uv",
        answer=f"invalid content '{WHEEL}': a zip archive begins at the first byte"),
    Row(case="bytes behind", content=lambda: zip_bytes(wheel_members()) + b"junk", source="uv",
        answer=f"invalid content '{WHEEL}': "),
    Row(case="an end in its comment",
        content=lambda: zip_bytes(wheel_members(), comment=b"PK\5\6" + bytes(18)), source="uv",
        answer=f"invalid content '{WHEEL}': "),
    Row(case="another number of members",
        content=lambda: (data := zip_bytes(wheel_members()))[:-12] + b"\1\0" + data[-10:], source="APPNOTE 4.3.16",
        answer=f"invalid content '{WHEEL}': a zip archive's end tells how many members"),
    Row(case="an sdist in zip with a hidden member", content=lambda: sdist_zip(hidden=True), source=APPNOTE,
        filename="spam_eggs-1.0.zip", answer="invalid content 'spam_eggs-1.0.zip': its directory names all"),
    Row(case="a second name", content=named_again(b"ham.py"), source="APPNOTE 4.6.9, uv, Python 3.13",
        answer=f"invalid content '{MODULE}': a member has one name, and not b'ham.py' as well"),
    Row(case="a second name in another character set", content=named_again("h\xe4m.py".encode(), alike="hm.py"),
        source="APPNOTE 4.6.9", answer="invalid content 'hm.py': a member has one name"),
    Row(case="a version of zip to come", content=patched({4: b"\x40\0"}), source="APPNOTE 4.4.3, uv",
        answer=f"invalid content '{MODULE}': a member needs at most version 6.3"),
    Row(case="a file that is a folder, too", content=with_files("a", "a/b"), source="all",
        answer="invalid content 'a': a path is a file's or a folder's: 'a/b' is below it"),
    Row(case="a module that is a folder, too", content=with_files("a-b", "a.b", f"{MODULE}/c/d"), source="all",
        answer=f"invalid content '{MODULE}': a path is a file's or a folder's"),
    Row(case="an sdist with a file that is a folder, too", filename=SDIST, source="all",
        content=lambda: tar_gz_bytes(sdist_members(others={"spam_eggs-1.0/a": b"", "spam_eggs-1.0/a/b": b""})),
        answer="invalid content 'spam_eggs-1.0/a': a path is a file's or a folder's"),
    Row(case="a name of 256 bytes", content=with_files("\xe4" * 128), source="POSIX NAME_MAX",
        answer="invalid content 'ää"),
    Row(case="a path of 1,025 bytes", content=with_files("abcd/" * 205 + "x"), source="POSIX PATH_MAX",
        answer="invalid content 'abcd/abcd/"),
    Row(case="an sdist with a name of 256 bytes", filename=SDIST, source="POSIX NAME_MAX",
        content=lambda: tar_gz_bytes(sdist_members(others={f"spam_eggs-1.0/{'a' * 256}": b""})),
        answer="invalid content 'spam_eggs-1.0/aa"),
    Row(case="an unknown place below .data", content=with_files("spam_eggs-1.0.data/ham/x"), source=WHEEL_FORMAT,
        answer="invalid content 'spam_eggs-1.0.data/ham/x': below .data are folders data, headers, platlib"),
    Row(case="a file in .data itself", content=with_files("spam_eggs-1.0.data/scripts"), source=WHEEL_FORMAT,
        answer="invalid content 'spam_eggs-1.0.data/scripts': below .data are folders"),
    # RECORD and WHEEL
    Row(case="an empty line", content=with_record(lambda text: text + "\n"), source="pip 26.3",
        answer="invalid RECORD '': a line has a path, a digest and a size"),
    Row(case="an empty line between others", content=with_record(lambda text: text.replace("\n", "\n\r\n", 1)),
        source="pip 26.3", answer="invalid RECORD '': a line has"),
    Row(case="an empty RECORD", content=with_record(lambda text: ""), source=RECORD,
        answer=f"invalid RECORD '{MODULE}': it lists every file"),
    Row(case="a file that RECORD lacks", content=with_record(lambda text: text[text.index("\n") + 1 :]), source=RECORD,
        answer=f"invalid RECORD '{MODULE}': it lists every file"),
    Row(case="a file that the wheel lacks",
        content=with_record(lambda text: text + "ghost.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"),
        source=RECORD, answer="invalid RECORD 'ghost.py': it lists files that are in the wheel"),
    Row(case="another digest", content=with_record(lambda text: text.replace("sha256=", "sha256=x", 1)), source=RECORD,
        answer=f"invalid RECORD '{MODULE},sha256=x"),
    Row(case="another digest, by an algorithm in capitals",
        content=with_record(lambda text: text.replace("sha256=", "SHA256=x", 1)), source=RECORD,
        answer=f"invalid RECORD '{MODULE},SHA256=x"),
    Row(case="another size", content=with_record(lambda text: text.replace(",8\n", ",9\n", 1)), source=RECORD,
        answer=f"invalid RECORD '{MODULE},9': a file's size is that in the wheel, 8 bytes"),
    Row(case="a digest in MD5", content=with_record(lambda text: text.replace("sha256=", "md5=", 1)), source=RECORD,
        answer=f"invalid RECORD '{MODULE},md5="),
    Row(case="no digest", content=with_record(lambda text: f"{MODULE},,\n" + text[text.index("\n") + 1 :]),
        source=RECORD, answer=f"invalid RECORD '{MODULE},': a file has a digest"),
    Row(case="a line of one column", content=with_record(lambda text: text + "ham\n"), source=RECORD,
        answer="invalid RECORD 'ham': a line has a path, a digest and a size"),
    Row(case="a file twice", content=with_record(lambda text: text + text[: text.index("\n") + 1]), source=RECORD,
        answer=f"invalid RECORD '{MODULE}': each file is listed once"),
    Row(case="RECORD in Latin-1", content=with_record(lambda text: text + '"'), source=RECORD,
        answer="invalid RECORD "),
    Row(case="no Wheel-Version", content=with_wheel("Generator: x\n"), source=WHEEL_FORMAT,
        answer=f"invalid Wheel-Version '{WHEEL}': "),
    Row(case="a Wheel-Version to come", content=with_wheel("Wheel-Version: 2.0\n"), source=WHEEL_FORMAT,
        answer="invalid Wheel-Version '2.0': "),
    # Sdists
    Row(case="not gzip", content=lambda: bz2.compress(tar_bytes(sdist_members())), source="PEP 625", filename=SDIST,
        answer=f"invalid content '{SDIST}': a complete gzipped tar archive is accepted"),
    Row(case="two folders", content=lambda: tar_gz_bytes({**sdist_members(), "other/x": b""}), source=SDIST_FORMAT,
        filename=SDIST, answer=f"invalid content '{SDIST}': an sdist has one folder"),
    Row(case="no PKG-INFO", content=lambda: tar_gz_bytes({"spam_eggs-1.0/setup.py": b""}), source=SDIST_FORMAT,
        filename=SDIST, answer=f"invalid content '{SDIST}': it has one file spam_eggs-1.0/PKG-INFO"),
    Row(case="a requirement that is none",
        content=lambda: tar_gz_bytes(sdist_members(text=metadata(extra="Requires-Dist: foo >= dog\n"))),
        source=PEP_508, filename=SDIST, answer="invalid Requires-Dist 'foo >= dog': "),
]  # fmt: skip

ACCEPTED: dict[str, tuple[Callable[[], bytes], str]] = {
    "the newest metadata": (saying("Import-Name: spam; private", version="2.5"), WHEEL),
    "the oldest metadata": (saying(version="1.0"), WHEEL),
    "a field before its version": (saying("License-File: LICENSE", "Dynamic: license-file", version="2.1"), WHEEL),
    "an unknown field": (saying("Taste: good", "Taste: better"), WHEEL),
    "a label of a URL twice": (saying("Project-URL: a, https://a.example", "Project-URL: a, https://b.example"), WHEEL),
    "extras and markers": (
        saying("Provides-Extra: Dev.Tools", "Requires-Dist: foo[bar] (>=1,<2) ; extra == 'Dev.Tools'"),
        WHEEL,
    ),
    "a licence": (saying("License-Expression: MIT OR LicenseRef-My-Own"), WHEEL),
    "comments in entry points": (
        with_entry_points("# x\n[console_scripts]\n; y\nfoo-bar.x = a.b : c.d [dev, x]\n\n[pytest11]\nham=spam\n"),
        WHEEL,
    ),
    "empty entry points": (with_entry_points(""), WHEEL),
    "names that differ in case": (with_entry_points("[spam]\nfoo = a:b\nFOO = a:b\n"), WHEEL),
    "sizes behind the content": (streamed, WHEEL),
    "stored members": (lambda: zip_bytes(wheel_members(), method=zipfile.ZIP_STORED), WHEEL),
    "a comment": (lambda: zip_bytes(wheel_members(), comment=b"built by hand"), WHEEL),
    "the same name again": (named_again(MODULE.encode()), WHEEL),
    "all places below .data": (
        with_files(
            *(f"spam_eggs-1.0.data/{scheme}/x/y" for scheme in ("purelib", "platlib", "headers", "scripts", "data"))
        ),
        WHEEL,
    ),
    "names that begin alike": (with_files("a", "a-b/c", "a.b/c", "ab/c"), WHEEL),
    "a name of 255 bytes": (with_files("a" * 255), WHEEL),
    "a path of 1,024 bytes": (with_files("abc/" * 255 + "abcd"), WHEEL),
    "a folder's entry": (
        lambda: zip_bytes({"spam/": b"", **wheel_members()}),
        WHEEL,
    ),
    "an algorithm in capitals, as bdist_wheel under Python 2.7 has it": (
        with_record(lambda text: text.replace("sha256=", "SHA256=")),
        WHEEL,
    ),
    "a padded digest": (with_record(lambda text: text.replace(",8\n", "=,8\n", 1)), WHEEL),
    "a digest in hexadecimal, as gmsh 4.15 has it": (
        with_record(lambda text: text.replace(digest_in(text), b64_to_hex(digest_in(text)), 1)),
        WHEEL,
    ),
    "no size": (with_record(lambda text: text.replace(",8\n", ",\n", 1)), WHEEL),
    "a signature of RECORD": (
        lambda: zip_bytes({**wheel_members(), f"{INFO}/RECORD.jws": b"x", f"{INFO}/RECORD.p7s": b"y"}),
        WHEEL,
    ),
    "lines that end as in Windows": (with_record(lambda text: text.replace("\n", "\r\n")), WHEEL),
    "an sdist in zip": (lambda: sdist_zip(hidden=False), "spam_eggs-1.0.zip"),
    "an sdist's path with two slashes": (
        lambda: tar_gz_bytes({**sdist_members(), "spam_eggs-1.0//y": b"", "spam_eggs-1.0/./z": b""}),
        SDIST,
    ),
    "an sdist's path with two slashes, in zip": (
        lambda: zip_bytes({**sdist_members(), "spam_eggs-1.0//y": b"", "spam_eggs-1.0/./z": b""}),
        "spam_eggs-1.0.zip",
    ),
    "an sdist of two gzip members": (
        lambda: gzip.compress((data := tar_bytes(sdist_members()))[:600]) + gzip.compress(data[600:]),
        SDIST,
    ),
}


@pytest.mark.parametrize("row", ROWS, ids=[row.case for row in ROWS])
def test_refused(row: Row) -> None:
    """What no installer, or not all, can use is refused in one sentence that names the field and the value."""
    with pytest.raises(InvalidValue) as caught:
        check(row.content(), row.filename)
    sentence = str(caught.value)
    assert sentence.startswith(row.answer)
    assert "\n" not in sentence
    assert row.source


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: str) -> None:
    """What looks like a refused file and can be used by every installer is accepted."""
    content, filename = ACCEPTED[case]
    assert check(content(), filename).left_out == ()


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("spam_eggs-1.0-1.tar.gz", "1.0.post1"),
        ("spam-eggs-3.2.3-2.zip", "3.2.3.post2"),
        ("Spam.Eggs-2.0-dev-9429.tar.gz", "2.0.dev9429"),
    ],
)
def test_versions_with_a_dash(filename: str, version: str) -> None:
    """Where the project is known, what is left of an sdist's name is its version, as PEP 440 reads it."""
    folder = filename.removesuffix(".tar.gz").removesuffix(".zip")
    pack = zip_bytes if filename.endswith(".zip") else tar_gz_bytes
    found = check(pack(sdist_members(folder=folder, text=metadata(version=version))), filename)
    assert (found.project, found.version) == ("spam-eggs", version)
