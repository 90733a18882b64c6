"""The CloudFormation templates: valid, complete, and granting what the documentation says and nothing else."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pypi_lambda.settings import SETTINGS

load = pytest.importorskip("cfnlint.decode.cfn_yaml", reason="cfn-lint does not install on Python 3.15").load
ROOT = Path(__file__).parents[2]
MAIN, EDGE = ROOT / "deploy" / "template.yaml", ROOT / "deploy" / "edge.yaml"
BOTH = pytest.mark.parametrize("path", [MAIN, EDGE], ids=lambda path: path.stem)
# Where CloudFormation fills in what is known beforehand only.
NAMES = {
    "${Name}": "BUCKET",
    "${BucketName}": "BUCKET",
    "${Folder}": "PREFIX/",
    "${AWS::Partition}": "aws",
    "${AWS::Region}": "REGION",
    "${AWS::AccountId}": "ACCOUNT",
    "${AWS::StackName}": "FUNCTION",
}


def template(path: Path) -> Any:
    return json.loads(json.dumps(load(str(path))))  # without its marks of lines and columns


def resources(path: Path, kind: str) -> dict[str, Any]:
    found = template(path)["Resources"].items()
    return {name: resource["Properties"] for name, resource in found if resource["Type"] == kind}


def named(value: Any) -> str:
    """An ARN of the template in the documentation's words."""
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        return {"LogGroup.Arn": "arn:aws:logs:REGION:ACCOUNT:log-group:/aws/lambda/FUNCTION:*"}[
            ".".join(value["Fn::GetAtt"])
        ]
    text = value["Fn::Sub"]
    text = text if isinstance(text, str) else text[0]
    for placeholder, name in NAMES.items():
        text = text.replace(placeholder, name)
    return text


def granted(path: Path) -> set[tuple[str, str]]:
    (role,) = resources(path, "AWS::IAM::Role").values()
    (policy,) = role["Policies"]
    return {
        (action, named(statement["Resource"]))
        for statement in policy["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


def documented(heading: str, document: str = "docs/deployment.md") -> set[tuple[str, str]]:
    """The rows of the table below a heading of a document: permission and resource."""
    text = (ROOT / document).read_text("utf-8")
    section = text.partition(f"\n{heading}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \| `([^`]+)` \|", section, re.MULTILINE)
    return {(action, resource) for actions, resource in rows for action in re.findall(r"`([^`]+)`", actions)}


@BOTH
def test_the_template_is_valid(path: Path) -> None:
    """cfn-lint, which has the resources' schemas, finds no error and no warning."""
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), path], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_setting_can_be_given() -> None:
    """The function's environment names every setting, and no other variable."""
    (function,) = resources(MAIN, "AWS::Lambda::Function").values()
    assert list(function["Environment"]["Variables"]) == [
        name
        for name in SETTINGS
        if name != "LOGGING_FORMAT"  # on Lambda that is the function's own configuration
    ]


def test_the_function_at_the_edge_has_no_environment() -> None:
    """Lambda@Edge takes neither variables nor another architecture nor more than 30 seconds."""
    (function,) = resources(EDGE, "AWS::Lambda::Function").values()
    assert "Environment" not in function
    assert (function["Architectures"], function["Timeout"]) == (["x86_64"], 30)


@pytest.mark.parametrize(
    ("path", "heading"),
    [(MAIN, "### What the function's role may do"), (EDGE, "### What the role at the edge may do")],
)
def test_the_role_may_do_what_is_documented(path: Path, heading: str) -> None:
    """The template grants each permission in the documentation's table on its resource, and nothing else."""
    assert documented(heading) == granted(path)
    assert granted(path)


def test_the_readme_has_the_same_permissions() -> None:
    """The README's table of permissions is that of docs/deployment.md."""
    heading = "### What the function's role may do"
    assert documented(heading, "README.md") == documented(heading)


def test_the_function_url_has_both_permissions() -> None:
    """Since October 2025 a public function URL needs two statements; with one alone it answers 403."""
    statements = [
        {name: value for name, value in permission.items() if name != "FunctionName"}
        for permission in resources(MAIN, "AWS::Lambda::Permission").values()
        if permission["Principal"] == "*"
    ]
    assert statements == [
        {"Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"},
        {"Action": "lambda:InvokeFunction", "Principal": "*", "InvokedViaFunctionUrl": True},
    ]


def test_nobody_else_s_resources_may_invoke_the_function() -> None:
    """Each permission of an AWS service is for a source in this account."""
    services = [
        permission
        for permission in resources(MAIN, "AWS::Lambda::Permission").values()
        if permission["Principal"].endswith(".amazonaws.com")
    ]
    assert len(services) == 6
    assert [each for each in services if "SourceArn" not in each and "SourceAccount" not in each] == []


def test_the_bucket_keeps_what_it_has() -> None:
    """Its data outlives the stack, is encrypted, versioned, and closed to the public."""
    bucket = template(MAIN)["Resources"]["Bucket"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    properties = bucket["Properties"]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]


def test_no_rule_of_the_bucket_deletes_what_is_published() -> None:
    """Only the drop box and what a killed upload left behind expire; no rule touches a current object elsewhere."""
    rules = template(MAIN)["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert [rule["Id"] for rule in rules if "ExpirationInDays" in rule] == ["incoming", "staging"]


def test_the_schedule_sends_a_command_that_the_function_knows() -> None:
    """The hourly event is the JSON string `"reindex"`, as serverless-pypi 0.0.6 had it."""
    rules = resources(MAIN, "AWS::Events::Rule")
    assert {name: [json.loads(target["Input"]) for target in rule["Targets"]] for name, rule in rules.items()} == {
        "Reindex": ["reindex"],
        "Warmer": [{"warm": True}],
    }


def test_the_dashboard_is_json() -> None:
    """What CloudWatch is given to draw is well-formed once the names are filled in."""
    (board,) = resources(MAIN, "AWS::CloudWatch::Dashboard").values()
    body = json.loads(re.sub(r"\$\{[A-Za-z:]+\}", "name", board["DashboardBody"]["Fn::Sub"]))
    assert [widget["type"] for widget in body["widgets"]] == ["metric", "metric", "metric", "log", "log"]
