"""What the blocks of several problems share: the ``data`` block, the ``train`` block, sizes from counts."""

from collections.abc import Mapping, Sequence
from typing import Any

from unroll.core.text import few
from unroll.datasets.files import FilesConfig, Plan
from unroll.datasets.files.config import plain
from unroll.datasets.files.first_look import File
from unroll.datasets.files.reading import numerals
from unroll.workbench.new.blocks import Line, Proposal, lines
from unroll.workbench.new.survey import FEW, Survey

ORDER = (
    *("format", "delimiter", "encoding", "decimal", "quote", "header", "label_place", "skip_rows", "comment"),
    *("missing", "thousands", "time", "start", "step", "site", "values", "units", "categories", "static", "resample"),
    *("sort", "text", "label", "label_map", "labels", "drop_labels", "source", "target", "split", "group"),
)
"""Keys of the data block as they are written."""
LAST = ("ranges", "max_missing_share", "seed", "max_bytes", "max_line_bytes")
UNSAID = {"quote": '"'}
"""What every file has unless it says otherwise: not written."""
REASONS = 4
"""Reasons why rows are set aside that are shown."""
MANY = 40
"""Columns that are named one by one; of more the block says all."""


def data_lines(
    plan: Plan, survey: Survey, whys: Mapping[str, Sequence[object]], given: Mapping[str, Any] | None = None
) -> list[Line]:
    """The ``data`` block with what the files hold and the reasons; ``given`` replaces or adds keys."""
    block = plain(plan.config) | dict(given or {})
    whys = {**_thousands(plan), **whys}
    made = [Line("dataset", "files"), Line("table", block["table"]), *_path(plan.look.files, plan.config)]
    for key in ORDER:
        by_files = key == "split" and "column" not in (block.get(key) or {})
        if key not in block or by_files or UNSAID.get(key, ()) == block[key] or block[key] == []:
            continue
        value = "all" if key == "values" and len(block[key]) > MANY else block[key]
        made.append(Line(key, value, few(whys.get(key, ()))))
    if "sha256" in block:
        made.append(Line("sha256", block["sha256"]))
    return [*made, *_share_line(plan.config, survey), *(Line(key, block[key]) for key in LAST if key in block)]


def _share_line(config: FilesConfig, survey: Survey) -> list[Line]:
    """The share of rows that may be set aside, where it is given or the files have bad rows.

    There is made room for a few of them by itself, for many never: validate is to stop at these.
    """
    key, share = "max_rejected_share", f"{percent(survey.aside_share)} of the rows cannot be used"
    if _is_too_much(config, survey):
        return [Line(key, config.max_rejected_share, f"{share}: not raised for so many, so that validate stops")]
    if survey.aside_share > config.max_rejected_share:
        return [Line(key, survey.allowance, f"{share}; the first: {survey.first_aside}")]
    return [Line(key, config.max_rejected_share)] if key in config.model_fields_set else []


def _is_too_much(config: FilesConfig, survey: Survey) -> bool:
    """Whether more rows cannot be used than were said to be allowed or, where nothing was said, than a few."""
    most = config.max_rejected_share
    return survey.aside_share > (most if "max_rejected_share" in config.model_fields_set else max(most, FEW))


def _thousands(plan: Plan) -> dict[str, list[str]]:
    """Where the mark of thousands was seen; nothing where there is none."""
    mark, look = plan.config.thousands, plan.look
    shown = numerals.example(look.texts(plan.config.missing or (), len(look.rows_N)), mark) if mark else ""
    return {"thousands": [f"between groups of three digits, as in {shown}"]} if shown else {}


def _path(files: Sequence[File], config: FilesConfig) -> list[Line]:
    """The files: by the part that their names tell, or as they were given."""
    if config.path is None:  # split has them
        assert config.split is not None  # noqa: S101 - the config's own check saw to it
        return [Line("split", config.split.model_dump(mode="json", exclude_none=True))]
    given = [config.path] if isinstance(config.path, str) else list(config.path)
    parted = all(file.part for file in files) and sorted(file.given for file in files) == sorted(given)
    if not parted:
        return [Line("path", config.path if isinstance(config.path, str) else given)]
    split: dict[str, list[str]] = {}
    for file in files:
        split.setdefault(file.part, []).append(file.given)
    return [Line("split", split, "as the names of the files and their folders say")]


def file_names(plan: Plan) -> str:
    """The files, for a line; of many the first ones."""
    names = [file.name for file in plan.look.files]
    return ", ".join(names[:4]) + (f", … ({len(names)} files)" if len(names) > 4 else "")


def proposal(
    plan: Plan, survey: Survey, seen: Sequence[str], blocks: Mapping[str, Sequence[Line]], warnings: Sequence[str] = ()
) -> Proposal:
    """The blocks with what was seen of the files; rows that cannot be used are told, too many of them as a warning."""
    too_many = _warnings(plan, survey)
    aside = [] if too_many else _aside(survey)
    return Proposal([*seen, *_unused(plan), *aside], blocks, [*too_many, *warnings])


def _warnings(plan: Plan, survey: Survey) -> list[str]:
    """What must not be passed over: more rows that cannot be used than the block allows; nothing of fewer."""
    if not _is_too_much(plan.config, survey):
        return []
    allowed = f"data.max_rejected_share allows {percent(plan.config.max_rejected_share)}: validate will stop"
    way_out = f"fix the files or the block, or do without them: --set data.max_rejected_share={survey.allowance}"
    return [*_aside(survey), f"that is {percent(survey.aside_share)}, and {allowed}; {way_out}"]


def _aside(survey: Survey) -> list[str]:
    """How many rows cannot be used, and the first of them; where there are several reasons, the first of each."""
    if not survey.aside:
        return []
    rows, kinds = survey.rows + survey.aside, sorted(survey.reasons.values(), key=lambda kind: -kind.rows)
    total = f"{survey.aside:,} of {rows:,} rows cannot be used and are set aside; the first: {survey.first_aside}"
    if len(kinds) == 1:
        return [total]
    shown = [f"{kind.rows:,} as {kind.first.text()}" for kind in kinds[:REASONS]]
    more = f"; {len(kinds) - REASONS} more reasons" if len(kinds) > REASONS else ""
    return [total, f"of these {'; '.join(shown)}{more}"]


def _unused(plan: Plan) -> list[str]:
    """The columns that the task has no use for, each with the reason; nothing where there are none."""
    left = [f"{name} ({why})" for name, why in plan.inferred.unused().items()]
    return [f"not used: {few(left, 12, ', ')}"] if left else []


def train_lines(epochs: int, batch_size: int, why: str, **changed: Any) -> list[Line]:
    """The ``train`` block: Adam in one cycle, as it suits most recurrent networks."""
    made = [
        Line("seed", 1),
        Line("threads", 1, "small recurrent networks gain little from a second one"),
        *lines(device="auto", precision="auto"),
        Line("epochs", epochs, why),
        *lines(batch_size=batch_size, optimizer="adam", learning_rate=0.003, momentum=0.9, weight_decay=0.0),
        *lines(schedule="one_cycle", clip_norm=1.0, patience=None),
    ]
    return [line._replace(value=changed.get(line.key, line.value)) for line in made]


def gate_lines(metric: str, direction: str, threshold: float, why: str, baselines: Sequence[str]) -> list[Line]:
    """The ``gate`` block; a champion must be beaten by more than chance, however little."""
    return [
        *lines(metric=metric, direction=direction),
        Line("threshold", threshold, why),
        Line("baselines", list(baselines), "must be beaten"),
        Line("margin", 0.0, "better than the champion by more than this, in the metric's unit"),
        Line("confidence", 0.95, "of the interval of that difference"),
    ]


def epochs_for(budget: float, cost: float, least: int, most: int) -> int:
    """As many epochs of ``cost`` as the budget has, within bounds.

    >>> epochs_for(27e6, 3.3e6, 3, 30)
    8
    """
    return int(min(max(round(budget / max(cost, 1.0)), least), most))


def batch_for(examples: int, largest: int) -> int:
    """A power of two that makes some thirty steps an epoch, or more.

    >>> batch_for(100, 64), batch_for(10_000, 64)
    (4, 64)
    """
    size = largest
    while size > 4 and examples / size < 24:
        size //= 2
    return size


def percent(share: float) -> str:
    """A share for a comment.

    >>> percent(0.0471), percent(0.00002), percent(0.5)
    ('4.7 %', '0.002 %', '50 %')
    """
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def counted(counts: Mapping[str, int], most: int = 12) -> str:
    """Names with their numbers, the most frequent first.

    >>> counted({"rise": 20, "fall": 1200})
    'fall (1,200), rise (20)'
    """
    shown = sorted(counts.items(), key=lambda pair: -pair[1])
    listed = ", ".join(f"{name} ({count:,})" for name, count in shown[:most])
    return listed + (f", … ({len(shown)} in all)" if len(shown) > most else "")
