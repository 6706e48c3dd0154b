"""Read params.yaml and the files over it, and validate every preset; errors name the key and its file."""

import copy
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pointspider.core.errors import InputError
from pointspider.study.config.models import Params
from pointspider.study.remote import Remote

#: Values of a file. Aliases of YAML can make many from a few bytes.
MOST_VALUES = 100_000
Key = tuple[str | int, ...]


def load(
    paths: Sequence[str | Path],
    overrides: Mapping[str, Any] | None = None,
    remotes: Mapping[str, Remote] | None = None,
) -> Params:
    """Read, merge and validate parameters.

    Args:
        paths: params.yaml, and files that are merged over it in turn, as by Snakemake's --configfile.
        overrides: merged over the files, as by Snakemake's --config.
        remotes: see `resolve`.

    Raises:
        InputError: a file cannot be read as a YAML mapping; what `resolve` raises.
    """
    layers = [read_layer(path) for path in paths]
    return resolve([*layers, ("--config", overrides or {})], remotes)


def read_layer(path: str | Path) -> tuple[str, Mapping[str, Any]]:
    """Return the name and the content of a YAML file of parameters.

    Raises:
        InputError: the file cannot be read as a YAML mapping.
    """
    name = os.path.relpath(path) if Path(path).resolve().is_relative_to(Path.cwd()) else str(path)
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except Exception as error:  # PyYAML raises almost any for tags that do not fit their values
        reason = " ".join(str(error).split())
        raise InputError(f"{name}: cannot be read as YAML ({reason}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{name}: is not a YAML mapping of parameters.")
    if _count(content) > MOST_VALUES:
        raise InputError(f"{name}: has more than {MOST_VALUES:,} values; an alias may contain itself.")
    return name, content


def _count(content: Any) -> int:
    """Return the number of values, those of aliases each time; MOST_VALUES + 1 if there are more."""
    nodes, count = [content], 0
    while nodes and count <= MOST_VALUES:
        node = nodes.pop()
        count += 1
        if isinstance(node, dict | list):
            nodes += node.values() if isinstance(node, dict) else node
    return count


def resolve(
    layers: Iterable[tuple[str, Mapping[str, Any]]], remotes: Mapping[str, Remote] | None = None
) -> Params:
    """Merge layers of configuration and return the parameters of the chosen preset.

    Every preset is validated, so that a typing error in an unused one is found too.

    Args:
        layers: names and contents, from params.yaml to the last override. Mappings are merged key by key,
            other values replace earlier ones, and null removes a mapping.
        remotes: content of data/sources.csv. If given, paths are normalised, and a path or name of clouds or
            weights that is neither on this machine nor among `remotes` is an error.

    Raises:
        InputError: a key is unknown, missing, of the wrong type or range, or both at the top level and in a
            preset; values do not fit together; the preset does not exist.
    """
    config = _Config()
    for name, content in layers:
        config.merge(content, name)
    presets = config.values.get("presets")
    presets = {name: own or {} for name, own in presets.items()} if isinstance(presets, dict) else {}
    chosen = config.values.get("preset")
    if chosen not in list(presets):  # a list is not hashable
        raise config.error(("preset",), f"'{chosen}' does not exist; choose one of {sorted(presets)}.")
    validated = {name: _validate(config, name, own) for name, own in presets.items()}
    params = validated[chosen]
    if params.alignment.clouds == "all" and params.mapper.batch_size is None:
        raise config.error(
            ("mapper", "batch_size"),
            "is null, which trains on every cloud of every object in one step; give a number with "
            "alignment.clouds: all.",
            chosen,
        )
    return params if remotes is None else _locate(config, params, remotes)


class _Config:
    """Merged layers, and the layer of each value."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[Key, str] = {(): "params.yaml"}

    def merge(self, changes: Mapping[str, Any], name: str) -> None:
        self._merge(self.values, changes, name, ())

    def _merge(self, values: dict[str, Any], changes: Mapping[str, Any], name: str, path: Key) -> None:
        for key, value in changes.items():
            here = (*path, key)
            if value is None and isinstance(values.get(key), dict):
                del values[key]
                continue
            if not isinstance(value, Mapping):
                values[key] = copy.deepcopy(value)
                self.origins[here] = name
                continue
            if not isinstance(values.get(key), dict):
                values[key] = {}
                self.origins[here] = name
            self._merge(values[key], value, name, here)

    def error(self, path: Key, problem: str, preset: str | None = None) -> InputError:
        """Return an error about the value at `path` of the resolved parameters, with its place and file."""
        below = ("presets", preset, *path) if preset is not None else path
        written = below if preset is not None and self._has(below) else path
        known = written if self._has(written) else below
        while known not in self.origins:
            known = known[:-1]
        return InputError(f"{self.origins[known]}: {'.'.join(map(str, written))}: {problem}")

    def _has(self, path: Key) -> bool:
        node: Any = self.values
        for key in path:
            if not _contains(node, key):
                return False
            node = node[key]
        return True


def _contains(node: Any, key: str | int) -> bool:
    if isinstance(node, list):
        return isinstance(key, int) and key < len(node)
    return isinstance(node, Mapping) and key in node


def _validate(config: _Config, preset: str, own: Mapping[str, Any]) -> Params:
    """Validate one preset merged with the top level."""
    if not isinstance(own, dict):
        raise config.error(("presets", preset), "is not a mapping.")
    common = {key: value for key, value in config.values.items() if key != "presets"}
    merged = _combine(config, common, own, preset, ()) | {"preset": preset}
    try:
        params = Params.model_validate(merged)
    except ValidationError as error:
        path, problem = _explain(error, merged)
        raise config.error(path, problem, preset) from None
    for path, problem in _conflicts(params):
        raise config.error(path, problem, preset)
    return params


def _combine(
    config: _Config, common: Mapping[str, Any], own: Mapping[str, Any], preset: str, path: Key
) -> dict[str, Any]:
    """Return `common` with `own` in it; a value that both contain is an error."""
    combined = dict(common)
    for key, value in own.items():
        here = (*path, key)
        if key in common and isinstance(value, Mapping) and isinstance(common[key], Mapping):
            combined[key] = _combine(config, common[key], value, preset, here)
        elif key in common:
            problem = f"is also at the top level ({config.origins[here]}); keep one of them."
            raise config.error(here, problem, preset)
        else:
            combined[key] = value
    return combined


def _explain(error: ValidationError, data: Any) -> tuple[Key, str]:
    """Return the path and the problem of the first error, without pydantic's names of union members."""
    details = error.errors(include_url=False)
    paths = [_path(detail["loc"], data, detail["type"] == "missing") for detail in details]
    first, path = details[0], paths[0]
    context = first.get("ctx", {})
    match first["type"]:
        case "missing":
            return path, "missing."
        case "unknown_key" | "conflict":
            return (*path, context["key"]), first["msg"]
        case "union_tag_not_found":
            return (*path, context["discriminator"].strip("'")), "missing."
        case "union_tag_invalid":
            return (*path, context["discriminator"].strip("'")), (
                f"is '{context['tag']}'; should be {context['expected_tags']}."
            )
    problems = dict.fromkeys(
        detail["msg"].removeprefix("Input ").removeprefix("Value ").removeprefix("String ")
        for detail, other in zip(details, paths, strict=True)
        if other == path
    )
    found = repr(first["input"])
    return path, f"is {found if len(found) <= 80 else found[:77] + '...'}; {' or '.join(problems)}."


def _path(location: Key, data: Any, is_missing: bool) -> Key:
    """Return the keys of `location` that `data` has, and the last key where it is missing."""
    path: Key = ()
    for index, key in enumerate(location):
        if _contains(data, key):
            data, path = data[key], (*path, key)
        elif is_missing and index == len(location) - 1:
            path = (*path, key)
    return path


def _conflicts(params: Params) -> Iterator[tuple[Key, str]]:
    """Yield the path and the problem of values that are valid alone but not together."""
    images, points = params.encoders.images, params.encoders.points
    model = params.alignment.image_embedding.model
    if model not in images:
        yield (
            ("alignment", "image_embedding", "model"),
            f"'{model}' is not in encoders.images: {', '.join(images)}.",
        )
    if 1 not in params.zero_shot.top:
        yield ("zero_shot", "top"), "must contain 1: models are compared by their top-1 accuracy."
    if params.baselines.choice_folds > params.baselines.folds:
        yield (
            ("baselines", "choice_folds"),
            f"is {params.baselines.choice_folds}, but there are {params.baselines.folds} folds.",
        )
    if points.name in images:
        yield ("encoders", "images"), f"'{points.name}' is the name of the point encoder."
    trained = {name: clip for name, clip in images.items() if clip.weights == "train"}
    if trained or (points.checkpoint == "train" and points.directory is None):
        for key in ("encoder_objects", "encoder_variants"):
            if getattr(params.clouds, key) < 1:
                yield ("clouds", key), "is 0, but encoders that are trained need clouds to train on."
    for name, clip in trained.items():
        if clip.patch and params.render.resolution % clip.patch:
            yield (
                ("encoders", "images", name, "patch"),
                f"{clip.patch} does not divide render.resolution, {params.render.resolution}.",
            )


def _locate(config: _Config, params: Params, remotes: Mapping[str, Remote]) -> Params:
    """Return `params` with normalised paths: without "~", "./", "//" and a closing slash."""
    places = {remote.place for remote in remotes.values() if remote.path}
    # `generate` reads two folders of one directory.
    parents = {os.path.dirname(place) for place in places}
    files = {remote.name for remote in remotes.values() if remote.path}
    models = {remote.name for remote in remotes.values() if not remote.path}
    points = params.encoders.points
    values: list[tuple[Key, str | None, set[str]]] = [
        (("clouds", "directory"), params.clouds.directory, parents),
        (("encoders", "points", "checkpoint"), points.checkpoint, {"train"} | files),
        (
            ("encoders", "points", "directory"),
            points.directory if points.checkpoint == "train" else None,
            set(),
        ),
    ]
    for name, clip in params.encoders.images.items():
        values.append((("encoders", "images", name, "weights"), clip.weights, {"train"} | models))
    if template := params.mapper.init:
        norms = ("none", "layer", "response") if "{norm}" in template else (params.mapper.norm,)
        for norm in norms:
            _check_init(config, params, template.replace("{norm}", norm), norm)
    for key, value, known in values:
        if value is None or value in known:
            continue
        path = os.path.normpath(os.path.expanduser(value))
        if path not in places | known and not Path(path).exists():
            raise config.error(
                key,
                f"'{value}' is neither on this machine nor in data/sources.csv; correct it, or put the "
                "data there.",
                params.preset,
            )
        _check_braces(config, params, key, path)
        params = _replace(params, key, path)
    return params


def _check_braces(config: _Config, params: Params, key: Key, path: str) -> None:
    """Refuse a path that Snakemake would read as a pattern."""
    if set("{}") & set(path):
        raise config.error(
            key, f"'{path}' has braces, which Snakemake cannot read; rename it.", params.preset
        )


def _check_init(config: _Config, params: Params, path: str, norm: str) -> None:
    """Check that a file of `mapper.init` exists and has the norm of the mapper that starts from it."""
    from pointspider.mappers.tensors import read_predictor

    key = "mapper", "init"
    _check_braces(config, params, key, path)
    if not Path(path).is_file():
        raise config.error(key, f"'{path}' does not exist; correct it, or set it to null.", params.preset)
    try:
        found = read_predictor(path)[1].get("architecture", {}).get("norm")
    except InputError as error:
        raise config.error(key, str(error), params.preset) from error
    if found != norm:
        kind = f"a mapper with norm '{found}'" if found else "not a network"
        raise config.error(key, f"'{path}' is {kind}, but norm '{norm}' should start from it.", params.preset)


def _replace(node: Any, path: Key, value: Any) -> Any:
    """Return a copy of a model or mapping with another value at `path`."""
    if not path:
        return value
    key = str(path[0])
    if isinstance(node, BaseModel):
        return node.model_copy(update={key: _replace(getattr(node, key), path[1:], value)})
    return {**node, key: _replace(node[key], path[1:], value)}
