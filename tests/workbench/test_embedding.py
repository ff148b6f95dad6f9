"""``unroll embedding``: on a file of planted vectors, and on trained networks."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from problems import tables
from projects import ROOT, run_cli
from typer.testing import CliRunner

from unroll import problems
from unroll.cli import app
from unroll.core import store
from unroll.core.errors import ConfigError, DataError, StoreError
from unroll.core.layout import Layout
from unroll.problems.common.base import Prepared
from unroll.stages.common.task import Task
from unroll.workbench.embedding import picture
from unroll.workbench.embedding import vectors as embedding
from unroll.workbench.embedding.vectors import Embedding

PAIRS = [("france", "paris"), ("italy", "rome"), ("japan", "tokyo"), ("egypt", "cairo"), ("peru", "lima")]
PARAMS = """
source: sample
tasks:
  text_classification: {prepare: {problem: text_classification}}
  language_model: {prepare: {problem: language_model}}
  forecasting: {prepare: {problem: forecasting}}
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Capitals are their countries plus one offset, with noise, among words that mean nothing."""
    rng = np.random.default_rng(0)
    offset, vectors = 2 * rng.normal(size=30), {}
    for country, capital in PAIRS:
        vectors[country] = rng.normal(size=30)
        vectors[capital] = vectors[country] + offset + 0.1 * rng.normal(size=30)
    vectors |= {f"word{number}": rng.normal(size=30) for number in range(400)}
    vectors["nothing"] = np.zeros(30)
    path = tmp_path_factory.mktemp("planted") / "planted.txt"
    path.write_text("".join(f"{word} {' '.join(f'{v:.5f}' for v in row)}\n" for word, row in vectors.items()))
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks as ``train`` leaves them, their weights drawn; a third task without an embedding."""
    root = tmp_path_factory.mktemp("project")
    (root / "params.yaml").write_text(PARAMS)
    (root / "dvc.yaml").touch()
    for name in ("text_classification", "language_model"):
        layout, case = Layout(root, name), tables.CASES[name]
        prepared, (problem, _, model) = case.run(layout.prepared), case.open()
        torch.manual_seed(3)
        network = problem.learning.model(model, prepared.meta)
        store.write_tensors(layout.model / "weights.safetensors", network.state_dict())
        block = model.model_dump(mode="json")
        store.write_json(layout.model / "config.json", {"problem": name, "model": block, "meta": prepared.meta})
    return root


def call(root: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.chdir(root)
    result = CliRunner().invoke(app, ["embedding", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


# ---- a file of vectors


def test_planted_analogies_are_found(planted: Path) -> None:
    found = Embedding.of_file(planted, 1000)
    for a, b in PAIRS:
        for c, d in PAIRS:
            if a != c:
                assert found.analogy(a, b, c, 3)[0][0] == d
                assert found.analogy(b, a, d, 3)[0][0] == c


def test_neighbours_of_a_file_on_the_command_line(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = call(planted.parent, monkeypatch, "neighbours", "--vectors", str(planted), "paris", "-k", "3").split("\n")
    frame = pd.read_csv(planted, sep=" ", header=None, index_col=0)
    units = frame.div(np.linalg.norm(frame, axis=1), axis=0)
    expected = (units @ units.loc["paris"]).drop("paris").nlargest(3)
    cells = [line.split() for line in lines if line.strip() and "─" not in line][1:]
    assert cells[0][0] == "paris"
    assert [row[-2:] for row in cells] == [[word, f"{value:.3f}"] for word, value in expected.items()]


def test_an_analogy_on_the_command_line(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = call(planted.parent, monkeypatch, "analogy", "--vectors", "planted.txt", "france", "paris", "japan")
    assert "france : paris = japan : ?" in said
    rows = [line.split() for line in said.split("─", 1)[1].splitlines()[1:] if line.strip()]
    assert rows[0][0] == "tokyo"
    assert len(rows) == 5


def test_only_the_first_vectors_are_read(planted: Path) -> None:
    found = Embedding.of_file(planted, 12)
    assert len(found.names) == 12
    with pytest.raises(ConfigError, match=r"^'word7' is not among the 12 names in planted\.txt; the nearest are word"):
        found.neighbours(["word7"], 1)


def test_an_unknown_word_is_answered_with_the_nearest_known_ones(planted: Path) -> None:
    found = Embedding.of_file(planted, 1000)
    with pytest.raises(ConfigError) as error:
        found.analogy("france", "Pariss", "japan", 1)
    assert str(error.value) == "'Pariss' is not among the 411 names in planted.txt; the nearest are paris"
    with pytest.raises(ConfigError, match=r"'§§' is not among the 411 names in .*; such as france"):
        found.neighbours(["§§"], 1)


def test_a_vector_of_zeros_has_no_neighbours(planted: Path) -> None:
    found = Embedding.of_file(planted, 1000)
    with pytest.raises(DataError, match=r"^planted\.txt: the vector of nothing is all zeros; expected one that has"):
        found.neighbours(["nothing"], 1)
    with pytest.raises(DataError, match="nothing − nothing \\+ nothing is all zeros"):
        found.analogy("nothing", "nothing", "nothing", 1)


# ---- trained networks


@pytest.mark.parametrize("name", problems.names())
def test_symbols_stand_for_the_rows_of_an_embedding(name: str, tmp_path: Path) -> None:
    case = tables.CASES[name]
    prepared, (problem, _, model) = case.run(tmp_path), case.open()
    if problem.embedding is None:
        assert "embedding" not in dict(problem.learning.model(model, prepared.meta).named_children())
        return
    symbols, groups = problem.embedding.symbols(prepared.meta), problem.embedding.groups(prepared)
    if symbols:
        assert len(problem.learning.model(model, prepared.meta).get_submodule("embedding").weight) == len(symbols)
        named = [symbol for symbol in symbols if symbol]
        assert len(set(named)) == len(named) > 0
    assert len(groups) in (0, len(symbols))


@pytest.mark.parametrize("name", ["text_classification", "language_model"])
def test_a_tasks_vectors_are_its_networks(name: str, project: Path) -> None:
    task = Task.open(project, name)
    found = Embedding.of_task(task)
    weights = store.read_tensors(task.layout.model / "weights.safetensors")[0]["embedding.weight"]
    symbols = task.problem().embedding.symbols(Prepared.load(task.layout.prepared).meta)
    for name, vector in zip(found.names, found.vectors_ND, strict=True):
        assert torch.equal(weights[symbols.index(name)], torch.from_numpy(vector))
    a, b = found.names[:2]
    cosine = torch.cosine_similarity(*(weights[symbols.index(name)].double() for name in (a, b)), dim=0).item()
    assert {other: value for _, other, value in found.neighbours([a], 1000)}[b] == pytest.approx(cosine)


def test_blanks_are_shown_and_typed_in_quotes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [embedding.shown(name) for name in (" ", "\n", "a", ":)")] == ["' '", "'\\n'", "a", ":)"]
    said = call(project, monkeypatch, "neighbours", "language_model", "e", " ", "'\\n'", "-k", "100")
    assert "' '" in said
    assert "'\\n'" in said


def test_a_task_without_an_embedding_names_those_with_one(project: Path) -> None:
    with pytest.raises(ConfigError) as error:
        Embedding.of_task(Task.open(project, "forecasting"))
    assert str(error.value) == (
        "forecasting: a network of the problem forecasting has no embedding; expected a task whose network has one: "
        "text_classification, language_model"
    )


def test_an_untrained_task_says_how_to_train_it(project: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    with pytest.raises(StoreError, match=r"config\.json: not there; .*run: unroll repro"):
        Embedding.of_task(Task.open(tmp_path, "language_model"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["neighbours", "text_classification"], "text_classification is given; expected TASK WORD…"),
        (["analogy", "text_classification", "late"], "text_classification late is given; expected TASK A B C"),
        (["analogy", "--vectors", "x", "a", "b", "c", "d"], "a b c d is given; expected A B C"),
        (["map"], "nothing is given; expected TASK"),
        (["map", "--vectors", "x", "late"], "late is given; expected no word"),
        (
            ["map", "text_classification", "--output", "map.gif"],
            "--output: map.gif is not allowed; expected a file tha",
        ),
    ],
)
def test_wrong_arguments_are_named(
    project: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    with pytest.raises(ConfigError) as error:
        CliRunner().invoke(app, ["embedding", *arguments], catch_exceptions=False)
    assert str(error.value).startswith(message)


def test_an_error_is_one_line_without_a_traceback(project: Path) -> None:
    done = run_cli(ROOT, "embedding", "neighbours", "--vectors", str(project / "absent.txt"), "a")
    assert done.returncode == 1
    assert (
        done.stderr
        == f"unroll: {project / 'absent.txt'}: not there; expected a file of lines: a word and its numbers\n"
    )


# ---- maps


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_has_the_same_bytes_twice(
    project: Path, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        output = str(tmp_path / name)
        call(project, monkeypatch, "map", "text_classification", "--method", method, "--output", output)
    for ending in ("png", "csv"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    frame = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    assert list(frame) == ["name", "x", "y", "group"]
    groups = dict(zip(frame["name"], frame["group"], strict=True))
    assert (groups["lost"], groups["love"], groups["the"]) == ("negative", "positive", "")


def test_a_map_shows_the_most_frequent_and_lies_among_the_reports(
    project: Path, planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = call(project, monkeypatch, "map", "language_model", "--words", "7", "--method", "pca")
    folder = project / "reports" / "language_model" / "embedding"
    assert said.split() == [str(folder / "pca.png"), str(folder / "pca.csv")]
    frame = pd.read_csv(folder / "pca.csv")
    task = Task.open(project, "language_model")
    frequent = task.problem().embedding.symbols(Prepared.load(task.layout.prepared).meta)[1:8]
    assert frame["name"].tolist() == [embedding.shown(name) for name in frequent]
    call(tmp_path, monkeypatch, "map", "--vectors", str(planted), "--words", "40", "--method", "pca")
    assert len(pd.read_csv(tmp_path / "pca.csv")) == 40


def test_groups_are_left_out_where_the_data_are_not_the_models_own(project: Path) -> None:
    task = Task.open(project, "text_classification")
    assert Embedding.of_task(task).groups
    meta = task.layout.prepared / "meta.json"
    before = meta.read_bytes()
    store.write_json(meta, {**store.read_json(meta), "max_tokens": 99})
    assert Embedding.of_task(task).groups == []
    meta.write_bytes(before)


def test_names_on_a_map_do_not_overlap_and_stay_inside() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"name": [f"name{n}" for n in range(150)], "x": rng.normal(size=150), "y": rng.normal(size=150)}
    )
    canvas = picture.draw(frame, "planted")
    canvas.draw_without_rendering()
    axes = canvas.axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert 50 < len(boxes) < 150
    assert f"{150 - len(boxes)} names have no room" in axes.get_xlabel()
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    inside = axes.get_window_extent()
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)


def test_one_name_without_room_is_told_in_the_singular() -> None:
    frame = pd.DataFrame({"name": ["a", "b", "long " * 80], "x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 0.0]})
    label = picture.draw(frame, "planted").axes[0].get_xlabel()
    assert label == "1 name has no room and is a dot; the table beside this picture has all"


def test_a_map_of_too_few_names() -> None:
    two = Embedding("two.txt", ["a", "b"], np.eye(2), [])
    with pytest.raises(ConfigError, match=r"^two\.txt: 2 names; expected at least 3 for a map"):
        two.map(300, "pca")
    assert list(dataclasses.replace(two, names=list("abc"), vectors_ND=np.eye(3)).map(9, "pca")) == ["name", "x", "y"]
