"""Choice of precision."""

import pytest
import torch

from pointspider.core.errors import InputError
from pointspider.training.device import pick_device, pick_precision, require_instructions

CPU = torch.device("cpu")


def test_auto_is_float32_on_every_cpu(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True, "avx512_bf16": True})
    assert pick_precision("auto", CPU) == torch.float32


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_auto_is_bfloat16_on_gpus_that_compute_in_it(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert pick_precision("auto", torch.device("cuda")) == expected


def test_precisions_by_name():
    assert pick_precision("bf16", CPU) == torch.bfloat16
    assert pick_precision("fp32", CPU) == torch.float32
    with pytest.raises(InputError, match=r"precision: 'fp16' does not exist; choose fp32, bf16 or auto"):
        pick_precision("fp16", CPU)


def test_devices_by_name(monkeypatch):
    assert pick_device("cpu") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == CPU


@pytest.mark.parametrize(
    ("precision", "capabilities", "found"),
    [
        ("bf16", {"avx512_bf16": True, "avx512_vnni": False}, True),
        ("bf16", {"amx_bf16": True, "avx512_bf16": False}, True),
        ("bf16", {"avx512_bf16": False, "avx512_vnni": True}, False),
        ("int8", {"avx_vnni": True}, True),
        ("int8", {"avx512_bf16": True, "avx_vnni_int8": True}, False),
    ],
)
def test_a_precision_needs_its_instructions(monkeypatch, precision, capabilities, found):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    if found:
        require_instructions(precision)
    else:
        with pytest.raises(
            InputError, match=rf"^precision: '{precision}': this CPU has no .*; choose fp32\.$"
        ):
            require_instructions(precision)
