"""Deploying: which commands are run for a zip, and what is said when something is missing."""

import json
import sys
import zipfile
from pathlib import Path

import pytest

from deploy import deploy
from deploy.errors import Unbuildable

OBJECT = "zstandard/backend_c.cpython-313-x86_64-linux-gnu.so"
RECORDING = """\
#!{python}
import json, pathlib, sys
with pathlib.Path({log!r}).open("a") as log:
    log.write(json.dumps([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]) + "\\n")
sys.exit({code})
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that has nothing but what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(tools: Path, name: str, *, code: int = 0) -> None:
    """A command that writes its arguments down."""
    path = tools / name
    path.write_text(RECORDING.format(python=sys.executable, log=str(tools / "log"), code=code))
    path.chmod(0o755)


def ran(tools: Path) -> list[list[str]]:
    return [json.loads(line) for line in (tools / "log").read_text().splitlines()]


def run(folder: Path, *arguments: str) -> None:
    deploy.main(arguments, folder / "dist" / "function.zip")


def zip_with(folder: Path, *names: str) -> str:
    path = folder / "function.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return str(path)


def test_the_sam_cli_is_given_the_template_and_what_the_zip_was_built_for(tools: Path, tmp_path: Path) -> None:
    """The runtime and the architecture follow from the zip, and values with spaces arrive whole."""
    install(tools, "sam")
    run(tmp_path, "--zip", zip_with(tmp_path, OBJECT), "--stack", "pypi", "ReindexSchedule=rate(2 hours)")
    assert ran(tools) == [
        [
            *("sam", "deploy", "--template-file", str(deploy.TEMPLATES["template"]), "--stack-name", "pypi"),
            *("--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset", "--resolve-s3"),
            *("--no-confirm-changeset", "--parameter-overrides", 'Runtime="python3.13"', 'Architecture="x86_64"'),
            'ReindexSchedule="rate(2 hours)"',
        ]
    ]


def test_the_aws_cli_packages_and_then_deploys(tools: Path, tmp_path: Path) -> None:
    """Without the SAM CLI the AWS CLI does it in two steps, by way of a bucket."""
    install(tools, "aws")
    run(tmp_path, "--zip", zip_with(tmp_path, OBJECT), "--stack", "pypi", "--artifacts", "ours", "KeepWarm=yes")
    packaged = str(tmp_path / "dist" / "template.packaged.yaml")
    template = str(deploy.TEMPLATES["template"])
    assert ran(tools) == [
        [
            *("aws", "cloudformation", "package", "--template-file", template, "--s3-bucket", "ours"),
            *("--output-template-file", packaged),
        ],
        [
            *("aws", "cloudformation", "deploy", "--template-file", packaged, "--stack-name", "pypi"),
            *("--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset", "--parameter-overrides"),
            *("Runtime=python3.13", "Architecture=x86_64", "KeepWarm=yes"),
        ],
    ]


def test_the_edge_is_deployed_to_the_one_region_that_takes_it(tools: Path, tmp_path: Path) -> None:
    """A new zip makes a new version there: its digest is the release."""
    install(tools, "sam")
    path = zip_with(tmp_path, OBJECT, deploy.BAKED)
    run(tmp_path, "--template", "edge", "--zip", path, "--stack", "edge", "BucketName=ours")
    ((*_, runtime, release, bucket),) = ran(tools)
    assert (runtime, bucket) == ('Runtime="python3.13"', 'BucketName="ours"')
    assert release.startswith('Release="')
    assert "--region us-east-1" in " ".join(ran(tools)[0])


@pytest.mark.parametrize(
    ("arguments", "names", "sentence"),
    [
        (["--stack", "pypi"], [OBJECT], "neither `sam` nor `aws` is on the PATH"),
        (["--stack", ""], [OBJECT], "STACK=NAME"),
        (["--stack", "pypi", "KeepWarm"], [OBJECT], "'KeepWarm': expected NAME=VALUE"),
        (["--stack", "pypi"], ["readme.txt"], "is no zip of `python setup.py ldist`"),
        (["--stack", "edge", "--template", "edge"], [OBJECT], "BUCKET=NAME"),
        (
            ["--stack", "edge", "--template", "edge", "BucketName=ours"],
            [OBJECT],
            "build the zip with `--settings FILE`",
        ),
        (
            ["--stack", "edge", "--template", "edge", "BucketName=ours"],
            [OBJECT.replace("x86_64", "aarch64")],
            "Lambda@Edge runs on x86_64 only",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    tools: Path, tmp_path: Path, arguments: list[str], names: list[str], sentence: str
) -> None:
    """Nothing is run, and the sentence says what to do."""
    with pytest.raises(Unbuildable, match=f".*{sentence}"):
        run(tmp_path, "--zip", zip_with(tmp_path, *names), *arguments)
    assert list(tools.iterdir()) == []


def test_the_aws_cli_needs_a_bucket_for_the_zip(tools: Path, tmp_path: Path) -> None:
    """It has none of its own, as the SAM CLI has."""
    install(tools, "aws")
    with pytest.raises(Unbuildable, match="ARTIFACTS=BUCKET"):
        run(tmp_path, "--zip", zip_with(tmp_path, OBJECT), "--stack", "pypi")


def test_a_missing_zip_says_how_to_make_one(tools: Path, tmp_path: Path) -> None:
    """Who deploys before packaging is told so."""
    install(tools, "sam")
    with pytest.raises(Unbuildable, match="run `make package` first"):
        run(tmp_path, "--zip", str(tmp_path / "absent.zip"), "--stack", "pypi")


def test_a_command_that_fails_ends_it(tools: Path, tmp_path: Path) -> None:
    """After a failed step none follows, and the exit code will say so."""
    install(tools, "aws", code=1)
    with pytest.raises(Unbuildable, match="`aws cloudformation package` failed"):
        run(tmp_path, "--zip", zip_with(tmp_path, OBJECT), "--stack", "pypi", "--artifacts", "ours")
    assert len(ran(tools)) == 1
