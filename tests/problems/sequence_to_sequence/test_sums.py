"""Sums as text against addition column by column, as on paper."""

import numpy as np
import pytest

from unroll.problems.sequence_to_sequence import sums


def carries_on_paper(a: int, b: int) -> int:
    count = carry = 0
    left, right = str(a)[::-1], str(b)[::-1]
    for place in range(max(len(left), len(right))):
        column = carry + sum(int(number[place]) for number in (left, right) if place < len(number))
        carry = int(column > 9)
        count += carry
    return count


def test_carries_are_those_of_addition_on_paper() -> None:
    assert all(sums.carries(a, b) == carries_on_paper(a, b) for a in range(250) for b in range(250))
    for a, b in np.random.default_rng(0).integers(0, 10**15, (500, 2)).tolist():
        assert sums.carries(a, b) == carries_on_paper(a, b)


def test_digits_are_those_of_the_longer_number() -> None:
    assert [sums.digits(a, b) for a, b in [(0, 0), (9, 10), (999, 1), (5, 1000)]] == [1, 2, 3, 4]


@pytest.mark.parametrize("source", ["12", "1+2+3", "a+1", "+1", "1+", "1-2", " 1+2", "١+٢", ""])
def test_what_is_no_sum_has_no_operands(source: str) -> None:
    assert sums.parse(source, "forward") is None
    assert sums.parse(source, "backward") is None


def test_a_sum_is_read_either_way() -> None:
    assert sums.parse("120+45", "forward") == (120, 45)
    assert sums.parse("54+021", "backward") == (120, 45)


def test_the_reading_is_the_one_under_which_all_targets_are_right() -> None:
    sources, targets = ["12+30", "5+6"], ["42", "11"]
    assert sums.find_reading(sources, targets) == "forward"
    assert sums.find_reading([source[::-1] for source in sources], targets) == "backward"
    assert sums.find_reading(sources, ["42", "12"]) is None
    assert sums.find_reading(["12+30", "five"], ["42", "5"]) is None


def test_both_orders_of_a_sum_are_the_same_question() -> None:
    for a, b in np.random.default_rng(1).integers(0, 1000, (200, 2)).tolist():
        forth, back = f"{a}+{b}", f"{b}+{a}"
        assert sums.unordered(forth) == sums.unordered(back)
        assert sums.unordered(forth[::-1]) == sums.unordered(back[::-1])
    assert len({sums.unordered(f"{a}+{b}") for a in range(30) for b in range(30)}) == 30 * 31 // 2
    assert sums.unordered("b+a") == "b+a"
