"""The page to explore: its maps and neighbours, and the page itself in a browser."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.study import explorer
from pointspider.study.evaluate import maps


@pytest.fixture
def page(searched, search_tables, monkeypatch):
    """The page of the clouds of `searched`."""
    monkeypatch.setattr(maps, "ITERATIONS", 250)
    manifest, paths = searched
    by_name = {key.path: values for key, values in paths.items() if key.model != "constant"}
    pictures = np.random.default_rng(0).integers(0, 255, (len(manifest), 16, 16, 3), dtype=np.uint8)
    answers = [
        explorer.clip_answers("tiny", by_name["renders"], ["class_0", "class_1", "<b>"], np.eye(3, 16))
    ]
    made = {
        "preset": "embedded",
        "data": "procedural",
        "mapped": "ridge",
        "renders": "tiny",
        "points": "pointnet",
    }
    tables = {
        "Table V": search_tables["table5"],
        "Table X": pd.DataFrame({"k": [3, 1, 2], "name": list("abc")}),
    }
    return explorer.explorer_page(manifest, pictures, by_name, answers, tables, made)


def test_the_page_is_one_file_that_loads_nothing(page):
    without_scripts = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.search(r'(src|href)="(?!data:)', without_scripts)
    assert '<script src="' not in page
    assert page.count("data:image/webp;base64,") >= 24
    assert r"\u003cb>" in page  # names are escaped
    assert len(page.encode()) < explorer.LIMIT


def test_a_page_above_the_limit_is_refused(searched, search_tables, monkeypatch):
    monkeypatch.setattr(explorer, "LIMIT", 1000)
    monkeypatch.setattr(explorer, "neighbour_map", maps.principal_components)
    manifest, paths = searched
    by_name = {key.path: values for key, values in paths.items() if key.model != "constant"}
    pictures = np.zeros((24, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(InputError, match=r"explorer\.html: would have .* MB, more than 15"):
        explorer.explorer_page(manifest, pictures, by_name, [], {}, dict.fromkeys(
            ("preset", "data", "mapped", "renders", "points"), "x"
        ))  # fmt: skip


def test_neighbours_are_other_objects_each_once(searched):
    manifest, paths = searched
    values = next(iter(paths.values()))
    rows, cosines = maps.nearest_objects(manifest, values, 5, chunk=7)
    assert rows.shape == cosines.shape == (24, 5)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    objects = manifest["object"].to_numpy()
    for query in range(24):
        found = objects[rows[query]]
        assert objects[query] not in found
        assert len(set(found)) == 5
        similarity = unit @ unit[query]
        best = sorted((max(similarity[objects == o]) for o in set(objects) - {objects[query]}), reverse=True)
        np.testing.assert_allclose(cosines[query], best[:5])


def test_principal_components_are_those_of_scikit_learn(searched):
    from sklearn.decomposition import PCA

    values = next(iter(searched[1].values()))
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    expected = PCA(2).fit_transform(unit)
    np.testing.assert_allclose(np.abs(maps.principal_components(values)), np.abs(expected), atol=1e-9)


def test_few_enough_clouds_are_shown(monkeypatch):
    monkeypatch.setattr(maps, "MOST_CLOUDS", 5)
    shown = maps.choose_shown(pd.DataFrame({"cloud_id": range(100)}))
    assert shown["cloud_id"].tolist() == [0, 25, 50, 74, 99]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium")
@pytest.mark.parametrize(("width", "touch"), [(1280, False), (390, True)])
def test_the_page_works_in_a_browser(page, tmp_path, width, touch):
    """By mouse or finger and by keyboard, without a message on the console and without a request."""
    from playwright.sync_api import sync_playwright

    path = tmp_path / "explorer.html"
    path.write_text(page, encoding="utf-8")
    messages: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": width, "height": 844}, has_touch=touch, is_mobile=touch, offline=True
        )
        tab = context.new_page()
        tab.on(
            "console",
            lambda message: messages.append(message.text) if message.type in ("error", "warning") else None,
        )
        tab.on("pageerror", lambda error: messages.append(str(error)))
        tab.on(
            "request",
            lambda request: messages.append(request.url) if request.url.startswith("http") else None,
        )
        tab.goto(path.as_uri())
        name = tab.locator("#name")
        tab.locator("#neighbours button").first.wait_for()
        assert name.inner_text() == "class_0/original_0/0000"
        assert tab.evaluate("document.documentElement.scrollWidth") == width

        tab.locator("#next").focus()
        tab.keyboard.press("Enter")
        assert name.inner_text() == "class_0/shear_1/0000"
        title = tab.locator("#neighbours button").first.get_attribute("title")
        tab.locator("#neighbours button").first.press("Enter")
        assert name.inner_text() == title

        selects = tab.locator("select")  # also in the shadow trees
        assert selects.count() == 5
        selects.nth(4).select_option("class_3/uniform_5/0007")
        assert name.inner_text() == "class_3/uniform_5/0007"
        before = tab.evaluate("clouds().data.x[5]")
        selects.nth(0).select_option(label="point features")
        selects.nth(1).select_option(label="PCA (largest variance)")
        assert tab.evaluate("clouds().data.x[5]") != before
        selects.nth(2).select_option("severity")
        assert tab.locator("#legend li").count() == 3
        selects.nth(3).select_option("class_1")
        assert tab.evaluate("clouds().data.alpha.filter(alpha => alpha > 0.5).length") == 6

        heading = tab.get_by_text("k", exact=True).first
        for expected in (["1", "2", "3"], ["3", "2", "1"]):
            heading.click()
            cells = tab.locator(".slick-row .l0")
            assert cells.all_inner_texts()[-3:] == expected
        browser.close()
    assert messages == []
