"""What stands around the page's panels: links, the token, models that come late, and a server that does not answer."""

import time
from pathlib import Path

import pytest

from serving.http.browser import ANSWERED, Browser, needs_browser, opened, text
from serving.http.made import PROBLEMS, Asked, Registry, running
from unroll.serving.http.limits import Limits

TASK = "text_classification"
TOKEN = "a-token-of-some-length"
OTHER = "another-token-of-some-length"
TOLD = "document.querySelector('[role=alert]:not([hidden])')?.textContent"


@needs_browser
def test_the_skip_link_leads_into_the_panel_of_the_task_that_is_chosen(shared: Browser) -> None:
    page = opened(shared, TASK)
    page.run("document.querySelector('.skip').focus()")
    page.press("Enter", 13, "\r")
    assert page.run("document.activeElement.id") == "panel"
    assert page.run("location.hash") == f"#{TASK}"
    assert text(page, "h2") == "Text classification"


@needs_browser
@pytest.mark.parametrize("fragment", ["%E0%A4%A", "no_such_task", "%"])
def test_a_fragment_that_names_no_task_shows_the_first(served: Asked, fragment: str) -> None:
    with Browser() as page:
        page.open(f"http://127.0.0.1:{served.port}/#{fragment}")
        page.wait(f"document.querySelector('nav a[aria-current]')?.dataset.task === '{PROBLEMS[0]}'")
        page.wait(ANSWERED)
        assert page.errors == []


@needs_browser
def test_a_model_that_comes_late_leaves_what_is_being_written(registry: Registry, tmp_path: Path) -> None:
    with running(tmp_path, (TASK, "late"), Limits()) as asked, Browser() as page:
        page.open(f"http://127.0.0.1:{asked.port}/#{TASK}")
        page.wait(ANSWERED)
        page.run("document.querySelector('textarea').select()")
        page.call("Input.insertText", text="a long text that is being written")
        page.run("""window.seen = 0; new PerformanceObserver((found) => {
            seen += found.getEntries().filter((each) => each.name.endsWith('/v1')).length;
        }).observe({type: 'resource'})""")
        registry.promote("late", 1, registry.folders["sequence_to_sequence", 1])
        try:
            while asked.ask("POST", "/v1/late/predict", {"records": [{"source": "1+2"}]}).status != 200:
                time.sleep(0.1)
            looked = page.run("seen")
            page.wait(f"seen >= {looked + 1}")
            page.run("new Promise((done) => setTimeout(done, 300))")
            assert page.run("document.activeElement.value") == "a long text that is being written"
            page.run("location.hash = 'late'")
            page.wait("document.querySelector('.answer')?.textContent")
        finally:
            del registry.versions["late"]


@needs_browser
def test_the_chosen_task_appears_when_its_model_does(registry: Registry, tmp_path: Path) -> None:
    with running(tmp_path, (TASK, "late"), Limits()) as asked, Browser() as page:
        page.open(f"http://127.0.0.1:{asked.port}/#late")
        page.wait("document.querySelector('main')?.textContent.includes('No champion yet')")
        registry.promote("late", 1, registry.folders["sequence_to_sequence", 1])
        try:
            page.wait("document.querySelector('.answer')?.textContent")
        finally:
            del registry.versions["late"]


def enter(page: Browser, token: str) -> None:
    page.wait("document.activeElement?.type === 'password'")
    page.run("document.activeElement.select()")
    page.call("Input.insertText", text=token)
    page.press("Enter", 13, "\r")


@needs_browser
def test_a_token_is_asked_for_until_it_is_the_right_one(registry: Registry, tmp_path: Path) -> None:
    with running(tmp_path, (TASK,), Limits(), TOKEN) as asked, Browser() as page:
        page.open(f"http://127.0.0.1:{asked.port}/")
        enter(page, OTHER)
        assert page.wait(TOLD) == "That is not the token that the server was started with."
        enter(page, "schlüssel-€-1234567")
        page.wait(f"{TOLD}?.includes('ASCII')")
        assert page.run("sessionStorage.length") == 0  # what the server has not taken is not kept
        page.reach(False)
        enter(page, TOKEN)
        page.wait(f"{TOLD} === 'The server does not answer.'")
        page.reach(True)
        enter(page, TOKEN)
        page.wait("document.querySelectorAll('.bars li').length")
        assert page.run("document.querySelectorAll('main').length") == 1
        assert page.run("document.activeElement.id") == "panel"
        assert page.run("document.cookie + Object.keys(localStorage).join()") == ""
        page.run("document.querySelector('.foot a').click()")  # the same tab needs it no more
        page.wait("document.querySelectorAll('section').length")


@needs_browser
def test_a_token_that_is_changed_meanwhile_is_asked_for_and_nothing_is_lost(registry: Registry, tmp_path: Path) -> None:
    with running(tmp_path, (TASK, "late"), Limits(), TOKEN) as asked, Browser() as page:
        page.open(f"http://127.0.0.1:{asked.port}/#{TASK}")
        enter(page, TOKEN)
        page.wait(ANSWERED)
        page.run(f"sessionStorage.setItem('unroll-token', '{OTHER}')")
        page.run("document.querySelector('textarea').select()")
        page.call("Input.insertText", text="a long text that is being written")
        enter(page, TOKEN)
        page.wait("document.activeElement.value === 'a long text that is being written'")
        page.wait(ANSWERED)
        page.run(f"sessionStorage.setItem('unroll-token', '{OTHER}'); document.querySelector('.chips button').click()")
        page.wait("document.querySelector('input[type=password]')")
        page.run("location.hash = 'late'")  # the links go on working beside the form
        page.wait("document.title.startsWith('Late')")
        page.run("document.querySelector('input').focus()")
        enter(page, TOKEN)
        page.wait("document.querySelectorAll('main').length === 1")
        assert "No champion yet" in text(page, "main:not([hidden])")


ANEW = {
    "forecasting": "document.querySelector('[data-step=\"0\"]').focus()",
    "rise_or_fall": "document.querySelector('[data-step=\"0\"]').focus()",
    "series_classification": "document.querySelector('.chips button').click()",
    "text_classification": "document.querySelector('.chips button').click()",
    "sequence_to_sequence": "document.querySelector('form').requestSubmit()",
}
"""What asks the same again; where there are points, one is chosen to be moved by the keys."""
ANSWER = "main .bars li, main tbody td, main .band, main .dot, main .answer:not(:empty)"


@needs_browser
@pytest.mark.parametrize("task", ANEW)
def test_no_old_answer_stands_where_the_server_does_not_answer(shared: Browser, task: str) -> None:
    page = opened(shared, task)
    page.wait(ANSWERED)
    assert page.run(f"document.querySelectorAll('{ANSWER}').length")
    try:
        page.reach(False)
        page.run(ANEW[task])
        page.press("PageUp", 33)
        assert page.wait(TOLD) == "The server does not answer."
        assert page.run(f"document.querySelectorAll('{ANSWER}').length") == 0
        assert not page.run(ANSWERED)
        assert not page.run("/Most likely|Next:|probability/.test(document.querySelector('main').textContent)")
        page.reach(True)
        page.run(ANEW[task])
        page.press("PageUp", 33)
        page.wait(ANSWERED)
        assert page.run(f"document.querySelectorAll('{ANSWER}').length")
        assert page.run("document.querySelector('[role=alert]').hidden")
    finally:
        page.reach(True)
        page.errors.clear()  # the browser's own notes of requests that failed


@needs_browser
def test_an_emptied_text_has_no_answer(shared: Browser) -> None:
    page = opened(shared, TASK)
    page.wait(ANSWERED)
    page.run("document.querySelector('textarea').select()")
    page.press("Backspace", 8)
    page.wait("document.querySelectorAll('.bars li').length === 0")
    assert "Write a text" in text(page, "main")
    assert page.run("document.querySelector('[role=alert]').hidden")
