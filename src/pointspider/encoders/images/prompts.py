"""Prompts: what a CLIP's text tower is asked about each class."""

from collections.abc import Callable, Sequence

import numpy as np

from pointspider.core.errors import InputError

#: The ways to ask, by how the class name is written, and several phrases at once. Table II asks in one of the
#: first two (`zero_shot.class_names`), its extension in all.
STYLES = ("verbatim", "spaces", "ensemble")


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
        raise InputError(f"zero_shot: the prompt '{template}' lacks {{class}}, the place of the class name.")
    if class_names not in ("spaces", "verbatim"):
        raise InputError(f"zero_shot.class_names: '{class_names}' does not exist; choose spaces or verbatim.")
    names = (name.replace("_", " ") if class_names == "spaces" else name for name in classes)
    return [template.replace("{class}", name) for name in names]


def prompt_styles(
    classes: Sequence[str], prompt: str, templates: Sequence[str]
) -> dict[str, list[tuple[str, ...]]]:
    """What each class is asked in each style.

    Args:
        classes: C names with underscores.
        prompt: `zero_shot.prompt`.
        templates: `zero_shot.templates`, the phrases of the ensemble.

    Returns:
        {style: C tuples of prompts}, in the order of STYLES; one prompt each but in the ensemble.

    Raises:
        InputError: a template has no {class}, or the ensemble has none at all.
    """
    if not templates:
        raise InputError("zero_shot.templates: is empty; give the ensemble at least one phrase.")
    phrases = {style: [(prompt, style)] for style in ("verbatim", "spaces")}
    phrases["ensemble"] = [(template, "spaces") for template in templates]
    return {
        style: list(zip(*(build_prompts(classes, *phrase) for phrase in phrases[style]), strict=True))
        for style in STYLES
    }


def embed_prompts(
    encode: Callable[[list[str]], np.ndarray], prompts: Sequence[tuple[str, ...]]
) -> np.ndarray:
    """The direction of each class in a CLIP's space: the mean of its prompts' directions.

    CLIP's ensemble (A. Radford et al., Learning Transferable Visual Models From Natural Language Supervision,
    2021, section 3.1.4) averages embeddings of unit length.

    Args:
        encode: m prompts to (m, D) float32.
        prompts: C tuples of T prompts.

    Returns:
        (C, D) float32 of unit length.
    """
    every = encode([prompt for own in prompts for prompt in own])  # (C * T, D)
    every = every / np.linalg.norm(every, axis=1, keepdims=True)
    mean = every.reshape(len(prompts), -1, every.shape[1]).mean(axis=1)  # (C, D)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)
