"""docs/models.md says what the code does: links, keys and values, commands, numbers."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest
import typer.main
from projects import ROOT, SMALL, TASKS
from pydantic import ValidationError
from ruamel.yaml import YAML

from unroll import cli, datasets, problems
from unroll.core.config import Cell, Config, GateConfig, Pooling, TrainConfig
from unroll.core.layout import Layout
from unroll.core.params import BLOCKS, Params
from unroll.pipeline import check
from unroll.problems.forecasting.config import ForecastingModel, LinearModel, StateSpaceModel
from unroll.problems.sequence_to_sequence.config import SequenceToSequenceModel
from unroll.stages.common.task import Task
from unroll.workbench.compare.grid import plan

PAGE = ROOT / "docs" / "models.md"
TEXT = PAGE.read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^```\w+\n.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
CODE = re.findall(r"`([^`\n]+)`", PROSE)
LINKS = re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", PROSE)
PARAMETER = re.compile(rf"`((?:{'|'.join(BLOCKS)})\.[a-z_.]+: [^`\n]+)`")
SECTIONS = [(re.match(r".*\n\nProblem `prepare\.problem: (\w+)`", part), part) for part in PROSE.split("\n## ")]
PARAMETERS = sorted(
    {(opens[1] if opens else "", found) for opens, part in SECTIONS for found in PARAMETER.findall(part)}
)
"""Each ``block.key: value`` with the problem of its section, where the section begins with one."""
COMMANDS = [line for kind, block in FENCES if kind == "bash" for line in block.splitlines()]
EXAMPLES = [block for kind, block in FENCES if kind == "yaml"]


def _yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def _kinds(block: str, problem: str) -> Iterator[type[Config]]:
    """Every type that a block can have, in tasks of one problem or of all."""
    match block:
        case "data":
            yield from (datasets.load(name).Config for name in datasets.names())
        case "prepare" | "model":
            names = [problem] if problem else problems.names()
            yield from (getattr(problems.load(name), block.capitalize()) for name in names)
            if block == "model" and "forecasting" in names:
                yield from (LinearModel, StateSpaceModel)
        case "train" | "gate":
            yield TrainConfig if block == "train" else GateConfig


def _refused(kind: type[Config], parts: list[str], value: Any) -> bool:
    """Whether a type of block does not know the key or not allow the value; what else it needs does not matter."""
    for part in reversed(parts):
        value = {part: value}
    try:
        kind.model_validate(value)
    except ValidationError as error:
        told = [(fault["type"], [str(part) for part in fault["loc"]]) for fault in error.errors()]
        return any(fault != "missing" and (at[: len(parts)] == parts or at == parts[: len(at)]) for fault, at in told)
    return False


def _is_allowed(parameter: str, problem: str = "") -> bool:
    """Whether some problem, or the one named, has the key and allows the value."""
    key, _, value = parameter.partition(": ")
    block, *parts = key.split(".")
    if parameter.startswith("prepare.problem: "):
        return value in problems.names()
    return not all(_refused(kind, parts, _yaml(value)) for kind in _kinds(block, problem))


@pytest.mark.parametrize(("problem", "parameter"), PARAMETERS)
def test_a_parameter_has_a_key_and_a_value_that_its_problem_allows(problem: str, parameter: str) -> None:
    assert _is_allowed(parameter, problem)


@pytest.mark.parametrize(
    "parameter",
    [
        "model.cell: elman",
        "model.cells: lstm",
        "model.kind: arima",
        "model.teacher_forcing.schedule: cosine",
        "model.order: 0",
        "train.clip_norm: none",
        "prepare.problem: regression",
        "prepare.horizon: [6, 1]",
    ],
)
def test_a_wrong_parameter_would_be_found(parameter: str) -> None:
    assert not _is_allowed(parameter)


def test_sections_know_their_problems() -> None:
    assert {problem for problem, _ in PARAMETERS} == {"", "forecasting", "language_model", "sequence_to_sequence"}
    assert _is_allowed("model.linear: 6")
    assert not _is_allowed("model.linear: 6", "forecasting")


def test_every_choice_is_on_the_page() -> None:
    forecasting, pairs = ForecastingModel.model_fields, SequenceToSequenceModel.model_fields
    heads, steps = get_args(forecasting["head"].annotation), get_args(forecasting["multi_step"].annotation)
    wanted = {
        "model.cell": get_args(Cell),
        "model.pooling": [f"[{kind}]" for kind in get_args(Pooling)],
        "model.head": heads,
        "model.multi_step": steps,
        "model.architecture": (*get_args(pairs["architecture"].annotation), "carried", "window"),
        "model.kind": ("recurrent", *get_args(LinearModel.model_fields["kind"].annotation), "state_space"),
        "prepare.problem": {"rise_or_fall", *(TASKS[name]["prepare"]["problem"] for name in SMALL)},
    }
    missing = [f"{key}: {value}" for key, values in wanted.items() for value in values]
    assert sorted(set(missing) - {parameter for _, parameter in PARAMETERS}) == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_fits_into_the_task_it_names(example: str) -> None:
    """The block ``model`` is whole; of other blocks the example has what changes."""
    name = example.splitlines()[0].removeprefix("# tasks.")
    blocks: Mapping[str, Any] = _yaml(example)
    changed = {f"tasks.{name}.model": blocks["model"]}
    for block in blocks.keys() - {"model"}:
        changed |= {f"tasks.{name}.{block}.{key}": value for key, value in blocks[block].items()}
    assert check.faults_of(Task(name, Params(ROOT / "params.yaml").replaced(changed), Layout(ROOT, name))) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_understood(command: str) -> None:
    program, *arguments = shlex.split(command)
    assert program == "unroll"
    named, found = "unroll", typer.main.get_command(cli.app)
    while hasattr(found, "commands"):
        named, *arguments = arguments
        found = found.commands[named]
    with found.make_context(named, arguments) as context:  # refuses options that are not there
        given = context.params
    if named == "compare":
        assert len(plan(ROOT, given["task"], given["settings"], given["seeds"]).points) > 1
    elif "task" in given:
        Task.open(ROOT, given["task"])


def test_commands_named_in_the_text_are_there() -> None:
    known = typer.main.get_command(cli.app).commands.keys()  # type: ignore[attr-defined]
    named = {code.split()[1] for code in CODE if code.startswith("unroll ")}
    assert named
    assert named <= known


def test_options_of_generate_are_those_of_the_table() -> None:
    command = typer.main.get_command(cli.app).commands["generate"]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {code for code in CODE if code.startswith("--")} <= options


@pytest.mark.parametrize(("image", "text", "target"), sorted(set(LINKS)))
def test_a_link_leads_somewhere(image: str, text: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    found = PAGE.parent / path if path else PAGE
    assert found.is_file(), f"{target} is not there"
    if anchor:
        assert anchor in _anchors(found.read_text(encoding="utf-8"))
    if image:
        assert text, "a picture needs words for those who do not see it"
    elif text.startswith("test_"):
        assert f"def {text}(" in found.read_text(encoding="utf-8")
    elif found.suffix == ".py":
        assert found.as_posix().endswith(f"/{text}"), "the link's text is the end of the file's path"


def test_paths_in_the_text_are_there() -> None:
    paths = re.findall(r"(?:src|tests|docs)/[\w./-]+\.\w+", PROSE)
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def _anchors(text: str) -> list[str]:
    """Those that GitHub gives the headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_numbers_of_parameters_are_counted() -> None:
    from unroll.nn.cells import parameter_count

    rows = re.findall(r"^\| (`[`, \w]+`) \| (\d) \| \$(\d?)q\(p\+q\+1\)\$ \| (\d+) \| (\d+) \|$", TEXT, re.MULTILINE)
    cells = {cell: row for row in rows for cell in re.findall(r"`(\w+)`", row[0])}
    assert len(cells) == 5
    for cell, (_, gates, factor, one, two) in cells.items():
        assert gates == (factor or "1")
        counts: Any = [parameter_count(cell, 10, 16, biases) for biases in (1, 2)]  # type: ignore[arg-type]
        assert counts == [int(one), int(two)]


def test_formulas_survive_markdown() -> None:
    """No sign in an inline formula that Markdown or a table would take for its own."""
    inline = re.findall(r"\$([^$]+)\$", re.sub(r"`[^`\n]+`", "", PROSE))
    assert len(inline) > 50
    assert [formula for formula in inline if re.search(r"[})\]'^]_|\\[^a-zA-Z]|\||\*", formula)] == []
