"""What ``unroll new`` makes of files as they come: nested values, thousands marks, several sites, gaps in time."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from projects import ROOT

from unroll import proposal
from unroll.errors import DataError
from unroll.proposal import Asked, Proposal


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNROLL_PROGRESS", "quiet")
    return tmp_path


def proposed(root: Path, file: str, target: str | None = None, problem: str = "forecasting", **asked: Any) -> Proposal:
    return proposal.propose(root, "mine", Asked(problem, (file,), target=target, **asked))


def reviews(root: Path) -> str:
    words = ("good fine nice", "bad broken poor")
    rows = [
        {"id": n, "body": f"{words[n % 2]} {n}", "meta": {"stars": n % 5, "by": ["x"]}, "mood": "gb"[n % 2]}
        for n in range(60)
    ]
    (root / "reviews.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return "reviews.jsonl"


def test_a_key_of_nested_values_is_left_out_and_told(root: Path) -> None:
    found = proposed(root, reviews(root), problem="text_classification", label="mood", text="body")
    assert (found.values()["data"]["text"], found.values()["data"]["label"]) == ("body", "mood")
    assert "not used: id (not asked for), meta (nested)" in found.seen


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"text": "meta"}, r"^reviews\.jsonl: column 'meta' is nested: \{\"stars\": \"0\".* in row 1; expected numbers"),
        ({"text": "bdy"}, r"^reviews\.jsonl: no column 'bdy'; did you mean 'body'\?; expected one of id, body, mood$"),
        ({"target": "mod"}, r"^reviews\.jsonl: no column 'mod'; did you mean 'mood'\?; expected one of id, body, mood$"),
    ],
)
def test_a_nested_key_that_is_asked_for_is_named_and_a_wrong_one_gets_near_names(
    asked: dict[str, str], message: str, root: Path
) -> None:
    with pytest.raises(DataError, match=message):
        proposed(root, reviews(root), problem="text_classification", **asked)
