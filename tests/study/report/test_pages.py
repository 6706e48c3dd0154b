import platform

import numpy as np
import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.study.report.contents import ENTRIES, PAGES, RUN_PAGES, Page
from pointspider.study.report.pages import (
    MAX_ROWS,
    benchmark_table,
    parameter_table,
    render_page,
    table_page,
    version_table,
)
from pointspider.study.tables.schemas import SCHEMAS

PAGE = Page("Tables", "Title", "A caption with <angles>.")


def test_every_table_has_a_page_and_no_two_pages_share_a_name():
    tables = {path.rpartition("/")[2].removesuffix(".csv") for path in PAGES if path.endswith(".csv")}
    raw, on_request = (
        {"speed", "search_seconds"},
        {"table4", "encoders"},
    )  # summarised; not of the default run
    assert tables == {*SCHEMAS, "table2"} - raw - on_request
    assert len(ENTRIES) == len(PAGES) + len(RUN_PAGES)


def test_a_table_page_escapes_text_and_rounds_numbers():
    table = pd.DataFrame({"name": ["<b>", "x"], "n": [1234567, 2], "value": [0.123456789, np.nan]})
    html = table_page(PAGE, table)
    assert "A caption with &lt;angles&gt;." in html
    assert (
        '<td class="text">&lt;b&gt;</td><td class="number">1234567</td><td class="number">0.1235</td>' in html
    )
    assert '<td class="number">2</td><td class="number"></td>' in html


def test_a_page_of_a_long_table_says_how_many_rows_it_omits():
    html = table_page(PAGE, pd.DataFrame({"n": range(MAX_ROWS + 5)}))
    assert f"The first {MAX_ROWS} of {MAX_ROWS + 5} rows; the file has all." in html
    assert html.count("<tr>") == MAX_ROWS + 1
    assert "rows; the file" not in table_page(PAGE, pd.DataFrame({"n": range(MAX_ROWS)}))


def test_a_markdown_page_has_tables_and_no_relative_links(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(
        "# Top\n\n| a | b |\n|---|---|\n| 1 | <i> |\n\n[there](../x.svg) and [web](https://example.org)\n"
        "![picture](speed.svg)\n\n## Plots\n\n- [gone](../y.svg)\n",
        encoding="utf-8",
    )
    html = render_page(PAGE, path)
    assert '<div class="wide"><table>' in html
    assert "&lt;i&gt;" in html
    assert "there and" in html
    assert '<a href="https://example.org">web</a>' in html
    for text in ("x.svg", "speed.svg", "y.svg", "gone"):
        assert text not in html


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(InputError, match=r"plot\.svg: cannot be read"):
        render_page(PAGE, tmp_path / "plot.svg")


def test_parameters_are_dotted():
    table = parameter_table(
        {"clouds": {"classes": ["a", "b"], "source": "folder"}, "seed": None, "empty": {}}
    )
    assert table.to_dict("split")["data"] == [
        ["clouds.classes", '["a", "b"]'],
        ["clouds.source", "folder"],
        ["seed", "null"],
        ["empty", "{}"],
    ]


def test_versions_are_of_this_environment(root, tmp_path):
    versions = version_table(root).set_index("name")["version"]
    assert versions["Python"] == platform.python_version()
    assert versions["numpy"] == np.__version__
    assert {"commit", "system", "processors", "environment", "torch", "mitsuba", "snakemake"} <= set(
        versions.index
    )
    assert version_table(tmp_path).set_index("name").loc["commit", "version"].startswith("unknown")


def test_benchmarks_are_named_by_their_job(tmp_path):
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    (tmp_path / "train").mkdir()
    (tmp_path / "train/a.tsv").write_text(f"{header}8.5\t0:00:08\t668.6\t1\t1\t1\t0.5\t2.0\t37.9\t3.4\n")
    (tmp_path / "short.tsv").write_text(f"{header}0.1\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\t0.0\t0.0\n")
    table = benchmark_table(tmp_path)
    assert list(table["job"]) == ["short", "train/a"]
    assert table.loc[1, ["seconds", "cpu_seconds", "peak_memory_mb"]].tolist() == [8.5, 3.4, 668.6]
    assert np.isnan(table.loc[0, "peak_memory_mb"])
    assert len(benchmark_table(tmp_path / "none")) == 0
