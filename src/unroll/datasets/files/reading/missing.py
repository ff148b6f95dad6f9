"""The words that people write where a value is missing."""

WORDS = ("NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "null", "NULL", "None", "none", "#N/A", "nil", "?", "-", "--")
"""As they are written."""
_LOWER = frozenset({"", *(word.lower() for word in WORDS)})


def is_missing(cell: str) -> bool:
    """Whether a cell is empty or says, in upper or lower case, that the value is missing."""
    return cell.strip().lower() in _LOWER
