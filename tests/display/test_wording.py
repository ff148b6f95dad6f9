"""Numbers and names as people read them."""

import doctest

import numpy as np
import pytest

from unroll.display import wording


def test_examples_of_the_docstrings() -> None:
    assert doctest.testmod(wording).failed == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.21, "-0.210"), (99.0, "99.00"), (-543.21, "-543.2"), (1e6, "1,000,000"), (-2e-5, "-2.0e-05")],
)
def test_numbers(value: float, text: str) -> None:
    assert wording.number(value) == text


def test_cells_are_one_line() -> None:
    found = [wording.cell(value) for value in ("a\n b", np.bool_(True), False, np.float32(0.5), 3)]
    assert found == ["a b", "✓", "✗", "0.500", "3"]
