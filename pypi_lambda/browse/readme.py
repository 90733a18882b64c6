"""A distribution's description as HTML that is safe to show: what a README may contain is `readme_renderer`'s to know.

Rendered by a process of its own, with little time and memory and none of our environment: some kilobytes of
substitutions, tables or nested tags keep docutils, comrak and nh3 busy for hours, the latter two with the interpreter
locked.

Markdown goes around `readme_renderer.markdown`, which colours code with Pygments: that would be a fifth of the zip, for
colours that our style sheet does not have.

"Core metadata specifications": Description, Description-Content-Type.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from email import message_from_string
from functools import lru_cache

from markupsafe import Markup, escape

MAX_DESCRIPTION_BYTES = 524_288  # 512 KiB: the longest READMEs have about 200; rendering takes a second or two per MB
MAX_MARKUP_BYTES = 786_432  # 768 KiB: with the rest of the page below the 1 MB that a load balancer takes of a function
CPU_SECONDS = 5  # of which importing docutils takes half a one
WAIT_SECONDS = 20  # for these on a third of a processor; API Gateway waits for 29
RENDER_BYTES = 335_544_320  # 320 MiB of addresses: below 192 it does not start, and the smallest function has 512
KEPT_DESCRIPTIONS = 8  # rendered ones, two MB each at most
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT")  # without which some Pythons do not start
_PROGRAM = "from pypi_lambda.browse.readme import main; main()"

logger = logging.getLogger(__name__)


@lru_cache(maxsize=KEPT_DESCRIPTIONS)
def render_description(metadata: bytes) -> Markup | None:
    """Return the description that METADATA has, or None where it has none.

    Markdown and reStructuredText are rendered and cleaned; what cannot be is shown as it is written.
    """
    message = message_from_string(metadata[:MAX_DESCRIPTION_BYTES].decode("utf-8", "replace"))
    payload = message.get_payload()
    description = (payload if isinstance(payload, str) else "") or str(message.get("Description", ""))
    if not description.strip():
        return None
    content_type = str(message.get("Description-Content-Type") or "text/x-rst").partition(";")[0].strip().lower()
    rendered = _render_apart(description, content_type) if content_type in _RENDERERS else ""
    return Markup(rendered) if rendered else _plain(description)  # noqa: S704  # `clean` made it


def _plain(description: str) -> Markup:
    shown = escape(description)
    if len(shown.encode()) > MAX_MARKUP_BYTES:
        shown = escape(description[: MAX_MARKUP_BYTES // 6]) + "…"  # `&quot;` has six characters
    return Markup('<pre class="plain">{}</pre>').format(shown)


def _render_apart(description: str, content_type: str) -> str:
    """Return the markup, or "" where there is none in time."""
    environ = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-P", "-c", _PROGRAM, content_type],
            input=description.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            timeout=WAIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as fault:
        logger.warning("a description could not be rendered: %s", type(fault).__name__)
        return ""
    return done.stdout.decode()


def main() -> None:
    """Render standard input, of the type that the first argument names, to standard output: `_render_apart`'s half."""
    _limit()
    description = sys.stdin.buffer.read().decode()
    rendered = (_RENDERERS[sys.argv[1]](description) or "").encode("utf-8", "replace")
    if len(rendered) <= MAX_MARKUP_BYTES:
        sys.stdout.buffer.write(rendered)


def _limit() -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (RENDER_BYTES, RENDER_BYTES))


def _render_rst(description: str) -> str | None:
    from readme_renderer import rst

    return rst.render(description)


def _render_markdown(description: str) -> str | None:
    import comrak
    from readme_renderer.clean import clean

    # "GitHub Flavored Markdown", as descriptions say it themselves or are taken to be.
    extensions = comrak.ExtensionOptions()
    for name in ("autolink", "footnotes", "strikethrough", "table", "tagfilter", "tasklist"):
        setattr(extensions, name, True)
    options = comrak.RenderOptions()
    options.unsafe_ = True  # HTML in Markdown is common; what may stay of it is `clean`'s to say
    return clean(comrak.render_markdown(description, extension_options=extensions, render_options=options))


_RENDERERS: Mapping[str, Callable[[str], str | None]] = {"text/markdown": _render_markdown, "text/x-rst": _render_rst}
