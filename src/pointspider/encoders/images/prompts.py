"""Prompts that a CLIP's text tower is asked about each class."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float32

from pointspider.core.errors import InputError

#: Two ways to write class names, and an ensemble of phrases. Table II uses one of the first two
#: (`zero_shot.class_names`), its extension all.
STYLES = ("verbatim", "spaces", "ensemble")


def build_prompts(classes: Sequence[str], template: str, class_names: str) -> list[str]:
    """Return one prompt per class.

    Args:
        classes: names with underscores, as "night_stand".
        template: `zero_shot.prompt`, with {class} in place of the name.
        class_names: spaces ("night stand") or verbatim ("night_stand").

    Raises:
        InputError: the template has no {class}, or `class_names` does not exist.
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
    """Return the prompts of each class in each style.

    Args:
        classes: C names with underscores.
        prompt: `zero_shot.prompt`.
        templates: `zero_shot.templates`, the phrases of the ensemble.

    Returns:
        {style: C tuples of prompts}, in the order of STYLES; only the ensemble has several prompts per class.

    Raises:
        InputError: a template has no {class}, or there are no templates.
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
    encode: Callable[[list[str]], Float32[np.ndarray, "prompts D"]], prompts: Sequence[tuple[str, ...]]
) -> Float32[np.ndarray, "C D"]:
    """Return the direction of each class in a CLIP's space: the mean of the directions of its prompts.

    CLIP's ensemble (A. Radford et al., Learning Transferable Visual Models From Natural Language Supervision,
    2021, section 3.1.4) averages embeddings of unit length.

    Args:
        encode: embeds prompts.
        prompts: C tuples of equally many prompts.

    Returns:
        Rows of unit length.
    """
    embeddings = encode([prompt for of_class in prompts for prompt in of_class])  # (C * prompts, D)
    embeddings = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    mean: np.ndarray = embeddings.reshape(len(prompts), -1, embeddings.shape[1]).mean(axis=1)  # (C, D)
    directions: np.ndarray = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    return directions
