"""Checkpoints: exact states, identity and damage."""

from contextlib import suppress

import numpy as np
import pytest
import torch

from pointspider.core.errors import InputError
from pointspider.training.checkpoint import Checkpoint, fingerprint

CPU = torch.device("cpu")
STATE = {
    "model": {"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3)},
    "optimizer": {
        "state": {0: {"step": torch.tensor(1.0)}, 1: {}},
        "groups": [{"lr": 1e-3, "betas": [0.9, 1]}],
    },
    "random": torch.arange(5, dtype=torch.uint8),
    "mask": torch.tensor([True, False]),
    "history": [{"loss": 0.1}, {"loss": float("inf")}],
    "empty": [],
    "none": None,
}


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def test_a_state_is_restored_exactly(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a.safetensors", "identity")
    assert checkpoint.load() is None
    checkpoint.save(STATE)
    assert equal(checkpoint.load(), STATE)
    before = checkpoint.path.read_bytes()
    checkpoint.save(STATE)
    assert checkpoint.path.read_bytes() == before


def test_another_training_is_not_resumed(tmp_path, caplog):
    Checkpoint(tmp_path / "a.safetensors", "one").save(STATE)
    assert Checkpoint(tmp_path / "a.safetensors", "two").load() is None
    assert "belongs to another training" in caplog.text


def test_every_damaged_byte_is_detected(tmp_path):
    """One flipped bit in the tensors, the structure or the length of the file."""
    checkpoint = Checkpoint(tmp_path / "a.safetensors", "identity")
    checkpoint.save(STATE)
    content = checkpoint.path.read_bytes()
    undetected = []
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 1
        checkpoint.path.write_bytes(damaged)
        with suppress(InputError):
            state = checkpoint.load()
            if state is not None and not equal(state, STATE):
                undetected.append(position)
    assert not undetected
    checkpoint.path.write_bytes(content[:-1])
    with pytest.raises(InputError, match=r"a\.safetensors: is damaged.* Delete it and run again"):
        checkpoint.load()


def test_the_fingerprint_depends_on_everything_that_determines_the_bytes(monkeypatch):
    settings, arrays = {"epochs": 3, "rate": 0.1}, {"x": np.arange(3.0)}
    prints = [
        fingerprint(settings, arrays, CPU),
        fingerprint({**settings, "epochs": 4}, arrays, CPU),
        fingerprint(settings, {"x": np.arange(4.0)}, CPU),
        fingerprint(settings, {"x": np.arange(3.0, dtype=np.float32)}, CPU),
        fingerprint(settings, arrays, torch.device("meta")),
    ]
    assert fingerprint(settings, arrays, CPU) == prints[0]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1000)
    prints.append(fingerprint(settings, arrays, CPU))
    monkeypatch.setattr(torch, "__version__", "0.1")
    prints.append(fingerprint(settings, arrays, CPU))
    assert len(set(prints)) == len(prints)
