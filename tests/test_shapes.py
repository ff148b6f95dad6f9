"""The check of shapes in names: it catches each kind of broken promise, and every letter stands in a legend."""

import ast
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapes
import torch
from projects import ROOT
from shapes import ShapeError


def module(source: str) -> Any:
    """A module of this source, instrumented."""
    made = types.ModuleType("made")
    made.__dict__["__shapes__"] = shapes
    exec(shapes.instrument("import numpy as np\n" + source, "made.py"), made.__dict__)
    return made


def test_correct_code_passes_and_computes_the_same() -> None:
    made = module('''
def mean(x_BTF, lengths_B, weights_F=None):
    """Means (B, F) over time."""
    inside_BT1 = (np.arange(x_BTF.shape[1]) < lengths_B[:, None])[..., None]
    total_BF = np.zeros_like(x_BTF[:, 0])
    for x_BF in x_BTF.swapaxes(0, 1):
        total_BF += x_BF
    parts = [row_F * 1.0 for row_F in total_BF]
    add = lambda a_BF, b_BF: a_BF + b_BF
    total_BF, other = add(total_BF, 0 * total_BF), sum(parts)
    def divided(sum_BF):
        return sum_BF / lengths_B[:, None]
    return divided(total_BF)
''')
    np.testing.assert_allclose(made.mean(np.ones((2, 7, 3)), np.array([7, 7])), np.ones((2, 3)))


@pytest.mark.parametrize("x_BT", [np.zeros(3), np.zeros((2, 3, 4)), torch.zeros(3), 3.0, [1, 2]])
def test_a_wrong_rank_is_caught(x_BT: Any) -> None:
    with pytest.raises(ShapeError, match=r"made\.py:3 last: x_BT is "):
        module("def last(x_BT):\n    return x_BT").last(x_BT)


@pytest.mark.parametrize(
    "body",
    [
        "y_B = x_BT[0]",
        "y_BT = np.zeros((2, 4))",
        "y_B: np.ndarray = x_BT[0]",
        "a, (y_B, b) = 1, (x_BT[0], 2)",
        "for y_B in x_BT: pass",
        "[0 for y_B in x_BT]",
        "if (y_B := x_BT[0]) is not None: pass",
        "y_T = x_BT[0]; y_T = y_T[1:]",
        "y_B2 = x_BT[:, :1]",
        "y_TB = [*x_BT]",
        "y_B = 3.0",
        "(lambda y_B: (lambda z_B: 0)(y_B[1:]) if y_B.size else (lambda y_B2: 0)(y_B))(x_BT[0, :0] if 0 else x_BT)",
        "g(x_BT)",
        "own = types.SimpleNamespace(y_B=0); own.y_B = x_BT[0]",
        "own = types.SimpleNamespace(y_B=x_BT[0]); print(own.y_B)",
        "batch = {'y_B': x_BT[0]}; print(batch['y_B'])",
        "\n    with contextlib.nullcontext(x_BT[0]) as y_B: pass",
        "\n    def inner(z_T): return x_BT\n    inner(x_BT[0, :2])",
        "\n    try: raise ValueError\n    except ValueError: y_B = x_BT[0]",
    ],
)
def test_each_way_to_bind_a_name_is_checked(body: str) -> None:
    made = module(f"import contextlib, types\ndef g(y_B): pass\ndef f(x_BT):\n    {body}")
    with pytest.raises(ShapeError):
        made.f(np.zeros((2, 3)))


@pytest.mark.parametrize("returns", ["x_BT.T", "(x_BT, x_BT[:1], 0)", "(x_BT, x_BT)", "(x_BT,)[0][0]"])
def test_a_return_other_than_the_docstring_says_is_caught(returns: str) -> None:
    made = module(f'''
def f(x_BT):
    """Values (B, T), and how large they are (B,)."""
    return {returns}
''')
    with pytest.raises(ShapeError, match="the returned value"):
        made.f(np.zeros((2, 3)))


def test_what_a_generator_yields_is_a_return() -> None:
    made = module('''
def f(x_BT):
    """Values (B,)."""
    yield x_BT[:, 0]
    yield x_BT[0]
''')
    with pytest.raises(ShapeError, match=r"made\.py:6 f: the returned value is"):
        list(made.f(np.zeros((2, 3))))


def test_a_message_shows_the_arrays_of_the_call() -> None:
    made = module("def f(x_BT, y_B): return x_BT")
    expected = r"made\.py:2 f: y_B is \(3,\); expected \(B=2\)\. Arrays of this call: x_BT \(2, 3\), y_B \(3,\)"
    with pytest.raises(ShapeError, match=expected):
        made.f(np.zeros((2, 3)), np.zeros(3))


def test_a_letter_means_one_size_within_a_call_alone() -> None:
    made = module("def f(x_BT):\n    return g(x_BT.T)\ndef g(x_BT):\n    return x_BT")
    assert made.f(np.zeros((2, 3))).shape == (3, 2)


def test_constants_promise_nothing() -> None:
    module("MAX_LEN = 3\ndef f(x):\n    MAX_LEN = np.zeros((2, 2))\n    x_ = x").f(0)


def test_the_rooms_are_instrumented() -> None:
    from unroll.nn import pooling

    with pytest.raises(ShapeError):
        pooling.Pool(("last",), 4)(torch.zeros(2, 7, 4), torch.zeros(3, 4))


def modules() -> Iterator[Path]:
    for path in sorted((ROOT / "src/unroll").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        if shapes.checked(name) and path.stem != "__init__":
            yield path


def legend(path: Path) -> set[str]:
    """The letters after ``Shapes:`` in the docstrings of a module and of the packages around it."""
    files = [path, *(folder / "__init__.py" for folder in path.parents if folder.is_relative_to(ROOT / "src/unroll"))]
    shown = [shapes.legend(ast.parse(file.read_text("utf-8"))) for file in files if file.is_file()]
    return set(re.findall(r"\b[A-Z]\b", " ".join(shown)))


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_letter_stands_in_a_legend(path: Path) -> None:
    names = {
        name
        for function in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(function, ast.FunctionDef | ast.Lambda | ast.AnnAssign)
        for node in ast.walk(function)
        if (name := _stored(node))
    }
    missing = {name: unknown for name in sorted(names) if (unknown := _letters(name) - legend(path))}
    assert not missing, f"{path.relative_to(ROOT)}: letters without a legend ('Shapes: B batch, …'): {missing}"


def _stored(node: ast.AST) -> str:
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
        return node.id if isinstance(node, ast.Name) else node.attr
    return ""


def _letters(name: str) -> set[str]:
    return {letter for letter in shapes.letters(name) if letter.isalpha()}
