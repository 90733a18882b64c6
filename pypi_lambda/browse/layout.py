"""What all pages for people have in common: frame, style, and the headers that keep foreign content harmless.

Pure. Nothing is loaded from elsewhere but the pictures of a README; the one script copies lines to the clipboard.

Content Security Policy Level 3 (hashes of inline styles and scripts).
"""

from base64 import b64encode
from hashlib import sha256

from markupsafe import Markup

from pypi_lambda.http.model import NO_SNIFFING, Response

_STYLE = Markup("""\
:root { color-scheme: light dark; --ink: #1c2127; --dim: #5d6772; --line: #d8dde3; --back: #fff; --soft: #f4f6f8;
  --link: #0b57a4; --warn: #8a4b00; --warn-back: #fff3e0; --bad: #a1201c; --bad-back: #fdecea }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe4ea; --dim: #98a3af; --line: #363d46; --back: #15191e;
  --soft: #1e242b; --link: #7cb8f5; --warn: #f0b86c; --warn-back: #3a2a12; --bad: #f1958f; --bad-back: #421a18 } }
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back) }
header, main, footer { max-width: 60rem; margin: 0 auto; padding: 1rem }
header { border-bottom: 1px solid var(--line); display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap }
header a { color: inherit; font-weight: 600; text-decoration: none }
header span, footer, .dim { color: var(--dim); font-size: .875rem }
header span { margin-left: auto }
a { color: var(--link) }
h1 { font-size: 1.6rem; margin: .5rem 0 } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem }
form { display: flex; gap: .5rem; margin: 1rem 0 }
input { flex: 1; min-width: 0 } input, button { font: inherit; padding: .4rem .7rem; border: 1px solid var(--line);
  border-radius: .4rem; background: var(--soft); color: inherit }
button { cursor: pointer } :focus-visible { outline: 2px solid var(--link); outline-offset: 1px }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--dim); font-size: .875rem; font-weight: 500 } td.number, th.number { text-align: right }
td.number, td.date { white-space: nowrap }
.line { display: flex; gap: .5rem; margin: .4rem 0 } .line code { flex: 1; min-width: 0; overflow-x: auto;
  white-space: pre; padding: .4rem .7rem; background: var(--soft); border: 1px solid var(--line); border-radius: .4rem }
code, pre { font: .875rem/1.5 ui-monospace, monospace }
.mark { display: inline-block; padding: 0 .5rem; border-radius: 1rem; font-size: .8rem; color: var(--warn);
  background: var(--warn-back) } .mark.bad { color: var(--bad); background: var(--bad-back) }
.readme { border: 1px solid var(--line); border-radius: .4rem; padding: 0 1rem 1rem; overflow-wrap: anywhere }
.readme pre { overflow-x: auto; background: var(--soft); padding: .7rem; border-radius: .4rem }
.readme img { max-width: 100%; height: auto }
.readme pre.plain { background: none; padding: 0; white-space: pre-wrap }
ul.events { list-style: none; padding: 0; font-size: .875rem }
ul.events li { padding: .2rem 0; overflow-wrap: anywhere }""")

_SCRIPT = Markup("""\
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  });
}""")


def _source(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


# Pictures of READMEs are elsewhere; that they are looked at is told to nobody else by a referrer.
_POLICY = (
    f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; img-src https: data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FRAME = Markup(
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    "<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    '<header><a href="{root}/">Package index</a><span>{user}</span></header>\n'
    "<main>\n{content}\n</main>\n<footer>serverless-pypi {version}</footer>\n"
    "<script>{script}</script>\n</body>\n</html>\n"
)
_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", _POLICY),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "private, no-store"),
    ("Vary", "Accept"),
    NO_SNIFFING,
)


def copyable(line: str) -> Markup:
    """Return a line with a button that copies it."""
    button = Markup('<button type="button" data-copy hidden>Copy</button>')
    return Markup('<div class="line"><code>{}</code>{}</div>').format(line, button)


def page(title: str, *, root: str, user: str, version: str, content: Markup) -> Response:
    """Return a page.

    Args:
        root: the base path, without a slash at its end.
        user: whose it is.
        content: between the head and the foot.
    """
    body = _FRAME.format(
        title=title,
        style=_STYLE,
        root=root,
        user=user,
        content=content,
        version=version,
        script=_SCRIPT,
    )
    return Response(status=200, headers=_HEADERS, body=body.encode("utf-8", "replace"))
