"""Files of predictors."""

from pathlib import Path

from pointspider.mappers.affine import affine_of
from pointspider.mappers.base import Predictor
from pointspider.mappers.tensors import read_predictor


def load_predictor(path: str | Path) -> Predictor:
    """Load a predictor in the form that predicts fastest: a BASE mapper is folded into one affine map.

    Raises:
        InputError: the file is missing, damaged or not a predictor, or its weights hold NaN or inf.
    """
    tensors, content = read_predictor(path)
    if content["kind"] == "network":
        from pointspider.mappers.network import architecture_of, mapper_of

        if architecture_of(path, content).norm != "none":
            return mapper_of(path, tensors, content)
    return affine_of(path, tensors, content)
