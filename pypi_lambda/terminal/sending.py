"""Sending files to an index as its client: each in parts, those that arrived before left out.

Speaks to `pypi_lambda.publish.parts` of the index. Credentials go to the index alone, never to a signed URL. Not in the
zip.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import HTTPBasicAuth

from indexer.digests import digest_of
from indexer.distributions.distribution import check_distribution
from indexer.errors import IndexerError
from indexer.names import check_filename
from indexer.store.reader import chunks_of
from pypi_lambda import __version__

CONNECT_SECONDS = 10.0
READ_SECONDS = 120.0  # a part of 64 MiB is acknowledged when it is stored
TRIES = 5
FIRST_PAUSE_SECONDS = 1.0  # doubled after each failed try
MAX_PAUSE_SECONDS = 60.0
MAX_CHECK_SECONDS = 1_800.0  # 5 GiB are read twice by the index, at some 50 MB/s at worst

Progress = Callable[[int, int | None], None]


class SendingFailed(IndexerError):
    """A file could not be uploaded.

    Attributes:
        status: of the answer, or None where there was none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Sender:
    """A client of one index.

    Args:
        index_url: as twine's `--repository-url`.
        sleep: waits for seconds.
    """

    def __init__(
        self, index_url: str, *, username: str, password: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._root = index_url.rstrip("/").removesuffix("/simple").removesuffix("/legacy") + "/"
        self._session = requests.Session()
        self._session.trust_env = True
        self._session.headers["User-Agent"] = f"serverless-pypi/{__version__}"
        # As bytes: requests would encode text as latin-1.
        self._credentials = HTTPBasicAuth(username.encode(), password.encode())
        self._sleep = sleep

    def send(self, path: Path, *, on_progress: Progress) -> str:
        """Upload a file and return a sentence that says so; it says the same for a file that was there before.

        Args:
            on_progress: called with the bytes that arrived, and how many there are.

        Raises:
            InvalidValue: the file is no distribution.
            SendingFailed: the index refused it, or could not be reached.
        """
        with path.open("rb") as content:
            check_distribution(content, check_filename(path.name))
        return self.send_unchecked(path, on_progress=on_progress)

    def send_unchecked(self, path: Path, *, on_progress: Progress) -> str:
        """Upload a file whatever it is, as `send` does; the index checks it in any case."""
        filename = check_filename(path.name)
        with path.open("rb") as content:
            size = path.stat().st_size
            announced = {"filename": filename, "size": size, "sha256": digest_of(chunks_of(content))}
            begun = self._ask("POST", "uploads/", announced)
            if begun["state"] == "published":
                return f"{filename} is published"
            arrived = 0
            for part in begun["parts"]:
                if not part["arrived"]:
                    self._send_part(content, part, partial(_report, on_progress, arrived, size))
                arrived += part["size"]
                on_progress(arrived, size)
        return self._commit(begun["upload"], announced)

    def _commit(self, upload: str, announced: dict[str, Any]) -> str:
        waited = 0.0
        while waited < MAX_CHECK_SECONDS:
            answer = self._ask("POST", f"uploads/{upload}/", announced)
            if answer["state"] == "published":
                return str(answer["message"])
            seconds = answer["retry_after"]
            self._sleep(seconds)
            waited += seconds
        raise SendingFailed(f"{announced['filename']} is still being checked; try again later to see what became of it")

    def _send_part(self, content: IO[bytes], part: dict[str, Any], on_sent: Callable[[int], None]) -> None:
        url = urljoin(self._root, part["url"])
        own = urlsplit(url)[:2] == urlsplit(self._root)[:2]

        def attempt() -> requests.Response:
            body = _Window(content, part["offset"], part["size"], on_sent)
            return self._session.put(
                url,
                data=body,
                auth=self._credentials if own else _nobody,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
            )

        answer = self._try(attempt)
        if answer.status_code // 100 != 2:
            raise SendingFailed(
                f"part {part['number']} was refused with {answer.status_code}", status=answer.status_code
            )

    def _ask(self, method: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
        answer = self._try(
            lambda: self._session.request(
                method,
                self._root + path,
                json=document,
                auth=self._credentials,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
            )
        )
        if answer.status_code not in (200, 202):
            raise SendingFailed(_sentence(answer), status=answer.status_code)
        try:
            said: dict[str, Any] = answer.json()
        except ValueError:
            raise SendingFailed(f"{self._root} is no index of this kind: it answered with no JSON") from None
        return {**said, "retry_after": max(_retry_after(answer), FIRST_PAUSE_SECONDS)}

    def _try(self, attempt: Callable[[], requests.Response]) -> requests.Response:
        pause = FIRST_PAUSE_SECONDS
        for left in range(TRIES - 1, -1, -1):
            try:
                answer = attempt()
            except requests.RequestException as error:
                if not left:
                    raise SendingFailed(f"{self._root} cannot be reached: {type(error).__name__}") from None
            else:
                if answer.status_code not in (429, 500, 502, 503, 504) or not left:
                    return answer
                pause = max(pause, _retry_after(answer))
            self._sleep(pause)
            pause *= 2
        raise AssertionError("the last try returns or raises")


class _Window:
    """Some bytes of a file, as requests sends them: with a length, read in chunks."""

    def __init__(self, content: IO[bytes], start: int, size: int, on_sent: Callable[[int], None]) -> None:
        self._content = content
        self._size = size
        self._done = 0
        self._on_sent = on_sent
        content.seek(start)

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        wanted = self._size - self._done if size < 0 else min(size, self._size - self._done)
        chunk = self._content.read(wanted)
        self._done += len(chunk)
        self._on_sent(self._done)
        return chunk


def _report(on_progress: Progress, before: int, size: int, done: int) -> None:
    on_progress(before + done, size)


def _nobody(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    """Send no credentials: a signed URL with `Authorization` is refused, and .netrc is none of its business."""
    return request


def _retry_after(answer: requests.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), MAX_PAUSE_SECONDS) if text.isdecimal() else 0.0


def _sentence(answer: requests.Response) -> str:
    text = answer.text.strip().partition("\n")[0][:500]
    return text or f"the index answered {answer.status_code}"
