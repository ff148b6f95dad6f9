"""What a person sees: live on a terminal, a line an epoch elsewhere, nothing in CI."""

import re
import sys

import pytest

from unroll.core.errors import ConfigError
from unroll.stages.train.epoch_lines import Progress
from unroll.stages.train.loop import Epoch


def show(epochs: int = 3, first: int = 1) -> None:
    with Progress("air", 3, "r2", "windows") as progress:
        for number in range(first, epochs + 1):
            progress.update(Epoch(number, 0.5 / number, 0.25, 0.875, 0.01, 1.0), seconds=2.0, units=5000)


@pytest.fixture(autouse=True)
def _outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("UNROLL_PROGRESS", raising=False)


def test_a_pipe_gets_a_line_an_epoch(capfd: pytest.CaptureFixture[str]) -> None:
    show()
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 3
    assert re.fullmatch(
        r"train air: epoch 2/3 · loss 0\.2500 · validation 0\.2500 · r2 0\.8750 · 2,500 windows/s · 0 s left",
        err.splitlines()[1],
    )


def test_time_left_is_the_mean_of_the_epochs_seen_times_those_to_come(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("unroll.display.progress.time.monotonic", lambda: next(clock))
    show()
    left = [re.search(r"(\d+) s left", line).group(1) for line in capfd.readouterr().err.splitlines()]  # type: ignore[union-attr]
    assert left == ["20", "10", "0"]


def test_a_run_that_goes_on_counts_only_its_own_epochs(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("unroll.display.progress.time.monotonic", lambda: next(clock))
    show(epochs=2, first=2)
    assert "epoch 2/3" in (err := capfd.readouterr().err)
    assert "10 s left" in err


@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("UNROLL_PROGRESS", "quiet")])
def test_ci_gets_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    show()
    assert capfd.readouterr() == ("", "")


def test_the_environment_decides_over_ci(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("UNROLL_PROGRESS", "plain")
    show()
    assert len(capfd.readouterr().err.splitlines()) == 3


def test_a_terminal_is_live(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    show()
    err = capfd.readouterr().err
    assert "train air" in err
    assert "3/3" in err
    assert "r2 0.8750" in err
    assert "epoch 3/3" not in err  # that is the plain line


def test_a_way_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLL_PROGRESS", "loud")
    with pytest.raises(ConfigError) as caught:
        show()
    assert str(caught.value) == "UNROLL_PROGRESS: 'loud' is not allowed; expected live, plain or quiet"
