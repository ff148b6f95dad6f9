"""``unroll generate`` as a person starts it: what comes on which stream, and how it ends."""

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from problems import tables
from projects import ROOT, run, write_yaml

from unroll.core import store
from unroll.core.errors import ConfigError, DataError, StoreError
from unroll.core.layout import Layout
from unroll.serving import generate
from unroll.stages.common.task import Task

TASKS = {
    "verse": "language_model",
    "words": "language_model",
    "plain": "language_model",
    "sums": "sequence_to_sequence",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a character model, a word model, one that is not trained, and a task of another problem."""
    root: Path = tmp_path_factory.mktemp("project")
    (root / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    write_yaml(root / "params.yaml", {"source": "sample", "tasks": {
        name: {"prepare": {"problem": problem}} for name, problem in TASKS.items()
    }})  # fmt: skip
    case = tables.CASES["language_model"]
    for name, level in (("verse", "character"), ("words", "word")):
        problem, _, model_config = case.open()
        prepared = case.run(root / "data" / name, level=level)
        torch.manual_seed(1)
        model = problem.learning.model(model_config, prepared.meta)
        folder = Layout(root, name).model
        store.write_tensors(folder / "weights.safetensors", model.state_dict())
        config = {"problem": "language_model", "model": case.model, "meta": prepared.meta}
        store.write_json(folder / "config.json", config)
    return root


def told(root: Path, name: str) -> str:
    """The line that says which model it is."""
    return f"unroll: {name}: {Layout(root, name).model}; the registry has no champion\n"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "unroll", "generate", *arguments]


def drawn(root: Path, name: str, text: str, **given: Any) -> str:
    return "".join(generate.of_task(Task.open(root, name), text, given).pieces)


def test_the_text_alone_stands_on_standard_output(root: Path) -> None:
    options = {"length": 50, "temperature": 0.7, "top_k": 9, "top_p": 0.95, "repetition_penalty": 1.2, "seed": 3}
    given = [str(part) for key, value in options.items() for part in (f"--{key.replace('_', '-')}", value)]
    done = run(root, *command("verse", "--seed-text", "The late", *given))
    assert (done.returncode, done.stderr) == (0, told(root.resolve(), "verse"))
    assert done.stdout == drawn(root, "verse", "the late", **options)
    assert len(done.stdout) == 50


def test_the_text_is_what_predict_gives(root: Path) -> None:
    import pandas as pd

    from unroll.model.trained import Trained

    given = {"length": 40, "temperature": 1.5, "seed": 2, "top_k": 9, "top_p": 0.9, "repetition_penalty": 1.3}
    for name in ("verse", "words"):
        trained = Trained.load(Layout(root, name).model)
        asked = pd.DataFrame([{"text": "my seat", **given}])
        (answer,) = trained.problem.answering.predict(trained.model, trained.meta, asked)["continuation"]
        assert drawn(root, name, "my seat", **given) == answer


def test_options_reach_the_drawing(root: Path) -> None:
    greedy = drawn(root, "verse", "a", temperature=0.0)
    assert greedy == drawn(root, "verse", "a", temperature=9.0, top_k=1, seed=4)
    options: list[dict[str, Any]] = [{}, {"top_p": 0.3}, {"repetition_penalty": 20.0}, {"top_k": 2}, {"seed": 1}]
    assert len({drawn(root, "verse", "a", temperature=2.0, **given) for given in options}) == 5


def test_unknown_characters_are_counted_on_standard_error(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate.main(root, "verse", "late € ß €", {"length": 5}, sys.stdout)
    out, error = capsys.readouterr()
    assert len(out) == 5
    warning = "unroll: 3 of 10 characters in --seed-text are unknown to the model: '€', 'ß'\n"
    assert error == told(root, "verse") + warning
    many = generate.of_task(Task.open(root, "words"), "a " + " ".join(f"w{n}" for n in range(12)), {})
    assert generate.warning(many).startswith(
        "12 of 13 words and marks in --seed-text are unknown to the model: 'w0', 'w1', "
    )
    assert generate.warning(many).endswith("'w9', …")


def test_words_are_written_with_blanks_between_them(root: Path) -> None:
    text = drawn(root, "words", "the late", length=20)
    assert text.startswith((" ", "\n"))
    assert set(text.split()) <= set(tables.WORDS)
    spaced = drawn(root, "words", "the late ", length=20)
    assert spaced == text.removeprefix(" ")


@pytest.mark.parametrize(
    ("name", "text", "given", "kind", "message"),
    [
        ("sums", "1+1", {}, ConfigError,
         "problem is sequence_to_sequence; expected a task whose models generate text: verse, words, plain"),
        ("plain", "a", {}, StoreError, "plain: not there; plain is not trained yet (run: unroll repro plain)"),
        ("verse", "", {}, DataError, "--seed-text: ''; expected a text that is not empty"),
        ("words", " \t", {}, DataError, "--seed-text: ' \\t'; expected a text that is not empty"),
        ("verse", "a", {"temperature": -1.0}, ConfigError, "--temperature: -1.0; expected a number from 0.0 to 10.0"),
        ("verse", "a", {"top_p": 0.0}, ConfigError, "--top-p: 0.0; expected a number from 0.001 to 1.0"),
        ("verse", "a", {"length": 0}, ConfigError, "--length: 0; expected a whole number from 1 to 10000"),
    ],
)  # fmt: skip
def test_what_cannot_be_done(
    root: Path, name: str, text: str, given: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as error:
        generate.of_task(Task.open(root, name), text, given)
    assert str(error.value).endswith(message)


def test_a_model_may_be_named(root: Path) -> None:
    words = str(Layout(root, "words").model)
    done = run(root, *command("plain", "--seed-text", "the late", "--length", "9", "--model", words))
    assert (done.returncode, done.stderr) == (0, f"unroll: plain: {words}\n")
    assert done.stdout == drawn(root, "words", "the late", length=9, temperature=0.8)
    other = run(root, *command("verse", "--seed-text", "a", "--model", "7"))
    assert (other.returncode, other.stdout, other.stderr.count("\n")) == (1, "", 1)
    assert other.stderr.endswith("mlflow.db: verse has no version 7; expected one of: none yet\n")


def test_an_error_is_one_line_and_leaves_standard_output_empty(root: Path) -> None:
    done = run(root, *command("sums", "--seed-text", "1+1"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("unroll: sums: its problem is ")


def test_a_pipe_that_is_closed_ends_it_quietly(root: Path) -> None:
    with subprocess.Popen(
        command("verse", "--seed-text", "a", "--length", "10000"),
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stderr
        assert len(process.stdout.read(5)) == 5
        process.stdout.close()
        assert process.stderr.read().decode() == told(root.resolve(), "verse")
    assert process.returncode == 0


def test_control_c_ends_it_quietly_and_what_was_drawn_has_been_seen(root: Path) -> None:
    with subprocess.Popen(
        command("verse", "--seed-text", "a", "--length", "10000"),
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, pipesize=4096,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(1)  # it streams: more is to come than the pipe holds
        process.send_signal(signal.SIGINT)
        seen, errors = process.communicate()
    assert (process.returncode, errors.decode()) == (130, told(root.resolve(), "verse"))
    assert len(seen) < 9000


def test_each_piece_is_shown_at_once(root: Path) -> None:
    shown: list[str] = []

    class Terminal(io.StringIO):
        def flush(self) -> None:
            shown.append(self.getvalue())

        def isatty(self) -> bool:
            return True

    def pieces() -> Iterator[str]:
        for number, piece in enumerate(["a", "bc"]):
            assert len(shown) == number
            yield piece

    generate.write(pieces(), Terminal())
    assert shown == ["a", "abc", "abc\n"]


def test_a_terminal_that_cannot_show_a_character(root: Path) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    generate.main(root, "verse", "a", {"length": 3}, out)
    assert out.errors == "replace"


def test_lazy() -> None:
    heavy = "{'torch', 'pandas', 'mlflow', 'sklearn'}"
    code = f"import sys, unroll.serving.generate\nprint(sorted(set(sys.modules) & {heavy}))"
    assert run(ROOT, sys.executable, "-c", code).stdout == "[]\n"
