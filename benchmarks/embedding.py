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

from pointspider.core.errors import InputError
from pointspider.encoders.images.clip import load_clip

IMAGES = 32
#: Rounds of runs, baseline and ours in turn, after a warm-up run of each; the fastest of each counts.
REPEATS = 3


def measure() -> list[dict[str, str | float]]:
    """Return CPU seconds for `IMAGES` renders, and their ratio: in float32, and in what else the CPU has."""
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

            def ours(precision: str) -> Callable[[], object]:
                return lambda: encoder.encode_images(images, precision=precision)

            runs = {"baseline": baseline, "fp32": ours("fp32")}
            for precision in ("bf16", "int8"):
                try:
                    cosine = encoder.agreement(images, precision)
                    print(f"smallest cosine of {precision} to fp32: {cosine:.6f}")
                    runs[precision] = ours(precision)
                except InputError as error:
                    print(error)
            rounds = [[seconds(run) for run in runs.values()] for _ in range(REPEATS + 1)][1:]
    finally:
        torch.set_num_threads(threads)
    plain, *fastest = (min(times) for times in zip(*rounds, strict=True))
    return [
        {
            "case": f"embed {IMAGES} renders with ViT-B-32, {precision}",
            "baseline_seconds": plain,
            "ours_seconds": each,
            "ratio": plain / each,
        }
        for precision, each in zip(list(runs)[1:], fastest, strict=True)
    ]


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
    print(*measure(), sep="\n")
