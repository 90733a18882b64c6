"""Settings: what each variable accepts, and what is said when it is something else."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import InvalidValue
from pypi_lambda.server.wsgi import create
from pypi_lambda.settings import SETTINGS, Settings, check_setting, load_environ, read_settings

BUCKET = {"BUCKET": "a-bucket"}
A_BUCKET = "a bucket as 'name' or 's3://name', or a folder as 'file:///folder'"
A_PREFIX = "folders separated by '/', none of which is empty or begins with '.'"
AN_INDEX = "an http:// or https:// URL without query or fragment, its credentials percent-encoded"
HOSTS = "hosts as 'name', 'name:port' or '[address]:port', separated by commas"
A_LEVEL = "one of DEBUG, INFO, WARNING, ERROR, CRITICAL"
A_PATH = "a path such as '/pypi', not percent-encoded, without '?', '#' or '..'"
A_FLAG = "one of 0, false, no, off, 1, true, yes, on"
SECONDS = "a number of seconds from 0 to 86,400"
WHOLE_DAYS = "a whole number of days from 0 to 36,500"
DAYS = "a number of days from 0 to 36,500"
A_PATTERN = "a normalised project name, in which '*' stands for any run of characters, such as 'acme-*'"
A_REGION = "the name of an AWS region, such as 'eu-west-1'"

RANDOM_TEXT = "43 to 256 random letters and digits, such as secrets.token_hex(32) makes"
# BLAKE2b with 32 bytes and the personalisation "spypi key", of the text
KEY_READ = bytes.fromhex("11363212793695dea12a053eb65e699bec62775a17c9aa69106e0459a654d5a5")

INVALID = [
    ("BUCKET", "", "", A_BUCKET),
    ("BUCKET", " ", "", A_BUCKET),
    ("BUCKET", "s3://", "s3://", A_BUCKET),
    ("BUCKET", "s3://bucket/prefix", "s3://bucket/prefix", A_BUCKET),
    ("BUCKET", "http://host", "http://host", A_BUCKET),
    ("BUCKET", "./data", "./data", A_BUCKET),
    ("BUCKET_REGION", "eu west", "eu west", A_REGION),
    ("BUCKET_REGION", "EU-WEST-1", "EU-WEST-1", A_REGION),
    ("REPO_BASE_PREFIX", "a//b", "a//b", A_PREFIX),
    ("REPO_BASE_PREFIX", "../up", "../up", A_PREFIX),
    ("REPO_BASE_PREFIX", "/", "/", A_PREFIX),
    ("REPO_BASE_PREFIX", "a\tb", "a\tb", A_PREFIX),
    ("UPSTREAM_INDEX_URL", "upstream.example/simple", "upstream.example/simple", AN_INDEX),
    ("UPSTREAM_INDEX_URL", "ftp://upstream.example/", "ftp://upstream.example/", AN_INDEX),
    ("UPSTREAM_INDEX_URL", "https://", "https://", AN_INDEX),
    ("UPSTREAM_INDEX_URL", "https://upstream.example:port/", "https://upstream.example:port/", AN_INDEX),
    ("UPSTREAM_INDEX_URL", "https://upstream.example/?token=secret", "https://upstream.example/", AN_INDEX),
    ("UPSTREAM_INDEX_URL", "https://upstream.example/#secret", "https://upstream.example/", AN_INDEX),
    ("UPSTREAM_INDEX_URL", "user:secret@upstream.example/simple", "upstream.example/simple", AN_INDEX),
    ("UPSTREAM_INDEX_URL", "https://user:secret@", "https://", AN_INDEX),
    ("UPSTREAM_INDEX_URL", "https://user:sec/ret@upstream.example/", "https://upstream.example/", AN_INDEX),
    ("UPSTREAM_PRIVATE_HOSTS", "https://files.example", "https://files.example", HOSTS),
    ("UPSTREAM_PRIVATE_HOSTS", "files.example:https", "files.example:https", HOSTS),
    ("UPSTREAM_PRIVATE_HOSTS", "10.0.0.0/8", "10.0.0.0/8", HOSTS),
    ("UPSTREAM_PRIVATE_HOSTS", "*", "*", HOSTS),
    ("UPSTREAM_MIN_AGE_DAYS", "a week", "a week", DAYS),
    ("UPSTREAM_MIN_AGE_DAYS", "-1", "-1", DAYS),
    ("UPSTREAM_MIN_AGE_DAYS", "nan", "nan", DAYS),
    ("UPSTREAM_MIN_AGE_DAYS", "36501", "36501", DAYS),
    ("UPSTREAM_MIN_AGE_EXEMPT", "acme-*, ../x", "../x", A_PATTERN),
    ("UPSTREAM_ALLOW", "requests, -x", "-x", A_PATTERN),
    ("UPSTREAM_ALLOW", ", ,", ", ,", A_PATTERN),
    ("UPSTREAM_ALLOW", "[ab]*", "[ab]*", A_PATTERN),
    ("UPSTREAM_DENY", "evil?", "evil?", A_PATTERN),
    ("UPSTREAM_ASK_UNKNOWN", "perhaps", "perhaps", A_FLAG),
    ("UPSTREAM_REQUIRE_DIGEST", "sha256", "sha256", A_FLAG),
    ("LOGGING_LEVEL", "LOUD", "LOUD", A_LEVEL),
    ("LOGGING_LEVEL", "10", "10", A_LEVEL),
    ("API_GATEWAY_BASE_PATH", "/a?b", "/a?b", A_PATH),
    ("API_GATEWAY_BASE_PATH", "/a/../b", "/a/../b", A_PATH),
    ("API_GATEWAY_BASE_PATH", "/a%20b", "/a%20b", A_PATH),
    ("API_GATEWAY_BASE_PATH", "a//b", "a//b", A_PATH),
    ("HASH_DIST_INFO_METADATA", "2", "2", A_FLAG),
    ("HASH_DIST_INFO_METADATA", "ja", "ja", A_FLAG),
    ("MAX_STALENESS_SECONDS", "soon", "soon", SECONDS),
    ("MAX_STALENESS_SECONDS", "-1", "-1", SECONDS),
    ("MAX_STALENESS_SECONDS", "nan", "nan", SECONDS),
    ("MAX_STALENESS_SECONDS", "inf", "inf", SECONDS),
    ("MAX_STALENESS_SECONDS", "86401", "86401", SECONDS),
    ("MIRROR_RETENTION_DAYS", "-1", "-1", WHOLE_DAYS),
    ("MIRROR_RETENTION_DAYS", "1.5", "1.5", WHOLE_DAYS),
    ("REMOVED_RETENTION_DAYS", "ever", "ever", WHOLE_DAYS),
    ("REMOVED_RETENTION_DAYS", "36501", "36501", WHOLE_DAYS),
    ("REMOVED_RETENTION_DAYS", "9" * 150, "9" * 150, WHOLE_DAYS),
    *(
        ("PASSWORD_KEY", text, "(not shown)", RANDOM_TEXT)
        for text in ("short", "0123456789abcdef" * 2, "a" * 64, "ab" * 100, f"{'0123456789abcdef' * 4}-", "ä" * 64)
    ),
]

VALID: list[tuple[str, str, object]] = [
    ("BUCKET", "s3://name", "s3://name"),
    ("BUCKET", " file:///a/folder ", "file:///a/folder"),
    ("BUCKET", "file://./data", "file://./data"),
    ("BUCKET_REGION", "eu-west-1", "eu-west-1"),
    ("REPO_BASE_PREFIX", "/a/b/", "a/b"),
    ("UPSTREAM_INDEX_URL", "https://upstream.example", "https://upstream.example/"),
    ("UPSTREAM_INDEX_URL", "http://u:p%40@127.0.0.1:8080/simple/", "http://u:p%40@127.0.0.1:8080/simple/"),
    ("UPSTREAM_PRIVATE_HOSTS", "Files.Example, 10.0.0.1:81\n[::1]:80", {"files.example", "10.0.0.1:81", "[::1]:80"}),
    ("UPSTREAM_MIN_AGE_DAYS", "0.5", 0.5),
    ("UPSTREAM_MIN_AGE_EXEMPT", "acme-*", ("acme-*",)),
    ("UPSTREAM_ALLOW", "Zope.Interface, numpy\n\tscipy,,numpy", ("numpy", "scipy", "zope-interface")),
    ("UPSTREAM_DENY", "*-nightly **", ("*", "*-nightly")),
    ("UPSTREAM_ASK_UNKNOWN", "1", True),
    ("UPSTREAM_REQUIRE_DIGEST", "yes", True),
    ("LOGGING_LEVEL", "debug", "DEBUG"),
    ("API_GATEWAY_BASE_PATH", "pypi/", "/pypi"),
    ("API_GATEWAY_BASE_PATH", "/", ""),
    ("HASH_DIST_INFO_METADATA", "1", True),
    ("HASH_DIST_INFO_METADATA", "False", False),
    ("MAX_STALENESS_SECONDS", "0", 0.0),
    ("MAX_STALENESS_SECONDS", "2.5", 2.5),
    ("MIRROR_RETENTION_DAYS", "0", 0),
    ("MIRROR_RETENTION_DAYS", "90", 90),
    ("PASSWORD_KEY", "0123456789abcdef" * 4, KEY_READ),
    ("PASSWORD_KEY", " " + "0123456789abcdef" * 4 + "\n", KEY_READ),
    ("REMOVED_RETENTION_DAYS", "0", 0),
    ("REMOVED_RETENTION_DAYS", "36500", 36_500),
]


@pytest.mark.parametrize(("name", "value", "shown", "accepted"), INVALID)
def test_invalid(name: str, value: str, shown: str, accepted: str) -> None:
    """A value that is none is refused in one sentence: the variable, the value without secrets, what is accepted."""
    with pytest.raises(InvalidValue) as caught:
        read_settings({**BUCKET, name: value})
    assert str(caught.value) == f"invalid {name} {shown!r}: {accepted}"


@pytest.mark.parametrize(("name", "value", "read"), VALID)
def test_valid(name: str, value: str, read: object) -> None:
    """A value is read as what it means."""
    assert getattr(read_settings({**BUCKET, name: value}), name.lower()) == read


def test_defaults() -> None:
    """All but the bucket may be left out or empty; then it is the default."""
    expected = Settings(
        bucket="a-bucket",
        bucket_region="",
        repo_base_prefix="",
        upstream_index_url="",
        upstream_min_age_days=0.0,
        upstream_min_age_exempt=(),
        upstream_allow=(),
        upstream_deny=(),
        upstream_ask_unknown=False,
        upstream_require_digest=False,
        logging_level="INFO",
        api_gateway_base_path="",
        hash_dist_info_metadata=True,
        max_staleness_seconds=0.0,
    )
    assert read_settings(BUCKET) == expected
    assert read_settings(dict.fromkeys(SETTINGS, " ") | BUCKET) == expected


def test_credentials_are_not_shown() -> None:
    """Settings that are printed do not show the upstream's credentials."""
    settings = read_settings({**BUCKET, "UPSTREAM_INDEX_URL": "https://user:secret@upstream.example/"})
    assert settings.upstream_index_url == "https://user:secret@upstream.example/"
    assert "secret" not in f"{settings!r} {settings!s}"


@given(st.text(min_size=1, max_size=12).filter(str.strip), st.sampled_from(["", "http:/", "http://", "ssh://"]))
def test_credentials_are_never_in_an_error(secret: str, scheme: str) -> None:
    """Whatever a password is made of, a refused URL is shown without it."""
    value = f"{scheme}user:<<{secret}>>@upstream.example/sim ple?query"
    with pytest.raises(InvalidValue) as caught:
        read_settings({**BUCKET, "UPSTREAM_INDEX_URL": value})
    assert "<<" not in str(caught.value)


@given(st.dictionaries(st.sampled_from(sorted(SETTINGS)), st.text(max_size=30)))
def test_anything(environ: Mapping[str, str]) -> None:
    """Any environment makes settings, or is refused by naming a variable."""
    refused, settings = "", None
    try:
        settings = read_settings(environ)
    except InvalidValue as error:
        refused = error.field
    assert refused in SETTINGS if settings is None else settings.bucket == environ["BUCKET"].strip()


def test_an_unknown_setting() -> None:
    """A name that is no setting's is refused with those there are."""
    with pytest.raises(InvalidValue, match="invalid setting 'BUKCET': one of BUCKET, "):
        check_setting("BUKCET", "x")
    check_setting("BUCKET", "x")


class TestBaked:
    def test_the_environment_wins(self, tmp_path: Path) -> None:
        """Baked settings stand behind environment variables, of which an empty one counts as none."""
        baked = tmp_path / "baked.json"
        baked.write_text('{"BUCKET": "baked", "LOGGING_LEVEL": "DEBUG"}')
        environ = load_environ({"BUCKET": "given", "LOGGING_LEVEL": ""}, baked)
        assert environ == {"BUCKET": "given", "LOGGING_LEVEL": "DEBUG"}

    def test_none(self, tmp_path: Path) -> None:
        """Without the file, which is the rule, the environment is all there is."""
        assert load_environ(BUCKET, tmp_path / "absent.json") == BUCKET

    @pytest.mark.parametrize("body", [b"", b"[]", b'{"BUCKET": 5}', b"\xff"])
    def test_damaged(self, tmp_path: Path, body: bytes) -> None:
        """A file that is damaged stops the start."""
        baked = tmp_path / "baked.json"
        baked.write_bytes(body)
        with pytest.raises(InvalidValue, match=r"baked_settings\.json"):
            load_environ({}, baked)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"BUCKET": ""}, f"invalid BUCKET '': {A_BUCKET}"),
        ({"BUCKET": "NOT_A_BUCKET"}, f"invalid BUCKET 'NOT_A_BUCKET': {A_BUCKET}"),
        ({"BUCKET": "b", "MAX_STALENESS_SECONDS": "x"}, f"invalid MAX_STALENESS_SECONDS 'x': {SECONDS}"),
    ],
)
def test_the_start_stops(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], sentence: str) -> None:
    """With a setting that is wrong nothing starts, and one sentence says why."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setitem(os.environ, name, value)
    with pytest.raises(SystemExit) as caught:
        create()
    assert caught.value.code == sentence
