"""The clouds of one class, built from a source."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pointspider.clouds.corruptions.modelnet40c import check, corrupt
from pointspider.clouds.names import CLEAN, Variant, cloud_id
from pointspider.clouds.sources.registry import Source
from pointspider.core.errors import InputError
from pointspider.core.files import Group
from pointspider.study.cloud_files import validate_points


def build_clouds(
    source: Source, class_name: str, manifest: pd.DataFrame, points: int, seed: int
) -> Iterator[tuple[str, Group]]:
    """Make every cloud of a class that any manifest uses, variant by variant.

    Args:
        source: where the objects come from.
        class_name: the class.
        manifest: rows of manifests; those of other classes are passed over, repeated clouds are made once.
        points: points per clean cloud.
        seed: `seeds.corruptions`.

    Yields:
        (variant, group) for `storage.write_hdf5`, the clean cloud first: arrays cloud_id (n,) and points
        (n, N, 3) float32, sorted by object; N depends on the variant.

    Raises:
        InputError: an object is unreadable, a needed mesh is missing, a cloud came out unusable.
    """
    rows = manifest.loc[
        manifest["class"] == class_name, ["object", "corruption", "severity"]
    ].drop_duplicates()
    chosen = {
        Variant(corruption, int(severity)): sorted(group["object"])
        for (corruption, severity), group in rows.groupby(["corruption", "severity"])
    }
    for variant in chosen:
        if variant != CLEAN:
            check(variant)
    names = sorted(rows["object"].unique())
    loaded = dict(zip(names, source.load(class_name, names), strict=True))

    for variant in sorted(chosen, key=lambda variant: (variant != CLEAN, variant)):
        names = chosen[variant]
        ids = [cloud_id(class_name, variant, name) for name in names]
        clouds = source.released(class_name, names, variant)
        if clouds is None:
            keys = [f"{class_name}/{name}" for name in names]
            try:
                pools, meshes = zip(*(loaded[name] for name in names), strict=True)
                clouds = corrupt(variant, pools, meshes, keys, seed, points)
            except InputError as error:
                raise InputError(f"{source}: {error}") from error
        for identity, cloud in zip(ids, clouds, strict=True):
            validate_points(cloud, identity)
        yield (
            str(variant),
            Group({"cloud_id": np.array(ids, dtype=object), "points": clouds}, variant._asdict()),
        )
