"""The page in a real browser: each model is tried with the pointer and with the keys alone."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from serving.http.browser import ANSWERED, Browser, middle, needs_browser, opened, text
from serving.http.made import PROBLEMS, Asked, Registry, running
from unroll.serving import http
from unroll.serving.http.limits import Limits

PAGE = Path(http.__file__).parent / "page"


@needs_browser
def test_a_forecast_follows_the_point_that_is_dragged(shared: Browser, served: Asked) -> None:
    page = opened(shared, "forecasting")
    page.wait("document.querySelectorAll('tbody td').length")
    before, drawn = text(page, "tbody strong"), page.run("document.querySelector('.past').getAttribute('d')")
    (answer, *_) = served.predict("forecasting", served.example("forecasting")).json["answers"]
    target = served.ask("GET", "/v1").json["tasks"][PROBLEMS.index("forecasting")]["about"]["target"]
    assert float(before) == pytest.approx(answer[target], rel=1e-3)
    x, y = middle(page, "[data-step='0']")
    page.drag([(x, y), (x, y - 20), (x, y - 60)])
    page.wait(f"document.querySelector('tbody strong').textContent !== '{before}'")
    assert page.run("document.querySelector('.past').getAttribute('d')") != drawn
    page.run("[...document.querySelectorAll('main button')].find((b) => b.textContent === 'Start again').click()")
    page.wait(f"document.querySelector('tbody strong').textContent === '{before}'")


@needs_browser
def test_a_forecast_has_its_cone_where_the_model_has_bands(shared: Browser, served: Asked) -> None:
    page = opened(shared, "forecasting")
    page.wait("document.querySelectorAll('tbody td').length")
    banded = "low_95" in served.predict("forecasting", served.example("forecasting")).json["answers"][0]
    assert page.run("document.querySelectorAll('.band').length") == (3 if banded else 0)
    assert page.run("document.querySelectorAll('.dot').length") >= 1


@needs_browser
def test_a_forecast_follows_the_keys(shared: Browser) -> None:
    page = opened(shared, "forecasting")
    page.wait("document.querySelectorAll('tbody td').length")
    before = text(page, "tbody strong")
    page.run("document.querySelector('[data-step=\"0\"]').focus()")
    page.press("ArrowLeft", 37)
    assert page.run("document.activeElement.dataset.step") == "-1"
    assert page.run("document.querySelectorAll('.point[tabindex=\"0\"]').length") == 1
    page.press("ArrowRight", 39)
    value = page.run("Number(document.activeElement.getAttribute('aria-valuenow'))")
    for _ in range(3):
        page.press("PageUp", 33)
    assert page.run("Number(document.activeElement.getAttribute('aria-valuenow'))") > value
    page.wait(f"document.querySelector('tbody strong').textContent !== '{before}'")


@needs_browser
def test_each_point_of_a_forecast_lies_within_the_bounds_that_are_told(shared: Browser) -> None:
    """Without bounds of its own a slider ranges from 0 to 100 (WAI-ARIA 1.2)."""
    page = opened(shared, "forecasting")
    page.wait("document.querySelectorAll('tbody td').length")
    page.run("document.querySelector('[data-step=\"0\"]').focus()")
    told = "['valuemin', 'valuenow', 'valuemax'].map((name) => parseFloat(each.getAttribute(`aria-${name}`)))"
    for key, code in (("PageUp", 33), ("PageDown", 34), ("PageDown", 34)):
        for _ in range(8):
            page.press(key, code)
        bounds = page.run(f"[...document.querySelectorAll('.point')].map((each) => {told})")
        assert bounds
        assert all(low <= value <= high for low, value, high in bounds), bounds


@needs_browser
def test_rows_of_ones_own_are_taken_and_faulty_ones_told(shared: Browser) -> None:
    page = opened(shared, "forecasting")
    page.wait("document.querySelectorAll('tbody td').length")
    page.run("document.querySelector('details').open = true")
    use = "[...document.querySelectorAll('main button')].find((b) => b.textContent === 'Use these rows').click()"
    change = (
        "const area = document.querySelector('textarea'); area.value = area.value.replace(/\\d+-\\d+-\\d+T/, 'noon ')"
    )
    page.run(f"(() => {{ {change}; {use}; }})()")
    told = page.wait("document.querySelector('[role=alert]:not([hidden])')?.textContent")
    assert "row 1, column time" in told
    page.run(f"document.querySelector('textarea').value = 'nonsense\\n1,2'; {use}")
    page.wait("document.querySelector('[role=alert]').textContent.includes(\"'nonsense' is not a column\")")
    assert page.run("document.querySelectorAll('tbody td, .point').length") == 0
    assert all("422" in error for error in page.errors)
    page.errors.clear()  # the browser's own note of a refused request


@needs_browser
def test_rise_or_fall_is_told_with_its_probability(shared: Browser) -> None:
    page = opened(shared, "rise_or_fall")
    page.wait("document.querySelectorAll('.bars li').length === 2")
    assert re.search(r"Most likely: (rise|fall) \([\d.]+ %\)", text(page, "main"))


@needs_browser
def test_a_day_is_picked_or_drawn_with_pointer_and_keys(shared: Browser) -> None:
    page = opened(shared, "series_classification")
    page.wait("document.querySelectorAll('.bars li').length")
    shape = "document.querySelector('.day').getAttribute('d')"
    first = page.run(shape)
    page.run("document.querySelectorAll('.chips button')[1].click()")
    assert page.run(shape) != first
    picked = page.run(shape)
    measure = "((box) => [box.x, box.y, box.width, box.height])"
    box = page.run(f"{measure}(document.querySelector('.pad').getBoundingClientRect())")
    page.drag([(box[0] + box[2] * share, box[1] + box[3] * 0.3) for share in (0.3, 0.5, 0.7)])
    assert page.run(shape) != picked
    page.run("document.querySelector('.pad').focus()")
    page.press("Home", 36)
    assert page.run("document.querySelector('.pad').getAttribute('aria-valuetext')").startswith("step 1 of ")
    value = page.run("Number(document.querySelector('.pad').getAttribute('aria-valuenow'))")
    page.press("PageDown", 34)
    assert page.run("Number(document.querySelector('.pad').getAttribute('aria-valuenow'))") < value
    page.wait(ANSWERED)


@needs_browser
def test_a_text_is_classified_as_it_is_written(shared: Browser, served: Asked) -> None:
    page = opened(shared, "text_classification")
    page.wait("document.querySelectorAll('.bars li').length")
    page.run("document.querySelector('textarea').focus(); document.querySelector('textarea').value = ''")
    page.call("Input.insertText", text="thanks <b>you</b> late")
    (answer,) = served.predict("text_classification", [{"text": "thanks <b>you</b> late"}]).json["answers"]
    share = max(value for name, value in answer.items() if name != "label")
    shown = f"{100 * share:.{0 if share > 0.0995 else 1}f} %"
    page.wait(f"document.querySelector('main').textContent.includes('Most likely: {answer['label']} ({shown})')")
    assert page.run("document.querySelectorAll('main b').length") == 0  # it is text, not markup


@needs_browser
def test_a_verse_streams_and_can_be_stopped(shared: Browser) -> None:
    page = opened(shared, "language_model")
    page.run("document.querySelector('[name=length]').value = 9999; document.querySelector('form').requestSubmit();")
    page.wait("document.querySelector('.verse span:last-child').textContent.length > 20")
    assert page.run("document.querySelector('.verse').getAttribute('aria-busy')") == "true"
    page.run("[...document.querySelectorAll('main button')].find((b) => b.textContent === 'Stop').click()")
    page.wait("!document.querySelector('[aria-busy]')")
    assert text(page, "[role=status]") == "Stopped."
    assert len(text(page, ".verse span:last-child")) < 9999
    page.run("document.querySelector('[name=length]').value = 30; document.querySelector('form').requestSubmit();")
    page.wait("document.querySelector('[role=status]').textContent.startsWith('30 characters in')")
    once = text(page, ".verse")
    page.run("document.querySelector('form').requestSubmit()")
    page.wait("document.querySelector('[role=status]').textContent === 'Writing…'")
    page.wait("document.querySelector('[role=status]').textContent.startsWith('30 characters in')")
    assert text(page, ".verse") == once  # the same seed


@needs_browser
def test_a_question_is_answered(shared: Browser, served: Asked) -> None:
    page = opened(shared, "sequence_to_sequence")
    page.wait(ANSWERED)
    reading = served.ask("GET", "/v1").json["tasks"][PROBLEMS.index("sequence_to_sequence")]["about"]["reading"]
    a, b = page.run("[...document.querySelectorAll('main input')].map((input) => input.value)")
    source = {"forward": f"{a}+{b}", "backward": f"{a}+{b}"[::-1]}[reading]
    (answer,) = served.predict("sequence_to_sequence", [{"source": source}]).json["answers"]
    assert text(page, ".answer") == answer["answer"]
    truth = str(int(a) + int(b))
    assert text(page, ".answer + p").startswith("✓ right" if answer["answer"] == truth else f"✗ it is {truth}")


@needs_browser
def test_a_model_without_a_form_of_its_own_gets_fields_and_a_table(registry: Registry, tmp_path: Path) -> None:
    with running(tmp_path, PROBLEMS, Limits()) as asked, Browser() as page:
        assert asked.roster
        for slot in asked.roster.slots.values():
            assert slot.current
            slot.current = replace(slot.current, inputs=replace(slot.current.inputs, form=""))
        page.open(f"http://127.0.0.1:{asked.port}/")
        page.wait("document.querySelectorAll('nav a').length")
        for task in PROBLEMS:
            opened(page, task)
            page.wait(ANSWERED)
            answers = asked.predict(task, asked.example(task)).json["answers"]
            assert page.run("document.querySelectorAll('main tbody tr').length") == len(answers)
            assert page.run("document.querySelectorAll('main thead th').length") == len(answers[0])
            assert page.run("[...document.querySelectorAll('main label')].every((each) => each.control)")
        opened(page, "language_model")
        page.wait(ANSWERED)
        labels = "[...document.querySelectorAll('label')]"
        length = f"{labels}.find((each) => each.textContent.startsWith('length:')).control"
        page.run(f"{length}.value = 7")
        page.run("document.querySelector('main form').requestSubmit()")
        page.wait("[...document.querySelector('main tbody td').textContent].length === 7")
        assert page.errors == []


@needs_browser
def test_everything_has_a_name_a_language_and_an_order(shared: Browser) -> None:
    nameless = """[...document.querySelectorAll('input, select, textarea, button, a, [role=slider]')].filter((e) =>
        !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).map((e) => e.outerHTML)"""
    assert shared.run("document.documentElement.lang") == "en"
    for task in PROBLEMS:
        page = opened(shared, task)
        page.wait("document.querySelector('main .sheet')")
        assert page.run(nameless) == [], task
        assert page.run("document.querySelectorAll('h1').length") == 1
        assert page.run("document.querySelectorAll('h2').length") == 1
        assert page.run("[...document.querySelectorAll('[tabindex]')].every((each) => each.tabIndex <= 0)")
    page.open(page.run("location.origin"))
    page.wait("document.querySelectorAll('nav a').length")
    page.press("Tab", 9)
    assert page.run("document.activeElement.className") == "skip"


@needs_browser
def test_it_fits_a_narrow_window(shared: Browser) -> None:
    shared.resize(360, 740)
    try:
        for task in PROBLEMS:
            page = opened(shared, task)
            page.wait("document.querySelector('main .sheet')")
            assert page.run("document.documentElement.scrollWidth") <= 360, task
    finally:
        shared.resize(1000, 900)


@needs_browser
@pytest.mark.parametrize("width", [250, 290, 340, 1000])
@pytest.mark.parametrize(
    ("names", "first", "last"),
    [
        ([-16, -8, 0, 8, 16, 24], -23, 24),
        ([-2000, -1000, 0, 1000], -2300, 1000),
        ([0, 24, 48, 71, 95], 0, 95),
        ([0], 0, 0),
    ],
)
def test_names_of_an_axis_stand_apart_and_within_it(
    shared: Browser, names: list[int], first: int, last: int, width: int
) -> None:
    name = "(step) => (last > 95 || first < 0 ? `+${step}` : `step ${step + 1}`)"
    boxes = shared.run(f"""import('/page/chart.js').then(({{ Plot }}) => {{
        const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
        svg.setAttribute('class', 'chart');
        const [first, last] = [{first}, {last}];
        const frame = document.createElement('div');
        frame.style.width = '{width}px';
        frame.append(svg);
        document.body.append(frame);
        const plot = new Plot(svg).scales([first, last], [0, 1]);
        svg.append(plot.axes(0, 1, {names}, {name}));
        const left = svg.getBoundingClientRect().left;
        const below = [...svg.querySelectorAll('text')].filter((each) => each.getAttribute('y') > plot.bottom + 10);
        const found = below.map((each) => each.getBoundingClientRect());
        frame.remove();
        return found.map((box) => [box.left - left, box.right - left]);
    }})""")
    assert len(boxes) >= min(2, len(names))
    assert boxes[0][0] >= 0
    assert boxes[-1][1] <= width
    assert all(right + 3 <= left for (_, right), (left, _) in pairwise(boxes)), boxes


@needs_browser
def test_the_interface_is_described_without_anything_from_elsewhere(served: Asked) -> None:
    with Browser(dark=True) as page:
        page.open(f"http://127.0.0.1:{served.port}/docs")
        page.wait("document.querySelectorAll('section').length >= 10")
        for problem in PROBLEMS:
            assert f"/v1/{problem}/predict" in page.run("document.body.textContent")
        assert page.run("getComputedStyle(document.documentElement).backgroundColor") == "rgb(19, 23, 22)"
        assert page.errors == []
        assert {url.split("/")[2] for url in page.asked} == {f"127.0.0.1:{served.port}"}


def test_nothing_comes_from_elsewhere() -> None:
    for path in PAGE.iterdir():
        found = re.findall(r"(?:https?:)?//[a-z][\w.]+\.[a-z]{2,}", path.read_text(encoding="utf-8"))
        assert set(found) <= {"http://www.w3.org"}, path.name
        assert not re.search(r"\bstyle=|\bon\w+=\"|javascript:|innerHTML|eval\(", path.read_text(encoding="utf-8")), (
            path
        )


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_what_is_behind_them(dark: bool) -> None:
    """WCAG 2.2, success criterion 1.4.3: a contrast of 4.5 at least."""
    blocks = re.findall(r":root \{(.*?)\}", (PAGE / "style.css").read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[int(dark)]))

    def light(name: str) -> float:
        parts = [int(colours[name][at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for front, back in [
        ("ink", "paper"), ("ink", "sheet"), ("quiet", "paper"), ("quiet", "sheet"), ("accent", "paper"),
        ("accent", "sheet"), ("accent-ink", "accent"), ("warn", "warn-wash"), ("ink", "wash"),
    ]:  # fmt: skip
        high, low = sorted((light(front), light(back)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (front, back)
