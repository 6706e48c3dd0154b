"""params.yaml: validated against its schema, and resolved for one preset."""

import copy
import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import jsonschema
import yaml

from pointspider.core.errors import InputError
from pointspider.study.remote import Remote


def load(paths: Sequence[str | Path], schema_path: str | Path) -> dict:
    """Read, validate and resolve parameters.

    Args:
        paths: params.yaml, and files that are merged over it in turn, as by Snakemake's --configfile.
        schema_path: see `resolve`.

    Raises:
        InputError: unreadable file, or what `resolve` raises.
    """
    config: dict = {}
    for path in paths:
        try:
            _update(config, yaml.safe_load(Path(path).read_text()))
        except (OSError, yaml.YAMLError) as error:
            raise InputError(f"{path}: cannot be read as YAML ({error}).") from error
    return resolve(config, schema_path)


def _update(config: dict, changes: Mapping) -> None:
    """Merge `changes` into `config`, mapping by mapping; anything else replaces what was there."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            _update(config[key], value)
        else:
            config[key] = value


def resolve(config: Mapping, schema_path: str | Path) -> dict:
    """The parameters of the chosen preset: the top level with `presets.<preset>` merged into it.

    Every preset is validated, so that a typing error in the one not in use is found too.

    Args:
        config: the content of params.yaml, command-line overrides included.
        schema_path: params.schema.yaml, which describes the resolved parameters.

    Returns:
        A nested dict without `presets`.

    Raises:
        InputError: a key is unknown, missing, of the wrong type or range, or stands both at the top level
            and in a preset; the preset does not exist. The message gives the key's path.
    """
    presets = config.get("presets") or {}
    if config.get("preset") not in presets:
        raise InputError(
            f"params.yaml: preset: '{config.get('preset')}' does not exist; choose one of {sorted(presets)}."
        )
    schema = yaml.safe_load(Path(schema_path).read_text())
    common = {key: value for key, value in config.items() if key != "presets"}
    resolved = {}
    for name, own in presets.items():
        resolved[name] = _merge(common, own or {}, preset=name)
        resolved[name]["preset"] = name
        for error in jsonschema.Draft202012Validator(schema).iter_errors(resolved[name]):
            raise InputError(f"params.yaml: {_explain(error, own or {}, name)}")
        _check_together(resolved[name], own or {}, name)
    chosen = resolved[config["preset"]]
    if chosen["alignment"]["clouds"] == "all" and chosen["mapper"]["batch_size"] is None:
        raise InputError(
            "params.yaml: mapper.batch_size: null trains on every variant of every object in one step; give "
            "a number with alignment.clouds: all."
        )
    return chosen


def locate(params: Mapping, remotes: Mapping[str, Remote]) -> dict:
    """The parameters with every path written plainly: without "./", "//" or a closing slash.

    Args:
        params: of `resolve`.
        remotes: of `remote.read_remotes`.

    Raises:
        InputError: a path or name of clouds or weights is neither on this machine nor in data/sources.csv.
    """
    params = copy.deepcopy(dict(params))
    places = {remote.place for remote in remotes.values() if remote.path}

    def check(section: dict, key: str, keys: str, known: set[str]) -> None:
        if section.get(key) is None or section[key] in known:
            return
        path = os.path.normpath(section[key])
        if path not in places | known and not Path(path).exists():
            raise InputError(
                f"params.yaml: {keys}.{key}: '{section[key]}' is neither on this machine nor in "
                "data/sources.csv; correct it, or put there what it names."
            )
        section[key] = path

    # What `generate` reads lies beside each other in one directory.
    check(params["clouds"], "directory", "clouds", {os.path.dirname(place) for place in places})
    points = params["encoders"]["points"]
    check(points, "checkpoint", "encoders.points", {"train"} | {r.name for r in remotes.values() if r.path})
    if points["checkpoint"] == "train":
        check(points, "directory", "encoders.points", set())
    published = {"train"} | {remote.name for remote in remotes.values() if not remote.path}
    for name, clip in params["encoders"]["images"].items():
        check(clip, "weights", f"encoders.images.{name}", published)
    return params


def _check_together(params: dict, own: Mapping, preset: str) -> None:
    """Refuse values that are fine alone but not beside each other."""

    def refuse(keys: str, problem: str) -> None:
        raise InputError(f"params.yaml: {_path(keys.split('.'), own, preset)}: {problem}")

    images = params["encoders"]["images"]
    model = params["alignment"]["image_embedding"]["model"]
    if model not in images:
        refuse(
            "alignment.image_embedding.model", f"'{model}' is none of encoders.images: {', '.join(images)}."
        )
    if 1 not in params["zero_shot"]["top"]:
        refuse("zero_shot.top", "must hold 1: models are compared by their top-1.")
    if params["encoders"]["points"]["name"] in images:
        refuse(
            "encoders.images",
            f"'{params['encoders']['points']['name']}' is the point encoder's name already.",
        )
    trained = {name: clip for name, clip in images.items() if clip["weights"] == "train"}
    points = params["encoders"]["points"]
    if trained or (points["checkpoint"] == "train" and points["directory"] is None):
        for key in ("encoder_objects", "encoder_variants"):
            if params["clouds"][key] < 1:
                refuse(f"clouds.{key}", "is 0, but encoders that are trained need clouds to train on.")
    for name, clip in trained.items():
        if params["render"]["resolution"] % clip["patch"]:
            refuse(
                f"encoders.images.{name}.patch",
                f"{clip['patch']} does not divide render.resolution, {params['render']['resolution']}.",
            )


def _merge(common: Mapping, own: Mapping, preset: str, path: tuple[str, ...] = ()) -> dict:
    merged = copy.deepcopy(dict(common))
    for key, value in own.items():
        here = (*path, key)
        if key not in common:
            merged[key] = value
        elif isinstance(value, Mapping) and isinstance(common[key], Mapping):
            merged[key] = _merge(common[key], value, preset, here)
        else:
            raise InputError(
                f"params.yaml: {'.'.join(here)} stands both at the top level and in presets.{preset}; "
                "keep one of them."
            )
    return merged


def _explain(error: jsonschema.ValidationError, own: Mapping, preset: str) -> str:
    """One line for a schema error, with the key's path as it is written in params.yaml."""
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = next(key for key in error.instance if key not in known)
        close = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(sorted(known))}."
        return f"{_path([*error.absolute_path, unknown], own, preset)}: unknown key; {hint}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{_path([*error.absolute_path, missing], own, preset)}: missing."
    wanted = error.schema.get("description", "")
    return f"{_path(error.absolute_path, own, preset)}: {error.message}" + (f" ({wanted})" if wanted else "")


def _path(keys: list, own: Mapping, preset: str) -> str:
    """`keys` joined by dots, below `presets.<preset>` if the value stands there."""
    node: object = own
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            return ".".join(map(str, keys))
        node = node[key]
    return ".".join(map(str, ["presets", preset, *keys]))
