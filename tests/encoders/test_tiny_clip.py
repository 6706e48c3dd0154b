"""The tiny CLIP: batches without false negatives, training, and files that load as a published model's."""

import json

import numpy as np
import open_clip
import pytest
import torch

from pointspider.core.errors import InputError
from pointspider.encoders.images.clip import load_clip
from pointspider.encoders.images.settings import TinyClipSettings
from pointspider.encoders.images.tiny_clip import (
    CONTEXT_LENGTH,
    architecture,
    augment,
    batches,
    call_with_short_texts,
    learning_rate_factor,
    save_clip,
    tokenize,
    train_clip,
)

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (40, 40, 230), "black": (20, 20, 20)}
PROMPTS = [f"A model of {name}" for name in COLOURS]
SMALL = TinyClipSettings(
    patch=8,
    width=32,
    layers=2,
    text_width=32,
    text_layers=1,
    projection=16,
    epochs=12,
    learning_rate=1e-3,
    weight_decay=0.1,
)


def squares(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` white images of each colour with a square of it somewhere, (4 * count, 16, 16, 3) uint8."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(COLOURS)), count)
    images = np.full((len(labels), 16, 16, 3), 255, dtype=np.uint8)
    for image, colour in zip(images, np.array(list(COLOURS.values()))[labels], strict=True):
        row, column = rng.integers(2, 7, 2)
        image[row : row + 7, column : column + 7] = np.clip(colour + rng.normal(0, 12, 3), 0, 255)
    return images, labels


@pytest.fixture(scope="module")
def trained():
    images, labels = squares(count=10, seed=0)
    heard = []
    result = train_clip(images, labels, PROMPTS, SMALL, seed=1, on_epoch=lambda *facts: heard.append(facts))
    return *result, heard


def test_padding_of_prompts_changes_neither_features_nor_gradients():
    torch.manual_seed(0)
    model = open_clip.CLIP(**architecture(16, SMALL)).double()
    images, tokens = torch.rand(4, 3, 16, 16).double(), tokenize(PROMPTS)
    length = int(tokens.count_nonzero(dim=1).max())
    assert length < CONTEXT_LENGTH
    results = []
    for features in (model(images, tokens), call_with_short_texts(model, images, tokens[:, :length])):
        loss = open_clip.ClipLoss()(*features)
        results.append([*features, *torch.autograd.grad(loss, list(model.parameters()))])
    for full, short in zip(*results, strict=True):
        torch.testing.assert_close(short, full, rtol=1e-9, atol=1e-12)


def test_zero_shot_names_unseen_images(tmp_path, trained):
    model, history, heard = trained
    assert heard == list(enumerate(history, start=1))
    assert history[-1]["loss"] < history[0]["loss"]
    save_clip(tmp_path / "tiny", model, SMALL)
    encoder = load_clip("tiny", "open_clip", tmp_path / "tiny", device="cpu")
    images, labels = squares(count=15, seed=1)
    embeddings = encoder.encode_images(images)["projected"]
    prompts = encoder.encode_prompts(PROMPTS)
    cosine = (embeddings @ prompts.T) / np.linalg.norm(embeddings, axis=1, keepdims=True)
    predicted = (cosine / np.linalg.norm(prompts, axis=1)).argmax(axis=1)
    assert (predicted == labels).mean() >= 0.9


def test_saved_model_is_the_trained_one(tmp_path, trained):
    model = trained[0]
    images, _ = squares(count=2, seed=2)
    seen = squares(count=10, seed=0)[0] / 255
    mean, std = seen.mean(axis=(0, 1, 2)), seen.std(axis=(0, 1, 2))
    pixels = torch.tensor(np.moveaxis((images / 255 - mean) / std, 3, 1), dtype=torch.float32)
    with torch.no_grad():
        expected = model.encode_image(pixels).numpy()
    save_clip(tmp_path / "tiny", model, SMALL)
    encoder = load_clip("tiny", "open_clip", tmp_path / "tiny", device="cpu")
    assert encoder.image_size == 16
    embeddings = encoder.encode_images(images)
    assert embeddings["pooled"].shape == (8, 32)
    assert embeddings["projected"].shape == (8, 16)
    np.testing.assert_allclose(embeddings["projected"], expected, atol=1e-5)


def test_directory_is_replaced_whole(tmp_path, trained):
    model = trained[0]
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "leftover").write_text("old")
    save_clip(tmp_path / "tiny", model, SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]
    written = sorted(path.name for path in (tmp_path / "tiny").iterdir())
    assert written == ["open_clip_config.json", "open_clip_model.safetensors"]
    config = json.loads((tmp_path / "tiny" / "open_clip_config.json").read_text())
    assert config == {"model_cfg": architecture(16, SMALL), "preprocess_cfg": model.visual.preprocess_cfg}
    with pytest.raises(TypeError, match="JSON"):
        save_clip(tmp_path / "half", model, SMALL.model_copy(update={"width": 3j}))
    assert not (tmp_path / "half").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]


def test_equal_seeds_give_equal_bytes(tmp_path):
    images, labels = squares(count=3, seed=0)
    short = SMALL.model_copy(update={"epochs": 1})
    for name, seed in [("one", 1), ("two", 1), ("other", 2)]:
        model, _ = train_clip(images, labels, PROMPTS, short, seed=seed)
        save_clip(tmp_path / name, model, short)
    one, two, other = (
        (tmp_path / name / "open_clip_model.safetensors").read_bytes() for name in ("one", "two", "other")
    )
    assert one == two
    assert one != other


def test_token_embeddings_stay_as_drawn(tmp_path, trained):
    """They are frozen; everything else learns."""
    untrained = SMALL.model_copy(update={"epochs": 0})
    images, labels = squares(count=10, seed=0)
    initial = train_clip(images, labels, PROMPTS, untrained, seed=1)[0].state_dict()
    final = trained[0].state_dict()
    equal = [name for name in initial if torch.equal(initial[name], final[name])]
    assert equal == ["token_embedding.weight"]


def test_batches_hold_each_class_at_most_once():
    labels = torch.tensor([0, 0, 0, 1, 2, 2, 0, 2])
    epoch = [rows.tolist() for rows in batches(labels, torch.Generator().manual_seed(0))]
    assert [len(rows) for rows in epoch] == [3, 2, 2, 1]
    assert sorted(row for rows in epoch for row in rows) == list(range(8))
    for rows in epoch:
        classes = labels[rows].tolist()
        assert len(set(classes)) == len(classes)
    again = [rows.tolist() for rows in batches(labels, torch.Generator().manual_seed(1))]
    assert epoch != again


def test_augmentation_moves_pixels_and_invents_none():
    images = torch.tensor(squares(count=3, seed=0)[0])
    augmented = augment(images, torch.Generator().manual_seed(0))
    assert augmented.shape == images.shape
    assert augmented.dtype == torch.uint8
    assert not torch.equal(augmented, images)
    for before, after in zip(images, augmented, strict=True):
        colours = {tuple(colour) for colour in before.reshape(-1, 3).tolist()}
        assert {tuple(colour) for colour in after.reshape(-1, 3).tolist()} <= colours


def test_tokens_are_open_clips_own():
    tokens = tokenize(["A model of night stand", "A model of tv stand"])
    assert torch.equal(tokens, open_clip.tokenize(["A model of night stand", "A model of tv stand"], 16))
    assert tokens.shape == (2, CONTEXT_LENGTH)


def test_prompt_that_would_be_cut_is_refused():
    assert tokenize(["word " * 14])[0, -1] != 0  # start, 14 words, end
    with pytest.raises(InputError, match=r"zero_shot.prompt: 'word .* more than the 16 tokens"):
        tokenize(["fine", "word " * 15])


def test_patch_must_divide_the_image():
    images, labels = squares(count=1, seed=0)
    with pytest.raises(InputError, match=r"render.resolution: 16 is not a multiple .* patch 5"):
        train_clip(images, labels, PROMPTS, SMALL.model_copy(update={"patch": 5}), seed=0)


def test_learning_rate_rises_then_falls_to_zero():
    factors = np.array([learning_rate_factor(step, 100) for step in range(101)])
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == 1
    assert [learning_rate_factor(step, 1) for step in range(2)] == [1, 1]  # too short for a cosine
    np.testing.assert_allclose(factors[10:], 0.5 * (1 + np.cos(np.pi * np.arange(91) / 90)))


def test_temperature_stays_within_clips_bound(trained):
    assert 0 < trained[0].logit_scale.exp().item() <= 100 + 1e-3
