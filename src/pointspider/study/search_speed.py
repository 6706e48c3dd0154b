"""Time the steps from a cloud, or from its render, to its embedding, one cloud at a time."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd


def choose_clouds(manifest: pd.DataFrame, per_severity: int) -> pd.DataFrame:
    """Choose `per_severity` test clouds of each severity, spread over the manifest."""
    parts = []
    for _, own in manifest.groupby("severity"):
        rows = np.unique(np.linspace(0, len(own) - 1, per_severity).round().astype(int))
        parts.append(own.iloc[rows])
    return pd.concat(parts, ignore_index=True)


def time_steps(
    steps: Mapping[str, tuple[Callable[[np.ndarray], object], np.ndarray]], clouds: pd.DataFrame
) -> list[dict[str, Any]]:
    """Time each step on each cloud.

    Args:
        steps: by name a function of a batch, and its input with a row per cloud. The function is called with
            one row at a time; the first call, which is slower, is repeated and not counted.
        clouds: cloud_id and severity of each row.

    Returns:
        Rows of the table `search_seconds`.
    """
    rows = []
    for step, (function, values) in steps.items():
        function(values[:1])
        for number, (cloud_id, severity) in enumerate(
            zip(clouds["cloud_id"], clouds["severity"], strict=True)
        ):
            wall, cpu = time.perf_counter(), time.process_time()
            function(values[number : number + 1])
            rows.append(
                {
                    "step": step,
                    "severity": severity,
                    "cloud_id": cloud_id,
                    "seconds": time.perf_counter() - wall,
                    "cpu_seconds": time.process_time() - cpu,
                }
            )
    return rows
