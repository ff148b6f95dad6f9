"""A problem that no proposal was written for gets the keys that it has, from the proposal of its table."""

from types import SimpleNamespace

import pytest
from pydantic import Field

from unroll import problems
from unroll.core.config import Config, PositiveInt, PrepareConfig
from unroll.workbench.new import CHECK, adapted
from unroll.workbench.new.blocks import Line, Proposal, lines
from unroll.workbench.new.parts import gate_lines


class Prepare(PrepareConfig):
    target: str
    lag: PositiveInt
    width: PositiveInt = Field(examples=[3])


class Model(Config):
    hidden: PositiveInt
    depth: PositiveInt


PROPOSAL = Proposal(
    ["a.csv: 9 rows"],
    {
        "data": lines(dataset="files"),
        "prepare": [*lines(problem="other", target="pm"), Line("lag", 24, "a day"), Line("stride", 1)],
        "model": [Line("hidden", 16, "small"), Line("cell", "lstm")],
        "train": lines(seed=1),
        "gate": gate_lines("r2", "higher", 0.5, "a floor", ["persistence"]),
    },
)


def test_keys_that_it_lacks_are_left_out_and_examples_are_to_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    scoring = SimpleNamespace(headline="mae", higher_is_better=False, metric_names=("mae",), baseline_names=("mean",))
    other = SimpleNamespace(Prepare=Prepare, Model=Model, scoring=scoring)
    monkeypatch.setattr(problems, "load", lambda name: other)
    blocks = adapted(PROPOSAL, "other").blocks
    assert blocks["prepare"] == [
        Line("problem", "other"), Line("target", "pm"), Line("lag", 24, "a day"), Line("width", 3, CHECK),
    ]  # fmt: skip
    assert blocks["model"] == [Line("hidden", 16, "small")]  # depth has no example: the check names it
    gate = {line.key: line.value for line in blocks["gate"]}
    assert (gate["metric"], gate["direction"], gate["baselines"]) == ("mae", "lower", ["mean"])


def test_a_problem_that_the_proposal_fits_keeps_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fitting(PrepareConfig):
        target: str
        lag: PositiveInt
        stride: PositiveInt

    class Network(Config):
        hidden: PositiveInt
        cell: str

    scoring = SimpleNamespace(metric_names=("r2",), baseline_names=("persistence",))
    same = SimpleNamespace(Prepare=Fitting, Model=Network, scoring=scoring)
    monkeypatch.setattr(problems, "load", lambda name: same)
    assert adapted(PROPOSAL, "other") == PROPOSAL
