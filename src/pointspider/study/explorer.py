"""The page to explore: test clouds on maps of their embeddings, what the CLIPs answer, and the tables.

The page is one file: Bokeh's scripts, the maps and every picture are in it, and it loads nothing.
"""

import base64
import io
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Num, UInt8
from PIL import Image

from pointspider.core.errors import InputError
from pointspider.core.vectors import directions
from pointspider.study.evaluate.maps import nearest_objects, neighbour_map, principal_components
from pointspider.study.tables.pages import render_template

#: Largest width and height of a picture on the page, in pixels.
PICTURE = 96
NEIGHBOURS, ANSWERS = 5, 3
MARKERS = {"circle": "●", "square": "■", "triangle": "▲", "diamond": "◆", "inverted_triangle": "▼"}
COLUMNS = ("class", "corruption", "severity")
#: The page opens with the first of each.
PATHS = {"mapped": "mapped clouds", "renders": "renders", "points": "point features"}
KINDS = {"tsne": "t-SNE (neighbours)", "pca": "PCA (largest variance)"}
LIMIT = 15 * 2**20
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Answers(NamedTuple):
    """What a CLIP answers for each cloud.

    Attributes:
        model: its name.
        classes: (n, k) names, the most similar first.
        cosines: (n, k).
    """

    model: str
    classes: np.ndarray
    cosines: Float[np.ndarray, "n k"]


def clip_answers(
    model: str, images: Num[np.ndarray, "n D"], classes: list[str], prompts: Num[np.ndarray, "C D"]
) -> Answers:
    """The `ANSWERS` classes whose prompts are most similar to each render, as in Table II."""
    cosines = directions(images) @ directions(prompts).T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :ANSWERS]
    return Answers(model, np.array(classes)[order], np.take_along_axis(cosines, order, axis=1))


def explorer_page(
    manifest: pd.DataFrame,
    pictures: UInt8[np.ndarray, "n H W 3"],
    embeddings: Mapping[str, Num[np.ndarray, "n _"]],
    answers: Iterable[Answers],
    tables: Mapping[str, pd.DataFrame],
    made: Mapping[str, Any],
) -> str:
    """Return the page as HTML.

    Args:
        manifest: n clouds with cloud_id, class, object, corruption and severity.
        pictures: their renders.
        embeddings: by a key of `PATHS`.
        answers: of each CLIP.
        tables: to show, by their titles.
        made: preset and data, and the models of the paths by the keys of `PATHS`.

    Raises:
        InputError: the page is larger than 15 MB.
    """
    from bokeh.embed import components
    from bokeh.resources import Resources

    data = {name: manifest[name].astype(str).tolist() for name in ("cloud_id", *COLUMNS)}
    data["picture"] = [_data_uri(picture) for picture in pictures]
    legends = {name: _colours(manifest[name]) for name in COLUMNS}
    for name, legend in legends.items():
        data[f"colour_{name}"] = [legend[value][0] for value in data[name]]
        data[f"marker_{name}"] = [legend[value][1] for value in data[name]]
    for path, values in embeddings.items():
        for kind, project in (("pca", principal_components), ("tsne", neighbour_map)):
            x, y = project(values).round(4).T
            data |= {f"{path}_{kind}_x": x.tolist(), f"{path}_{kind}_y": y.tolist()}
    scripts, divs = components({"map": _map(data, legends), **_tables(tables)})
    near = {path: nearest_objects(manifest, values, NEIGHBOURS) for path, values in embeddings.items()}
    details = {
        "paths": {path: PATHS[path] for path in embeddings},
        "near": {path: rows.tolist() for path, (rows, _) in near.items()},
        "cosines": {path: cosines.round(3).tolist() for path, (_, cosines) in near.items()},
        "answers": [
            {"model": a.model, "classes": a.classes.tolist(), "cosines": a.cosines.round(3).tolist()}
            for a in answers
        ],
        "legends": {
            name: [[key, colour, MARKERS[marker]] for key, (colour, marker) in own.items()]
            for name, own in legends.items()
        },
    }
    library = Resources(mode="inline", components=["bokeh", "bokeh-widgets", "bokeh-tables"]).render_js()
    page = render_template(
        "explorer.html.j2",
        made=made,
        clouds=len(manifest),
        library=library,
        script=scripts,
        map=divs.pop("map"),
        tables=divs,
        details=details,
    )
    page = _with_numbered_ids(page)
    if len(page.encode()) > LIMIT:
        raise InputError(f"explorer.html: would have {len(page.encode()) / 2**20:.1f} MB, more than 15.")
    return page


def _with_numbered_ids(page: str) -> str:
    """Replace Bokeh's random UUIDs by their order in the page, so that equal content gives equal bytes."""
    numbers: dict[str, str] = {}
    return UUID.sub(lambda match: numbers.setdefault(match[0], f"id{len(numbers)}"), page)


def _colours(values: pd.Series) -> dict[str, tuple[str, str]]:
    """A colour and a marker of each value; severities are ordered, other values are not."""
    from bokeh.palettes import Category20, viridis

    names = [str(name) for name in (sorted(set(values)) if values.name == "severity" else values.unique())]
    if values.name == "severity":
        return {name: (colour, "circle") for name, colour in zip(names, viridis(len(names)), strict=True)}
    pairs = itertools.cycle(itertools.product(MARKERS, Category20[20]))
    return {name: (colour, marker) for name, (marker, colour) in zip(names, pairs, strict=False)}


def _map(data: dict[str, list[Any]], legends: Mapping[str, Mapping[str, tuple[str, str]]]) -> Any:
    """The map with its controls."""
    from bokeh.layouts import column, row
    from bokeh.models import ColumnDataSource, CustomJS, HoverTool, Select, TapTool
    from bokeh.plotting import figure

    first = f"{next(iter(PATHS))}_{next(iter(KINDS))}"
    data |= {"x": data[f"{first}_x"], "y": data[f"{first}_y"], "alpha": [0.85] * len(data["class"])}
    data |= {"colour": data["colour_class"], "marker": data["marker_class"]}
    source = ColumnDataSource(data, name="clouds")
    tools = "pan,wheel_zoom,box_zoom,zoom_in,zoom_out,reset"
    plot = figure(tools=tools, active_scroll="wheel_zoom", sizing_mode="stretch_width", height=620,
                  toolbar_location="above", name="map")  # fmt: skip
    plot.axis.visible = False
    plot.grid.visible = False
    plot.toolbar.logo = None
    plot.scatter("x", "y", source=source, size=9, marker="marker", fill_color="colour", line_color="white",
                 line_width=0.5, fill_alpha="alpha", line_alpha="alpha", nonselection_fill_alpha="alpha",
                 nonselection_line_alpha="alpha", selection_line_color="black",
                 selection_line_width=2.5)  # fmt: skip
    plot.add_tools(
        HoverTool(tooltips='<img src="@picture" width="96" height="96" alt=""><br>@cloud_id'), TapTool()
    )
    choose = {
        "path": Select(title="Embedding", value="mapped", options=list(PATHS.items())),
        "kind": Select(title="Map", value="tsne", options=list(KINDS.items())),
        "by": Select(title="Colour", value="class", options=list(COLUMNS)),
        "only": Select(title="Class", value="all", options=["all", *legends["class"]]),
        "cloud": Select(title="Cloud", value=data["cloud_id"][0], options=data["cloud_id"], name="cloud"),
    }
    update = CustomJS(args={"source": source, **choose}, code=UPDATE)
    for name in ("path", "kind", "by", "only"):
        choose[name].js_on_change("value", update)
    choose["cloud"].js_on_change(
        "value",
        CustomJS(
            args={"source": source},
            code="source.selected.indices = [source.data.cloud_id.indexOf(cb_obj.value)]",
        ),
    )
    source.selected.js_on_change(
        "indices", CustomJS(args={"source": source, "cloud": choose["cloud"]}, code=SELECT)
    )
    for name, control in choose.items():
        control.width = 310 if name == "cloud" else 150
    controls = row(*choose.values(), sizing_mode="stretch_width", styles={"flex-wrap": "wrap"})
    return column(controls, plot, sizing_mode="stretch_width")


UPDATE = """
const data = {...source.data};
data.x = data[`${path.value}_${kind.value}_x`];
data.y = data[`${path.value}_${kind.value}_y`];
data.colour = data[`colour_${by.value}`];
data.marker = data[`marker_${by.value}`];
data.alpha = data.class.map(name => only.value == "all" || name == only.value ? 0.85 : 0.05);
source.data = data;
window.showLegend(by.value);
"""
SELECT = """
const [row] = source.selected.indices;
if (row !== undefined) {
  cloud.value = source.data.cloud_id[row];
  window.showCloud(source.data, row);
}
"""


def _tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """A table for each frame, which a click on a heading sorts."""
    from bokeh.models import ColumnDataSource, DataTable, NumberFormatter, StringFormatter, TableColumn

    shown = {}
    for title, frame in tables.items():
        frame = frame.dropna(axis=1, how="all")
        columns = []
        for name in frame:
            number = pd.api.types.is_numeric_dtype(frame[name])
            formatter = NumberFormatter(format="0,0.[000]", nan_format="") if number else StringFormatter()
            width = 92 if number else 138
            heading = str(name).replace("_", " ")
            columns.append(TableColumn(field=str(name), title=heading, formatter=formatter, width=width))
        cells = {
            str(name): (
                frame[name].astype("float64")
                if pd.api.types.is_numeric_dtype(frame[name])
                else frame[name].astype("string").fillna("")
            ).tolist()
            for name in frame
        }
        height = 28 * min(len(frame), 14) + 30
        shown[title] = DataTable(source=ColumnDataSource(cells), columns=columns, index_position=None,
                                 width=sum(c.width for c in columns) + 20, height=height,
                                 autosize_mode="none", row_height=28, reorderable=False)  # fmt: skip
    return shown


def _data_uri(picture: UInt8[np.ndarray, "H W 3"]) -> str:
    """A picture as WebP in a URI."""
    image = Image.fromarray(picture)
    image.thumbnail((PICTURE, PICTURE))
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=80, method=2)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()
