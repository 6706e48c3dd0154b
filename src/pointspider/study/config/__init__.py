"""params.yaml as typed, validated parameters."""

from pointspider.study.config.load import load, resolve
from pointspider.study.config.models import Params

__all__ = ["Params", "load", "resolve"]
