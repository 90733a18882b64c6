"""The function's hold on itself: asynchronous invocations, and the configuration bump that has fresh containers replace
old ones. The only place that uses boto3, which is imported when it is first needed.

Nothing here is needed for correctness, so every fault ends in a line of the log.

Invoke, UpdateFunctionConfiguration in the AWS Lambda API reference.
"""

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

# UpdateFunctionConfiguration answers 409 while another update is in progress, which takes some seconds, and 429 past
# the 15 requests per second that all control calls of an account share.
RETRIED = frozenset({"ResourceConflictException", "TooManyRequestsException"})
PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)
DENIED = frozenset({"AccessDeniedException", "AccessDenied"})

logger = logging.getLogger(__name__)


class Control:
    """One function's control plane.

    Args:
        function_name: as in `AWS_LAMBDA_FUNCTION_NAME`; at the edge it has the home region in front.
        sleep: waits for seconds.
    """

    def __init__(self, function_name: str, *, sleep: Callable[[float], None]) -> None:
        region, dot, name = function_name.partition(".")
        self._function_name = name if dot else function_name
        self._region = region if dot else None
        self._sleep = sleep
        self._client: Any = None
        self._reported: set[str] = set()

    def invoke(self, payload: object) -> None:
        """Have the function invoked with this payload, asynchronously."""
        self._try(
            "lambda:InvokeFunction",
            lambda client: client.invoke(
                FunctionName=self._function_name, InvocationType="Event", Payload=json.dumps(payload).encode()
            ),
            retried=frozenset({"TooManyRequestsException"}),
        )

    def bump(self, description: str) -> None:
        """Change the function's description, so that containers that start from now on replace those that run."""
        self._try(
            "lambda:UpdateFunctionConfiguration",
            lambda client: client.update_function_configuration(
                FunctionName=self._function_name, Description=description
            ),
            retried=RETRIED,
        )

    def _try(self, permission: str, call: Callable[[Any], object], *, retried: frozenset[str]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        for pause in (*PAUSES_SECONDS, None):
            try:
                call(self._made_client())
                return
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code not in retried or pause is None:
                    self._report(permission, code, error)
                    return
                self._sleep(pause)
            except BotoCoreError as error:
                logger.warning("%s failed, and nothing depends on it: %s", permission, error)
                return

    def _report(self, permission: str, code: str, error: "ClientError") -> None:
        if code not in DENIED:
            logger.warning("%s was left undone, and nothing depends on it: %s", permission, error)
        elif permission not in self._reported:
            self._reported.add(permission)
            statement = {"Effect": "Allow", "Action": permission, "Resource": self._resource()}
            logger.warning("the function's role lacks a permission; add this statement: %s", json.dumps(statement))

    def _resource(self) -> str:
        region = self._region or self._made_client().meta.region_name
        return f"arn:aws:lambda:{region}:*:function:{self._function_name}"

    def _made_client(self) -> Any:
        if self._client is None:
            import boto3
            from botocore.config import Config

            # The answer to the upload waits for this, so it is given little time; retries are ours.
            config = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
            self._client = boto3.client("lambda", region_name=self._region, config=config)
        return self._client
