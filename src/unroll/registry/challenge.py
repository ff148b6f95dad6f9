"""A new model challenges the champion: both are scored on the same test rows, and the difference gets an interval.

The champion gets what its own folder says (scaler, vocabulary, window), from the table that the new model was made
from, and runs in the present code. Shapes: N examples, M of them that both answer.
"""

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
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
from unroll.registry.snapshot import Evaluation

BATCH = 256
COMMON = 0.9
"""The least share of either model's test rows that both must answer: windows of other lengths begin at other rows."""
SAME_TRUTH = 1e-5
"""What two scalers may do to a true value, relative to the spread of all."""
SAME_SCORE = 1e-3
"""How far a champion's score may be from the one it had on the same rows, relative to it: other processors round."""
TAGS = ("challenge.", "duel.")
"""What tags of a version with its challenge begin with; the second one in registries of earlier versions."""
TERMS = ("metric", "direction", "margin")
"""Without tags of the challenge's own, as in earlier versions, those of the version's gate say them."""
TEXTS = ("outcome", "metric", "direction")
"""Fields whose tags are text; those of the others are JSON."""


class Outcome(StrEnum):
    """How a challenge ended; only the first lets the new model replace the champion."""

    BETTER = "better"
    NOT_BETTER = "not better"
    ROWS_DIFFER = "rows differ"
    NOT_LOADED = "not loaded"


@dataclass(frozen=True)
class Challenge:
    """How a new model did against the champion.

    ``metric``, ``direction``, ``margin`` and ``confidence`` are the gate's. ``difference`` is how much better the new
    one is in the metric (above 0: better), between ``low`` and ``high``. ``rows`` are those that both answered, in
    ``blocks`` independent blocks of ``block_rows``. ``detail`` says, for people, why nothing could be decided.
    """

    champion: int
    outcome: Outcome
    metric: str
    direction: Literal["higher", "lower"]
    margin: float
    confidence: float
    detail: str = ""
    value: float | None = None
    champion_value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    blocks: int | None = None
    block_rows: int | None = None

    def reason(self) -> str:
        """The result in words."""
        if self.outcome in (Outcome.ROWS_DIFFER, Outcome.NOT_LOADED):
            return self.detail
        ours, theirs = (_digits(value, 4) for value in (self.value, self.champion_value))
        difference, low, high = (_digits(value, 3) for value in (self.difference, self.low, self.high))
        numbers = f"{self.metric} {ours} against {theirs}, advantage {difference} ({low} to {high})"
        needed = blocks_needed(self.confidence)
        if self.outcome is Outcome.NOT_BETTER and self.blocks is not None and self.blocks < needed:
            blocks = f"{self.blocks} independent blocks of {self.block_rows} rows"
            return f"{numbers}: {blocks}; expected at least {needed} for an interval of {self.confidence:g}"
        if self.outcome is Outcome.NOT_BETTER:
            return f"{numbers}, expected a lower end above {self.margin:g}"
        return numbers

    def tags(self) -> dict[str, str]:
        """As tags of a version."""
        values = {key: value for key, value in asdict(self).items() if key != "detail"}
        return {TAGS[0] + key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> "Challenge | None":
        """From tags of a version; None where they have none that can be read, or do not say what it was about."""
        gate = {key: tags[f"gate.{key}"] for key in TERMS if f"gate.{key}" in tags}
        for prefix in TAGS:
            own = {key.removeprefix(prefix): value for key, value in tags.items() if key.startswith(prefix)}
            known = {field.name: (gate | own).get(field.name) for field in fields(cls)}
            try:
                values: dict[str, Any] = {
                    k: v if k in TEXTS else json.loads(v) for k, v in known.items() if v is not None
                }
                return cls(**values | {"outcome": Outcome(values["outcome"])})
            except (KeyError, TypeError, ValueError):
                continue
        return None


@dataclass(frozen=True)
class Contestant:
    """A model with its test rows and what each of them asks."""

    trained: Trained
    prepared: Prepared
    questions: Questions

    @classmethod
    def of(cls, trained: Trained, prepared: Prepared, metric: str) -> "Contestant":
        """On the test part."""
        return cls(trained, prepared, trained.problem.preparation.questions(prepared, "test", metric))

    def scores(self) -> Scores:
        """What the model scores on each test row."""
        import torch

        with torch.inference_mode():
            return self.trained.problem.scoring.score(self.trained.model, self.prepared, "test", BATCH)

    def value(self, metric: str) -> Callable[[np.ndarray], np.ndarray]:
        """The metric of summed statistics."""
        return lambda sums: self.trained.problem.scoring.metrics(sums, self.trained.meta)[metric]


class _Undecided(Exception):  # noqa: N818 - an outcome
    """The models cannot be compared: the outcome, and why."""


@contextmanager
def _faults_are(outcome: Outcome) -> Iterator[None]:
    """A fault of the champion's is an outcome; one that is no UnrollError is of a model that this code cannot read."""
    try:
        yield
    except UnrollError as error:
        raise _Undecided(outcome, " ".join(str(error).split())[:300]) from error
    except Exception as error:  # a model of another version of the code may fail in any way
        words = " ".join(str(error).split())[:300]
        raise _Undecided(Outcome.NOT_LOADED, f"{type(error).__name__}: {words}") from error


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums come out the same on every machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def run(layout: Layout, champion: int, folder: Path, gate: GateConfig, recorded: Evaluation | None) -> Challenge:
    """The task's model against the champion, version ``champion``, whose files are in ``folder``.

    ``recorded`` is the champion's own evaluation: on the same rows its score must come out again. Raises UnrollError
    if the task's own files are at fault. What is wrong with the champion is an outcome.
    """
    ours = Contestant.of(Trained.load(layout.model), Prepared.load(layout.prepared), gate.metric)
    layout.state.mkdir(parents=True, exist_ok=True)
    try:
        with _one_thread(), tempfile.TemporaryDirectory(dir=layout.state, prefix="challenge.") as place:
            theirs = _opponent(ours, layout, folder, gate.metric, Path(place))
            return _compare(champion, gate, ours, theirs, recorded)
    except _Undecided as fault:
        outcome, detail = fault.args
        return undecided(champion, outcome, gate, detail)


def undecided(champion: int, outcome: Outcome, gate: GateConfig, detail: str) -> Challenge:
    """A challenge without numbers, and why."""
    return Challenge(champion, outcome, gate.metric, gate.direction, gate.margin, gate.confidence, detail)


def _opponent(ours: Contestant, layout: Layout, folder: Path, metric: str, place: Path) -> Contestant:
    """The champion on its own test rows; ``place`` is for its arrays."""
    problem, other = ours.trained.config["problem"], problem_of(folder)
    if other != problem:
        raise _Undecided(Outcome.ROWS_DIFFER, f"it solves the problem {other!r}, this model {problem!r}")
    with _faults_are(Outcome.NOT_LOADED):
        trained = Trained.load(folder)
    with _faults_are(Outcome.ROWS_DIFFER):
        return Contestant.of(trained, _prepared_for(trained, ours, layout, place), metric)


def _compare(
    champion: int, gate: GateConfig, ours: Contestant, theirs: Contestant, recorded: Evaluation | None
) -> Challenge:
    metric, values = gate.metric, (ours.value(gate.metric), theirs.value(gate.metric))
    with _faults_are(Outcome.ROWS_DIFFER):
        ours_M, theirs_M = common(ours.questions, theirs.questions)
    our_scores = ours.scores()
    with _faults_are(Outcome.NOT_LOADED):
        their_scores = theirs.scores()
        score = float(values[1](their_scores.sums()))
    if recorded and recorded.rows == fingerprint(theirs.questions) and not agree(score, recorded.score):
        scores = f"{metric} {score:.4g} here and {recorded.score:.4g} when it was evaluated on the same rows"
        raise _Undecided(Outcome.NOT_LOADED, f"{scores}: this code does not read it as it was trained")
    pair = our_scores.take(ours_M), their_scores.take(theirs_M)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, champion_value = (float(metric_of(part.sums())) for metric_of, part in zip(values, pair, strict=True))
    sign, blocks = 1 if gate.direction == "higher" else -1, pair[0].blocks()
    difference, low, high = advantage(*pair, values, sign, gate.confidence)
    better = blocks >= blocks_needed(gate.confidence) and low > gate.margin
    return Challenge(
        champion=champion,
        outcome=Outcome.BETTER if better else Outcome.NOT_BETTER,
        metric=metric,
        direction=gate.direction,
        margin=gate.margin,
        confidence=gate.confidence,
        value=_finite(value),
        champion_value=_finite(champion_value),
        difference=_finite(difference),
        low=_finite(low),
        high=_finite(high),
        rows=len(pair[0].statistics_NK),
        blocks=blocks,
        block_rows=pair[0].block,
    )


def agree(score: float, recorded: float) -> bool:
    """Whether two scores of one model on the same rows are the same but for rounding.

    >>> agree(0.8001, 0.8), agree(0.81, 0.8)
    (True, False)
    """
    return abs(score - recorded) <= SAME_SCORE * max(abs(recorded), SAME_SCORE)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _digits(value: float | None, digits: int) -> str:
    return "undefined" if value is None else f"{value:.{digits}g}"


def blocks_needed(confidence: float) -> int:
    """The least number of independent blocks for such an interval.

    With fewer of them all lean one way by chance alone more often than the interval's tail allows (a sign test).

    >>> [blocks_needed(0.9), blocks_needed(0.95), blocks_needed(0.99)]
    [5, 6, 8]
    """
    return math.ceil(math.log2(2 / (1 - confidence)) - 1e-9)


def common(ours: Questions, theirs: Questions) -> tuple[np.ndarray, np.ndarray]:
    """The places (M,) in either model's test rows of those that both answer.

    Raises DataError if these are few, if the questions differ, or if the truths differ.
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
        there, here = theirs.truth_N[theirs_M[first]], ours.truth_N[ours_M[first]]
        raise DataError(
            f"{int(differ_M.sum()):,} of {len(keys_M):,} test rows have another truth, such as {there!r:.40} there and "
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


def rows_of(layout: Layout, metric: str) -> str:
    """The fingerprint of the task's own test rows."""
    problem = problems.load(problem_of(layout.model))
    return fingerprint(problem.preparation.questions(Prepared.load(layout.prepared), "test", metric))


def fingerprint(rows: Questions) -> str:
    """The SHA-256 over what is asked, row by row; equal if rows and truths are the same to the last bit."""
    import hashlib

    digest = hashlib.sha256(json.dumps(dict(rows.about), sort_keys=True).encode())
    digest.update(rows.key_N.astype("<i8").tobytes())
    truth_N = rows.truth_N
    digest.update(json.dumps(truth_N.tolist()).encode() if truth_N.dtype == object else truth_N.tobytes())
    return digest.hexdigest()


def problem_of(folder: Path) -> str:
    """Read before the problem is imported: a champion's folder does not choose what is imported here."""
    config = store.read_json(folder / "config.json")
    return str(config.get("problem", "")) if isinstance(config, dict) else ""


def _prepared_for(trained: Trained, ours: Contestant, layout: Layout, place: Path) -> Prepared:
    """The validated table as this model reads it: ours if it reads the same, else made in ``place``."""
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
