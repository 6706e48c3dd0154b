"""On what the encoders run, and how precisely."""

import torch


def pick_device(device: str = "auto") -> torch.device:
    """A PyTorch device; "auto" is CUDA where there is one, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def native_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies in it, else float32: emulated, it is slower and no better.

    Native are CUDA from compute capability 8 (Ampere) and CPUs with AMX or AVX512-BF16.
    """
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        features = torch.cpu.get_capabilities()
        native = any(features.get(name, False) for name in ("amx_bf16", "avx512_bf16"))
    return torch.bfloat16 if native else torch.float32
