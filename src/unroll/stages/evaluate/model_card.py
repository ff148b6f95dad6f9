"""What a person reads of an evaluated model: figures and a model card."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from unroll.core import store
from unroll.core.errors import StoreError
from unroll.core.layout import Layout
from unroll.display.wording import cell, measure, number, words
from unroll.model.trained import Trained
from unroll.problems.common.scoring import Figure
from unroll.stages.common.task import Task
from unroll.stages.evaluate.figures import render

if TYPE_CHECKING:
    import pandas as pd

Metrics = Mapping[str, Any]
"""The content of ``metrics.json``."""

SCOPE = (
    "The numbers hold for data that come about as those of the test part did. The intervals tell how much they would "
    "move with other rows of that kind, not with data of another kind."
)
REFUSED = (
    "An input of an impossible form is refused with a message; a possible one is answered without a warning, however "
    "unlike the training data it is."
)
MAX_COLUMNS = 10
"""Metrics that stand side by side; more of them stand below each other, and the models side by side."""
MAX_GROUPS = 12
"""More are no table for a card; ``metrics.json`` has them all."""


@dataclass(frozen=True)
class Origin:
    """Where a task's data come from: ``sample``, ``lab`` or a folder on disk."""

    dataset: str
    source: str

    def named(self) -> str:
        """The source as the card tells it; a folder outside the project is not named."""
        return "a folder on disk" if PurePath(self.source).is_absolute() else f"`{self.source}`"

    @classmethod
    def read(cls, task: Task) -> "Origin":
        """From the parameters and the manifest that ingest wrote."""
        source = str(store.read_json(task.layout.raw / "manifest.json")["source"])
        return cls(task.params.value(task.name, "data.dataset"), source)


def write(layout: Layout, trained: Trained, origin: Origin, metrics: Metrics, figures: Iterable[Figure]) -> None:
    """Write ``figures/`` (pictures), ``tables/`` (what they show), ``learning_curves.csv`` and ``model_card.md``.

    The learning curves stand apart from the other tables because DVC draws them.
    """
    history = read_history(layout.model / "history.csv")
    curves, *other_curves = learning_curves(history, trained)
    every = [comparison(metrics, trained), *figures, curves, *other_curves]
    reports = layout.reports
    with store.atomic_folder(reports / "figures") as pictures, store.atomic_folder(reports / "tables") as tables:
        for figure in every:
            render.write(figure, pictures, reports if figure is curves else tables)
    store.write_text(layout.reports / "model_card.md", model_card(trained, origin, metrics, every))


def read_history(path: Path) -> "pd.DataFrame":
    """The epochs of a training; raises StoreError where they are missing or no table."""
    import pandas as pd

    try:
        history = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: no history of epochs: {error}") from None
    required = ("epoch", "train_loss", "validation_loss")
    missing = [name for name in required if name not in history]
    if missing:
        raise StoreError(f"{path}: column {missing[0]!r} is missing; expected {', '.join(required)}")
    return history


def learning_curves(history: "pd.DataFrame", trained: Trained) -> list[Figure]:
    """Losses by epoch, and the headline metric on validation by epoch."""
    scoring, best = trained.problem.scoring, trained.config["best_epoch"]
    kept = f"(weights kept: epoch {best})"
    loss_label = f"loss (mean over {scoring.unit})"
    losses = history[["epoch", "train_loss", "validation_loss"]]
    curves = [Figure("learning_curves", "lines", f"Learning curves {kept}", losses, "epoch", "epoch", loss_label)]
    column = f"validation_{scoring.headline}"
    if column in history:
        title = f"{_capital(words(scoring.headline))} on validation {kept}"
        frame = history[["epoch", column]]
        curves.append(Figure("learning_metric", "lines", title, frame, "epoch", "epoch", words(scoring.headline)))
    return curves


def comparison(metrics: Metrics, trained: Trained) -> Figure:
    """The headline metric of the model beside each baseline, with 95 % intervals."""
    import pandas as pd

    headline = metrics["headline"]
    rows = [
        {"name": name, "value": scores[headline], "low": scores[f"{headline}_low"], "high": scores[f"{headline}_high"]}
        for name, scores in {render.NETWORK: metrics["test"], **metrics["baselines"]}.items()
    ]
    frame = pd.DataFrame(rows).astype({"value": float, "low": float, "high": float})
    direction = "higher" if trained.problem.scoring.higher_is_better else "lower"
    title = f"{_capital(words(headline))} on the test part"
    measured = f"{measure(headline, _target(trained))} ({direction} is better)"
    return Figure("comparison", "bars", title, frame, "name", "", measured)


def model_card(trained: Trained, origin: Origin, metrics: Metrics, figures: Sequence[Figure]) -> str:
    """The card as Markdown: what it is, on what and how it was trained, how good it is, where it is weak."""
    config, task = trained.config, metrics["task"]
    course = (
        f"{config['epochs']} of at most {config['train']['epochs']} epochs; the weights kept are those of epoch "
        f"{config['best_epoch']}, which had the lowest validation loss. The block `train`:"
    )
    rows = (
        f"On {metrics['examples']:,} examples of the test part, which neither training nor any choice "
        "has seen. In brackets: 95 % bootstrap intervals."
    )
    parts = [
        f"# Model card: {task}",
        _purpose(trained),
        "## Data",
        _data(trained, origin),
        "The block `prepare`:",
        _pairs(config["prepare"]),
        "## Network",
        f"{sum(p.numel() for p in trained.model.parameters()):,} parameters, from the block `model`:",
        _pairs(config["model"]),
        "## Training",
        course,
        _pairs(config["train"]),
        "## Results",
        rows,
        _results(metrics, _target(trained)),
        *verdicts(metrics),
        *_groups(metrics, _target(trained)),
        "## Figures",
        *(f"![{figure.title}](figures/{figure.name}.png)" for figure in figures),
        "## Limits",
        "\n".join(f"- {limit}" for limit in _limits(trained, origin, metrics)),
        "## Reproduce",
        f"```console\ndvc repro evaluate@{task}\n```",
        "The same data, parameters and versions give the same weights and the same numbers.",
    ]
    return "\n\n".join(parts) + "\n"


def verdicts(metrics: Metrics) -> list[str]:
    """For each baseline one sentence: better, worse, or not to be told apart by these rows."""
    headline = metrics["headline"]
    sentences = []
    for name, difference in metrics["advantage"].items():
        value, low, high = (difference[f"{headline}{end}"] for end in ("", "_low", "_high"))
        if None in (value, low, high):
            sentences.append(f"**Cannot be compared with {words(name)}**: the difference is undefined.")
            continue
        verdict = "Better than" if low > 0 else "Worse than" if high < 0 else "Not told apart from"
        sentences.append(
            f"**{verdict} {words(name)}** in {words(headline)}: the difference, counted as positive where the network "
            f"is better, is {number(value)} [{number(low)}, {number(high)}]."
        )
    return sentences


def _purpose(trained: Trained) -> str:
    return f"A recurrent network for the problem `{trained.config['problem']}`. {trained.problem.about}"


def _data(trained: Trained, origin: Origin) -> str:
    text = f"Dataset `{origin.dataset}`, source {origin.named()}."
    counts = trained.meta.get("examples")
    if not isinstance(counts, Mapping):
        return text
    return (
        text
        + "\n\n"
        + _markdown(["split", "examples"], [[str(split), f"{count:,}"] for split, count in counts.items()])
    )


def _pairs(block: Mapping[str, Any]) -> str:
    return _markdown(["key", "value"], [[f"`{key}`", _value(value)] for key, value in block.items()])


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _target(trained: Trained) -> str:
    """The column that is forecast, whose name ends in its unit; empty for problems without one."""
    return str(trained.meta.get("target", ""))


def _groups(metrics: Metrics, target: str) -> Iterator[str]:
    """A table for each grouping of few groups."""
    for grouping, groups in metrics["groups"].items():
        if not 0 < len(groups) <= MAX_GROUPS:
            continue
        names = _metric_names(next(iter(groups.values())))
        rows = [[group, f"{v['count']:,}", *(with_interval(v, name) for name in names)] for group, v in groups.items()]
        yield f"### {_capital(words(grouping))}"
        kind = words(grouping).removeprefix("by ")
        yield _markdown([kind, "examples", *(measure(name, target) for name in names)], rows)
        ends = [(scores[f"{name}_low"], scores[f"{name}_high"]) for scores in groups.values() for name in names]
        if any(low is not None and low == high for low, high in ends):
            yield "An interval without width: the draws were all alike, which in a small group says little."


def _metric_names(scores: Mapping[str, Any]) -> list[str]:
    return [name for name in scores if name != "count" and not name.endswith(("_low", "_high"))]


def _results(metrics: Metrics, target: str) -> str:
    names = _metric_names(metrics["test"])
    rows = [
        [f"**{words(who)}**" if who == render.NETWORK else words(who), *(with_interval(scores, n) for n in names)]
        for who, scores in {render.NETWORK: metrics["test"], **metrics["baselines"]}.items()
    ]
    heads = ["", *(measure(name, target) for name in names)]
    if len(names) > MAX_COLUMNS:  # several horizons: what is long goes downwards
        heads, *rows = map(list, zip(heads, *rows, strict=True))
    return _markdown(heads, rows)


def with_interval(scores: Mapping[str, float | None], name: str) -> str:
    """A metric with its 95 % interval in brackets, as far as it has one."""
    value, low, high = scores[name], scores[f"{name}_low"], scores[f"{name}_high"]
    if value is None:
        return "undefined"
    return number(value) + (f" [{number(low)}, {number(high)}]" if low is not None and high is not None else "")


def _limits(trained: Trained, origin: Origin, metrics: Metrics) -> list[str]:
    config = trained.config
    limits = [SCOPE, REFUSED]
    if origin.source == "sample":
        limits.insert(0, "Trained and tested on generated sample data: nothing here is measured on the real source.")
    limits += filter(None, [_weakest_group(metrics, trained.problem.scoring.higher_is_better), _rule_of_three(metrics)])
    ended_best = config["best_epoch"] == config["epochs"] == config["train"]["epochs"]
    if ended_best and config["train"]["schedule"] == "constant":  # any other schedule ends at a low rate by intent
        limits.append("The last epoch was the best one: with more epochs it may become better.")
    return limits


def _weakest_group(metrics: Metrics, higher_is_better: bool) -> str:
    """The group with the worst headline metric (by class: F1), where it has examples enough; else empty."""
    headline = metrics["headline"]
    scored = []
    for grouping, groups in metrics["groups"].items():
        for group, values in groups.items():
            name = next((name for name in (headline, "f1") if values.get(name) is not None), None)
            if name and values["count"] >= render.MIN_GROUP:
                scored.append((values[name], name, f"{words(grouping).removeprefix('by ')} {group}", values["count"]))
    if not scored:
        return ""
    value, name, where, count = (min if higher_is_better else max)(scored, key=lambda entry: entry[0])
    return f"Weakest group: {where}, with {words(name)} {number(value)} on {count:,} examples."


def _rule_of_three(metrics: Metrics) -> str:
    """Where every example came out the same, the bootstrap sees no spread; 3 / N bounds the rate all the same."""
    headline, test = metrics["headline"], metrics["test"]
    value = test[headline]
    if value not in (0, 1) or (test[f"{headline}_low"], test[f"{headline}_high"]) != (value, value):
        return ""
    bound = number(3 / metrics["examples"])
    return (
        f"Every example gave the same {words(headline)}, so its interval has no width; the true rate may still be up "
        f"to {bound} from {value:.0f} (rule of three, Hanley & Lippman-Hand 1983)."
    )


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell(text).replace("|", "\\|") for text in line) + " |" for line in lines)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
