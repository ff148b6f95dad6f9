"""Count the lines of each package of src/unroll, and hold them to the budget in pyproject.toml.

    python tools/lines.py

``[tool.unroll] src_lines`` is the budget: growth is a decision that stands in a commit of its own.
"""

import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Print the table; exit with 1 where the total is above the budget."""
    lines = counted(ROOT / "src" / "unroll")
    total = sum(lines.values())
    budget = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["unroll"]["src_lines"]
    for name, count in sorted(lines.items()):
        print(f"{name:<12} {count:>7,}")
    print(f"{'src':<12} {total:>7,} of {budget:,} lines")
    if total > budget:
        sys.exit(f"src has {total - budget:,} lines more than [tool.unroll] src_lines in pyproject.toml allows")


def counted(package: Path) -> Counter[str]:
    """The lines of Python by the package that they stand in; modules at the root count under its name."""
    lines: Counter[str] = Counter()
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).parts
        lines[parts[0] if len(parts) > 1 else package.name] += len(path.read_text(encoding="utf-8").splitlines())
    return lines


if __name__ == "__main__":
    main()
