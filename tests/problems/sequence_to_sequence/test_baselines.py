"""Answers that ignore the question against counts made with NumPy."""

import numpy as np

from unroll.problems.sequence_to_sequence.baselines import digit_chance, most_frequent


def test_digit_chance_is_the_mode_at_each_place_and_of_the_length() -> None:
    rng = np.random.default_rng(0)
    answers = [str(number) for number in rng.integers(0, 2000, 3000) ** 2 // 1900]
    lengths = np.bincount([len(answer) for answer in answers])
    expected = ""
    for place in range(int(lengths.argmax())):
        digits = [int(answer[place]) for answer in answers if len(answer) > place]
        expected += str(np.bincount(digits).argmax())
    assert digit_chance(answers) == expected


def test_no_fixed_answer_of_that_length_has_more_digits_right_where_all_are_as_long() -> None:
    answers = [f"{number:02d}" for number in np.random.default_rng(1).binomial(99, 0.4, 500)]

    def right(guess: str) -> int:
        return sum(g == t for answer in answers for g, t in zip(guess, answer, strict=True))

    assert right(digit_chance(answers)) == max(right(f"{number:02d}") for number in range(100))


def test_the_most_frequent_answer_and_of_equals_the_first_in_order() -> None:
    assert most_frequent(["9", "10", "10", "7"]) == "10"
    assert most_frequent(["9", "7", "9", "7"]) == "7"
    assert digit_chance(["9", "7"]) == "7"
