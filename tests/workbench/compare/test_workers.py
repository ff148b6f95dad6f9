"""Processes that do one job after another: what one job does to its process is not told of another's."""

import os
import signal
import time

from comparison_parts import Try

from unroll.workbench.compare.workers import Answer, Failure, News, run


def test_each_job_is_answered_whatever_the_others_do() -> None:
    jobs = [Try(what) for what in ("tell", "refuse", "break", "die", "exit", "tell", "threads")]
    heard = list(run(jobs, count=1, threads=3))
    assert [message.job for message in heard if not isinstance(message, News)] == jobs
    news = [message.value for message in heard if isinstance(message, News)]
    assert news == ["half", "half"]
    answers = [message.value for message in heard if isinstance(message, Answer)]
    assert answers[0] != answers[1]  # another process: the first one died
    assert answers[2] == "3"
    reasons = [message.reason for message in heard if isinstance(message, Failure)]
    assert reasons == [
        "epoch 1: loss nan",
        "ValueError: a fault of ours",
        "its process ended (SIGKILL: perhaps too little memory)",
        "its process ended (exit code 3)",
    ]
    traces = [message.trace for message in heard if isinstance(message, Failure)]
    assert [bool(trace) for trace in traces] == [False, True, False, False]
    assert "comparison_parts.py" in traces[1]


def test_no_process_stays_behind_when_it_is_left_early() -> None:
    messages = run([Try("sleep"), Try("sleep")], count=2, threads=1)
    news = next(messages)
    assert isinstance(news, News)
    messages.close()
    for _ in range(100):
        try:
            os.kill(news.value, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(news.value, signal.SIGKILL)
    raise AssertionError("the worker is still there")


def test_nothing_to_do_starts_nothing() -> None:
    assert list(run([], count=2, threads=1)) == []
