"""`make deploy`: hands the zip and a template to AWS, by the AWS CLI or the SAM CLI, whichever is installed.

Owns the commands' arguments; knows nothing of AWS's API and reads no credentials: those are the command's own.

https://docs.aws.amazon.com/cli/latest/reference/cloudformation/deploy/
"""

import argparse
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from deploy.errors import Unbuildable
from deploy.target import Target, find_target

FOLDER = Path(__file__).parent
FUNCTION_ZIP = FOLDER.parent / "dist" / "function.zip"  # what the templates name
TEMPLATES = {"template": FOLDER / "template.yaml", "edge": FOLDER / "edge.yaml"}
BAKED = "pypi_lambda/baked_settings.json"
EDGE_REGION = "us-east-1"


def main(arguments: Sequence[str], function_zip: Path = FUNCTION_ZIP) -> str:
    """Deploy, and return a sentence about what was done.

    Args:
        function_zip: where the templates look for the zip, which is copied there.

    Raises:
        Unbuildable: the zip, a command or a parameter is missing, or the command failed.
    """
    options = _parse(arguments)
    if not options.stack:
        raise Unbuildable("the stack needs a name: STACK=NAME")
    parameters = dict(_parameters(options.parameters))
    if options.template == "edge" and not parameters.get("BucketName"):
        raise Unbuildable("the edge needs the bucket of a stack that is there: BUCKET=NAME")
    names, digest = _look_into(options.zip)
    target = find_target(names)
    if target is None:
        raise Unbuildable(f"{options.zip} is no zip of `python setup.py ldist`")
    parameters = {**_derived(options.template, target, names, digest), **parameters}
    function_zip.parent.mkdir(exist_ok=True)
    shutil.copyfile(options.zip, function_zip)
    for command in _commands(options, parameters, function_zip.parent):
        _run(command)
    return f"deployed {options.zip} as the stack {options.stack}"


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy", description="Deploy the function's zip to AWS.")
    parser.add_argument("--template", choices=tuple(TEMPLATES), default="template")
    parser.add_argument("--zip", type=Path, required=True, help="what `python setup.py ldist` built")
    parser.add_argument("--stack", required=True, help="the stack's name, which the function bears, too")
    parser.add_argument("--artifacts", default="", help="a bucket for the zip on its way; SAM has one of its own")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE", help="the template's parameters")
    return parser.parse_args(arguments)


def _parameters(given: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise Unbuildable(f"{text!r}: expected NAME=VALUE")
        yield name, value


def _look_into(path: Path) -> tuple[tuple[str, ...], str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(archive.namelist()), sha256(path.read_bytes()).hexdigest()
    except (OSError, zipfile.BadZipFile) as error:
        raise Unbuildable(f"{path} cannot be read ({error}); run `make package` first") from None


def _derived(template: str, target: Target, names: Sequence[str], digest: str) -> Mapping[str, str]:
    """Return the parameters that follow from the zip."""
    if template == "template":
        return {"Runtime": target.runtime, "Architecture": target.architecture}
    if target.architecture != "x86_64":
        raise Unbuildable("Lambda@Edge runs on x86_64 only; build the zip with `--arch x86_64`")
    if BAKED not in names:
        raise Unbuildable("a function at the edge has no environment; build the zip with `--settings FILE`")
    return {"Runtime": target.runtime, "Release": digest[:12]}


def _commands(options: argparse.Namespace, parameters: Mapping[str, str], folder: Path) -> Iterator[list[str]]:
    common = ["--stack-name", options.stack, "--capabilities", "CAPABILITY_IAM", "--no-fail-on-empty-changeset"]
    if options.template == "edge":
        common += ["--region", EDGE_REGION]
    template = str(TEMPLATES[options.template])
    if shutil.which("sam"):
        place = ["--s3-bucket", options.artifacts] if options.artifacts else ["--resolve-s3"]
        command = ["sam", "deploy", "--template-file", template, *common, *place, "--no-confirm-changeset"]
        yield [*command, "--parameter-overrides", *map(_quoted_for_sam, parameters.items())]
    elif shutil.which("aws"):
        if not options.artifacts:
            raise Unbuildable("the AWS CLI needs ARTIFACTS=BUCKET, a bucket of yours for the zip on its way")
        packaged = str(folder / f"{options.template}.packaged.yaml")
        command = ["aws", "cloudformation", "package", "--template-file", template, "--s3-bucket", options.artifacts]
        yield [*command, "--output-template-file", packaged]
        command = ["aws", "cloudformation", "deploy", "--template-file", packaged, *common]
        yield [*command, "--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
    else:
        raise Unbuildable("neither `sam` nor `aws` is on the PATH; install the AWS SAM CLI or the AWS CLI")


def _quoted_for_sam(parameter: tuple[str, str]) -> str:
    name, value = parameter
    return '{}="{}"'.format(name, value.replace('"', '\\"'))


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False)  # noqa: S603
    if done.returncode:
        raise Unbuildable(f"`{' '.join(command[:3])}` failed; what it wrote above says why")


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))  # noqa: T201
    except Unbuildable as error:
        sys.exit(f"error: {error}")
