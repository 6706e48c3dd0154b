"""Checkpoints in PyTorch's formats."""

import pytest
import torch

from pointspider.core.errors import InputError
from pointspider.encoders.checkpoints import read_checkpoint


@pytest.mark.parametrize("archive", [True, False])
def test_both_formats_are_read(tmp_path, archive):
    """Numbers that are no sizes may be large."""
    content = {"net": {"weight": torch.ones(2, 3), "scale": torch.tensor(3)}, "seed": 2**62}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=archive)
    tensors, _ = read_checkpoint(tmp_path / "a.pth")
    assert tensors["weight"].shape == (2, 3)
    assert tensors["scale"] == 3


def test_a_tensor_larger_than_its_file_is_refused_before_it_is_allocated(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"weight": torch.ones(100_000)}, path, _use_new_zipfile_serialization=False)
    number, large = (100_000).to_bytes(4, "little"), (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(number, large, 1))
    with pytest.raises(InputError, match=r"a\.pth: damaged, or not a PyTorch checkpoint") as caught:
        read_checkpoint(path)
    assert "declares 2,147,483,647 bytes of data" in str(caught.value.__cause__)
