"""Whether the point encoder embeds into the space of a CLIP, so that it needs no mapper."""

from pathlib import Path

from pointspider.core.errors import InputError
from pointspider.encoders.points.registry import encoder_space
from pointspider.study.config.models import Params


def shared_space(params: Params, checkpoint: str | Path) -> str | None:
    """Return the CLIP in whose projected space the point encoder embeds; None: it has a space of its own.

    Args:
        params: of the run.
        checkpoint: the point encoder's file.

    Raises:
        InputError: the image embedding of the run is of another CLIP or layer.
    """
    points, target = params.encoders.points, params.alignment.image_embedding
    space = None if points.checkpoint == "train" else encoder_space(points.name, checkpoint)
    if space is None:
        return None
    weights = params.encoders.images[target.model].weights
    if space not in (weights, target.model) or target.layer != "projected":
        raise InputError(
            f"alignment.image_embedding: is the {target.layer} layer of {target.model} ({weights}), but "
            f"{points.name} embeds into the projected layer of {space}. Choose that CLIP and layer, or "
            "another point encoder."
        )
    return space
