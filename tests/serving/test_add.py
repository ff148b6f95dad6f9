"""``unroll add``: the network's answer to a sum, held against Predictor's and against arithmetic."""

import io
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from problems import tables
from projects import ROOT, run, write_yaml

from unroll.core import store
from unroll.core.errors import ConfigError, DataError, StoreError
from unroll.core.layout import Layout
from unroll.model.predictor import Predictor
from unroll.serving import add


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sums to two digits, written forward and backward, sums of one's own, and pairs that are none."""
    root: Path = tmp_path_factory.mktemp("project")
    (root / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    own = {"data": {"dataset": "files"}, "prepare": {"problem": "sequence_to_sequence"}}
    sums = {"data": {"dataset": "addition"}, "prepare": {"problem": "sequence_to_sequence"}}
    verse = {"data": {"dataset": "poetry"}, "prepare": {"problem": "language_model"}}
    tasks = {"addition": sums, "backward": sums, "own": own, "words": own, "verse": verse, "plain": sums}
    write_yaml(root / "params.yaml", {"source": "sample", "tasks": tasks})
    table = tables.pairs()
    back = table.assign(source=table["source"].str[::-1])
    words = pd.DataFrame({"source": [f"w{n}" for n in range(40)], "target": [f"v{n}" for n in range(40)]}).astype("str")
    case = tables.CASES["sequence_to_sequence"]
    problem, _, config = case.open()
    for name, frame in (("addition", table), ("backward", back), ("own", table), ("words", words)):
        layout = Layout(root, name)
        meta = case.run(layout.prepared, frame).meta
        torch.manual_seed(1)
        store.write_tensors(layout.model / "weights.safetensors", problem.learning.model(config, meta).state_dict())
        blocks = {"problem": "sequence_to_sequence", "model": case.model, "meta": meta}
        store.write_json(layout.model / "config.json", blocks)
    return root


def told(root: Path, *numbers: str, task: str | None = None, model: str | None = None) -> list[str]:
    out = io.StringIO()
    add.main(root, numbers, task, model, out)
    return out.getvalue().splitlines()


def answers(root: Path, task: str, sources: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame({"source": pd.array(sources, dtype="str")})
    return Predictor.load(Layout(root, task).model).predict(frame)


@pytest.mark.parametrize(
    ("task", "sources"), [("addition", ["12+7", "99+99"]), ("backward", ["7+21", "99+99"]), ("own", ["12+7", "99+99"])]
)
def test_a_sum_is_asked_as_the_network_has_learned_to_read_it(root: Path, task: str, sources: list[str]) -> None:
    expected = answers(root, task, sources)
    lines = told(root, "12", "7", "99", "99", task=task)
    assert lines == told(root, "12+7", "99+99", task=task)
    for line, (a, b), answer, chance in zip(
        lines, [(12, 7), (99, 99)], expected["answer"], expected["probability"], strict=True
    ):
        assert line.startswith(f"{a} + {b} = {answer or 'nothing'}  ")
        assert line.endswith(f"(probability {chance:.2f})")
        assert ("right" in line) == (answer == str(a + b))
        assert (f"wrong, it is {a + b}" in line) == (answer != str(a + b))


def test_right_and_wrong_are_told_apart() -> None:
    assert add.line(123, 456, "579", 0.999) == "123 + 456 = 579  right  (probability 1.00)"
    assert add.line(123, 456, "", 0.5) == "123 + 456 = nothing  wrong, it is 579  (probability 0.50)"


def test_needless_zeros_are_left_out(root: Path) -> None:
    assert told(root, "007", "0") == told(root, "7+0") == told(root, "7", "00")


def test_the_task_is_found(root: Path, tmp_path: Path) -> None:
    assert add.default_task(root) == "addition"
    own = {"data": {"dataset": "files"}, "prepare": {"problem": "sequence_to_sequence"}}
    for tasks, found in (({"a": own}, "a"), ({"a": own, "b": {**own, "data": {"dataset": "addition"}}}, "b")):
        write_yaml(tmp_path / "params.yaml", {"source": "sample", "tasks": tasks})
        assert add.default_task(tmp_path) == found
    write_yaml(tmp_path / "params.yaml", {"source": "sample", "tasks": {"a": own, "b": own}})
    with pytest.raises(ConfigError, match=r"--task: 2 tasks whose models can learn sums; expected one of: a, b$"):
        add.default_task(tmp_path)


@pytest.mark.parametrize(
    ("numbers", "given", "kind", "message"),
    [
        (["100", "1"], {}, DataError,
         "100: 3 digits; expected at most 2: addition was trained on the numbers from 0 to 99"),
        (["1", "9" * 5000], {}, DataError, f"{'9' * 60}: 5000 digits; expected at most 2: addition was trained "),
        (["123+45"], {"task": "own"}, DataError,
         "123+45: 6 characters; expected at most 5, the longest sum that own was trained on"),
        (["12"], {}, ConfigError, "'12': an odd count of numbers; expected two numbers a sum, such as 123 456"),
        (["1", "2", "3"], {}, ConfigError, "'1 2 3': an odd count of numbers; expected two numbers a sum"),
        (["1", "two"], {}, ConfigError, "'two': not a sum of whole numbers; expected two numbers a sum"),
        (["1", "-2"], {}, ConfigError, "'-2': not a sum of whole numbers"),
        (["1+2", "3"], {}, ConfigError, "'3': not a sum of whole numbers"),
        (["1+2+3"], {}, ConfigError, "'1+2+3': not a sum of whole numbers"),
        (["1.5", "2"], {}, ConfigError, "'1.5': not a sum of whole numbers"),
        (["²", "2"], {}, ConfigError, "'²': not a sum of whole numbers"),
        (["1", "2"], {"task": "verse"}, ConfigError,
         "verse: its problem is language_model; expected a task whose models can learn sums"),
        (["1", "2"], {"task": "words"}, ConfigError, "answers no sums; expected a model of sums such as 12+345"),
        (["1", "2"], {"task": "plain"}, StoreError, "plain is not trained yet (run: unroll repro plain)"),
        (["1", "2"], {"task": "nine"}, ConfigError, "tasks.nine: no such task"),
        (["1", "2"], {"model": "nowhere"}, ConfigError, "'nowhere': no such folder; expected champion"),
    ],
)  # fmt: skip
def test_what_cannot_be_added_is_one_line(
    root: Path, numbers: list[str], given: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as error:
        told(root, *numbers, **given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command(root: Path) -> None:
    done = run(root, sys.executable, "-m", "unroll", "add", "12", "7")
    assert (done.returncode, done.stdout.splitlines()) == (0, told(root, "12", "7"))
    assert done.stderr == f"unroll: addition: {root.resolve()}/models/addition; the registry has no champion\n"
    done = run(root, sys.executable, "-m", "unroll", "add", "12", "-7")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("unroll: '-7': not a sum of whole numbers; ")
    assert done.stderr.count("\n") == 1
