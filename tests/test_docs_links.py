"""Every link and every path that the documents name leads to a file of the project."""

import re
from pathlib import Path

import pytest
from projects import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"(?<![\w/.])(?:src|tests|docs|pipelines|benchmarks|tools)/[\w./-]+\.\w+")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in LINK.findall(text) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [path for path in PATH.findall(re.sub(r"\]\([^)]*\)", "]", text)) if not (ROOT / path).exists()]
    assert missing == []
