"""The JSON schema and the reference page of the parameters, generated from their models."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pointspider.study.config.models import Params

SCHEMA = Path("workflow/schemas/params.schema.yaml")
PAGE = Path("docs/parameters.md")
INTRODUCTION = """\
# Parameters

`params.yaml` is the only configuration. The page below and
[`params.schema.yaml`](../workflow/schemas/params.schema.yaml) are generated from
`src/pointspider/study/config/models.py` by `make schema`; a test fails when they differ.

- `preset` selects one of `presets`. `presets.<preset>` is merged into the top level; a key is in
  only one of them.
- `snakemake --configfile FILE` merges FILE over `params.yaml`; `--config key=value` is merged over both.
  Mappings are merged key by key; any other value, lists included, replaces the earlier one.
- `null` removes a mapping: `encoders: {images: {tiny-clip-patch16: null}}` removes a CLIP. Elsewhere it is a
  value.
- With a `checkpoint` or `weights` other than `train`, the keys of the training may remain. They are ignored.
- An unknown key, a missing key or a value out of range stops the run before its first job. The message gives
  the key and the file that contains it.
"""


class Parameter(NamedTuple):
    """A key of the resolved parameters."""

    key: str
    type: str
    meaning: str


def parameters() -> Iterator[Parameter]:
    """Yield every key, in the order of the models; `*` stands for the name of a CLIP."""
    schema = Params.model_json_schema()
    seen = set()
    for parameter in _walk(schema, schema["$defs"], ""):
        if parameter.key not in seen:  # members of a union share keys
            seen.add(parameter.key)
            yield parameter


def _walk(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Iterator[Parameter]:
    members = _members(node, definitions)
    for key in dict.fromkeys(key for member in members for key in member.get("properties", {})):
        values = [member["properties"][key] for member in members if key in member.get("properties", {})]
        here = f"{path}{key}"
        nested = [inner for value in values for inner in _members(value, definitions)]
        if any("properties" in inner for inner in nested):
            yield from _walk({"anyOf": values}, definitions, f"{here}.")
        elif "patternProperties" in nested[0]:
            (inner,) = nested[0]["patternProperties"].values()
            yield from _walk(inner, definitions, f"{here}.*.")
        else:
            types = dict.fromkeys(kind for value in values for kind in _types(value))
            described = dict.fromkeys(value["description"] for value in values if "description" in value)
            yield Parameter(here, ", ".join(types), "; ".join(described))


def _members(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the alternatives of a schema, references followed."""
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]]
    alternatives = node.get("oneOf") or node.get("anyOf")
    if alternatives is None:
        return [node]
    return [member for alternative in alternatives for member in _members(alternative, definitions)]


def _types(node: Mapping[str, Any]) -> list[str]:
    """Return the types and values of a leaf in words."""
    if "anyOf" in node:
        return [kind for member in node["anyOf"] for kind in _types(member)]
    if "const" in node or "enum" in node:
        return [f"`{value}`" for value in node.get("enum", [node.get("const")])]
    if node["type"] == "array":
        kinds = _types(node["items"])
        return [f"list of {kinds[0] if len(kinds) == 1 else ', '.join(kinds)}"]
    bounds = [
        f"{sign} {node[name]:g}"
        for sign, name in (
            (">", "exclusiveMinimum"),
            ("≥", "minimum"),
            ("≤", "maximum"),
            ("multiple of", "multipleOf"),
        )
        if name in node
    ]
    return [" ".join([node["type"], " ".join(bounds)]).strip()]


def page(config: Mapping[str, Any]) -> str:
    """Return docs/parameters.md.

    Args:
        config: content of params.yaml.
    """
    lines, section = [INTRODUCTION], ""
    for parameter in parameters():
        top = parameter.key.split(".")[0]
        if top != section:
            section = top
            lines += [
                f"\n## {section}\n",
                "| key | type | value in params.yaml | meaning |",
                "|---|---|---|---|",
            ]
        cells = [f"`{parameter.key}`", parameter.type, _value(config, parameter.key), parameter.meaning]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _value(config: Mapping[str, Any], key: str) -> str:
    """Return the value at the top level, or of each preset."""
    parts = key.split(".")
    if "*" in parts:
        return ""
    found, value = _get(config, parts)
    if found:
        return f"`{_inline(value)}`"
    values = {name: _get(own, parts) for name, own in config["presets"].items()}
    return "; ".join(f"{name}: `{_inline(value)}`" for name, (found, value) in values.items() if found)


def _get(node: Any, parts: list[str]) -> tuple[bool, Any]:
    for part in parts:
        if not isinstance(node, Mapping) or part not in node:
            return False, None
        node = node[part]
    return True, node


def _inline(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True).split("\n")[0]


def generate(root: Path) -> dict[Path, str]:
    """Return the content of the generated files of a checkout."""
    config = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | _without_titles(
        Params.model_json_schema()
    )
    header = "# Generated by `make schema` from src/pointspider/study/config/models.py.\n"
    body = yaml.safe_dump(schema, sort_keys=False, width=200, allow_unicode=True, default_flow_style=None)
    return {SCHEMA: header + body, PAGE: page(config)}


def _without_titles(node: Any) -> Any:
    """Return a schema without the titles that pydantic derives from the keys."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _without_titles(value)
        for key, value in node.items()
        if key != "title" or isinstance(value, dict)
    }
