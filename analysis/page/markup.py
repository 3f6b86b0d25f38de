"""Pages that work from a file, offline: escaped markup, and one document with everything inside.

All text goes through `tag`, which escapes it, or into JSON blocks that the page's scripts only ever write as
text. The document's content policy admits its own scripts by their hashes, and no request.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any


class Html(str):
    """Markup: already escaped."""

    __slots__ = ()


def tag(name: str, *children: object, **attributes: object) -> Html:
    """One element; children that are not `Html` are text and are escaped. `class_` is `class`."""
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
    )
    inner = "".join(c if isinstance(c, Html) else html.escape(str(c)) for c in children)
    return Html(f"<{name}{''.join(pairs)}>{inner}</{name}>")


def unbroken(text: str) -> str:
    """Text in which no number is parted from what it counts at the end of a line."""
    return re.sub(r"(?<=\d) (?=[A-Za-z])", "\N{NO-BREAK SPACE}", text)


def command(text: str, key: str) -> Html:
    """A command for a shell, whose flags stay whole at the end of a line."""
    words = (tag("span", word) for word in text.split(" "))
    return tag("code", Html(" ".join(words)), id=key)


def join(children: Iterable[str]) -> Html:
    """Markup and text, one after the other."""
    return Html("".join(c if isinstance(c, Html) else html.escape(c) for c in children))


def section(title: str, key: str, *children: object) -> Html:
    """A part of the page, named by its heading, `key` its anchor."""
    return tag(
        "section", tag("h2", title, id=f"{key}-title"), *children, id=key, aria_labelledby=f"{key}-title"
    )


def document(
    title: str,
    body: Html,
    *,
    styles: Sequence[str],
    scripts: Sequence[str],
    blocks: Mapping[str, Any],
) -> str:
    """The whole file. `styles` and `scripts` are file names of this package, `blocks` plain values by id.

    plotly.js (MIT) is inside, 1.2 MB: its bundle of scatter and bar traces. The scripts run as one, after
    plotly's. Traces that plotly draws by WebGL are not in it: code is made for them as they are drawn, which
    no page admits.
    """
    texts = [_inert(asset(PLOTLY)), _inert(script(scripts))]
    hashes = " ".join(f"'sha256-{_digest(text)}'" for text in texts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">',
            tag("title", title),
            f"<style>{''.join(map(asset, styles))}</style></head>",
            f"<body>{THEME_BUTTON}{body}",
            *(_block(key, values) for key, values in blocks.items()),
            *(f"<script>{text}</script>" for text in texts),
            "</body></html>\n",
        ]
    )


PLOTLY = "vendor/plotly-basic.min.js"
THEME_BUTTON = tag("button", "Theme: auto", type="button", id="theme", aria_label="Colour theme")


def asset(name: str) -> str:
    """The text of a file of this package."""
    return (
        resources.files("analysis")
        .joinpath(name if "/" in name else f"page/assets/{name}")
        .read_text(encoding="utf-8")
    )


def script(names: Sequence[str]) -> str:
    """Script files of this package as one."""
    return "\n".join(map(asset, names))


def compact(values: Any) -> str:
    """JSON without spaces, for a browser: a number that is not finite is an error."""
    return json.dumps(values, allow_nan=False, separators=(",", ":"))


def _block(key: str, values: Any) -> str:
    # Every `<` of the data is written \u003c, so no text in it can end the block that holds it.
    inert = compact(values).replace("<", "\\u003c")
    return f'<script type="application/json" id="{html.escape(key)}">{inert}</script>'


def _inert(text: str) -> str:
    """A script that cannot end its own element; both sequences occur in string literals only."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
