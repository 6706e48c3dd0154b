"""Words to compare with clouds: how they are put to a CLIP, and how many it reads."""

from typing import TYPE_CHECKING

import numpy as np

from pointspider.core.errors import InputError

if TYPE_CHECKING:
    from pointspider.encoders.images.encoder import ClipEncoder

ARTICLES = ("a", "an", "the")


def put_into_prompt(text: str, prompt: str) -> str:
    """Put words into the place of {class} in a prompt, as class names are for classification.

    If the prompt has an article before {class}, the words replace it, with or without their article; if it
    has none, an article at the start of the words is dropped. Words that start like the prompt stay as
    they are.

    Args:
        text: words, such as "a round table".
        prompt: such as "A model of {class}", which gives "A model of round table", or
            "a photo of a {class}", which gives "a photo of a round table".
    """
    before, _, after = prompt.partition("{class}")
    opening, words = before.split(), text.split()
    has_article = bool(opening) and opening[-1].lower() in ARTICLES
    opening = opening[:-1] if has_article else opening
    starts_alike = [word.lower() for word in words[: len(opening)]] == [word.lower() for word in opening]
    if not words or (opening and starts_alike):
        return text
    if not has_article and len(words) > 1 and words[0].lower() in ARTICLES:
        words = words[1:]
    return " ".join([*opening, *words]) + after


def check_length(clip: "ClipEncoder", text: str) -> None:
    """Refuse a text that the text tower would cut. Words are counted one by one; tokenizers cut silently.

    Raises:
        InputError: the text is empty or too long.
    """
    words = text.split()
    if not words:
        raise InputError("text: is empty; describe what to find.")
    context = clip.tokenize(["a " * 1000]).shape[1]
    tokens = clip.tokenize(["", *words]).cpu().numpy()
    end = tokens[0, 1]  # the empty text has a start and an end
    count = 2 + sum(int(np.argmax(row[1:] == end)) or context for row in tokens[1:])
    if count > context:
        raise InputError(
            f"text: '{text[:40]}…' has {count} tokens with start and end; the CLIP reads {context}. Shorten "
            "it."
        )
