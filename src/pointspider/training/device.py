"""Choice of device and floating-point precision."""

import torch

from pointspider.core.errors import InputError


def pick_device(device: str = "auto") -> torch.device:
    """Return a PyTorch device; "auto" is CUDA if available, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return fp32 or bf16, the precision in which the layers of a network multiply.

    Args:
        precision: fp32, bf16, or auto: bf16 on CUDA from compute capability 8.0 (Ampere), where the hardware
            multiplies in it, else fp32.
        device: where the network runs.

    Raises:
        InputError: the precision does not exist.
    """
    if precision == "auto":
        native = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        return "bf16" if native else "fp32"
    if precision not in PRECISIONS:
        raise InputError(f"precision: '{precision}' does not exist; choose fp32, bf16 or auto.")
    return precision


def pick_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the type of `resolve_precision`, with the same arguments and errors."""
    return PRECISIONS[resolve_precision(precision, device)]


#: Ends of the names of the instructions that multiply in a precision, in `torch.cpu.get_capabilities`.
INSTRUCTIONS = {"bf16": ("bf16",), "int8": ("vnni", "amx_int8")}


def require_instructions(precision: str) -> None:
    """Refuse a CPU that would emulate a precision, which is slower than float32.

    Args:
        precision: bf16 (AVX512-BF16, AMX-BF16) or int8 (VNNI, AMX-INT8).

    Raises:
        InputError: the CPU lacks the instructions.
    """
    capabilities = torch.cpu.get_capabilities()
    if not any(found and name.endswith(INSTRUCTIONS[precision]) for name, found in capabilities.items()):
        raise InputError(
            f"precision: '{precision}': this CPU has no instructions for it "
            f"({' or '.join(INSTRUCTIONS[precision])}); choose fp32."
        )
