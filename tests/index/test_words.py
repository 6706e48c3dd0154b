"""How words are put to a CLIP."""

import pytest

from pointspider.index.words import put_into_prompt


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        ("A model of {class}", "a chair", "A model of chair"),
        ("A model of {class}", "chair", "A model of chair"),
        ("A model of {class}", "The round table", "A model of round table"),
        ("A model of {class}", "table with a lamp", "A model of table with a lamp"),
        ("A model of {class}", "a model of chair", "a model of chair"),
        ("A model of {class}", "a model", "A model of model"),
        ("a {class}", "a chair", "a chair"),
        ("a {class}", "an armchair", "an armchair"),
        ("a {class}", "three chairs", "three chairs"),
        ("a photo of a {class}", "an armchair", "a photo of an armchair"),
        ("a photo of a {class}", "three chairs", "a photo of three chairs"),
        ("a photo of a {class}", "a photo of the table", "a photo of the table"),
        ("a {class}, drawn on white", "a chair", "a chair, drawn on white"),
        ("A model of {class}", "a", "A model of a"),
        ("A model of {class}", "  ", "  "),  # refused later, because it is empty
    ],
)
def test_words_are_put_into_the_prompt(prompt, text, expected):
    assert put_into_prompt(text, prompt) == expected
