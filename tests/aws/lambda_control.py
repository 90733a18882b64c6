"""The part of Lambda's own API that the function calls through boto3, on loopback, with the answers it must bear.

`AWS_ENDPOINT_URL_LAMBDA` points boto3 at it. It checks no signature.

Invoke, UpdateFunctionConfiguration, GetFunctionConfiguration in the AWS Lambda API reference.
"""

import json
import re
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass
from threading import Lock
from typing import Any, Self

from tests.aws.lambda_invocations import RequestTooLarge, TooManyRequests, UpdateInProgress
from tests.aws.lambda_runtime import LambdaService
from tests.support.loopback import HttpRequest, HttpResponse, Loopback

INVOKE = "Invoke"
UPDATE = "UpdateFunctionConfiguration"
GET = "GetFunctionConfiguration"

_OPERATIONS = {("POST", "invocations"): INVOKE, ("PUT", "configuration"): UPDATE, ("GET", "configuration"): GET}
_PATH = re.compile(r"/2015-03-31/functions/([^/]+)/(invocations|configuration)")
_LINEAGE = re.compile(r"Lineage=\d+:[^:;]*:(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An answer that an operation gets instead of being carried out.

    Attributes:
        times: how often; None for ever.
    """

    operation: str
    status: int
    code: str
    times: int | None = 1


CONFLICT = Fault(operation=UPDATE, status=409, code="ResourceConflictException")
THROTTLED = Fault(operation=UPDATE, status=429, code="TooManyRequestsException")
INVOKE_DENIED = Fault(operation=INVOKE, status=403, code="AccessDeniedException", times=None)
UPDATE_DENIED = Fault(operation=UPDATE, status=403, code="AccessDeniedException", times=None)


class ControlPlane:
    """Listens while it is entered; the service may be given to it later, for its functions need its address first.

    Attributes:
        service: the function that it controls.
        calls: every call, by operation and the status it was answered with.
    """

    def __init__(self, service: LambdaService | None = None) -> None:
        self.service = service
        self.calls: Counter[tuple[str, int]] = Counter()
        self._faults: list[Fault] = []
        self._struck: Counter[Fault] = Counter()
        self._lock = Lock()
        self._loopback = Loopback(self._answer)

    def __enter__(self) -> Self:
        self._loopback.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._loopback.__exit__()

    @property
    def url(self) -> str:
        """For `AWS_ENDPOINT_URL_LAMBDA`."""
        return self._loopback.url

    def inject(self, *faults: Fault) -> None:
        """Have these answers given, in their order, before anything else."""
        with self._lock:
            self._faults = list(faults)
            self._struck.clear()

    def _answer(self, request: HttpRequest) -> HttpResponse:
        found = _PATH.fullmatch(request.path)
        operation = _OPERATIONS.get((request.method, found[2])) if found else None
        if found is None or operation is None:
            return _error(404, "UnknownOperationException", f"{request.method} {request.path}")
        fault = self._find_fault(operation)
        response = (
            _error(fault.status, fault.code, "injected") if fault else self._carry_out(operation, request, found[1])
        )
        with self._lock:
            self.calls[operation, response.status] += 1
        return response

    def _find_fault(self, operation: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.operation == operation and (fault.times is None or self._struck[fault] < fault.times):
                    self._struck[fault] += 1
                    return fault
        return None

    def _carry_out(self, operation: str, request: HttpRequest, name: str) -> HttpResponse:
        service = self.service
        if service is None or name != service.function.name:
            return _error(404, "ResourceNotFoundException", f"Function not found: {name}")
        try:
            if operation == INVOKE:
                return _invoke(service, request)
            if operation == UPDATE:
                wanted = json.loads(request.body)
                environ = wanted.get("Environment", {}).get("Variables")
                service.update(description=wanted.get("Description"), environ=environ)
            return _answer_json(200, _configuration(service))
        except UpdateInProgress:
            return _error(409, "ResourceConflictException", "an update is in progress for resource")
        except TooManyRequests:
            return _error(429, "TooManyRequestsException", "Rate Exceeded.")
        except RequestTooLarge as error:
            return _error(413, "RequestTooLargeException", str(error))


def _invoke(service: LambdaService, request: HttpRequest) -> HttpResponse:
    # Lambda finds loops by the trace that every AWS SDK passes on from `_X_AMZN_TRACE_ID`.
    lineage = _LINEAGE.search(request.fields.get("x-amzn-trace-id", ""))
    depth = 1 + int(lineage[1]) if lineage else 1
    if request.fields.get("x-amz-invocation-type") == "Event":
        service.invoke_event(request.body, depth=depth)
        return HttpResponse(status=202)
    client_context = b64decode(request.fields.get("x-amz-client-context", "")).decode()
    outcome = service.invoke(request.body, depth=depth, client_context=client_context)
    failed = (("X-Amz-Function-Error", "Unhandled"),) if outcome.error is not None else ()
    return HttpResponse(status=200, headers=(("Content-Type", "application/json"), *failed), body=outcome.payload)


def _configuration(service: LambdaService) -> dict[str, Any]:
    function = service.function
    return {
        "FunctionName": function.name,
        "FunctionArn": f"arn:aws:lambda:{function.region}:123456789012:function:{function.name}",
        "Handler": function.handler,
        "Description": function.description,
        "Timeout": round(function.timeout_seconds),
        "MemorySize": function.memory_mb,
        "Environment": {"Variables": dict(function.environ)},
        "State": "Active",
        "LastUpdateStatus": "Successful",
    }


def _error(status: int, code: str, message: str) -> HttpResponse:
    response = _answer_json(status, {"Type": "User", "Message": message})
    return HttpResponse(status=status, headers=(*response.headers, ("X-Amzn-ErrorType", code)), body=response.body)


def _answer_json(status: int, body: object) -> HttpResponse:
    return HttpResponse(status=status, headers=(("Content-Type", "application/json"),), body=json.dumps(body).encode())
