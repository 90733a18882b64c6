"""boto3 and two JSON documents, the names and the private projects, both read when the container starts: the usual way,
and serverless-pypi 0.0.6's. Its first answer is as cheap as can be: no password's hash, no question to the store.
"""

import json
import os
from typing import Any

import boto3

_client = boto3.client("s3")


def _read(name: str) -> Any:
    key = f"{os.environ['REPO_BASE_PREFIX']}/{name}"
    return json.loads(_client.get_object(Bucket=os.environ["BUCKET"], Key=key)["Body"].read())


_names = set(_read("names.json"))
_projects = _read("projects.json")


def handler(event: Any, context: object) -> object:
    """Answer an invocation."""
    name = event["rawPath"].strip("/").rpartition("/")[2]
    if name not in _projects:
        return {"statusCode": 302 if name in _names else 404, "body": ""}
    page = {"meta": {"api-version": "1.1"}, "name": name, "files": _projects[name]}
    return {"statusCode": 200, "body": json.dumps(page)}
