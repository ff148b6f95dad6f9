"""How long the pipeline takes: each task, all of them one after another and two at a time, and with nothing to do.

    python benchmarks/pipeline.py [--source FOLDER]

Each measurement runs in a fresh copy of the project, with no cache and no tracking store. What it prints is Markdown.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = "| what | seconds |\n| --- | ---: |"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", help="folder with the public files; default: the source in params.yaml")
    source = parser.parse_args().source
    print(HEAD, flush=True)
    for jobs in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            copy_project(root, source)
            total = seconds(root, "-m", "unroll", "repro", "--jobs", str(jobs))
            if jobs == 1:
                for path in sorted(root.glob(".unroll/*/timings.json")):
                    stages = json.loads(path.read_text(encoding="utf-8"))
                    shares = ", ".join(f"{stage} {value:.1f}" for stage, value in stages.items())
                    print(f"| {path.parent.name} ({shares}) | {sum(stages.values()):.1f} |")
            print(f"| all tasks, {jobs} at a time | {total:.1f} |", flush=True)
            if jobs == 2:
                for name, command in (
                    ("dvc repro", ["-m", "dvc", "repro"]),
                    ("unroll repro", ["-m", "unroll", "repro"]),
                ):
                    best = min(seconds(root, *command) for _ in range(3))
                    print(f"| {name} with nothing to do | {best:.2f} |")


def copy_project(target: Path, source: str | None) -> None:
    """The tracked and the new files, but no lock file."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if name != "dvc.lock" and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((ROOT / name).read_bytes())
    if source:
        params = target / "params.yaml"
        text = params.read_text(encoding="utf-8")
        params.write_text(text.replace("\nsource: sample\n", f"\nsource: {Path(source).resolve()}\n"), encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", str(target)], check=True)


def seconds(root: Path, *arguments: str) -> float:
    """Run Python with ``arguments`` in the copy, with the copy's code; raises if it fails."""
    started = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    subprocess.run([sys.executable, *arguments], cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


if __name__ == "__main__":
    main()
