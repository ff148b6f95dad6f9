"""Where everything of a project lies, relative to its root."""

from dataclasses import dataclass
from pathlib import Path

from unroll.core.errors import StoreError


@dataclass(frozen=True)
class Layout:
    """Where everything of one task lies, relative to the project's root."""

    root: Path
    task: str

    @property
    def fingerprint(self) -> Path:
        """Hashes of the files that params.yaml names, and versions of libraries; in git."""
        return self.root / "data" / "fingerprints" / f"{self.task}.json"

    @property
    def raw(self) -> Path:
        """Raw files in the source's own format and, beside them, ``table.parquet`` (made by ingest)."""
        return self.root / "data" / "raw" / self.task

    @property
    def validated(self) -> Path:
        """``table.parquet`` without the refused rows (made by validate)."""
        return self.root / "data" / "validated" / self.task

    @property
    def rejected(self) -> Path:
        """``rows.csv``: the refused rows with the reason (made by validate)."""
        return self.root / "data" / "rejected" / self.task

    @property
    def prepared(self) -> Path:
        """Arrays and ``meta.json`` (made by prepare)."""
        return self.root / "data" / "prepared" / self.task

    @property
    def model(self) -> Path:
        """``weights.safetensors``, ``config.json``, ``history.csv`` (made by train)."""
        return self.root / "models" / self.task

    @property
    def reports(self) -> Path:
        """Metrics, plots, validation results, model card."""
        return self.root / "reports" / self.task

    @property
    def state(self) -> Path:
        """What is no output and not in git: checkpoints, timings, logs, Data Docs."""
        return self.root / ".unroll" / self.task


def project_root(start: Path | None = None) -> Path:
    """The nearest folder upwards that holds ``params.yaml`` and ``dvc.yaml``."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            return folder
    raise StoreError(f"{here}: no params.yaml and dvc.yaml here or above; run this inside an Unroll project")
