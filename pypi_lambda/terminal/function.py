"""A deployed function, told to carry a command out; boto3 is imported when it is first needed.

Invoke in the AWS Lambda API reference: "FunctionError", and "Errors" for what comes of the function's own errors.
"""

import json
from base64 import b64encode
from typing import Any

import click

from pypi_lambda.terminal.faults import WrongInput

INVOCATION_SECONDS = 910  # an invocation lives at most 900
CONNECT_SECONDS = 10


def invoke(function: str, command: str, argument: object, *, caller: str) -> dict[str, Any]:
    """Return what the function answers to a command.

    Args:
        function: its name or ARN.
        argument: JSON.
        caller: who invokes it, for its log of events.

    Raises:
        WrongInput: the function refused the command.
        click.ClickException: it failed, or could not be invoked.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = _client(function).invoke(
            FunctionName=function,
            # "Up to 3,583 bytes of base64-encoded data about the invoking client to pass to the function"
            ClientContext=b64encode(json.dumps({"custom": {"caller": caller}}).encode()).decode(),
            Payload=json.dumps({command: argument}).encode(),
        )
        body = answer["Payload"].read()
    except (BotoCoreError, ClientError) as error:
        raise click.ClickException(f"the function {function!r} could not be invoked: {error}") from None
    return _result(function, command, json.loads(body), failed="FunctionError" in answer)


def _client(function: str) -> Any:
    import boto3
    from botocore.config import Config

    region = function.split(":")[3] if function.startswith("arn:") and function.count(":") >= 6 else None
    # One attempt: a command whose answer was lost may have been carried out.
    attempts = {"total_max_attempts": 1}
    config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=INVOCATION_SECONDS, retries=attempts)
    return boto3.client("lambda", region_name=region, config=config)


def _result(function: str, command: str, answer: Any, *, failed: bool) -> dict[str, Any]:
    if not failed:
        if not isinstance(answer, dict):
            raise click.ClickException(f"{function!r} is no function of this program: it answered {str(answer)[:200]}")
        return answer
    kind, message = answer.get("errorType"), answer.get("errorMessage") or "it did not say why"
    if kind == "InvalidValue":
        # as an error of what is done here says it
        raise WrongInput(f"invalid {message.removeprefix(f'invalid {command}.').removeprefix('invalid ')}")
    raise click.ClickException(f"the function {function!r} failed: {message}")
