"""CLIP encoders: both backends on small random models of the real ones' shape."""

import json
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from pointspider.encoders.clip import Preprocessing, load_clip
from pointspider.errors import InputError

SIZE, WIDTH, DIM = 32, 48, 24
PROMPTS = ["A model of airplane", "A model of night stand", "A model of tv stand"]
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


def open_clip_directory(directory: Path, quick_gelu: bool = False) -> open_clip.CLIP:
    """Write a small random open_clip model as the hub holds them; return it."""
    architecture = {
        "embed_dim": DIM,
        "quick_gelu": quick_gelu,
        "vision_cfg": {"image_size": SIZE, "layers": 2, "width": WIDTH, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    torch.manual_seed(0)
    model = open_clip.CLIP(**architecture).eval()
    directory.mkdir()
    preprocess = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"}
    configuration = {"model_cfg": architecture, "preprocess_cfg": preprocess}
    (directory / "open_clip_config.json").write_text(json.dumps(configuration))
    save_file(model.state_dict(), directory / "open_clip_model.safetensors")
    return model


def transformers_directory(directory: Path, activation: str = "quick_gelu") -> CLIPModel:
    """Write a small random transformers model as the hub holds them; return it."""
    shape = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_act": activation}
    vision = {"hidden_size": WIDTH, "intermediate_size": 96, "image_size": SIZE, "patch_size": 8, **shape}
    text = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "vocab_size": 64,
        "max_position_embeddings": 16,
        **shape,
    }
    vocabulary = {
        chr(c) + end: 2 * i + bool(end) for i, c in enumerate(range(97, 123)) for end in ("", "</w>")
    }
    special = {"<|startoftext|>": 62, "<|endoftext|>": 63}
    text |= {"bos_token_id": 62, "eos_token_id": 63, "pad_token_id": 63}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=DIM)).eval()
    model.save_pretrained(directory)
    CLIPTokenizer(vocab={**vocabulary, **special}, merges=[], model_max_length=16).save_pretrained(directory)
    CLIPImageProcessor(
        size={"shortest_edge": SIZE}, crop_size=SIZE, image_mean=MEAN, image_std=STD
    ).save_pretrained(directory)
    return model


def reference_pixels(images: np.ndarray) -> torch.Tensor:
    """Preprocessing in NumPy: channels first, mean and standard deviation of each."""
    pixels = (images / 255.0 - np.array(MEAN)) / np.array(STD)
    return torch.tensor(np.moveaxis(pixels, 3, 1), dtype=torch.float32)


def test_open_clip_layers_equal_the_librarys_own(tmp_path, images):
    model = open_clip_directory(tmp_path / "model")
    encoder = load_clip("small", "open_clip", tmp_path / "model", device="cpu")
    assert encoder.image_size == SIZE
    embeddings = encoder.encode_images(images, batch_size=2)
    with torch.no_grad():
        expected = model.encode_image(reference_pixels(images)).numpy()
        prompts = model.encode_text(open_clip.tokenize(PROMPTS, context_length=16)).numpy()
    assert embeddings["pooled"].shape == (5, WIDTH)
    assert embeddings["projected"].shape == (5, DIM)
    assert {array.dtype for array in embeddings.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(embeddings["projected"], expected, atol=1e-5)
    projection = model.visual.proj.detach().numpy()
    np.testing.assert_allclose(embeddings["pooled"] @ projection, expected, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_prompts(PROMPTS), prompts, atol=1e-5)


def test_transformers_layers_equal_the_librarys_own(tmp_path, images):
    model = transformers_directory(tmp_path / "model")
    encoder = load_clip("small", "transformers", tmp_path / "model", device="cpu")
    assert encoder.image_size == SIZE
    embeddings = encoder.encode_images(images, batch_size=2)
    with torch.no_grad():
        expected = model.get_image_features(pixel_values=reference_pixels(images)).pooler_output.numpy()
        hidden = model.vision_model(pixel_values=reference_pixels(images)).last_hidden_state[:, 0]
        pooled = model.vision_model.post_layernorm(hidden).numpy()
        tokens = CLIPTokenizer.from_pretrained(tmp_path / "model")(
            PROMPTS[0], return_tensors="pt", truncation=True
        )
        prompt = model.get_text_features(**tokens).pooler_output.numpy()
    assert embeddings["pooled"].shape == (5, WIDTH)
    assert embeddings["projected"].shape == (5, DIM)
    assert {array.dtype for array in embeddings.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose(embeddings["pooled"], pooled, atol=1e-5)
    np.testing.assert_allclose(embeddings["projected"], expected, atol=1e-5)
    np.testing.assert_allclose(encoder.encode_prompts(PROMPTS)[:1], prompt, atol=1e-5)
    assert encoder.encode_prompts(PROMPTS).shape == (3, DIM)


def test_activation_is_the_configurations(tmp_path, images):
    """The same weights, QuickGELU or GELU: each backend follows the configuration."""
    open_clip_directory(tmp_path / "open_clip_gelu", quick_gelu=False)
    quick = open_clip_directory(tmp_path / "open_clip_quick", quick_gelu=True)
    transformers_directory(tmp_path / "transformers_gelu", activation="gelu")
    transformers_directory(tmp_path / "transformers_quick", activation="quick_gelu")
    for backend in ("open_clip", "transformers"):
        pooled = {
            activation: load_clip(
                "small", backend, tmp_path / f"{backend}_{activation}", device="cpu"
            ).encode_images(images)["pooled"]
            for activation in ("gelu", "quick")
        }
        assert np.abs(pooled["gelu"] - pooled["quick"]).max() > 1e-4
    with torch.no_grad():
        expected = quick.encode_image(reference_pixels(images)).numpy()
    found = load_clip("small", "open_clip", tmp_path / "open_clip_quick", device="cpu").encode_images(images)
    np.testing.assert_allclose(found["projected"], expected, atol=1e-5)


def catmull_rom_resize(image: np.ndarray, size: int) -> np.ndarray:
    """Enlarge (H, H, 3) with the bicubic kernel of a = -0.5, as Pillow does, rows after columns."""

    def weights(count: int) -> np.ndarray:  # (size, count)
        centres = (np.arange(size) + 0.5) * count / size
        distance = np.abs(np.arange(count) + 0.5 - centres[:, None])
        near = 1.5 * distance**3 - 2.5 * distance**2 + 1
        far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
        kernel = np.where(distance < 1, near, np.where(distance < 2, far, 0))
        return kernel / kernel.sum(axis=1, keepdims=True)

    matrix = weights(image.shape[0])
    columns = np.clip(np.floor(np.einsum("xj,ijc->ixc", matrix, image) + 0.5), 0, 255)
    return np.clip(np.floor(np.einsum("yi,ixc->yxc", matrix, columns) + 0.5), 0, 255)


def test_preprocessing_resizes_and_standardises(images):
    preprocess = Preprocessing(48, tuple(MEAN), tuple(STD), Image.Resampling.BICUBIC)
    pixels = preprocess(images)
    assert pixels.shape == (5, 3, 48, 48)
    assert pixels.dtype == torch.float32
    expected = reference_pixels(np.stack([catmull_rom_resize(image, 48) for image in images]))
    # Pillow's fixed point may round the other way, once for columns and once for rows
    assert (pixels - expected).abs().max() < 2.01 / 255 / min(STD)
    assert ((pixels - expected).abs() < 1e-5).float().mean() > 0.99
    same = Preprocessing(SIZE, tuple(MEAN), tuple(STD), Image.Resampling.BICUBIC)(images)
    torch.testing.assert_close(same, reference_pixels(images))


@pytest.mark.parametrize("shape", [(2, 32, 24, 3), (32, 32, 3)])
def test_preprocessing_refuses_what_is_no_square_image(shape):
    with pytest.raises(TypeError, match="uint8"):
        Preprocessing(32, tuple(MEAN), tuple(STD), Image.Resampling.BICUBIC)(np.zeros(shape, np.uint8))


def test_unknown_backend_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"encoders.images.small: backend 'timm' .*open_clip.*transformers"):
        load_clip("small", "timm", tmp_path)


@pytest.mark.parametrize("backend", ["open_clip", "transformers"])
@pytest.mark.parametrize("weights", ["nowhere/at/all", "laion/no-such-model"])
def test_what_cannot_be_reached_is_named(monkeypatch, tmp_path, backend, weights):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError) as caught:
        load_clip("small", backend, weights)
    message = str(caught.value)
    assert message.startswith(f"encoders.images.small: no {backend} model could be loaded from '{weights}'")
    assert "no such directory" in message
    assert "Give a local directory" in message


def test_incomplete_directories_are_refused(tmp_path):
    """Neither library raises by itself: both leave what is missing random."""
    open_clip_directory(tmp_path / "open_clip")
    (tmp_path / "open_clip" / "open_clip_model.safetensors").unlink()
    transformers_directory(tmp_path / "transformers")
    state = load_file(tmp_path / "transformers" / "model.safetensors")
    del state["visual_projection.weight"]
    save_file(state, tmp_path / "transformers" / "model.safetensors", metadata={"format": "pt"})
    for backend in ("open_clip", "transformers"):
        with pytest.raises(InputError, match="the directory is broken"):
            load_clip("small", backend, tmp_path / backend)
    with pytest.raises(InputError, match=r"tensors missing: visual_projection.weight\)"):
        load_clip("small", "transformers", tmp_path / "transformers")


def test_truncated_weights_are_refused(tmp_path):
    open_clip_directory(tmp_path / "model")
    weights = tmp_path / "model" / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match="the directory is broken"):
        load_clip("small", "open_clip", tmp_path / "model")


def test_vision_tower_that_is_no_vit_is_refused(tmp_path):
    architecture = {
        "embed_dim": DIM,
        "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
    }
    save_file(open_clip.CLIP(**architecture).state_dict(), tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": architecture}))
    with pytest.raises(InputError, match="ModifiedResNet, not a ViT"):
        load_clip("small", "open_clip", tmp_path)
