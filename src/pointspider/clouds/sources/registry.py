"""The registered sources of clouds, and how one is opened."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pointspider.clouds.sources.base import Source, SourceSettings
from pointspider.core.errors import InputError
from pointspider.core.registry import Registry

#: {value of `clouds.source`: the class}.
SOURCES: Registry[type[Source]] = Registry("pointspider.clouds.sources", "source")


def parse_settings(values: Mapping[str, Any]) -> SourceSettings:
    """Return the typed settings of the source that `values["source"]` names; other keys are ignored.

    Args:
        values: section `clouds` of the parameters.

    Raises:
        InputError: no such source, or a value that it does not accept.
    """
    model = SOURCES.find(values["source"], "clouds.source").Settings
    try:
        return model.model_validate({key: values[key] for key in model.model_fields if key in values})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        described = model.model_fields[key].description
        raise InputError(f"clouds.{key}: {first['input']!r}: {first['msg']} ({described}).") from error


def open_source(settings: SourceSettings, seed: int) -> Source:
    """Open the source that `settings.source` names.

    Args:
        settings: an instance of the source's `Settings`, or of a subclass.
        seed: of the source's random draws.

    Raises:
        InputError: the source is missing something or cannot be read.
    """
    return SOURCES.find(settings.source, "clouds.source")(settings, seed)


def class_names(settings: SourceSettings) -> tuple[str, ...]:
    """Return the classes to use, sorted: those that `settings.classes` names, or all of the source.

    Raises:
        InputError: the source has no classes, or not a named one.
    """
    known = SOURCES.find(settings.source, "clouds.source").list_classes(settings)
    if settings.classes == "all":
        return tuple(known)
    unknown = sorted(set(settings.classes) - set(known))
    if unknown:
        raise InputError(
            f"clouds.classes: {', '.join(unknown)} not in the source; it has {', '.join(known)}."
        )
    return tuple(sorted(settings.classes))
