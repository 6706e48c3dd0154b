"""Prompts: what a CLIP's text tower is asked about each class."""

from collections.abc import Sequence

from pointspider.errors import InputError


def build_prompts(classes: Sequence[str], template: str, class_names: str) -> list[str]:
    """One prompt per class.

    Args:
        classes: names with underscores, as "night_stand".
        template: `zero_shot.prompt`, with {class} where the name goes.
        class_names: spaces ("night stand") or verbatim ("night_stand").

    Raises:
        InputError: the template has no {class}, or `class_names` is neither.
    """
    if "{class}" not in template:
        raise InputError(f"zero_shot.prompt: '{template}' lacks {{class}}, the place of the class name.")
    if class_names not in ("spaces", "verbatim"):
        raise InputError(f"zero_shot.class_names: '{class_names}' does not exist; choose spaces or verbatim.")
    names = (name.replace("_", " ") if class_names == "spaces" else name for name in classes)
    return [template.replace("{class}", name) for name in names]
