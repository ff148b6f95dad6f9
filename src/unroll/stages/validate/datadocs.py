"""Makes a Data Docs page readable without a network: one file, no scripts, nothing fetched from anywhere.

As Great Expectations renders it, the page takes its styles and scripts from six public hosts, asks another one for
the logo with the time of day, and shows the data's own text as HTML. So: escape the values first, then cut all that is
foreign, forbid the rest by policy, and dress what remains with the few rules below.
"""

import html
import re
from collections.abc import Sequence
from typing import Any

_FOREIGN = re.compile(
    r"<script\b.*?</script>|<style\b.*?</style>|<footer\b.*?</footer>|<link\b[^>]*>|<img\b[^>]*>", re.DOTALL
)
_ELSEWHERE = re.compile(r'<a href="\.\./[^"]*"')  # pages of a larger site
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 0 auto; max-width: 1240px; padding: 1rem 1.5rem; }
body > nav, .lead, .cooltip .top, thead[hidden] { display: none; }
.container-fluid > .row:has(.sticky) { display: grid; grid-template-columns: 14rem minmax(0, 1fr); gap: 2rem; }
.sticky { top: 1rem; } .card { border: 1px solid #ccc; border-radius: 6px; margin-bottom: 1rem; }
.card-header { background: #eee; padding: .4rem .7rem; } .card-body { padding: .5rem .7rem; }
.nav { list-style: none; padding: 0; margin: 0; } .nav a { color: #0b5394; text-decoration: none; }
.alert-secondary { background: #eee; border-radius: 6px; padding: .5rem .8rem; }
h4, h5, h6 { margin: 0; font-size: 1em; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; } table table { width: auto; }
th, td { border-top: 1px solid #ccc; padding: .35rem .6rem; text-align: left; vertical-align: top; }
pre, code { white-space: pre-wrap; overflow-wrap: anywhere; }
.badge { background: #eee; border-radius: 4px; padding: 0 .3em; } i { font-style: normal; font-weight: bold; }
.fa-check-circle::before { content: "✓"; color: #18794e; } .fa-times::before { content: "✗"; color: #b00020; }
.fa-exclamation-triangle::before { content: "!"; color: #a05a00; }
body:has(#option2:checked) .ge-section:has(.hide-succeeded-validations-column-section-target-child),
body:has(#option2:checked) tr:has(> td > .hide-succeeded-validation-target-child) { display: none; }
.verdict { border: 2px solid #18794e; border-radius: 6px; padding: .6rem 1rem; margin-bottom: 1.5rem; }
.verdict.failed { border-color: #b00020; } .verdict h1 { font-size: 1.4rem; margin: 0; }
"""


def escaped(value: Any) -> Any:
    """``value`` with every text in it escaped for HTML."""
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    return [escaped(inner) for inner in value] if isinstance(value, list | tuple) else value


def offline(page: str, title: str, lines: Sequence[str], *, failed: bool) -> str:
    """``page`` in one file, with the verdict in words above it; raises ValueError for one that is built otherwise."""
    head = (
        f'<head><meta http-equiv="Content-Security-Policy" content="{_POLICY}"><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>"
    )
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    above = (
        f'<body><section class="verdict{" failed" if failed else ""}"><h1>{html.escape(title)}: '
        f"{'failed' if failed else 'passed'}</h1>{f'<ul>{listed}</ul>' if listed else ''}</section>"
    )
    page = re.sub(r"<title>.*?</title>", "", _FOREIGN.sub("", page), flags=re.DOTALL)
    page = _ELSEWHERE.sub("<a", page)
    for old, new in (("<head>", head), ("</head>", f"<style>{_STYLE}</style></head>"), ("<body>", above)):
        if old not in page:  # the policy would be missing
            raise ValueError(f"a page of Great Expectations without {old}")
        page = page.replace(old, new, 1)
    return page
