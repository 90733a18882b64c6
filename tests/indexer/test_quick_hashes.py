"""The interpreter's own hashes: that they are hashlib's, and that a cold start loads no OpenSSL."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.quick_hashes import blake2b, compare_digest, sha256

ROOT = Path(__file__).parents[2]


@given(st.binary(max_size=300), st.binary(max_size=64))
def test_they_are_hashlib_s(content: bytes, key: bytes) -> None:
    """Each gives what hashlib's namesake gives."""
    assert sha256(content).digest() == hashlib.sha256(content).digest()
    mine, its = (make(content, digest_size=32, key=key).digest() for make in (blake2b, hashlib.blake2b))
    assert mine == its


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_comparing(one: bytes, other: bytes) -> None:
    """Equal bytes alone are equal."""
    assert compare_digest(one, other) is (one == other)
    assert compare_digest(one, bytes(one)) is True


@pytest.mark.parametrize(
    "code", ["import indexer.zstd", "import indexer.zstd, zstandard", "import zstandard, indexer.zstd"]
)
def test_zstandard_in_any_order(code: str) -> None:
    """zstandard's compiled module is loaded once, whoever imports the package before or after."""
    check = (
        "import sys; from indexer import zstd; import zstandard; body = zstd.compress(b'x' * 1000, 3); "
        "assert zstd.decompress(body, zstd.read_size(body)) == zstandard.decompress(body) == b'x' * 1000; "
        "assert zstd.ZstdFault is zstandard.ZstdError"
    )
    subprocess.run([sys.executable, "-c", f"{code}; {check}"], cwd=ROOT, env=dict(os.environ), check=True, timeout=300)


def test_what_a_cold_start_never_loads() -> None:
    """Neither OpenSSL nor `platform`, which take a fifth of an init, are imported on its way.

    The runtime client has `logging`, which brings `dataclasses` and `inspect` from Python 3.14 on.
    """
    code = (
        "import logging, sys; before = set(sys.modules); "
        "import indexer.store.s3, pypi_lambda.app.service, pypi_lambda.front_doors.requests; "
        "import pypi_lambda.function.remote, pypi_lambda.access.logins, pypi_lambda.access.verifiers; "
        "unwanted = {'_hashlib', 'hashlib', 'hmac', 'platform', 'dataclasses', 'inspect'}; "
        "print(*unwanted.intersection(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.stdout.split() == []
