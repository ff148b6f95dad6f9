"""Model card and results table: what they say, and that a verdict follows the interval."""

from pathlib import Path
from typing import Any

import pytest
from fakes import TASK, line, write_trained
from rich.console import Console

from unroll import problems
from unroll.core import store
from unroll.core.errors import StoreError
from unroll.core.layout import Layout
from unroll.model.trained import Trained
from unroll.pipeline import results
from unroll.stages.common.task import Task
from unroll.stages.evaluate import evaluate, model_card


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(problems, "load", lambda name: line())
    layout = write_trained(tmp_path)
    evaluate.evaluate(Task.open(tmp_path, TASK))
    return layout


def card(layout: Layout) -> str:
    return (layout.reports / "model_card.md").read_text(encoding="utf-8")


def shown(root: Path, *tasks: str) -> str:
    console = Console(width=160, record=True, file=(root / "out.txt").open("w", encoding="utf-8"))
    console.print(results.results_table(root, tasks))
    return console.export_text()


def test_card_says_what_on_what_and_how(layout: Layout) -> None:
    text = card(layout)
    assert text.startswith(
        "# Model card: points\n\nA recurrent network for the problem `line`. Fits a straight line.\n"
    )
    assert "not for the card" not in text
    assert "Dataset `ruler`, source `sample`." in text
    assert "| train | 1,000 |" in text
    assert "| `problem` | line |" in text
    assert "2 parameters, from the block `model`" in text
    assert "3 of at most 5 epochs; the weights kept are those of epoch 2" in text
    assert "| `clip_norm` | none |" in text
    assert "generated sample data" in text
    assert "An input of an impossible form is refused with a message" in text
    assert f"dvc repro evaluate@{TASK}" in text


def test_card_gives_results_with_intervals_and_verdicts(layout: Layout) -> None:
    text = card(layout)
    metrics = store.read_json(layout.reports / "metrics.json")
    test = metrics["test"]
    assert f"| **network** | {test['mse']:.3f} [{test['mse_low']:.3f}, {test['mse_high']:.3f}] | undefined |" in text
    assert "**Better than constant** in mse" in text
    assert "**Worse than near truth** in mse" in text
    worst = max(metrics["groups"]["by_side"].items(), key=lambda item: item[1]["mse"])
    assert f"Weakest group: side {worst[0]}, with mse {worst[1]['mse']:.3f} on 120 examples." in text


def test_every_figure_of_the_card_is_there(layout: Layout) -> None:
    links = [line.split("](")[1].rstrip(")") for line in card(layout).splitlines() if line.startswith("![")]
    assert [Path(link).stem for link in links] == ["comparison", "points", "learning_curves", "learning_metric"]
    assert all((layout.reports / link).is_file() for link in links)


def test_card_holds_no_path_of_this_machine(layout: Layout) -> None:
    store.write_json(layout.raw / "manifest.json", {"source": str(layout.root / "mine"), "files": {}})
    evaluate.evaluate(Task.open(layout.root, TASK))
    assert "source a folder on disk." in card(layout)
    assert str(layout.root) not in card(layout)
    assert "generated sample data" not in card(layout)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.01, 0.03, "Better than"), (-0.01, 0.03, "Not told apart from"), (-0.03, -0.01, "Worse than"),
     (None, None, "Cannot be compared with")],
)  # fmt: skip
def test_verdict_follows_the_interval(low: float | None, high: float | None, words: str) -> None:
    advantage = {"seasonal_naive": {"r2": 0.02, "r2_low": low, "r2_high": high}}
    (sentence,) = model_card.verdicts({"headline": "r2", "advantage": advantage})
    assert sentence.startswith(f"**{words} seasonal naive**")


@pytest.mark.parametrize(("schedule", "named"), [("constant", True), ("one_cycle", False)])
def test_training_that_ended_on_its_best_epoch_is_named(layout: Layout, schedule: str, named: bool) -> None:
    config = store.read_json(layout.model / "config.json")
    assert "with more epochs" not in card(layout)
    train = config["train"] | {"schedule": schedule}
    store.write_json(layout.model / "config.json", config | {"epochs": 5, "best_epoch": 5, "train": train})
    evaluate.evaluate(Task.open(layout.root, TASK))
    assert ("with more epochs it may become better" in card(layout)) == named


def test_groups_are_a_table_where_they_are_few(layout: Layout) -> None:
    metrics = store.read_json(layout.reports / "metrics.json")
    left = metrics["groups"]["by_side"]["left"]
    text = card(layout)
    assert "### By side\n\n| side | examples | mse | undefined |" in text
    assert f"| left | 120 | {left['mse']:.3f} [{left['mse_low']:.3f}, {left['mse_high']:.3f}] | undefined |" in text
    assert "without width" not in text
    metrics["groups"]["by_side"]["left"] |= {"mse_low": left["mse"], "mse_high": left["mse"]}
    trained, origin = Trained.load(layout.model), model_card.Origin("ruler", "`sample`")
    assert "without width" in model_card.model_card(trained, origin, metrics, [])
    metrics["groups"]["by_side"]["left"] |= {"mse_low": None, "mse_high": None}
    assert "without width" not in model_card.model_card(trained, origin, metrics, [])
    metrics["groups"]["by_side"] = {str(place): left for place in range(13)}
    assert "### By side" not in model_card.model_card(trained, origin, metrics, [])


def test_errors_have_the_unit_of_the_target(layout: Layout) -> None:
    metrics = store.read_json(layout.reports / "metrics.json")
    for found in (metrics["test"], *metrics["baselines"].values()):
        found |= {f"rmse{end}": 1.0 for end in ("", "_low", "_high")}
    trained = Trained.load(layout.model)
    trained.config["meta"]["target"] = "pm10_ug_m3"
    text = model_card.model_card(trained, model_card.Origin("ruler", "`sample`"), metrics, [])
    assert "|  | mse | undefined | RMSE (µg/m³) |" in text


@pytest.mark.parametrize(("value", "low", "named"), [(1.0, 1.0, True), (1.0, 0.99, False), (0.5, 0.5, False)])
def test_an_interval_without_width_is_explained(layout: Layout, value: float, low: float, named: bool) -> None:
    metrics = store.read_json(layout.reports / "metrics.json")
    metrics["test"] |= {"mse": value, "mse_low": low, "mse_high": value}
    text = model_card.model_card(Trained.load(layout.model), model_card.Origin("ruler", "`sample`"), metrics, [])
    assert ("the true rate may still be up to 0.013 from 1" in text) == named  # 3 / 240


def test_faulty_history_is_one_line(layout: Layout) -> None:
    path = layout.model / "history.csv"
    path.write_text("epoch,train_loss\n1,0.5\n")
    with pytest.raises(StoreError, match="column 'validation_loss' is missing"):
        model_card.read_history(path)
    path.unlink()
    with pytest.raises(StoreError, match="no history of epochs"):
        model_card.read_history(path)


def test_results_table(layout: Layout) -> None:
    metrics: dict[str, Any] = store.read_json(layout.reports / "metrics.json")
    gate = {"passed": False, "alias": "challenger", "reason": "mse 0.12, ≤ 0.1 is asked"}
    store.write_json(layout.reports / "gate.json", gate)
    store.write_json(layout.state / "timings.json", {"train": 40.0, "evaluate": 2.6})
    text = shown(layout.root, TASK, "absent")
    row = next(line for line in text.splitlines() if TASK in line)
    for part in (
        f"{metrics['test']['mse']:.3f} [",
        "near truth 1.0e-06",
        "challenger: mse 0.12, ≤ 0.1 is asked",
        " 43 ",
    ):
        assert part in row
    store.write_json(layout.reports / "gate.json", gate | {"passed": True, "alias": "champion"})
    assert " champion " in shown(layout.root, TASK)
    won = gate | {"passed": True, "alias": "champion", "challenge": {"difference": 0.0213, "champion": 3}}
    store.write_json(layout.reports / "gate.json", won)
    assert " champion: by 0.021 over version 3 " in shown(layout.root, TASK)
    assert "each as it ran last" in text
    assert "not evaluated" in next(line for line in text.splitlines() if "absent" in line)
