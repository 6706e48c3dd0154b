"""Benchmark the embedding of renders against a plain loop: one PIL image at a time, float32.

ViT-B-32 with random weights, saved and loaded as from the hub; renders of its input size; one thread. CPU
seconds, which other processes change least. A case of benchmarks/data.py.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from pointspider.encoders.images.clip import load_clip

IMAGES = 32
#: Pairs of runs, baseline and ours in turn, after a warm-up run of each; the fastest of each counts.
REPEATS = 3


def measure() -> dict[str, str | float]:
    """Return CPU seconds for `IMAGES` renders, and their ratio."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, 224, 224, 3), dtype=np.uint8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as directory:
            save_vit_b_32(Path(directory))
            encoder = load_clip("ViT-B-32", "transformers", directory, device="cpu")
            model = CLIPModel.from_pretrained(directory).eval()
            processor = AutoImageProcessor.from_pretrained(directory)

            @torch.no_grad()
            def baseline() -> None:
                for image in images:
                    model.get_image_features(**processor(images=Image.fromarray(image), return_tensors="pt"))

            pairs = [
                (seconds(baseline), seconds(lambda: encoder.encode_images(images)))
                for _ in range(REPEATS + 1)
            ][1:]
    finally:
        torch.set_num_threads(threads)
    plain, ours = (min(times) for times in zip(*pairs, strict=True))
    return {
        "case": f"embed {IMAGES} renders with ViT-B-32",
        "baseline_seconds": plain,
        "ours_seconds": ours,
        "ratio": plain / ours,
    }


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def save_vit_b_32(directory: Path) -> None:
    """Save openai/clip-vit-base-patch32 with random weights and a tokenizer of letters."""
    torch.manual_seed(0)
    vocabulary = {chr(97 + letter): letter for letter in range(26)}
    vocabulary |= {f"{letter}</w>": 26 + number for letter, number in vocabulary.items()}
    vocabulary |= {"<|startoftext|>": 52, "<|endoftext|>": 53}
    text = {
        "bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53, "vocab_size": 54, "num_hidden_layers": 1,
    }  # fmt: skip
    CLIPModel(CLIPConfig(text_config=text, projection_dim=512)).save_pretrained(directory)
    CLIPImageProcessor().save_pretrained(directory)
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(directory)


if __name__ == "__main__":
    print(measure())
