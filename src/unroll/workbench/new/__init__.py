"""``unroll new``: a look at the user's own files, and a complete block of parameters for a task on them.

Nothing is written but that block, after the other tasks of ``params.yaml``, and only after it was shown.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from unroll import problems
from unroll.core.config import Config
from unroll.core.errors import ConfigError
from unroll.core.layout import Layout
from unroll.core.params import Params
from unroll.pipeline import check
from unroll.stages.common.task import Task
from unroll.workbench import compatible_keys
from unroll.workbench.new import (
    propose_labelled_series,
    propose_labelled_text,
    propose_pairs,
    propose_series,
    propose_text,
    writing,
)
from unroll.workbench.new.blocks import Line, Proposal
from unroll.workbench.new.parts import gate_lines
from unroll.workbench.new.request import Request, parse
from unroll.workbench.new.session import Session

__all__ = ["Proposal", "Request", "main", "parse", "propose"]
_TABLES = {
    "series": propose_series.propose,
    "labelled_series": propose_labelled_series.propose,
    "labelled_text": propose_labelled_text.propose,
    "text": propose_text.propose,
    "pairs": propose_pairs.propose,
}
"""The proposals by the table that a problem takes."""
CHECK = "an example of the problem's own: check it"


def main(root: Path, name: str, request: Request, yes: bool, output: TextIO) -> None:
    """Propose, show, ask, write.

    Without ``yes`` and without a terminal to ask on, nothing is written: ConfigError.
    """
    path = root / "params.yaml"
    proposal = propose(root, name, request)
    text = proposal.text(name, writing.indent(path))
    output.write(text)
    output.flush()
    for line in proposal.warnings:
        sys.stderr.write(f"unroll: warning: {line}\n")
    if not yes and not sys.stdin.isatty():
        raise ConfigError(f"nothing written: there is no terminal to ask on; --yes appends this to {path}")
    if not yes and not _agreed(path):
        sys.stderr.write("unroll: nothing written\n")
        return
    writing.append(path, name, text, proposal.values())
    sys.stderr.write(f"unroll: {path}: tasks.{name} added; next: unroll repro {name}\n")


def propose(root: Path, name: str, request: Request) -> Proposal:
    """The block of the task ``name``, which passes ``unroll check``.

    Raises ConfigError for a name that is taken or not allowed, or a key that does not go with the others; DataError for
    files that cannot be read.
    """
    params = Params(root / "params.yaml")
    _require_new(params, name)
    proposal = _TABLES[request.table](Session(request, params, name, root))
    proposal = adapted(proposal, request.problem).replaced(request.later())
    task = Task(name, params.replaced({f"tasks.{name}": proposal.values()}), Layout(root, name))
    if faults := check.faults_of(task):
        raise ConfigError("\n".join(faults))
    return proposal


def adapted(proposal: Proposal, name: str) -> Proposal:
    """The proposal itself where the problem's blocks allow it; else with the problem's keys, metric and baselines.

    Keys that have no example stay away: the check that follows names them, and ``--set`` gives them.
    """
    problem, blocks = problems.load(name), dict(proposal.blocks)
    scoring = problem.scoring
    for block, kind in (("prepare", problem.Prepare), ("model", problem.Model)):
        blocks[block] = _adapted(blocks[block], kind, {"problem": name} if block == "prepare" else {})
    gate = {line.key: line.value for line in blocks["gate"]}
    if gate["metric"] not in scoring.metric_names or not {*gate["baselines"]} <= {*scoring.baseline_names}:
        direction = "higher" if scoring.higher_is_better else "lower"
        why = "no value is known to be good: set it to what you need"
        blocks["gate"] = gate_lines(scoring.headline, direction, 0.0, why, scoring.baseline_names)
    return Proposal(proposal.seen, blocks, proposal.warnings)


def _adapted(block: Sequence[Line], kind: type[Config], given: Mapping[str, Any]) -> list[Line]:
    own = {**{line.key: line.value for line in block}, **given}
    try:
        kind.model_validate(own)
    except ValidationError:
        whole = compatible_keys.completed(kind, own, given) or given
        fitted = compatible_keys.laid_over(kind, own, whole).block
        known = {line.key: line for line in block}
        same = {key for key, value in fitted.items() if key in known and known[key].value == value}
        return [known[key] if key in same else Line(key, value, CHECK) for key, value in fitted.items()]
    return list(block)


def _require_new(params: Params, name: str) -> None:
    if name in params.tasks():
        raise ConfigError(f"{params.path}: tasks.{name}: is there already; expected a new name")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
        raise ConfigError(f"{name!r} cannot name a task; expected letters, digits, _ and -")


def _agreed(path: Path) -> bool:
    import typer

    return typer.confirm(f"Append it to {path}?", default=True, err=True)
