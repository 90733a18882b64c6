"""One execution environment of a Lambda function: a process that runs AWS's own runtime client, and the Runtime API
that it asks for work.

Knows nothing of the function's other environments, and nothing of pytest: benchmarks use it too.

"Using the Lambda runtime API for custom runtimes" and "Lambda quotas" in the AWS Lambda developer guide.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from tests.aws.lambda_invocations import Invocation, Outcome
from tests.support.loopback import HttpRequest, HttpResponse, Loopback

RUNTIME_API = "/2018-06-01/runtime"
MAX_RESPONSE_BYTES = 6_291_556  # what Lambda's own error says; 100 more than of a request
# What the managed runtime brings besides Python: its client, and boto3 with what that needs.
RUNTIME_DISTRIBUTIONS = (
    "awslambdaric",
    "simplejson",
    "snapshot-restore-py",
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "python-dateutil",
    "six",
    "urllib3",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function's code and configuration.

    Attributes:
        code: folders to import from; the first is the unpacked zip, others are there only for a run from the sources.
        runtime: the folder that `make_runtime` filled.
        environ: the function's own environment variables.
        prefix: a command that is put before the runtime's, and that becomes it (`exec`), so that a benchmark can limit
            processor and memory.
    """

    code: tuple[Path, ...]
    runtime: Path
    environ: Mapping[str, str]
    name: str = "pypi"
    handler: str = "pypi_lambda.handler.handler"
    region: str = "us-east-1"
    memory_mb: int = 1_024
    timeout_seconds: float = 300.0
    init_seconds: float = 300.0  # "Lambda limits the phase to 10 seconds", of a processor that does nothing else
    description: str = ""
    python: str = sys.executable
    prefix: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ready:
    pass


@dataclass(frozen=True, slots=True)
class _Answered:
    payload: bytes
    error: str | None


@dataclass(frozen=True, slots=True)
class _Exited:
    code: int


def make_runtime(folder: Path) -> Path:
    """Fill the folder with what the managed runtime brings, as links to this environment's packages, and return it.

    The function's process sees this and its own code, nothing else that happens to be installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME_DISTRIBUTIONS:
        found = distribution(name)
        for top in {path.parts[0] for path in found.files or () if ".." not in path.parts}:
            link, target = folder / top, Path(str(found.locate_file(top)))
            if not link.exists() and top != "__pycache__":
                link.symlink_to(target)
    return folder


class Environment:
    """An execution environment; it takes one invocation after another.

    Attributes:
        id: tells it from the function's others.
        generation: of the configuration it was started with.
        init_seconds: how long the init phase took; None until it is over.
    """

    def __init__(self, function: Function, *, id: str, generation: int, log: Path) -> None:
        self.id = id
        self.generation = generation
        self.init_seconds: float | None = None
        self._function = function
        self._log = log
        self._work: SimpleQueue[Invocation | None] = SimpleQueue()
        self._results: SimpleQueue[_Ready | _Answered | _Exited] = SimpleQueue()
        self._api = Loopback(self._serve)
        self._broken: _Answered | None = None
        self._is_ending = False

    def start(self) -> None:
        """Run the init phase."""
        self._api.__enter__()
        command = (*self._function.prefix, self._function.python, "-S", "-m", "awslambdaric", self._function.handler)
        started = time.perf_counter()
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self._function.code[0],
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        Thread(target=self._watch, daemon=True).start()
        result = self._next_result(self._function.init_seconds)
        if isinstance(result, _Ready):
            self.init_seconds = time.perf_counter() - started
            return
        if result is None:
            result = self._failed("Sandbox.Timedout", f"init took longer than {self._function.init_seconds} s")
        elif isinstance(result, _Exited):
            result = self._failed("Runtime.ExitError", f"the runtime exited with {result.code} during init")
        self._broken = result
        self.kill()

    def _environ(self) -> Mapping[str, str]:
        function = self._function
        path = [*function.code, function.runtime]
        return {
            # what the service itself sets; HOME is not among it
            "AWS_DEFAULT_REGION": function.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python3.{sys.version_info.minor}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": self.id,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_REGION": function.region,
            "LAMBDA_RUNTIME_DIR": str(function.runtime),
            "LAMBDA_TASK_ROOT": str(function.code[0]),
            "LANG": "en_US.UTF-8",
            "PATH": os.defpath,
            "PYTHONDONTWRITEBYTECODE": "1",  # /var/task is read-only there
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "TZ": ":UTC",
            "_HANDLER": function.handler,
            **function.environ,
        }

    @property
    def pid(self) -> int:
        """The id of the process, which is stopped while it has no work."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can take an invocation."""
        return not self._is_ending and self._process.poll() is None

    def invoke(self, invocation: Invocation) -> Outcome:
        """Have the function handle an event, and wait for the answer."""
        if self._broken is not None:
            return self._outcome(self._broken)
        self._work.put(invocation)
        result = self._next_result(self._function.timeout_seconds)
        if result is None:
            limit = self._function.timeout_seconds
            result = self._failed("Sandbox.Timedout", f"{invocation.id} Task timed out after {limit:.2f} seconds")
            self.kill()
        elif isinstance(result, _Exited):
            result = self._failed("Runtime.ExitError", f"{invocation.id} Runtime exited with {result.code}")
        assert isinstance(result, _Answered), result
        return self._outcome(result)

    def _outcome(self, result: _Answered) -> Outcome:
        return Outcome(payload=result.payload, error=result.error, environment=self.id)

    def _failed(self, kind: str, message: str) -> _Answered:
        return _Answered(json.dumps({"errorType": kind, "errorMessage": message}).encode(), kind)

    def _next_result(self, seconds: float) -> _Ready | _Answered | _Exited | None:
        try:
            return self._results.get(timeout=seconds)
        except Empty:
            return None

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        self._is_ending = True
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """End the process and what serves it."""
        self.kill()
        self._process.wait()
        self._work.put(None)
        self._api.__exit__()

    def read_log(self) -> str:
        """Return what the process printed."""
        return self._log.read_text("utf-8", "replace")

    def _watch(self) -> None:
        self._results.put(_Exited(self._process.wait()))

    def _serve(self, request: HttpRequest) -> HttpResponse | None:
        what = request.path.removeprefix(RUNTIME_API)
        if what == "/invocation/next":
            return self._give()
        if what == "/init/error":
            self._results.put(_Answered(request.body, request.fields.get("lambda-runtime-function-error-type", "")))
        elif what.endswith("/error"):
            kind = request.fields.get("lambda-runtime-function-error-type", "Unhandled")
            self._results.put(_Answered(request.body, kind))
        elif len(request.body) > MAX_RESPONSE_BYTES:
            message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
            self._is_ending = True  # the client does not survive the answer
            self._results.put(self._failed("Function.ResponseSizeTooLarge", message))
            return HttpResponse(status=413, body=b"{}")
        else:
            self._results.put(_Answered(request.body, None))
        return HttpResponse(status=202, headers=(("Content-Type", "application/json"),), body=b'{"status":"OK"}')

    def _give(self) -> HttpResponse | None:
        if self.init_seconds is None:
            self._results.put(_Ready())
        # "Lambda freezes the execution environment when the runtime [...] has completed and there are no pending
        # events": what other threads of the function do goes on with the next invocation, if there is one.
        self._process.send_signal(signal.SIGSTOP)
        invocation = self._work.get()
        self._process.send_signal(signal.SIGCONT)
        if invocation is None:
            return None
        deadline = time.time_ns() // 1_000_000 + round(1_000 * self._function.timeout_seconds)
        arn = f"arn:aws:lambda:{self._function.region}:123456789012:function:{self._function.name}"
        headers = {
            "Content-Type": "application/json",  # without it the client is killed by a segmentation fault
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-00000000-{'0' * 24};Sampled=0;Lineage=1:00000000:{invocation.depth}",
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        return HttpResponse(status=200, headers=tuple(headers.items()), body=invocation.payload)
