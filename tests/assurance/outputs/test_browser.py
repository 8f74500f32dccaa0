"""A real Chromium opens the pages: silent, alone, accessible in light and dark, without JavaScript, on paper."""

import io
import shutil

import pytest
from PIL import Image

from hauberk.assurance import difference_pages
from hauberk.assurance.difference import compare
from hauberk.assurance.engine import render

pytestmark = pytest.mark.browser
FLAGS = ("--no-sandbox", "--disable-quic", "--disable-background-networking", "--no-first-run")
PAGES = ("full", "empty", "interrupted", "not_met", "difference")


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_api.sync_playwright() as playwright:
        if path is None:
            from pathlib import Path

            if not Path(playwright.chromium.executable_path).is_file():
                pytest.skip("needs Chromium: apt install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The pages as files; rendered once."""
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("reports_to_render", Path(__file__).parents[1] / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    reports = module.reports()
    folder = tmp_path_factory.mktemp("pages")
    for name, report in reports.items():
        (folder / f"{name}.html").write_bytes(render(report, "html"))
    (folder / "difference.html").write_bytes(difference_pages.html(compare(reports["full"], module.hardened_report())))
    return folder


class Opened:
    """A page, what it said on the console, and what it asked for besides itself."""

    def __init__(self, browser, file, **options):
        self.said, self.asked = [], []
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.context.route("**/*", self._route)
        self.address = file.as_uri()
        self.page.goto(self.address)

    def _route(self, route):
        if route.request.url.split("#")[0] == self.address:
            route.continue_()
        else:
            self.asked.append(route.request.url)
            route.abort()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.mark.parametrize("name", ["full", "difference"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(chromium, files, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    with Opened(
        chromium, files / f"{name}.html", color_scheme=scheme, viewport={"width": 1200, "height": 900}
    ) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        results = axe.Axe().run(opened.page)
        problems = [
            (problem["id"], [node["html"][:160] for node in problem["nodes"][:3]])
            for problem in results.response["violations"]
        ]
        assert problems == []
        unknown = [
            (node["html"][:160], check["message"])
            for problem in results.response["incomplete"]
            if problem["id"] == "color-contrast"
            for node in problem["nodes"]
            for check in node["any"]
            if "too short" not in check["message"]
        ]
        assert unknown == [], "contrast must be known, not guessed"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [1200, 360])
def test_silent_alone_and_nothing_over_the_edge(chromium, files, name, width):
    with Opened(chromium, files / f"{name}.html", viewport={"width": width, "height": 800}) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.said == []
        assert opened.asked == []


def test_hostile_text_runs_nothing(chromium, files):
    with Opened(chromium, files / "full.html") as opened:
        asked = []
        opened.page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
        assert opened.page.evaluate("document.scripts.length") == 0
        assert opened.page.evaluate("document.images.length") == 9
        assert opened.page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert asked == []


def test_the_policy_of_the_page_is_in_force(chromium, files, tmp_path):
    """The guard behind the guard: were a tag to slip through, it would neither run nor fetch."""
    text = (files / "full.html").read_text(encoding="utf-8")
    bad = tmp_path / "bad.html"
    bad.write_text(
        text.replace("<main", "<script>document.title='run'</script><img src='https://evil.example/x'><main")
    )
    with Opened(chromium, bad) as opened:
        assert opened.page.title() != "run"
        assert opened.asked == []
        assert any("Content Security Policy" in line for line in opened.said)


def test_dark_is_dark_and_the_charts_follow(chromium, files):
    colours = {}
    for scheme in ("light", "dark"):
        with Opened(chromium, files / "full.html", color_scheme=scheme) as opened:
            colours[scheme] = opened.page.evaluate(
                "[getComputedStyle(document.body).backgroundColor,"
                " getComputedStyle(document.querySelector('.chart text')).fill,"
                " getComputedStyle(document.querySelector('.chart [stroke=\"#1f5fa9\"]')).stroke]"
            )
    assert all(light != dark for light, dark in zip(colours["light"], colours["dark"], strict=True))


def test_without_javascript_on_paper_and_as_a_picture(chromium, files):
    with Opened(
        chromium, files / "full.html", java_script_enabled=False, viewport={"width": 360, "height": 800}
    ) as opened:
        assert opened.page.get_by_role("heading", level=1).inner_text() == "Not met"
        opened.page.get_by_text("Every figure with its interval").click()
        assert opened.page.get_by_role("region", name="Every figure").is_visible()
        picture = Image.open(io.BytesIO(opened.page.screenshot()))
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 50
    with Opened(chromium, files / "full.html") as opened:
        pdf = opened.page.pdf(prefer_css_page_size=True)
        assert pdf.startswith(b"%PDF")
        assert 3 <= pdf.count(b"/Type /Page\n") <= 25


def test_keyboard(chromium, files):
    """The first tab stop skips to the verdict, and focus can be seen."""
    with Opened(chromium, files / "full.html", viewport={"width": 1200, "height": 900}) as opened:
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("document.activeElement.className") == "skip"
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
