"""Building the clouds of one class from a source."""

import logging
from collections.abc import Iterable, Iterator

import numpy as np

from pointspider.clouds.cloud import validate_points
from pointspider.clouds.corruptions.engine import corrupt_clouds
from pointspider.clouds.corruptions.registry import find_level
from pointspider.clouds.names import CLEAN, CorruptionLevel, cloud_id
from pointspider.clouds.sources.base import Source
from pointspider.core.errors import InputError
from pointspider.core.files import Group

logger = logging.getLogger(__name__)


def build_clouds(
    source: Source, class_name: str, used: Iterable[tuple[str, str, int]], points: int, seed: int
) -> Iterator[tuple[str, Group]]:
    """Build clouds of a class, level by level.

    Logs a warning if a corruption repeats points because the source's clouds have too few.

    Args:
        source: has the objects.
        class_name: the class.
        used: (object, corruption, severity) of each cloud.
        points: points per clean cloud.
        seed: `seeds.corruptions`.

    Yields:
        (level, group) for `write_hdf5`, clean clouds first: arrays cloud_id (n,) and points (n, N, 3)
        float32, sorted by object; N depends on the level.

    Raises:
        InputError: an object is unreadable, a mesh is missing, a corrupted cloud is unusable.
    """
    chosen: dict[CorruptionLevel, list[str]] = {}
    for name, corruption, severity in sorted(used):
        chosen.setdefault(CorruptionLevel(corruption, severity), []).append(name)
    pools = {level: 1 if level == CLEAN else find_level(level)[0].pool for level in chosen}
    objects = sorted({name for names in chosen.values() for name in names})
    clouds = {name: source.load(class_name, name) for name in objects}

    for level in sorted(chosen, key=lambda level: (level != CLEAN, level)):
        names = chosen[level]
        ids = [cloud_id(class_name, level, name) for name in names]
        built = source.released(class_name, names, level)
        if built is None:
            small = [name for name in names if len(clouds[name]) < pools[level] * points]
            if small and pools[level] > 1:
                logger.warning(
                    "%s: %s draws %d points of each cloud and repeats points of %d clouds of class '%s' that "
                    "have fewer, e.g. %s.",
                    source, level, pools[level] * points, len(small), class_name, small[0],
                )  # fmt: skip
            try:
                built = corrupt_clouds(
                    level,
                    [clouds[name].points for name in names],
                    [clouds[name].mesh for name in names],
                    [f"{class_name}/{name}" for name in names],
                    seed,
                    points,
                )
            except InputError as error:
                raise InputError(f"{source}: {error}") from error
        for name, cloud in zip(ids, built, strict=True):
            validate_points(cloud, name)
        yield (
            str(level),
            Group({"cloud_id": np.array(ids, dtype=object), "points": built}, level._asdict()),
        )
