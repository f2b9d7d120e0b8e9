"""The report in a real browser without a network: drawn whole, on wide and narrow screens, printed.

It needs Chromium on the PATH (Debian: chromium).
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_results import make_results
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium (Debian: apt install chromium)"),
]
# Widths of the windows that a person is asked to look at, in px: a desktop's and a telephone's.
WIDTHS = (1280, 400)
# Contrast of text that WCAG 2.1 asks for at level AA (1.4.3).
LEAST_CONTRAST = 4.5
CONTRAST = """
() => {
  const light = text => {
    const parts = text.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(one => one.nodeType === 3 && one.data.trim());
    if (!own) continue;
    const style = getComputedStyle(element);
    const drawn = element.closest('svg');
    const ink = light(drawn ? style.fill : style.color), paper = light(behind(element));
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < LEAST) poor.push([element.textContent, contrast]);
  }
  return poor;
}
""".replace("LEAST", str(LEAST_CONTRAST))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("made-up") / "results", ("dishes", "books"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's own walls need rights that containers do not give; the page is our own.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Told:
    """What a page says on the console and asks for."""

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("requestfailed", lambda request: self.errors.append(request.url))
        page.on("request", lambda request: self.requests.append(request.url))


@pytest.fixture(params=WIDTHS)
def opened(request: Any, browser: Browser, report: Path) -> Iterator[tuple[Page, Told]]:
    """The report at a window's width, the network cut."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 900}, offline=True, java_script_enabled=True
    )
    page = context.new_page()
    told = Told(page)
    page.goto(report.as_uri())
    yield page, told
    context.close()


def test_it_is_whole_without_a_network(opened: tuple[Page, Told], report: Path) -> None:
    _, told = opened
    assert told.requests == [report.as_uri()]
    assert told.errors == []


def test_every_figure_is_drawn(opened: tuple[Page, Told]) -> None:
    page, _ = opened
    figures = page.locator("figure")
    assert figures.count() == 24
    for figure in figures.all():
        box = figure.locator("svg").bounding_box()
        assert box
        assert box["width"] > 150
        assert box["height"] > 100
        # Lines, points or both, and words.
        assert figure.locator("svg g[aria-roledescription] path").count() > 0
        assert figure.locator("svg text").count() > 4


def test_nothing_is_wider_than_the_window(opened: tuple[Page, Told]) -> None:
    page, _ = opened
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_text_stands_out_from_what_is_behind_it(opened: tuple[Page, Told]) -> None:
    page, _ = opened
    assert page.evaluate(CONTRAST) == []


def test_a_keyboard_comes_to_all_of_it(opened: tuple[Page, Told]) -> None:
    page, _ = opened
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    page.keyboard.press("Tab")
    # Behind the contents: what comes next is a table, which the arrow keys then scroll.
    assert page.evaluate("document.activeElement.className") == "wide"


def test_links_of_the_contents_go_to_their_sections(opened: tuple[Page, Told]) -> None:
    page, _ = opened
    for link in page.locator("nav a").all():
        link.click()
        anchor = page.evaluate("decodeURIComponent(location.hash.slice(1))")
        top = page.evaluate("id => document.getElementById(id).getBoundingClientRect().top", anchor)
        last = page.evaluate("innerHeight + scrollY >= document.body.scrollHeight - 1")
        assert abs(top) < 2 or last


def test_it_prints(browser: Browser, report: Path, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    # What scrolls on a screen would be cut on paper: A4 less its margins, at 96 px an inch.
    page.set_viewport_size({"width": int((210 - 28) / 25.4 * 96), "height": 1000})
    cut = "[...document.querySelectorAll('.wide, figure, pre')].filter(one => one.scrollWidth > "
    assert page.evaluate(cut + "one.clientWidth + 1).map(one => one.textContent)") == []
    assert not page.locator("nav").is_visible()
    pdf = page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert 5 < pages < 30
    page.close()
