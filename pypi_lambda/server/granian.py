"""The local HTTP server: granian in front of the WSGI application. Why granian, and what it leaves to us:
docs/servers.md.

The application is made in the worker processes. They may be forks, so the process that calls this has opened no store.
"""

import os
import signal
import socket

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from indexer.errors import InvalidValue
from pypi_lambda.server.wsgi import create

THREADS = 32  # per worker; requests wait for the store or the upstream, not for the processor
RUNTIME_THREADS = 2  # per worker, for sockets; 1.5 times the requests of one, measured (benchmarks/http.py)
STOP_SECONDS = 30  # without it a stalled client would keep SIGTERM waiting for ever


def serve_forever(*, host: str, port: int, workers: int) -> None:
    """Serve the application that the environment variables describe, until SIGINT or SIGTERM. `check_free` first."""
    server = Granian(
        "serverless-pypi",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=workers,
        runtime_threads=RUNTIME_THREADS,
        blocking_threads=THREADS,
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True,
        log_level=LogLevels.error,  # what it has to say otherwise is a remark about the number of threads
    )
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_heed_the_end)
    server.serve(target_loader=create, wrap_loader=False)


def _heed_the_end() -> None:
    # A forked worker has the main process's handlers until granian sets its own, when the application is loaded. They
    # only set a flag: a worker that is told to end while it loads would go on, and be waited for STOP_SECONDS.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Ctrl-C reaches all, and the main process follows it with SIGTERM. Blocked and not ignored, for granian will handle
    # it: a worker that gets both goes on until STOP_SECONDS are over (2.8.7).
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))


def check_free(host: str, port: int) -> None:
    """Make sure that the address can be listened on and that nobody does.

    Raises:
        InvalidValue: it cannot, or somebody does.
    """
    # Workers share their port, so a second server on it would start without an error and take half of the requests.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        # The strerror of `create_server` says the address once more.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise InvalidValue("address", f"{host}:{port}", f"it cannot be listened on: {reason}") from None
