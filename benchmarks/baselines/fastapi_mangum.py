"""The same as `boto3_json`, in a web framework."""

import json
import os
from typing import Any

import boto3
from fastapi import FastAPI, HTTPException
from mangum import Mangum

_client = boto3.client("s3")


def _read(name: str) -> Any:
    key = f"{os.environ['REPO_BASE_PREFIX']}/{name}"
    return json.loads(_client.get_object(Bucket=os.environ["BUCKET"], Key=key)["Body"].read())


_names = set(_read("names.json"))
_projects = _read("projects.json")
app = FastAPI()


@app.get("/simple/{name}/")  # type: ignore[untyped-decorator]
def get_project(name: str) -> dict[str, Any]:
    """Return a project's page."""
    if name not in _projects:
        raise HTTPException(status_code=302 if name in _names else 404)
    return {"meta": {"api-version": "1.1"}, "name": name, "files": _projects[name]}


handler = Mangum(app, lifespan="off")
