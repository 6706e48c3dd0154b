"""HTML pages of the report. Each contains its style and pictures, so it needs no other file."""

import base64
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt

from pointspider.core.errors import InputError
from pointspider.core.files import check_text, read_csv, read_json
from pointspider.study.report.contents import Page

MIME_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
DIGITS = 4  # significant ones of a number in a page; the CSV has all
MAX_ROWS = 2000  # of a table in a page; more would make the report larger than 15 MB


def render_page(page: Page, source: str | Path) -> str:
    """The HTML page of a file: CSV, JSON with a flat mapping, Markdown, SVG or PNG.

    Raises:
        InputError: the file cannot be read.
    """
    path = Path(source)
    if path.suffix in MIME_TYPES:
        return _page(page, source, picture=_data_uri(path))
    if path.suffix == ".md":
        return _page(page, source, text=_markdown(path))
    return table_page(page, _rows(read_json(path)) if path.suffix == ".json" else read_csv(path), source)


def table_page(page: Page, table: pd.DataFrame, source: str | Path = "") -> str:
    """The HTML page of a table, of its first rows if it is long; empty cells stay empty."""
    columns = [
        (name, "number" if pd.api.types.is_numeric_dtype(table[name]) else "text") for name in table.columns
    ]
    rows = [[_cell(value) for value in row] for row in table.head(MAX_ROWS).itertuples(index=False)]
    return _page(page, source, columns=columns, rows=rows, total=len(table))


def parameter_table(parameters: Mapping[str, Any]) -> pd.DataFrame:
    """Dotted keys and values of nested parameters."""
    return pd.DataFrame(list(_flatten(parameters)), columns=["parameter", "value"])


def version_table(root: Path) -> pd.DataFrame:
    """The machine, the commit of `root`, and every package of this Python environment."""
    facts = {
        "commit": _commit(root),
        "system": platform.platform(),
        "processors": str(os.cpu_count()),
        "Python": platform.python_version(),
        "environment": sys.prefix,
    }
    packages = {dist.name: dist.version for dist in distributions()}
    rows = [*facts.items(), *sorted(packages.items(), key=lambda item: item[0].lower())]
    return pd.DataFrame(rows, columns=["name", "version"])


def benchmark_table(directory: str | Path) -> pd.DataFrame:
    """Snakemake's benchmark files below a directory, a row per job."""
    columns = ["job", "seconds", "cpu_seconds", "peak_memory_mb", "read_mb", "written_mb"]
    rows = []
    for path in sorted(Path(directory).rglob("*.tsv")):
        (record,) = read_csv(path, ["s", "cpu_time", "max_rss"], separator="\t").to_dict("records")
        values = [record[key] for key in ("s", "cpu_time", "max_rss", "io_in", "io_out")]
        name = str(path.relative_to(directory).with_suffix(""))
        rows.append([name, *(pd.to_numeric(value, errors="coerce") for value in values)])
    return pd.DataFrame(rows, columns=columns)


def _page(page: Page, source: str | Path, **content: Any) -> str:
    loader = PackageLoader("pointspider.study", "templates")
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True)
    values = {"picture": None, "text": None, "columns": None, "rows": None, "total": 0, **content}
    return environment.get_template("page.html.j2").render(page=page, source=source, **values)


def _data_uri(path: Path) -> str:
    check_text(path)
    try:
        content = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Run the workflow first.") from error
    return f"data:{MIME_TYPES[path.suffix]};base64,{content}"


def _markdown(path: Path) -> str:
    """Markdown as HTML, without pictures and without links to files, which the report shows elsewhere."""
    check_text(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error}).") from error
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text.partition("\n## Plots\n")[0])
    text = re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text)
    html = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return re.sub(r"(<table>.*?</table>)", r'<div class="wide">\1</div>', html, flags=re.DOTALL)


def _rows(values: Mapping[str, Any]) -> pd.DataFrame:
    rows = [(name, _cell(value)) for name, value in values.items()]
    return pd.DataFrame(rows, columns=["metric", "value"])


def _cell(value: object) -> str:
    if value is None or value is pd.NA or value != value:
        return ""
    return f"{value:.{DIGITS}g}" if isinstance(value, float) and value % 1 else str(value).removesuffix(".0")


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _commit(root: Path) -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown: not a git checkout"
    return result.stdout.strip()
