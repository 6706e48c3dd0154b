"""params.yaml as typed, validated parameters."""

from pointspider.study.config.load import load, resolve
from pointspider.study.config.models import Params
from pointspider.study.config.space import shared_space

__all__ = ["Params", "load", "resolve", "shared_space"]
