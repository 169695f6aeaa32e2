# SPDX-License-Identifier: Apache-2.0
"""The status page: the same facts as text for a terminal and HTML for a browser.

Pure functions of plain values. No script and nothing from elsewhere: the page must
open on a node that is cut off. Names come from clients and the cloud, and are escaped.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape

Facts = Mapping[str, object]
Rows = Sequence[Mapping[str, object]]

REFRESH_SECONDS = 5
MOMENTS = ("since",)
"""Facts that are wall times in seconds."""
MEANING = {
    "online": "The API servers answer; what they answer is remembered.",
    "offline": "No API server can be reached; answers come from what is remembered.",
}
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
.wide { overflow-x: auto; } .wide td { overflow-wrap: break-word; min-width: 4rem; }
.wide th { white-space: nowrap; } .facts th { width: 9rem; }
@media (max-width: 30rem) { body { margin: 1rem auto; } .facts th { width: 6rem; } }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
td { overflow-wrap: anywhere; }
.mode { display: inline-block; padding: .1rem .6rem; border-radius: 1rem;
  font-size: 1rem; }
.online { background: #1a7f37; color: #fff; } .offline { background: #9a6700;
  color: #fff; } .note { border-left: 4px solid #9a6700; padding-left: .75rem; }
"""


def text_page(facts: Facts) -> str:
    """Return the facts as lines `name: value`."""
    return "\n".join(f"{name}: {spoken(name, facts[name])}" for name in facts)


def html_page(
    facts: Facts, *, notes: Mapping[str, str], tables: Mapping[str, Rows]
) -> str:
    """Return the page: mode, what is wrong, facts, then a table of each part."""
    mode = escape(str(facts.get("mode", "")))
    node = escape(str(facts.get("node", "this node")))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{node} {mode}: toono</title>",
        f"<style>{STYLE}</style></head><body>",
        f'<h1>toono on {node} <span class="mode {mode}">{mode}</span></h1>',
        f"<p>{MEANING.get(mode, '')}</p>",
    ]
    for name, text in notes.items():
        parts.append(f'<p class="note"><b>{escape(name)}</b>: {escape(text)}</p>')
    parts.append('<table class="facts">')
    for name, value in facts.items():
        told = escape(spoken(name, value))
        parts.append(f'<tr><th scope="row">{escape(name)}</th><td>{told}</td></tr>')
    parts.append("</table>")
    for title, rows in tables.items():
        parts.append(f"<h2>{escape(title)}</h2>{_table(rows)}")
    parts.append('<p><a href="/metrics">metrics</a> · <a href="/readyz?verbose">')
    parts.append("readiness</a></p></body></html>")
    return "\n".join(parts)


def _table(rows: Rows) -> str:
    if not rows:
        return "<p>none</p>"
    names = list(rows[0])
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = [f'<div class="wide"><table><tr>{head}</tr>']
    for row in rows:
        cells = (escape(spoken(name, row.get(name, ""))) for name in names)
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "\n".join([*lines, "</table></div>"])


def spoken(name: str, value: object) -> str:
    """Return a value as a person reads it."""
    if name in MOMENTS and isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {spoken(key, each)}" for key, each in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
