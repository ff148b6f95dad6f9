"""A worse, an equal and a better model against a champion, on real rows; the interval against one made by hand."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import contest
import numpy as np
import pytest
from contest import NAME, Contest
from scipy import stats

from unroll import problems
from unroll.core import store
from unroll.core.config import GateConfig
from unroll.core.errors import DataError
from unroll.core.scores import DRAWS, SEED, Scores, advantage
from unroll.problems.common.preparation import Questions
from unroll.registry import challenge, register
from unroll.registry.snapshot import Evaluation
from unroll.tracking import runs


def gate(**changes: Any) -> GateConfig:
    return GateConfig.model_validate(contest.GATE | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("challenge")


@pytest.fixture(scope="module")
def met(folder: Path) -> Contest:
    """A project whose champion-to-be, of one row, lies in ``champion``."""
    made = contest.make(folder / "project")
    made.build(1)
    made.task.layout.model.rename(folder / "champion")
    return made


def compete(met: Contest, folder: Path, **changes: Any) -> challenge.Challenge:
    return challenge.run(met.task.layout, 1, folder / "champion", gate(**changes), None)


def test_a_better_model_wins_by_what_brute_force_finds(met: Contest, folder: Path) -> None:
    ours = met.build(2).table()
    won = compete(met, folder)
    assert won.outcome == "better"
    assert (won.champion, won.rows, won.blocks) == (1, len(ours), -(-len(ours) // 168))
    truth, new = ours["truth"].to_numpy(), ours["guess"].to_numpy()
    prepared = store.read_arrays(met.task.layout.prepared)
    meta = store.read_json(met.task.layout.prepared / "meta.json")
    config, tensors = store.read_json(folder / "champion/config.json"), folder / "champion/weights.safetensors"
    old = _guesses(config, tensors, prepared, meta)
    # By hand: whole weeks drawn with the same generator, R² of each draw from its rows.
    starts, differences = np.arange(0, len(truth), 168), []
    rng = np.random.default_rng(SEED)
    for _ in range(DRAWS):
        weeks = rng.integers(0, len(starts), len(starts))
        rows = np.concatenate([np.arange(starts[w], min(starts[w] + 168, len(truth))) for w in weeks])
        differences.append(_r2(truth[rows], new[rows]) - _r2(truth[rows], old[rows]))
    low, high = np.quantile(differences, [0.025, 0.975])
    assert won.difference == pytest.approx(_r2(truth, new) - _r2(truth, old), rel=1e-5)
    assert (won.low, won.high) == (pytest.approx(low, rel=1e-4), pytest.approx(high, rel=1e-4))
    assert (won.value, won.champion_value) == (
        pytest.approx(_r2(truth, new), rel=1e-6), pytest.approx(_r2(truth, old), rel=1e-6),
    )  # fmt: skip


def _guesses(config: dict[str, Any], weights: Path, arrays: Any, meta: Any) -> np.ndarray:
    """What the champion answers, through ``Problem.score`` of a network that is built here."""
    import torch

    from unroll.problems.common.base import Prepared

    problem = problems.load("forecasting")
    model = problem.learning.model(problem.Model.model_validate(config["model"]), config["meta"])
    model.load_state_dict(store.read_tensors(weights)[0])
    with torch.inference_mode():
        found = problem.scoring.score(model.eval(), Prepared(arrays, meta), "test", 64)
    return found.table()["guess"].to_numpy()


def _r2(truth: np.ndarray, guess: np.ndarray) -> float:
    return float(1 - ((truth - guess) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def test_a_worse_model_loses_and_an_equal_one_does_not_win(met: Contest, folder: Path, tmp_path: Path) -> None:
    met.build(2)
    (tmp_path / "champion").mkdir()
    for path in met.task.layout.model.iterdir():
        (tmp_path / "champion" / path.name).write_bytes(path.read_bytes())
    met.build(1)
    lost = compete(met, tmp_path)
    assert lost.outcome == "not better"
    assert lost.high is not None
    assert lost.high < 0
    met.build(2, note="again")
    equal = compete(met, tmp_path)
    assert (equal.outcome, equal.difference, equal.low, equal.high) == ("not better", 0.0, 0.0, 0.0)
    assert equal.reason().endswith("advantage 0 (0 to 0), expected a lower end above 0")


def test_the_margin_is_asked_of_the_lower_end(met: Contest, folder: Path) -> None:
    met.build(2)
    won = compete(met, folder)
    assert won.low is not None
    assert compete(met, folder, margin=won.low * 0.99).outcome == "better"
    narrow = compete(met, folder, margin=won.low * 1.01)
    assert narrow.outcome == "not better"
    assert narrow.difference == won.difference
    wide = compete(met, folder, confidence=0.99)
    assert wide.low is not None
    assert wide.low < won.low


def test_a_champion_of_another_window_is_fed_with_its_own(met: Contest, folder: Path) -> None:
    """It needs fewer rows before the first forecast: the rows that both answer are compared."""
    ours = met.build(2, lag=12).table()
    won = compete(met, folder)
    assert (won.outcome, won.rows) == ("better", len(ours))
    assert won.champion_value == pytest.approx(score_of_itself(met, folder, lag=12), abs=1e-4)


def score_of_itself(met: Contest, folder: Path, **prepare: Any) -> float:
    """R² of the champion's kind of model on the rows of such windows."""
    from unroll.model.trained import Trained

    champion = Trained.load(folder / "champion")
    place = folder / "itself"
    place.mkdir(exist_ok=True)
    problem = champion.problem
    table = store.read_table(met.task.layout.validated / "table.parquet")
    config = problem.Prepare.model_validate(champion.config["prepare"])
    meta = problem.preparation.prepare(table, config, place)
    guess = _guesses(champion.config, folder / "champion/weights.safetensors", store.read_arrays(place), meta)
    last = meta["examples"]["test"] - len(guess)
    assert last == 0
    from unroll.problems.common.base import Prepared
    from unroll.problems.windows import arrays as _series

    truth = _series.target(Prepared(store.read_arrays(place), meta))
    rows = _series.last_rows(Prepared(store.read_arrays(place), meta), "test") + 1
    shorter = prepare["lag"] - meta["lag"]
    return _r2(truth[rows][shorter:], guess[shorter:])


def test_with_more_data_the_champion_keeps_its_scaler(met: Contest, folder: Path) -> None:
    """Its forecasts of the rows that were there before are the same as before the new rows came."""
    table = contest.series()
    more = contest.series(contest.HOURS + 300)
    assert more["pm10_ug_m3"][: len(table)].equals(table["pm10_ug_m3"])
    louder = more.assign(pm10_ug_m3=more["pm10_ug_m3"].where(more.index > 600, 1.5 * more["pm10_ug_m3"] - 10))
    met.build(2, table=louder)  # train differs, so does a scaler that is fitted on it
    won = compete(met, folder)
    met.build(2, table=table)
    assert won.outcome == "better"
    before = compete(met, folder)
    assert won.rows == (before.rows or 0) + 300
    assert won.champion_value == pytest.approx(before.champion_value, abs=0.03)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        ({"horizon": 2}, r"horizon is 1 there and 2 here"),
        ({"test_from": "2015-03-20"}, r"^\d+ test rows are in both parts, of [\d,]+ there and \d+ here; expected 90%"),
    ],
)  # fmt: skip
def test_other_rows_or_another_question_promote_nothing(
    met: Contest, folder: Path, prepare: dict[str, Any], reason: str
) -> None:
    met.build(2, **prepare)
    found = compete(met, folder)
    met.build(2)
    assert (found.outcome, found.value) == ("rows differ", None)
    assert re.search(reason, found.detail), found.detail


def test_a_champion_of_another_problem_is_not_imported(met: Contest, tmp_path: Path) -> None:
    met.build(2)
    store.write_json(tmp_path / "champion/config.json", {"problem": "os", "model": {}, "meta": {}})
    found = compete(met, tmp_path)
    assert (found.outcome, found.detail) == (
        "rows differ", "it solves the problem 'os', this model 'forecasting'",
    )  # fmt: skip


def test_a_champion_that_cannot_be_read_promotes_nothing(met: Contest, folder: Path, tmp_path: Path) -> None:
    met.build(2)
    config = store.read_json(folder / "champion/config.json")
    store.write_json(tmp_path / "champion/config.json", config)
    found = compete(met, tmp_path)
    assert found.outcome == "not loaded"
    assert "weights.safetensors: not there" in found.detail
    (tmp_path / "champion/weights.safetensors").write_bytes((folder / "champion/weights.safetensors").read_bytes())
    meta = {key: value for key, value in config["meta"].items() if key != "scaler"} | {"lag": 3}
    store.write_json(tmp_path / "champion/config.json", config | {"meta": meta})
    found = compete(met, tmp_path)
    assert found.outcome == "not loaded"


def test_a_champion_that_this_code_reads_otherwise_promotes_nothing(met: Contest, folder: Path) -> None:
    met.build(2)
    layout = met.task.layout
    rows = challenge.rows_of(layout, "r2")
    found = challenge.run(layout, 1, folder / "champion", gate(), Evaluation(rows, 0.9))
    assert found.outcome == "not loaded"
    assert (
        "and 0.9 when it was evaluated on the same rows: this code does not read it as it was trained" in found.detail
    )


def test_too_few_blocks_decide_nothing() -> None:
    """With so few of them that all may lean one way by chance: as a sign test says."""
    assert [challenge.blocks_needed(c) for c in (0.5, 0.9, 0.95, 0.99)] == [2, 5, 6, 8]
    for confidence in (0.8, 0.9, 0.95, 0.99):
        count, tail = challenge.blocks_needed(confidence), (1 - confidence) / 2
        assert stats.binomtest(count, count, alternative="greater").pvalue <= tail + 1e-12
        assert stats.binomtest(count - 1, count - 1, alternative="greater").pvalue > tail


def test_a_short_test_part_says_so(met: Contest, folder: Path) -> None:
    met.build(1, test_from="2015-03-20")
    old = folder / "short"
    old.mkdir()
    met.task.layout.model.rename(old / "champion")
    met.build(2, test_from="2015-03-20")
    found = compete(met, old)
    met.build(2)
    assert found.outcome == "not better"
    words = f"{found.blocks} independent blocks of 168 rows; expected at least 6 for an interval of 0.95"
    assert words in found.reason()


def test_rows_are_matched_by_key_and_truths_must_agree() -> None:
    keys = np.arange(100)
    here = Questions({"x": 1}, keys, keys * 1.0)
    there = Questions({"x": 1}, keys[::-1][:95], keys[::-1][:95] * 1.0)
    ours, theirs = challenge.common(here, there)
    assert np.array_equal(keys[ours], there.key_N[theirs])
    assert (np.diff(ours) > 0).all()
    with pytest.raises(DataError, match=r"^1 of 95 test rows have another truth, such as np\.float64\(7\.5\) there"):
        challenge.common(here, replace(there, truth_N=np.where(there.key_N == 7, 7.5, there.truth_N)))
    texts = np.array(["a", "b", None], dtype=object)
    assert len(challenge.common(Questions({}, keys[:3], texts), Questions({}, keys[:3], texts[[0, 1, 0]]))[0]) == 3
    with pytest.raises(DataError, match=r"^1 of 3 test rows have another truth, such as 'c' there and 'a' here$"):
        challenge.common(
            Questions({}, keys[:3], texts), Questions({}, keys[:3], np.array(["c", "b", "z"], dtype=object))
        )
    with pytest.raises(DataError, match=r"^x is None there and 1 here$"):
        challenge.common(here, Questions({}, keys, keys * 1.0))


def test_fingerprints_tell_keys_truths_and_questions_apart() -> None:
    keys = np.arange(4)
    first = Questions({"a": 1}, keys, keys * 0.5)
    others = [
        Questions({"a": 2}, keys, keys * 0.5),
        Questions({"a": 1}, keys + 1, keys * 0.5),
        Questions({"a": 1}, keys, keys * 0.25),
        Questions({"a": 1}, keys, np.array(["0", "1", "2", None], dtype=object)),
    ]
    assert len({challenge.fingerprint(each) for each in [first, *others]}) == 5
    assert challenge.fingerprint(Questions({"a": 1}, keys.astype(np.int32), keys * 0.5)) == challenge.fingerprint(first)


def test_the_paired_interval_is_that_of_scipy() -> None:
    rng = np.random.default_rng(3)
    ours, theirs = rng.normal(0.1, 1, 400), rng.normal(0, 1, 400)
    pair = [Scores(np.stack([np.ones(400), values], axis=1)) for values in (ours, theirs)]

    def mean(sums: np.ndarray) -> np.ndarray:
        return sums[..., 1] / sums[..., 0]

    value, low, high = advantage(pair[0], pair[1], (mean, mean), 1, 0.9)
    found = stats.bootstrap(
        (ours - theirs,), np.mean, n_resamples=5000, confidence_level=0.9, method="percentile", rng=1
    ).confidence_interval
    assert value == pytest.approx((ours - theirs).mean())
    assert (low, high) == (pytest.approx(found.low, abs=0.015), pytest.approx(found.high, abs=0.015))


def test_an_equal_model_rarely_wins() -> None:
    """Coverage: of pairs that differ by chance alone, about the interval's upper tail has a lower end above 0."""
    rng = np.random.default_rng(0)

    def mean(sums: np.ndarray) -> np.ndarray:
        return sums[..., 1] / sums[..., 0]

    wins = 0
    for _ in range(400):
        shared = np.repeat(rng.normal(size=40), 5)  # neighbours are alike
        pair = [
            Scores(np.stack([np.ones(200), shared + np.repeat(rng.normal(size=40), 5)], axis=1), 5) for _ in range(2)
        ]
        wins += advantage(pair[0], pair[1], (mean, mean), 1, 0.95)[1] > 0
    assert 2 <= wins <= 24  # 2.5 % of 400 are 10


def test_the_registered_verdict_holds_the_numbers(tmp_path: Path) -> None:
    """Worse, equal and better through the real registry: alias, tags and gate.json."""
    made = contest.make(tmp_path / "project")
    first = made.enter(2)
    assert (first.passed, first.challenge, made.aliases()) == (True, None, {"champion": 1})
    worse = made.enter(1)
    assert (worse.passed, made.aliases()) == (False, {"champion": 1, "challenger": 2})
    assert worse.reason.startswith("not better than champion 1: r2 ")
    equal = made.enter(2, note="again")
    assert (equal.passed, made.aliases()) == (False, {"champion": 1, "challenger": 3})
    better = made.enter(4)  # it beats a champion of one row, not one of two: these tell all there is
    assert (better.passed, made.aliases()["champion"]) == (False, 1)
    tags = made.client().get_model_version(NAME, "2").tags
    assert (tags["challenge.outcome"], tags["challenge.champion"], tags["unroll.verdict"]) == (
        "not better",
        "1",
        "refused",
    )
    assert float(tags["challenge.high"]) < 0
    written = store.read_json(made.task.layout.reports / "gate.json")
    assert written["challenge"]["outcome"] == "not better"
    assert (written["champion"], written["alias"], written["version"]) == (1, "challenger", 4)
    assert register.is_published(made.root, NAME)


def test_a_better_model_takes_the_place(tmp_path: Path) -> None:
    made = contest.make(tmp_path / "project")
    made.enter(1)
    better = made.enter(2)
    assert (better.passed, made.aliases()) == (True, {"champion": 2})
    assert "; better than champion 1: r2 " in better.reason
    tags = made.client().get_model_version(NAME, "2").tags
    assert (tags["challenge.outcome"], tags["unroll.verdict"]) == ("better", "passed")
    assert float(tags["challenge.low"]) > 0
    assert tags["unroll.model_hash"] == runs.model_hash(made.task.layout.model)
    assert register.is_published(made.root, NAME)
    assert made.register().alias == "champion"  # the same model stays, without a challenge
    assert made.aliases() == {"champion": 2}
