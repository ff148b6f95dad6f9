"""Files such as a person has, generated: each writer fills a folder and says what ``unroll new`` is asked."""

import csv
import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from problems import tables

from unroll.workbench.new import Request


def _rows(path: Path, rows: Sequence[Sequence[object]], encoding: str = "utf-8", delimiter: str = ",") -> None:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def _walk(rows: int, seed: int = 0) -> np.ndarray:
    """A daily wave of hours with noise that remembers."""
    rng = np.random.default_rng(seed)
    noise = np.zeros(rows)
    for t in range(1, rows):
        noise[t] = 0.9 * noise[t - 1] + rng.normal()
    return 40 + 8 * np.sin(2 * np.pi * np.arange(rows) / 24) + 3 * noise


def pollution(folder: Path) -> Request:
    """Year, month, day and hour in columns of their own; NA; a wind direction in words."""
    rng, value = np.random.default_rng(1), _walk(1500)
    rows: list[list[object]] = [["No", "year", "month", "day", "hour", "pm2.5", "TEMP", "cbwd"]]
    for number in range(1500):
        at = datetime(2014, 1, 1) + timedelta(hours=number)
        seen = "NA" if 300 < number < 330 or rng.random() < 0.02 else round(value[number])
        rows.append([number + 1, at.year, at.month, at.day, at.hour, seen, round(rng.normal(10, 3), 1),
                     rng.choice(["NW", "SE", "cv"])])  # fmt: skip
    _rows(folder / "pollution.csv", rows)
    return Request("forecasting", ("pollution.csv",), target="pm2.5")


def sensors(folder: Path) -> Request:
    """As an Italian station writes: semicolons, decimal commas, −200 for nothing, dates spelt in two ways."""
    rng, value = np.random.default_rng(2), _walk(1200)
    rows: list[list[object]] = [["Date", "Time", "CO(GT)", "NMHC(GT)", "T", ""]]
    for number in range(1200):
        at = datetime(2004, 3, 10, 18) + timedelta(hours=number)
        co = -200 if rng.random() < 0.04 else value[number] / 10
        nmhc = -200 if rng.random() < 0.9 else rng.integers(50, 300)
        day = at.strftime("%d/%m/%Y" if number < 700 else "%d-%m-%Y")
        cells = [f"{co:.1f}".replace(".", ","), str(nmhc), f"{rng.normal(15, 4):.1f}".replace(".", ",")]
        rows.append([day, at.strftime("%H.%M.%S"), *cells, ""])
    _rows(folder / "sensors.csv", rows, delimiter=";")
    return Request("forecasting", ("sensors.csv",), target="CO(GT)")


def months(folder: Path) -> Request:
    """Months, which are not equally long."""
    value = 100 + np.arange(240) + 20 * np.sin(2 * np.pi * np.arange(240) / 12)
    dates = [f"{1990 + number // 12}-{number % 12 + 1:02d}-01" for number in range(240)]
    _rows(folder / "months.csv", [["month", "visitors"], *zip(dates, value.round(1), strict=True)])
    return Request("forecasting", ("months.csv",))


def trades(folder: Path) -> Request:
    """Days without weekends."""
    rng = np.random.default_rng(3)
    days = [datetime(2015, 1, 1) + timedelta(days=number) for number in range(1200)]
    price, rows = 100.0, []
    for day in days:
        if day.weekday() < 5:
            price *= math.exp(rng.normal(0, 0.01))
            rows.append([day.date().isoformat(), round(price, 2), int(rng.integers(1000, 9000))])
    _rows(folder / "trades.csv", [["date", "close", "volume"], *rows])
    return Request("rise_or_fall", ("trades.csv",), target="close")


def meters(folder: Path) -> Request:
    """Rows that come as they like."""
    rng = np.random.default_rng(4)
    at, rows = datetime(2020, 1, 1), []
    for number in range(4000):
        at += timedelta(seconds=int(rng.integers(200, 900)))
        rows.append([at.isoformat(), round(20 + 5 * math.sin(number / 100) + rng.normal(), 2)])
    _rows(folder / "meters.csv", [["timestamp", "load"], *rows])
    return Request("forecasting", ("meters.csv",))


def stations(folder: Path) -> Request:
    """Two stations in one file, one after the other."""
    frame = tables.series(rows=500)
    frame.to_csv(folder / "stations.csv", index=False)
    return Request("forecasting", ("stations.csv",), target="a_ug_m3")


def minutes(folder: Path) -> Request:
    """Quarters of hours, in Parquet."""
    import pandas as pd

    time = pd.date_range("2021-03-01", periods=2000, freq="15min")
    pd.DataFrame({"when": time, "kw": _walk(2000)}).to_parquet(folder / "minutes.parquet")
    return Request("forecasting", ("minutes.parquet",))


def unnamed(folder: Path) -> Request:
    """A column of numbers and nothing else."""
    _rows(folder / "unnamed.csv", [["value"], *[[round(x, 2)] for x in _walk(900)]])
    return Request("forecasting", ("unnamed.csv",), target="value")


def shapes(rows: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Series of two classes, −1 and 1: a hump early or late."""
    rng = np.random.default_rng(seed)
    label_N = rng.choice([-1, 1], rows)
    middle_N = np.where(label_N > 0, 0.3, 0.7) * steps
    hump_NT = np.exp(-((np.arange(steps) - middle_N[:, None]) ** 2) / steps)
    return label_N, (hump_NT + 0.3 * rng.normal(size=(rows, steps))).round(4)


def humps(folder: Path) -> Request:
    """As the UCR archive has them: no header, the label first, train and test in files of their own."""
    for part, rows, seed in (("TRAIN", 60, 1), ("TEST", 50, 2)):
        label_N, value_NT = shapes(rows, 80, seed)
        _rows(folder / f"Humps_{part}.csv", [[f"{la:.7e}", *v] for la, v in zip(label_N, value_NT, strict=True)])
    return Request("series_classification", ("Humps_TRAIN.csv", "Humps_TEST.csv"))


def uneven(folder: Path) -> Request:
    """``.ts`` files with series of several lengths."""
    for part, rows, seed in (("TRAIN", 70, 3), ("TEST", 40, 4)):
        label_N, value_NT = shapes(rows, 60, seed)
        lines = [
            f"{','.join(map(str, v[: 40 + n % 21]))}:{la}"
            for n, (la, v) in enumerate(zip(label_N, value_NT, strict=True))
        ]
        head = ["@problemName Uneven", "@univariate true", "@classLabel true -1 1", "@data"]
        (folder / f"Uneven_{part}.ts").write_text("\n".join([*head, *lines]) + "\n")
    return Request("series_classification", ("Uneven_*.ts",))


def named_series(folder: Path) -> Request:
    """One file with a header and a label at its end, one class rare."""
    label_N, value_NT = shapes(200, 30, 5)
    names = ["left" if label < 0 else "right" for label in label_N]
    names[7] = "broken"
    rows = [[*values, name] for values, name in zip(value_NT, names, strict=True)]
    _rows(folder / "named.csv", [[*(f"v{step}" for step in range(30)), "kind"], *rows])
    return Request("series_classification", ("named.csv",), label="kind")


def tweets(folder: Path) -> Request:
    """Latin-1, line breaks within quotes, empty texts, labels to rename and one to leave out."""
    rng, frame = np.random.default_rng(6), tables.labelled_text(400)
    code = {"negative": 0, "neutral": 2, "positive": 4}
    rows: list[list[object]] = [["id", "polarity", "tweet"]]
    for number, (text, label) in enumerate(zip(frame["text"], frame["label"], strict=True)):
        said = "" if number % 50 == 9 else f"{text},\nça va {rng.integers(1000)} fois" if number % 3 else text
        rows.append([number, code[label], said])
    _rows(folder / "tweets.csv", rows, encoding="latin-1")
    given = {"data.label_map": {"0": "bad", "4": "good"}, "data.drop_labels": ["2"]}
    return Request("text_classification", ("tweets.csv",), label="polarity", given=given)


def reviews(folder: Path) -> Request:
    """JSON lines, a split of their own."""
    frame = tables.labelled_text(300)
    lines = [
        json.dumps({"review": f"{text} {number}", "stars": label, "split": "test" if number % 4 == 0 else "train"})
        for number, (text, label) in enumerate(zip(frame["text"], frame["label"], strict=True))
    ]
    (folder / "reviews.jsonl").write_text("\n".join(lines) + "\n")
    return Request("text_classification", ("reviews.jsonl",), label="stars")


def prose(folder: Path) -> Request:
    """Lines of text."""
    (folder / "prose.txt").write_text("\n".join(tables.text(300)["text"]) + "\n")
    return Request("language_model", ("prose.txt",))


def sums(folder: Path) -> Request:
    """Sums and what they come to."""
    tables.pairs(400).to_csv(folder / "sums.csv", index=False)
    return Request("sequence_to_sequence", ("sums.csv",))


def words(folder: Path) -> Request:
    """Words and their plurals, in columns of other names, between tabs."""
    rng = np.random.default_rng(7)
    singular = sorted({"".join(rng.choice(list("aeioubdgklmnrst"), int(rng.integers(3, 8)))) for _ in range(400)})
    _rows(folder / "words.tsv", [["one", "many"], *[[word, f"{word}s"] for word in singular]], delimiter="\t")
    return Request("sequence_to_sequence", ("words.tsv",), source="one", target="many")


CASES: dict[str, Callable[[Path], Request]] = {
    maker.__name__: maker
    for maker in (
        *(pollution, sensors, months, trades, meters, stations, minutes, unnamed),
        *(humps, uneven, named_series, tweets, reviews, prose, sums, words),
    )
}
