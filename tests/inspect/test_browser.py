"""The report in a real browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.inspect.subjects import traced

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(_BROWSER is None, reason="there is no Chromium on the PATH")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    lowered = traced().lower(threads=1)
    path = tmp_path_factory.mktemp("report") / "report.html"
    lowered.report(path)
    return path, json.loads(json.dumps(lowered.record()))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as p:
        # A machine that does much else takes its time.
        patient = {"timeout": 120_000}
        chromium = p.chromium.launch(executable_path=_BROWSER, args=["--no-sandbox"], **patient)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, report: tuple[Path, Any]) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.complaints = []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: page.complaints.append(str(e)))
    page.goto(report[0].as_uri())
    yield page
    assert page.complaints == []
    # A name that holds a program was shown as text.
    assert page.title().startswith("train")
    assert page.locator("img").count() == 0
    context.close()


def test_every_view_opens_by_click_and_by_key(page: Any) -> None:
    tabs = page.locator("#tabs button")
    assert tabs.all_inner_texts() == ["Summary", "Passes", "Kernels", "Memory", "Pebbles"]
    for k in range(5):
        tabs.nth(k).click()
        assert tabs.nth(k).get_attribute("aria-selected") == "true"
        assert page.locator("#view > section").count() == 1
    page.keyboard.press("2")
    assert tabs.nth(1).get_attribute("aria-selected") == "true"
    tabs.nth(1).focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.view") == "kernels"


def test_the_slider_goes_through_the_stages(page: Any, report: tuple[Path, Any]) -> None:
    stages = report[1]["graph"]["stages"]
    page.keyboard.press("2")
    page.locator("#stage").focus()
    page.keyboard.press("Home")
    heading = page.locator("aside h2")
    assert heading.inner_text() == "written"
    for stage in stages[1:]:
        page.keyboard.press("ArrowRight")
        assert heading.inner_text() == stage["name"]
        assert stage["about"] and stage["about"] in page.locator("aside").inner_text()
    page.locator(".stages button", has_text="merge").first.click()
    (merge,) = [stage for stage in stages if stage["name"] == "merge"]
    merged = merge["changes"]["merged"]
    page.locator("aside details").first.locator("summary").click()
    page.locator("aside details .list > div").first.wait_for()
    # Those that one node serves stand together, the most work first.
    served: dict[int, list[int]] = {}
    for old, now in merged:
        served.setdefault(now, []).append(old)
    assert page.locator("aside details .list > div").count() == len(served)
    nodes = report[1]["graph"]["nodes"]
    work = {now: sum(nodes["flops"][n] for n in olds) for now, olds in served.items()}
    line = page.locator("aside details .list > div").first.inner_text()
    first = [now for now, n in work.items() if n == max(work.values())]
    assert any(
        nodes["name"][now] in line and nodes["name"][served[now][0]] in line for now in first
    )
    changes = page.locator(".stages button small").all_inner_texts()
    counts = report[1]["summary"]["nodes"]
    before = stages.index(merge) - 1
    assert changes[before + 1] == f"−{counts[before] - counts[before + 1]}"


def test_groups_open_by_keyboard(page: Any, report: tuple[Path, Any]) -> None:
    page.keyboard.press("2")
    page.locator("canvas").focus()
    picture = report[1]["graph"]["stages"][-1]["picture"]
    labels = [picture[-1 - m]["label"] for m in picture[0]["members"]]
    for _ in range(labels.index("forward")):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert "forward" in page.locator("nav.crumbs").inner_text()
    page.keyboard.press("Escape")
    assert "forward" not in page.locator("nav.crumbs").inner_text()


def test_lines_and_kernels_lead_to_one_another(page: Any, report: tuple[Path, Any]) -> None:
    kernels = report[1]["kernels"]
    page.keyboard.press("3")
    row = page.locator(".source button.row", has_text="nn.gelu").first
    row.click()
    line = int(row.locator("span").first.inner_text())
    wanted = [k for k, kernel in enumerate(kernels) if line in [p[1] for p in kernel["calls"]]]
    rows = page.locator("tbody tr")
    assert [int(t) for t in rows.locator("td:first-child").all_inner_texts()] == wanted
    rows.first.click()
    shown = report[1]["functions"][kernels[wanted[0]]["function"]]["c"]
    assert page.locator("pre.c").inner_text().strip() == shown.strip()
    assert page.locator(".formula").all_inner_texts() == kernels[wanted[0]]["formulas"]
    assert page.locator(".source .row.hit").count() == len(kernels[wanted[0]]["lines"])


def test_tables_sort(page: Any, report: tuple[Path, Any]) -> None:
    page.keyboard.press("3")
    flops = [k["flops"] for k in report[1]["kernels"]]
    page.locator("th button", has_text="FLOP").first.click()
    order = [int(t) for t in page.locator("tbody td:first-child").all_inner_texts()]
    assert [flops[k] for k in order] == sorted(flops, reverse=True)
    page.locator("th button", has_text="FLOP").first.click()
    order = [int(t) for t in page.locator("tbody td:first-child").all_inner_texts()]
    assert [flops[k] for k in order] == sorted(flops)
    assert page.locator("th").nth(3).get_attribute("aria-sort") == "ascending"


#: Moves the pointer to places of the arena's map; gives what is told at each.
HOVER = """places => {
  const canvas = document.querySelector("canvas");
  const box = canvas.getBoundingClientRect();
  return places.map(([x, y]) => {
    const [left, top] = [box.left + canvas.clientLeft, box.top + canvas.clientTop];
    const place = { clientX: left + x, clientY: top + y };
    canvas.dispatchEvent(new PointerEvent("pointermove", place));
    return document.getElementById("tip").innerText;
  });
}"""


def test_hovering_the_arena_tells_what_lies_there(page: Any, report: tuple[Path, Any]) -> None:
    """Of every buffer what the report's data says."""
    memory, functions = report[1]["memory"], report[1]["functions"]
    names = [functions[k["function"]]["name"] for k in report[1]["kernels"]]
    page.keyboard.press("4")
    canvas = page.locator("canvas").first
    page.wait_for_timeout(100)
    wide, high = canvas.evaluate("c => [c.clientWidth, c.clientHeight]")
    steps = max(max(b["last"] for b in memory["buffers"]), len(report[1]["kernels"]))
    wide, high = wide - 78 - 14, high - 14 - 30
    places = [
        (
            78 + wide * (b["first"] + b["last"]) / 2 / steps,
            14 + high * (1 - (b["offset"] + b["room"] / 2) / memory["figures"]["peak_bytes"]),
        )
        for b in memory["buffers"]
    ]
    told = page.evaluate(HOVER, places)
    assert len(told) == len(memory["buffers"]) > 30
    ledger = {row["name"]: row for row in memory["ledger"]}
    for b, text in zip(memory["buffers"], told, strict=True):
        first, second, third, *rest = text.split("\n")
        assert first == b["name"]
        # Figures have three digits, and a unit.
        figure, unit = second.removeprefix(b["type"]).strip().split(",")[0].split("\u00a0")
        size = float(figure.replace(",", "")) * {"B": 1, "kB": 1e3, "MB": 1e6}[unit]
        assert abs(size - b["bytes"]) <= 0.005 * b["bytes"]
        assert third == f"at {b['offset']:,}, while kernels {b['first']} to {b['last'] - 1} run"
        assert rest[0].startswith(f"from {names[b['writers'][0]]}" if b["writers"] else "from ")
        assert b["why"] in text
        for name in set(b["name"].split(", ")) & ledger.keys():
            assert f"not keeping {name} costs" in text


def test_work_is_told_by_line(page: Any, report: tuple[Path, Any]) -> None:
    page.locator("tbody tr").first.wait_for()
    lines = page.locator("tbody tr td:first-child").all_inner_texts()
    assert any(text.startswith("subjects.py:") for text in lines)
    page.locator("tbody tr").first.click()
    assert page.locator("#tabs [aria-selected=true]").inner_text() == "Kernels"


def test_pebbles_play_to_the_end(page: Any, report: tuple[Path, Any]) -> None:
    last = len(report[1]["kernels"]) - 1
    page.keyboard.press("5")
    slider = page.locator("input[type=range]")
    slider.focus()
    page.keyboard.press("End")
    assert f"kernel {last} of {last}" in page.locator("section > p").last.inner_text()
    page.locator("button", has_text="play").click()
    playwright.expect(slider).to_have_value(str(last), timeout=120_000)


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_follows_the_theme(
    browser: Any, report: tuple[Path, Any], width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(report[0].as_uri())
    for k in "12345":
        page.keyboard.press(k)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == scheme
    page.keyboard.press("t")
    assert page.evaluate(theme) != scheme
    context.close()
