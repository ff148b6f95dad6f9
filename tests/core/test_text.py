from unroll.core import text


def test_shortened_text_keeps_its_width() -> None:
    assert text.shorten("abcdef", 6) == "abcdef"
    assert text.shorten("abcdefg", 6) == "abcde…"


def test_numbers_come_in_their_order_before_names() -> None:
    assert sorted(["10", "9", "b", "-1", "a", "2.5"], key=text.natural) == ["-1", "2.5", "9", "10", "a", "b"]
