"""A new model against the champion: both are scored on the same test rows, and the difference gets an interval.

The champion is fed with what its own folder says (scaler, vocabulary, window), from the table that the new model was
made from, and in the present code. Shapes: N examples, M of them that both answer.
"""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unroll import problems
from unroll.core import store
from unroll.core.config import GateConfig
from unroll.core.errors import DataError, UnrollError
from unroll.core.layout import Layout
from unroll.core.scores import Scores, advantage
from unroll.model.trained import Trained
from unroll.problems.common.base import Prepared
from unroll.problems.common.preparation import Questions

Outcome = Literal["better", "not better", "rows differ", "not loaded"]
BATCH = 256
COMMON = 0.9
"""The least share of either model's test rows that both must answer: windows of other lengths begin at other rows."""
SAME_TRUTH = 1e-5
"""What two scalers may do to a true value, relative to the spread of all."""
SAME_SCORE = 1e-3
"""How far a champion's score may be from the one it had on the same rows, relative to it: other processors round."""


@dataclass(frozen=True)
class Duel:
    """How a new model did against the champion, and whether it may take its place.

    ``difference`` is how much better the new one is in the gate's metric (above 0: better), between ``low`` and
    ``high`` with ``confidence``; ``rows`` are those that both answered, ``blocks`` how many of them are independent.
    """

    champion: int
    outcome: Outcome
    reason: str
    confidence: float
    value: float | None = None
    champion_value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    blocks: int | None = None


@dataclass(frozen=True)
class Answered:
    """A model with its test rows, what each asks, and a fingerprint of all that is asked."""

    trained: Trained
    prepared: Prepared
    asked: Questions

    @classmethod
    def of(cls, trained: Trained, prepared: Prepared, metric: str) -> "Answered":
        """On the test part."""
        return cls(trained, prepared, trained.problem.preparation.questions(prepared, "test", metric))

    def scores(self) -> Scores:
        """What the model does on each test row."""
        import torch

        with torch.inference_mode():
            return self.trained.problem.scoring.score(self.trained.model, self.prepared, "test", BATCH)

    def value(self, metric: str) -> Callable[[np.ndarray], np.ndarray]:
        """The metric of summed statistics."""
        return lambda sums: self.trained.problem.scoring.metrics(sums, self.trained.meta)[metric]


Expected = Callable[[str], float | None]
"""What the champion scored when it was evaluated on the test rows of that fingerprint; None where it was on others."""


def fight(layout: Layout, champion: int, folder: Path, gate: GateConfig, expected: Expected) -> Duel:
    """The task's model against the champion, version ``champion``, whose files lie in ``folder``.

    Raises UnrollError where the task's own files are at fault. What is wrong with the champion is an outcome.
    """
    import torch

    ours = Answered.of(Trained.load(layout.model), Prepared.load(layout.prepared), gate.metric)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums come out the same whoever runs this
    layout.state.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=layout.state, prefix="duel.") as place:
            return _fight(layout, champion, folder, gate, expected, ours, Path(place))
    finally:
        torch.set_num_threads(threads)


def _fight(
    layout: Layout, champion: int, folder: Path, gate: GateConfig, expected: Expected, ours: Answered, place: Path
) -> Duel:
    def undecided(outcome: Outcome, why: str) -> Duel:
        return Duel(champion, outcome, why, gate.confidence)

    problem, other = ours.trained.config["problem"], _problem(folder)
    if other != problem:
        return undecided("rows differ", f"it solves the problem {other!r}, this model {problem!r}")
    try:
        trained = Trained.load(folder)
    except Exception as error:  # what another version of the code wrote may fail in any way
        return undecided("not loaded", _line(error))
    try:
        theirs = Answered.of(trained, _prepared_for(trained, ours, layout, place), gate.metric)
        ours_M, theirs_M = common(ours.asked, theirs.asked)
    except UnrollError as error:
        return undecided("rows differ", _line(error))
    except Exception as error:
        return undecided("not loaded", _line(error))
    our_scores = ours.scores()
    try:
        their_scores = theirs.scores()
        found = float(theirs.value(gate.metric)(their_scores.sums()))
    except Exception as error:
        return undecided("not loaded", _line(error))
    known = expected(fingerprint(theirs.asked))
    if known is not None and not agree(found, known):
        reason = f"{gate.metric} {found:.4g} here and {known:.4g} when it was evaluated on the same rows"
        return undecided("not loaded", f"{reason}: this code does not read it as it was trained")
    pair = our_scores.take(ours_M), their_scores.take(theirs_M)
    values = ours.value(gate.metric), theirs.value(gate.metric)
    return _judge(champion, gate, pair, values)


def _judge(
    champion: int,
    gate: GateConfig,
    pair: tuple[Scores, Scores],
    values: tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]],
) -> Duel:
    """From the scores of both on the same rows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ours, theirs = (float(value(scores.sums())) for value, scores in zip(values, pair, strict=True))
    sign = 1 if gate.direction == "higher" else -1
    difference, low, high = advantage(*pair, values, sign, gate.confidence)
    blocks, needed = pair[0].blocks(), blocks_needed(gate.confidence)
    better = blocks >= needed and low > gate.margin
    numbers = f"{gate.metric} {ours:.4g} against {theirs:.4g}, advantage {difference:.3g} ({low:.3g} to {high:.3g})"
    if blocks < needed:
        asked = f"{blocks} independent blocks of {pair[0].block} rows; expected at least {needed} for an interval"
        reason = f"{numbers}: {asked} of {gate.confidence:g}"
    else:
        reason = numbers if better else f"{numbers}, a lower end above {gate.margin:g} is asked"
    return Duel(
        champion=champion,
        outcome="better" if better else "not better",
        reason=reason,
        confidence=gate.confidence,
        value=_known(ours),
        champion_value=_known(theirs),
        difference=_known(difference),
        low=_known(low),
        high=_known(high),
        rows=len(pair[0].statistics_NK),
        blocks=blocks,
    )


def agree(found: float, known: float) -> bool:
    """Whether two scores of one model on the same rows are the same but for rounding.

    >>> agree(0.8001, 0.8), agree(0.81, 0.8)
    (True, False)
    """
    return abs(found - known) <= SAME_SCORE * max(abs(known), SAME_SCORE)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def blocks_needed(confidence: float) -> int:
    """The least number of independent blocks for such an interval.

    With fewer of them all lean one way by chance alone more often than the interval's tail allows (a sign test).

    >>> [blocks_needed(0.9), blocks_needed(0.95), blocks_needed(0.99)]
    [5, 6, 8]
    """
    return math.ceil(math.log2(2 / (1 - confidence)) - 1e-9)


def common(ours: Questions, theirs: Questions) -> tuple[np.ndarray, np.ndarray]:
    """The places (M,) in either model's test rows of those that both answer.

    Raises DataError where these are few, where they do not ask the same, or where the truths are not the same.
    """
    for key in sorted({*ours.about, *theirs.about}):
        if ours.about.get(key) != theirs.about.get(key):
            raise DataError(f"{key} is {theirs.about.get(key)!r:.80} there and {ours.about.get(key)!r:.80} here")
    keys_M, ours_M, theirs_M = np.intersect1d(ours.key_N, theirs.key_N, return_indices=True)
    least = min(len(keys_M) / max(len(side.key_N), 1) for side in (ours, theirs))
    if least < COMMON:
        raise DataError(
            f"{len(keys_M):,} test rows are in both parts, of {len(theirs.key_N):,} there and {len(ours.key_N):,} "
            f"here; expected {COMMON:.0%} of either"
        )
    order = np.argsort(ours_M)  # blocks are neighbours in the order of the rows
    ours_M, theirs_M = ours_M[order], theirs_M[order]
    differ_M = _differ(ours.truth_N[ours_M], theirs.truth_N[theirs_M])
    if differ_M.any():
        first = int(np.argmax(differ_M))
        seen, here = theirs.truth_N[theirs_M[first]], ours.truth_N[ours_M[first]]
        raise DataError(
            f"{int(differ_M.sum()):,} of {len(keys_M):,} test rows have another truth, such as {seen!r:.40} there and "
            f"{here!r:.40} here"
        )
    return ours_M, theirs_M


def _differ(ours_M: np.ndarray, theirs_M: np.ndarray) -> np.ndarray:
    """Where truths are not the same; None agrees with every text."""
    if ours_M.dtype == object:
        unknown_M = np.array([a is None or b is None for a, b in zip(ours_M, theirs_M, strict=True)], dtype=bool)
        return np.asarray(ours_M != theirs_M, dtype=bool) & ~unknown_M
    spread = float(np.std(ours_M)) or 1.0
    return np.abs(ours_M - theirs_M) > SAME_TRUTH * (spread + np.abs(ours_M))


def asked(layout: Layout, metric: str) -> Questions:
    """What the task's own test part asks."""
    name = _problem(layout.model)
    return problems.load(str(name)).preparation.questions(Prepared.load(layout.prepared), "test", metric)


def fingerprint(asked: Questions) -> str:
    """The SHA-256 over what is asked, row by row; equal where rows and truths are the same to the last bit."""
    import hashlib
    import json

    digest = hashlib.sha256(json.dumps(dict(asked.about), sort_keys=True).encode())
    digest.update(asked.key_N.astype("<i8").tobytes())
    truth_N = asked.truth_N
    digest.update(json.dumps(truth_N.tolist()).encode() if truth_N.dtype == object else truth_N.tobytes())
    return digest.hexdigest()


def _problem(folder: Path) -> Any:
    """Read before the problem is imported: a champion's folder does not choose what is imported here."""
    config = store.read_json(folder / "config.json")
    return config.get("problem") if isinstance(config, dict) else None


def _prepared_for(trained: Trained, ours: Answered, layout: Layout, place: Path) -> Prepared:
    """The validated table as this model reads it: what there is where it is ours, else made in ``place``."""
    config = trained.config["prepare"]
    if config == ours.trained.config["prepare"] and trained.meta == ours.prepared.meta:
        return ours.prepared
    problem = trained.problem
    prepare = problem.Prepare.model_validate(config)
    preparation = problem.preparation
    path = layout.validated / "table.parquet"
    table = store.read_table(path, preparation.columns(prepare), preparation.coded(prepare))
    meta = preparation.prepare(table, prepare, place, trained.meta)
    return Prepared(store.read_arrays(place), meta)


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, UnrollError) else f"{type(error).__name__}: {text}"
