"""Open Image Denoise, by the C interface that the package pyoidn declares.

`import pyoidn` imports torch wherever torch is installed, which takes longer than ten pictures. Its module
`capi` needs neither torch nor the rest of the package, so it is loaded alone.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

# Constants of oidn.h.
_CPU = 1
_FLOAT3 = 3
_QUALITIES = {"fast": 4, "balanced": 5, "high": 6}

Image = Float32[np.ndarray, "H W 3"]


def denoise(radiance: Image, albedo: Image, normal: Image, quality: str) -> Image:
    """Remove Monte-Carlo noise from a picture.

    The number of threads is read from the environment variable OIDN_NUM_THREADS when this is first called.

    Args:
        radiance: linear, may exceed 1.
        albedo: guide, from 0 to 1.
        normal: guide, from -1 to 1.
        quality: "fast", "balanced" or "high".

    Raises:
        RuntimeError: Open Image Denoise failed; gives its message.
    """
    capi, device, filter_ = _filter()
    result = np.empty_like(radiance, order="C")
    images = {"color": radiance, "albedo": albedo, "normal": normal, "output": result}
    images = {name: np.ascontiguousarray(image) for name, image in images.items()}
    height, width = radiance.shape[:2]
    for name, image in images.items():
        pointer = capi.oidn_ffi.cast("void *", capi.oidn_ffi.from_buffer(image))
        capi.oidn_Capi.oidnSetSharedFilterImage(
            filter_, name.encode(), pointer, _FLOAT3, width, height, 0, 0, 0
        )
    capi.oidn_Capi.oidnSetFilterBool(filter_, b"hdr", True)
    capi.oidn_Capi.oidnSetFilterInt(filter_, b"quality", _QUALITIES[quality])
    capi.oidn_Capi.oidnCommitFilter(filter_)
    capi.oidn_Capi.oidnExecuteFilter(filter_)
    _raise_error(capi, device)
    return result


@cache
def _filter() -> tuple[Any, Any, Any]:
    """The C interface, a committed device, and a filter on it; they last as long as the process."""
    package = importlib.util.find_spec("pyoidn")
    if package is None or not package.submodule_search_locations:
        raise ImportError("the renderer needs the package pyoidn")
    path = Path(package.submodule_search_locations[0]) / "capi.py"
    spec = importlib.util.spec_from_file_location("pointspider_oidn_capi", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    capi = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(capi)
    device = capi.oidn_Capi.oidnNewDevice(_CPU)
    capi.oidn_Capi.oidnCommitDevice(device)
    filter_ = capi.oidn_Capi.oidnNewFilter(device, b"RT")
    _raise_error(capi, device)
    return capi, device, filter_


def _raise_error(capi: Any, device: Any) -> None:
    message = capi.oidn_ffi.new("const char **")
    if capi.oidn_Capi.oidnGetDeviceError(device, message):
        text = capi.oidn_ffi.string(message[0]).decode(errors="replace")
        raise RuntimeError(f"Open Image Denoise failed: {text}")
