"""A proposal for a problem that its table's proposal was not written for: the keys that it has, and its own gate."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from unroll import problems
from unroll.core.config import Config
from unroll.workbench import compatible_keys
from unroll.workbench.new.blocks import Line, Proposal
from unroll.workbench.new.parts import gate_lines

CHECK = "an example of the problem's own: check it"


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
