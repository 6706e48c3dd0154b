"""What to install when a package of an extra is missing."""

import importlib.util
import re
from functools import cache
from importlib import metadata

from pointspider.core.errors import InputError

#: Distributions whose modules have other names.
DISTRIBUTIONS = {
    "drjit": "mitsuba",
    "faiss": "faiss-cpu",
    "mapbox_earcut": "mapbox-earcut",
    "open_clip": "open-clip-torch",
    "huggingface_hub": "huggingface-hub",
    "sklearn": "scikit-learn",
}


def require(*modules: str) -> None:
    """Check that modules are installed, without importing them.

    Raises:
        InputError: one is not; names the extra to install.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise missing(module)


def missing(module: str) -> InputError:
    """Return the error for a module that is not installed, with the extra of PointSpider that has it."""
    top = module.partition(".")[0]
    package = DISTRIBUTIONS.get(top, top.replace("_", "-").lower())
    extra = next((extra for extra, packages in _extras().items() if package in packages), None)
    requirement = f'"pointspider[{extra}]"' if extra else package
    return InputError(f"the package {package} is not installed; install it: pip install {requirement}")


@cache
def _extras() -> dict[str, set[str]]:
    """{extra: its distributions}; smaller extras first, since the first that has a package is suggested."""
    extras: dict[str, set[str]] = {}
    for requirement in metadata.requires("pointspider") or []:
        found = re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", requirement)
        if found:
            extras.setdefault(found[2], set()).add(re.sub(r"[-_.]+", "-", found[1]).lower())
    return dict(sorted(extras.items(), key=lambda extra: len(extra[1])))
