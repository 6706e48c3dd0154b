"""Settings to train a point encoder. Does not import PyTorch: params.yaml is checked without it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class PointSettings(BaseModel):
    """Training settings: `encoders.points` of params.yaml with `checkpoint: train`.

    The defaults are those of ModelNet40-C's benchmark, which trains PointNet for 300 epochs of 1024 points in
    batches of 32 with learning rate 0.001 and the plateau schedule: 89 to 90 % on ModelNet40's test split,
    after days on a CPU. 15 epochs of 128 points with the cosine schedule take about a minute of one CPU core
    for 480 procedural clouds and reach 90 % on 320 clean test clouds of 40 classes. docs/encoders.md has the
    published settings of the other encoders.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(ge=1, description="training epochs")
    points: int = Field(ge=1, description="points of each cloud, drawn again for every batch")
    batch_size: int = Field(ge=2, description="clouds; batch normalisation needs at least 2")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="optimiser")
    learning_rate: float = Field(gt=0, description="learning rate of the optimiser, at its peak")
    momentum: float = Field(0.9, ge=0, lt=1, description="of `sgd`; unused by the other optimisers")
    weight_decay: float = Field(0.0, ge=0, description="weight decay; decoupled with `adamw`")
    gradient_clip: float | None = Field(None, gt=0, description="largest norm of the gradient; null: any")
    label_smoothing: float = Field(
        0.2, ge=0, lt=1, description="probability that the target gives to all wrong classes together"
    )
    schedule: Literal["plateau", "cosine", "step"] = Field(
        description="of the learning rate. `plateau`: halved when the loss stalls, `cosine`: to "
        "`final_learning_rate`, `step`: times `decay_factor` every `decay_epochs`"
    )
    final_learning_rate: float = Field(0.0, ge=0, description="end of `cosine`")
    warmup_epochs: int = Field(0, ge=0, description="epochs of linear increase before `cosine` or `step`")
    decay_epochs: int = Field(20, ge=1, description="epochs between two decays of `step`")
    decay_factor: float = Field(0.7, gt=0, le=1, description="decay of `step`")

    @model_validator(mode="after")
    def _check_warmup(self) -> "PointSettings":
        problem = ""
        if self.warmup_epochs >= self.epochs:
            problem = f"is {self.warmup_epochs} of {self.epochs} epochs; choose fewer."
        elif self.warmup_epochs and self.schedule == "plateau":
            problem = f"is {self.warmup_epochs}, but the schedule plateau has none; set it to 0."
        if problem:
            raise PydanticCustomError("conflict", "{problem}", {"key": "warmup_epochs", "problem": problem})
        return self
