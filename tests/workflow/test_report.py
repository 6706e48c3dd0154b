"""`make report` and `make crate`: the report in a browser, and the crate with every file that it lists."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from pointspider.core.files import read_csv
from pointspider.study.report.contents import ENTRIES, PAGES
from pointspider.study.report.pages import MAX_ROWS

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
RESULTS = "results/embedded"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MAX_BYTES = 15e6


@pytest.fixture(scope="module")
def reported(finished_project, tmp_path_factory) -> Path:
    """The directory of results of a copy of the finished project, with its report and crate."""
    project = finished_project.copy(tmp_path_factory.mktemp("report") / "project")
    project.run("make", "crate", "INSTALLED=")
    assert project.planned("pages") == {}
    return project.directory / RESULTS


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("needs Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[1400, 390], ids=["desktop", "phone"])
def page(request, browser, reported):
    """The report in a window; at the end, no error was logged and nothing was requested from elsewhere."""
    page = browser.new_page(viewport={"width": request.param, "height": 850})
    problems = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request", lambda request: problems.append(request.url) if request.url.startswith("http") else None
    )
    page.goto((reported / "report.html").as_uri())
    page.wait_for_selector("nav")
    yield page
    assert problems == []
    page.close()


def test_the_report_shows_every_page(page, reported):
    assert (reported / "report.html").stat().st_size < MAX_BYTES
    width = page.viewport_size["width"]
    sources = {f"{entry.category}/{entry.title}": source for source, entry in PAGES.items()}
    for category in {entry.category for entry in ENTRIES.values()}:
        page.evaluate("app.setView({navbarMode: 'menu'})")  # a category shown after another keeps its rows
        page.evaluate("category => app.showCategory(category)", category)
        titles = {entry.title for entry in ENTRIES.values() if entry.category == category}
        for title in titles:
            page.locator("nav tbody td", has_text=title).first.wait_for()
        rows = page.locator("nav tbody tr")
        assert {row.locator("td").first.inner_text() for row in rows.all()} == titles
        for row in rows.all():
            title = row.locator("td").first.inner_text()
            row.locator("a").first.click()
            frame = page.frame_locator("iframe")
            frame.locator("h1", has_text=title).first.wait_for()
            box = page.locator("iframe").bounding_box()
            assert box["width"] >= min(width, 1000) - 60
            source = sources.get(f"{category}/{title}", "")
            if source.endswith((".svg", ".png")):
                assert frame.locator("img").evaluate("image => image.naturalWidth") > 100
                assert frame.locator("img").bounding_box()["width"] <= width
            if source.endswith(".csv"):
                assert frame.locator("tbody tr").count() == min(len(read_csv(reported / source)), MAX_ROWS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_pages_have_captions_and_the_run_its_benchmarks(page, reported):
    captions = page.evaluate("Object.values(results).map(result => result.caption)")
    assert len(captions) == len(ENTRIES)
    for entry in ENTRIES.values():
        assert any(entry.caption in caption.replace("&quot;", '"') for caption in captions), entry.title
    page.evaluate("app.setView({navbarMode: 'menu'})")
    page.evaluate("app.showCategory('Run')")
    page.locator("nav tbody tr", has_text="Benchmarks").locator("a").first.click()
    cells = page.frame_locator("iframe").locator("tbody tr td:first-child")
    cells.first.wait_for()
    names = cells.all_inner_texts()
    assert {"render_class/cone", "train_points", "measure_speed"} <= set(names)
    page.locator("nav tbody tr", has_text="Versions").locator("a").first.click()
    page.frame_locator("iframe").locator("td", has_text="torch").first.wait_for()
    assert {"Python", "mitsuba", "snakemake", "torch"} <= set(cells.all_inner_texts())


def test_the_crate_contains_what_it_lists(reported):
    with zipfile.ZipFile(reported / "crate.zip") as archive:
        names = set(archive.namelist())
        graph = {item["@id"]: item for item in json.loads(archive.read("ro-crate-metadata.json"))["@graph"]}
        assert archive.read(f"{RESULTS}/tables/table3.csv") == (reported / "tables/table3.csv").read_bytes()
    files = {name for name, item in graph.items() if "File" in item["@type"]}
    assert files == names - {"ro-crate-metadata.json"}
    root, run = graph["./"], graph["#run"]
    assert root["mainEntity"] == run["instrument"] == {"@id": "Snakefile"}
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in {profile["@id"] for profile in root["conformsTo"]}
    assert {result["@id"] for result in run["result"]} == {n for n in names if n.startswith("results/")}
    assert run["startTime"] < run["endTime"]
    assert f"{RESULTS}/report.html" in files
    assert "requirements.lock" in files
