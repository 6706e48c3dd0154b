"""Settings to train a point encoder. Does not import PyTorch: params.yaml is checked without it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PointSettings(BaseModel):
    """Training settings: `encoders.points` of params.yaml with `checkpoint: train`.

    ModelNet40-C's benchmark trains PointNet for 300 epochs of 1024 points in batches of 32 with learning rate
    0.001 and the plateau schedule: 89 to 90 % on ModelNet40's test split, after days on a CPU.
    15 epochs of 128 points with the cosine schedule take about a minute of one CPU core for 480 procedural
    clouds and reach 90 % on 320 clean test clouds of 40 classes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(ge=1, description="training epochs")
    points: int = Field(ge=1, description="points drawn from each cloud for every batch")
    batch_size: int = Field(ge=2, description="clouds per batch; batch normalisation needs at least 2")
    learning_rate: float = Field(gt=0, description="of Adam")
    schedule: Literal["plateau", "cosine"] = Field(
        description="plateau: halve the learning rate when the loss stalls | cosine: decrease it to zero"
    )
