"""CLIP encoders: both backends on random models of the real ones' shape, alone and against each other."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from pointspider.core.errors import InputError
from pointspider.encoders.images.clip import load_clip
from pointspider.encoders.images.encoder import Preprocessing

SIZE, WIDTH, DIM = 32, 48, 24
PROMPTS = ["A model of airplane", "A model of night stand", "A model of tv stand"]
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
CPU = torch.device("cpu")


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
    """Resize (H, H, 3) with the bicubic kernel of a = -0.5, as Pillow does, rows after columns.

    To shrink, the kernel is stretched over the pixels that become one.
    """

    def weights(count: int) -> np.ndarray:  # (size, count)
        stretch = max(1, count / size)
        centres = (np.arange(size) + 0.5) * count / size
        distance = np.abs(np.arange(count) + 0.5 - centres[:, None]) / stretch
        near = 1.5 * distance**3 - 2.5 * distance**2 + 1
        far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
        kernel = np.where(distance < 1, near, np.where(distance < 2, far, 0))
        return kernel / kernel.sum(axis=1, keepdims=True)

    matrix = weights(image.shape[0])
    columns = np.clip(np.floor(np.einsum("xj,ijc->ixc", matrix, image) + 0.5), 0, 255)
    return np.clip(np.floor(np.einsum("yi,ixc->yxc", matrix, columns) + 0.5), 0, 255)


@pytest.mark.parametrize("size", [48, 20])
def test_preprocessing_resizes_and_standardises(images, size):
    pixels = Preprocessing(size, tuple(MEAN), tuple(STD), Image.Resampling.BICUBIC)(images, CPU)
    assert pixels.shape == (5, 3, size, size)
    assert pixels.dtype == torch.float32
    expected = reference_pixels(np.stack([catmull_rom_resize(image, size) for image in images]))
    # Pillow's fixed point may round the other way, once for columns and once for rows
    assert (pixels - expected).abs().max() < 2.01 / 255 / min(STD)
    assert ((pixels - expected).abs() < 1e-5).float().mean() > 0.99
    same = Preprocessing(SIZE, tuple(MEAN), tuple(STD), Image.Resampling.BICUBIC)(images, CPU)
    torch.testing.assert_close(same, reference_pixels(images))


@pytest.mark.parametrize("shape", [(2, 32, 24, 3), (32, 32, 3)])
def test_images_that_are_not_square_are_refused(shape):
    with pytest.raises(TypeError, match=r"(?i)uint8"):
        Preprocessing(32, tuple(MEAN), tuple(STD), Image.Resampling.BICUBIC)(np.zeros(shape, np.uint8), CPU)


def test_unknown_backend_is_refused(tmp_path):
    with pytest.raises(
        InputError,
        match=r"encoders.images.small: backend 'timm' does not exist; choose open_clip or transformers",
    ):
        load_clip("small", "timm", tmp_path)


def test_incomplete_directories_are_refused(tmp_path):
    """Neither library raises by itself: both leave what is missing random."""
    open_clip_directory(tmp_path / "open_clip")
    (tmp_path / "open_clip" / "open_clip_model.safetensors").unlink()
    transformers_directory(tmp_path / "transformers")
    state = load_file(tmp_path / "transformers" / "model.safetensors")
    del state["visual_projection.weight"]
    save_file(state, tmp_path / "transformers" / "model.safetensors", metadata={"format": "pt"})
    for backend in ("open_clip", "transformers"):
        with pytest.raises(InputError, match=r"encoders.images.small: .* is not a complete"):
            load_clip("small", backend, tmp_path / backend)
    with pytest.raises(InputError, match=r"tensors missing: visual_projection.weight\)"):
        load_clip("small", "transformers", tmp_path / "transformers")


@pytest.mark.parametrize(
    ("tower", "key", "value", "problem"),
    [
        ("text_cfg", "context_length", 1_000_000, "1000000 positions for positional_embedding, .* have 16"),
        ("text_cfg", "context_length", 8, "8 positions for positional_embedding"),
        ("vision_cfg", "image_size", 8000, "1000001 positions for visual.positional_embedding, .* have 17"),
    ],
)
def test_positions_that_the_weights_lack_are_refused(tmp_path, tower, key, value, problem):
    """open_clip would resize the embeddings of positions, or ask for much memory."""
    open_clip_directory(tmp_path / "clip")
    path = tmp_path / "clip/open_clip_config.json"
    config = json.loads(path.read_text())
    config["model_cfg"][tower][key] = value
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match=problem):
        load_clip("x", "open_clip", tmp_path / "clip", "cpu")


def test_safetensors_are_preferred_to_pickled_tensors(tmp_path, images):
    for backend, make, safe, pickled in (
        ("open_clip", open_clip_directory, "open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
        ("transformers", transformers_directory, "model.safetensors", "pytorch_model.bin"),
    ):
        directory = tmp_path / backend
        make(directory)
        expected = load_clip("small", backend, directory, device="cpu").encode_images(images)["pooled"]
        state = load_file(directory / safe)
        (directory / pickled).write_bytes(b"never opened")
        found = load_clip("small", backend, directory, device="cpu").encode_images(images)["pooled"]
        np.testing.assert_array_equal(found, expected)
        (directory / safe).unlink()
        torch.save(state, directory / pickled)
        found = load_clip("small", backend, directory, device="cpu").encode_images(images)["pooled"]
        np.testing.assert_array_equal(found, expected)


class Harmful:
    def __reduce__(self):
        return print, ("code ran",)


@pytest.mark.parametrize("backend", ["open_clip", "transformers"])
def test_code_in_pickled_tensors_does_not_run(tmp_path, capsys, backend):
    make, safe, pickled = {
        "open_clip": (open_clip_directory, "open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
        "transformers": (transformers_directory, "model.safetensors", "pytorch_model.bin"),
    }[backend]
    make(tmp_path / "model")
    (tmp_path / "model" / safe).unlink()
    torch.save({"weight": Harmful()}, tmp_path / "model" / pickled)
    with pytest.raises(InputError, match="is not a complete"):
        load_clip("small", backend, tmp_path / "model")
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("backend", ["open_clip", "transformers"])
def test_fewer_bits_change_little(tmp_path, images, monkeypatch, backend, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "avx512_vnni": True})
    (open_clip_directory if backend == "open_clip" else transformers_directory)(tmp_path / "model")
    encoder = load_clip("small", backend, tmp_path / "model", device="cpu")
    exact = encoder.encode_images(images, precision="fp32")
    rough = encoder.encode_images(images, precision=precision)
    cosines = []
    for layer, expected in exact.items():
        assert rough[layer].dtype == np.float32
        assert np.abs(rough[layer] - expected).max() > 0
        lengths = np.linalg.norm(rough[layer], axis=1) * np.linalg.norm(expected, axis=1)
        cosines.append((rough[layer] * expected).sum(1) / lengths)
    assert np.min(cosines) > 0.999
    assert encoder.agreement(images, precision) == pytest.approx(np.min(cosines), abs=1e-6)
    np.testing.assert_array_equal(encoder.encode_images(images, precision="fp32")["pooled"], exact["pooled"])


class Shifted(torch.nn.Module):
    """A tower whose embeddings have another direction in bfloat16."""

    def __init__(self, tower):
        super().__init__()
        self.tower = tower

    def forward(self, pixels):
        return self.tower(pixels) + 100 * torch.is_autocast_enabled("cpu")


def test_a_precision_that_changes_embeddings_is_refused(tmp_path, images, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "avx512_vnni": False})
    open_clip_directory(tmp_path / "model")
    encoder = load_clip("small", "open_clip", tmp_path / "model", device="cpu")
    assert encoder.agreement(images, "fp32") == pytest.approx(1, abs=1e-12)
    shifted = dataclasses.replace(encoder, vision=Shifted(encoder.vision))
    with pytest.raises(InputError, match=r"'bf16' changes the embeddings .* less than 0\.999; choose fp32\."):
        shifted.agreement(images, "bf16")
    with pytest.raises(InputError, match="'int8': this CPU has no instructions for it"):
        encoder.encode_images(images, precision="int8")


def test_processor_that_would_cut_renders_is_refused(tmp_path):
    transformers_directory(tmp_path / "model")
    CLIPImageProcessor(size={"shortest_edge": 40}, crop_size=SIZE).save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match="must resize images to 32 pixels"):
        load_clip("small", "transformers", tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"do_rescale": False}, "must rescale by 1/255, but do_rescale is False"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor 0.0078"),
        ({"do_resize": False}, "do_resize is False"),
        ({"crop_size": 28}, "crop_size is"),
    ],
)
def test_processor_steps_that_are_not_supported_are_refused(tmp_path, change, message):
    transformers_directory(tmp_path / "model")
    settings = {"size": {"shortest_edge": SIZE}, "crop_size": SIZE, **change}
    CLIPImageProcessor(**settings).save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match=rf"preprocessor_config\.json: .*{message}"):
        load_clip("small", "transformers", tmp_path / "model")


def test_a_processor_that_does_not_normalise_is_honoured(tmp_path, images):
    transformers_directory(tmp_path / "model")
    CLIPImageProcessor(
        size={"shortest_edge": SIZE}, crop_size=SIZE, image_mean=MEAN, image_std=STD, do_normalize=False
    ).save_pretrained(tmp_path / "model")
    preprocessing = load_clip("small", "transformers", tmp_path / "model", device="cpu").preprocessing
    expected = torch.tensor(np.moveaxis(images / 255, 3, 1), dtype=torch.float32)
    torch.testing.assert_close(preprocessing(images, CPU), expected)


@pytest.mark.parametrize("name", ["tokenizer.json", "preprocessor_config.json"])
def test_a_missing_tokenizer_or_processor_is_named(tmp_path, name):
    """Without a tokenizer's files transformers maps every prompt to the same tokens, without an error."""
    transformers_directory(tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    with pytest.raises(InputError, match=rf"encoders\.images\.small: .*/model: {name}.* is missing"):
        load_clip("small", "transformers", tmp_path / "model")


def test_a_tokenizer_that_maps_all_prompts_alike_is_refused(tmp_path):
    transformers_directory(tmp_path / "model")
    CLIPTokenizer(vocab={"<|startoftext|>": 62, "<|endoftext|>": 63}, merges=[]).save_pretrained(
        tmp_path / "model"
    )
    with pytest.raises(InputError, match="have the same embedding: the tokenizer's files are missing or dam"):
        load_clip("small", "transformers", tmp_path / "model")


def test_truncated_weights_are_refused(tmp_path):
    open_clip_directory(tmp_path / "model")
    weights = tmp_path / "model" / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"encoders.images.small: .* is not a complete"):
        load_clip("small", "open_clip", tmp_path / "model")


def test_a_vision_tower_that_is_not_a_vit_is_refused(tmp_path):
    architecture = {
        "embed_dim": DIM,
        "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
    }
    save_file(open_clip.CLIP(**architecture).state_dict(), tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": architecture}))
    with pytest.raises(InputError, match="ModifiedResNet, not a ViT"):
        load_clip("small", "open_clip", tmp_path)


# ------------------------------------------------------------------- the two backends against each other


def converted(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """An open_clip model's tensors under transformers' names."""
    names = [
        (r"^visual\.transformer\.resblocks\.", "vision_model.encoder.layers."),
        (r"^visual\.class_embedding$", "vision_model.embeddings.class_embedding"),
        (r"^visual\.positional_embedding$", "vision_model.embeddings.position_embedding.weight"),
        (r"^visual\.conv1\.", "vision_model.embeddings.patch_embedding."),
        (r"^visual\.ln_pre\.", "vision_model.pre_layrnorm."),
        (r"^visual\.ln_post\.", "vision_model.post_layernorm."),
        (r"^visual\.proj$", "visual_projection.weight"),
        (r"^transformer\.resblocks\.", "text_model.encoder.layers."),
        (r"^token_embedding\.", "text_model.embeddings.token_embedding."),
        (r"^positional_embedding$", "text_model.embeddings.position_embedding.weight"),
        (r"^ln_final\.", "text_model.final_layer_norm."),
        (r"^text_projection$", "text_projection.weight"),
        (r"\.ln_([12])\.", r".layer_norm\1."),
        (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
        (r"\.mlp\.c_fc\.", ".mlp.fc1."),
        (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    ]
    result = {}
    for name, tensor in state.items():
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)
        if ".attn.in_proj_" in name:
            for which, part in zip("qkv", tensor.chunk(3), strict=True):
                result[name.replace(".attn.in_proj_", f".self_attn.{which}_proj.")] = part.contiguous()
        else:
            projection = name in ("visual_projection.weight", "text_projection.weight")
            result[name] = tensor.T.contiguous() if projection else tensor
    return result


#: ViT-B-32 but for its depth, which is 12: image 224, patch 32, widths 768 and 512, context 77.
ARCHITECTURE = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": 768, "patch_size": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 2},
}
OPENAI_MEAN, OPENAI_STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


@pytest.fixture(scope="module", params=["quick_gelu", "gelu"])
def pair(request, tmp_path_factory) -> tuple[Path, Path]:
    """One random model as open_clip's directory and as transformers' directory."""
    ours, theirs = (tmp_path_factory.mktemp(name) for name in ("open_clip", "transformers"))
    torch.manual_seed(0)
    architecture = {**ARCHITECTURE, "quick_gelu": request.param == "quick_gelu"}
    state = open_clip.CLIP(**architecture).state_dict()
    preprocess = {
        "mean": OPENAI_MEAN, "std": OPENAI_STD, "interpolation": "bicubic", "resize_mode": "shortest",
    }  # fmt: skip
    configuration = {"model_cfg": architecture, "preprocess_cfg": preprocess}
    (ours / "open_clip_config.json").write_text(json.dumps(configuration))
    save_file(state, ours / "open_clip_model.safetensors")

    shape = {"num_hidden_layers": 2, "hidden_act": request.param}
    vision = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "patch_size": 32}
    text = {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "eos_token_id": 49407}
    config = CLIPConfig(vision_config=vision | shape, text_config=text | shape, projection_dim=512)
    config.architectures = ["CLIPModel"]
    config.save_pretrained(theirs)
    save_file(converted(state), theirs / "model.safetensors", metadata={"format": "pt"})
    CLIPImageProcessor().save_pretrained(theirs)
    words = open_clip.SimpleTokenizer()
    vocabulary = {
        token.replace("<start_of_text>", "<|startoftext|>"): n for token, n in words.encoder.items()
    }
    vocabulary = {token.replace("<end_of_text>", "<|endoftext|>"): n for token, n in vocabulary.items()}
    merges = list(words.bpe_ranks)
    CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77).save_pretrained(theirs)
    return ours, theirs


def test_backends_agree(pair):
    ours = load_clip("model", "open_clip", pair[0], device="cpu")
    theirs = load_clip("model", "transformers", pair[1], device="cpu")
    images = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    images[1, :, 40:] = 255  # as renders are, mostly white
    first, second = (model.encode_images(images, precision="fp32") for model in (ours, theirs))
    assert first["pooled"].shape == (3, 768)
    assert first["projected"].shape == (3, 512)
    for layer, embeddings in first.items():
        assert np.abs(embeddings).max() > 0.1
        np.testing.assert_allclose(second[layer], embeddings, atol=1e-4, rtol=0)
    prompts = [*PROMPTS, "A 3D render of a range hood, isn't it?", "word " * 100]
    np.testing.assert_allclose(
        theirs.encode_prompts(prompts), ours.encode_prompts(prompts), atol=1e-4, rtol=0
    )


def test_a_truncated_vocabulary_is_refused(pair, tmp_path):
    """CLIP's vocabulary without its last merges: only rare words change."""
    directory = shutil.copytree(pair[1], tmp_path / "model")
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:-50]
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(InputError, match="the tokenizer's files are damaged: 'a photo of a jekyll"):
        load_clip("model", "transformers", directory)


@pytest.mark.parametrize("size", [224, 800, 64])
def test_preprocessing_is_the_libraries_own(pair, size):
    """PIL and torchvision in open_clip, torchvision on tensors in transformers."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BILINEAR))
    ours = load_clip("model", "open_clip", pair[0], device="cpu").preprocessing(image[None], CPU)
    same = load_clip("model", "transformers", pair[1], device="cpu").preprocessing(image[None], CPU)
    torch.testing.assert_close(ours, same, rtol=0, atol=1e-6)
    transform = open_clip.image_transform(224, is_train=False, interpolation="bicubic")
    torch.testing.assert_close(ours[0], transform(Image.fromarray(image)), rtol=0, atol=1e-5)
    processor = AutoImageProcessor.from_pretrained(pair[1])
    theirs = processor(images=Image.fromarray(image), return_tensors="pt")["pixel_values"]
    assert (ours - theirs).abs().max() < 2.01 / 255 / min(OPENAI_STD)  # it rounds once more or less
