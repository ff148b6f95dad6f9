"""Every command of docs/sharing-results.md runs, with a folder as the remote and a fresh clone as the other machine."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from projects import ROOT, own_code, run

TEXT = (ROOT / "docs" / "sharing-results.md").read_text(encoding="utf-8")
GIVE, TAKE, COMPARE, MERGE = re.findall(r"^```bash\n(.*?)^```$", TEXT, re.M | re.S)
IDENTITY = {
    f"GIT_{who}_{what}": "test@example.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


def shell(root: Path, commands: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = run(root, "bash", "-euo", "pipefail", "-c", commands, **own_code(root), **IDENTITY, PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_results_are_given_and_taken(reproduced: Path, tmp_path: Path) -> None:
    project, clone = tmp_path / "project", tmp_path / "clone"
    shutil.copytree(reproduced / "project", project, symlinks=True)
    shell(project, "git add --all && git commit --quiet --message code")
    shell(project, GIVE)
    shell(tmp_path, "git clone --quiet project clone")
    taken = shell(clone, TAKE)
    assert taken.startswith("nothing to do: no stage is stale\n")
    assert taken.endswith("nothing to do: every stage is up to date\n")
    status = json.loads(shell(clone, "dvc status --json"))
    assert {name for name in status if not name.startswith("fingerprint@")} == set()
    for name in ("metrics.json", "model_card.md"):
        shared = [root / "reports" / "tweets" / name for root in (project, clone)]
        assert shared[0].read_bytes() == shared[1].read_bytes()
    assert shell(clone, "git status --porcelain") == ""
    shell(clone, COMPARE)
    shell(clone, MERGE)
    assert "merge=dvc-lock" in (ROOT / ".gitattributes").read_text(encoding="utf-8")


def test_the_readme_leads_here() -> None:
    assert "(docs/sharing-results.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
