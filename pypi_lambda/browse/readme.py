"""A distribution's description as HTML that is safe to show: what a README may contain is `readme_renderer`'s to know.

Markdown goes around `readme_renderer.markdown`, which colours code with Pygments: that would be a fifth of the zip, for
colours that our style sheet does not have.

"Core metadata specifications": Description, Description-Content-Type.
"""

import logging
from email import message_from_bytes
from html import escape

from pypi_lambda.browse.layout import Markup

MAX_DESCRIPTION_BYTES = 524_288  # 512 KiB: the longest READMEs have about 200; rendering takes a second or two per MB

logger = logging.getLogger(__name__)


def render_description(metadata: bytes) -> Markup | None:
    """Return the description that METADATA has, or None where it has none.

    Markdown and reStructuredText are rendered and cleaned; what cannot be is shown as it is written.
    """
    message = message_from_bytes(metadata[:MAX_DESCRIPTION_BYTES])
    payload = message.get_payload()
    description = (payload if isinstance(payload, str) else "") or str(message.get("Description", ""))
    if not description.strip():
        return None
    content_type = str(message.get("Description-Content-Type") or "text/x-rst").partition(";")[0].strip().lower()
    rendered = _render(description, content_type)
    return Markup(rendered) if rendered else Markup(f'<pre class="plain">{escape(description)}</pre>')


def _render(description: str, content_type: str) -> str | None:
    try:
        if content_type == "text/markdown":
            return _render_markdown(description)
        if content_type == "text/x-rst":
            from readme_renderer import rst

            return rst.render(description)
    except Exception:  # whatever a stranger's README makes of these libraries, the page has more to show
        logger.exception("a description could not be rendered")
    return None


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
