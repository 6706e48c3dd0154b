"""Settings to train a mapper. Does not import PyTorch: params.yaml is checked without it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class MapperSettings(BaseModel):
    """The settings of `mapper` in params.yaml that one training uses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(ge=1, description="training epochs (paper: 1000)")
    learning_rate: float = Field(0.005, gt=0, description="of Adam (paper, section IV: 0.005)")
    batch_size: int | None = Field(
        None, ge=1, description="samples per batch; null: the whole training split (the paper gives none)"
    )
    base_width: int | None = Field(
        None, ge=1, description="hidden layers are 2, 4, 8, 4, 2 times this; null: the input's width (paper)"
    )
    response_size: int = Field(1, ge=1, description="channels of LocalResponseNorm")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="of the products in training; auto: bf16 on CUDA from compute capability 8.0, else fp32",
    )
