"""The exported page in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from tests.export.building import data, initial, train

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
_BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = [
    pytest.mark.skipif(_BROWSER is None, reason="there is no Chromium on the PATH"),
    pytest.mark.skipif(find_spec("ziglang") is None, reason="the ziglang package is not installed"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=_BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def opened(browser: Any, path: Path, width: int = 1280, scheme: str = "light") -> Any:
    """The page, without a network, in which nothing has gone wrong so far."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, offline=True, color_scheme=scheme
    )
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: page.complaints.append(str(e)))
    page.goto(path.as_uri())
    return page


def number(page: Any, what: str) -> float:
    return float(page.locator(f"#{what}").inner_text().replace(",", ""))


def wait(page: Any, selector: str, text: str) -> None:
    page.locator(selector, has_text=re.compile(text)).wait_for(timeout=20_000)


def first(page: Any, count: int) -> list[float]:
    """The losses of the first steps: the worker's own functions, without a page."""
    return page.evaluate(
        """(count) => {
            const source = document.getElementById("worker").textContent;
            const steps = `load({ record: ${JSON.stringify(record)},
                program: ${document.getElementById("program").textContent} })
                .then(() => { postMessage({ found: Array.from({ length: ${count} }, next) }); });`;
            const url = URL.createObjectURL(new Blob([source + steps]));
            return new Promise((resolve) => {
                const own = new Worker(url);
                own.onmessage = ({ data }) => data.found && resolve(data.found);
            });
        }""",
        count,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lowered for this machine; four batches, from a state that is given."""
    folder = tmp_path_factory.mktemp("page")
    x, y = data(4)
    traced = gx.trace(train, initial(), x[:24], y[:24], donate_argnums=0)
    (path,) = traced.lower().export(folder, form="web", arguments=(initial(), x, y))
    assert path.name == "train_step.html"
    return path


def test_it_trains_pauses_and_begins_again(browser: Any, trained: Path) -> None:
    page = opened(browser, trained)
    wait(page, "#status", "^Ready")
    page.locator("#start").click()
    wait(page, "#step", r"\d,\d{3}")
    page.locator("#start", has_text="Pause").click()
    wait(page, "#status", "^Paused")
    page.wait_for_timeout(300)
    steps, loss = number(page, "step"), number(page, "loss")
    page.wait_for_timeout(300)
    assert number(page, "step") == steps > 1000 and loss < 0.5
    assert number(page, "rate") > 0
    drawn = page.locator("#curve").evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].some(v => v)"
    )
    assert drawn
    page.locator("#start", has_text="Continue").click()
    page.locator("#reset").click()
    wait(page, "#status", "^Ready")
    assert page.locator("#step").inner_text() == "0"
    assert page.complaints == []


def test_the_steps_are_those_of_python(browser: Any, trained: Path) -> None:
    """The loss of every step, the order of batches. WebAssembly has no fused multiply-add, so that
    bits differ.
    """
    losses = first(opened(browser, trained), 10)
    x, y = data(4)
    step = gx.trace(train, initial(), x[:24], y[:24], donate_argnums=0).lower().compile()
    state, wanted = initial(), []
    for k in range(10):
        part = slice(k % 4 * 24, k % 4 * 24 + 24)
        state, loss = step(state, x[part], y[part])
        wanted.append(float(loss))
    np.testing.assert_allclose(losses, wanted, rtol=1e-4)


def test_the_last_batch_may_be_smaller(browser: Any, tmp_path: Path) -> None:
    """Batches of 24, 24 and 10 rows; without data random ones of 24."""
    x, y = data(3)
    x, y = x[:58], y[:58]
    specs = gx.spec(("B", 12), max=24), gx.spec(("B",), "int32", max=24)
    traced = gx.trace(train, initial(), *specs, donate_argnums=0)
    lowered = traced.lower(threads=1)
    step, state, wanted = lowered.compile(), initial(), []
    for k in range(5):
        part = slice(k % 3 * 24, min(k % 3 * 24 + 24, 58))
        state, loss = step(state, x[part], y[part])
        wanted.append(float(loss))
    for arguments in ((initial(), x, y), None):
        (path,) = lowered.export(tmp_path, form="web", arguments=arguments)
        losses = first(opened(browser, path), 5)
        if arguments is not None:
            np.testing.assert_allclose(losses, wanted, rtol=1e-4)
        else:
            assert losses == sorted(losses, reverse=True)
    with pytest.raises(gx.ArgumentError, match=r"args\[1\]: expected float32\[B<=24,12\]"):
        lowered.export(tmp_path, form="web", arguments=(initial(), x[:, :5], y))
    with pytest.raises(gx.ArgumentError, match=r"args\[2\]: B is 8, but 10"):
        lowered.export(tmp_path, form="web", arguments=(initial(), x, y[:56]))


@pytest.mark.parametrize(("scheme", "width"), [("dark", 800), ("light", 400)])
def test_it_fits_dark_and_narrow_windows(
    browser: Any, trained: Path, scheme: str, width: int
) -> None:
    page = opened(browser, trained, width, scheme)
    wait(page, "#status", "^Ready")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = sum(map(int, re.findall(r"\d+", background)[:3])) < 150
    assert dark == (scheme == "dark")
    assert page.complaints == []


def test_a_loss_that_is_not_finite_is_said(browser: Any, tmp_path: Path) -> None:
    """Random numbers for everything, and a large constant."""
    table = np.linspace(-1, 1, 40 * 40, dtype=np.float32).reshape(40, 40)

    def explode(w: Any, scale: Any) -> Any:
        value = gx.mean((table @ w) ** 2)
        return w * 30.0 + scale * 0.0, value

    w = np.ones((40, 3), np.float32)
    lowered = gx.trace(explode, w, np.float32(1), donate_argnums=0).lower(threads=1)
    (path,) = lowered.export(tmp_path, "explode", form="web")
    page = opened(browser, path)
    wait(page, "#status", "^Ready")
    page.locator("#start").click()
    wait(page, "#status", r"^Training stopped: the loss of step \d+ is Infinity")
    assert page.locator("#start").is_disabled()
    assert 5 < number(page, "step") < 50
    page.locator("#reset").click()
    wait(page, "#status", "^Ready")
    assert page.locator("#start").is_enabled()


def test_what_cannot_be_a_page_is_refused(tmp_path: Path) -> None:
    x = np.ones(3, np.float32)
    still = gx.trace(lambda w: gx.sum(w), x).lower(threads=1)
    silent = gx.trace(lambda w: w * 0.5, x, donate_argnums=0).lower(threads=1)
    for lowered in (still, silent):
        with pytest.raises(gx.ArgumentError, match="the loss of a step that trains"):
            lowered.export(tmp_path, form="web")

    def step(w: Any, x: Any) -> Any:
        return w * 0.5, gx.sum(w * x)

    lowered = gx.trace(step, x, x, donate_argnums=0).lower(threads=1)
    with pytest.raises(gx.ArgumentError, match=r"args\[1\]: expected .*, got float32\[4\]"):
        lowered.export(tmp_path, form="web", arguments=(x, np.ones(4, np.float32)))
    with pytest.raises(gx.ArgumentError, match="expected the structure"):
        lowered.export(tmp_path, form="web", arguments=(x,))
    with pytest.raises(gx.ArgumentError, match="runs one step"):
        lowered.export(tmp_path, form="web", beside={"other": lowered})
