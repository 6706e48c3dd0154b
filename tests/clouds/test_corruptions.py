"""The sixteen corruptions against the generator's definitions and slow, independent implementations."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.interpolate import RBFInterpolator
from scipy.spatial.transform import Rotation
from scipy.special import binom

from pointspider.clouds.cloud import Mesh
from pointspider.clouds.corruptions import modelnet40c, raycasting
from pointspider.clouds.corruptions.batches import sample
from pointspider.clouds.corruptions.engine import corrupt_clouds
from pointspider.clouds.corruptions.registry import CORRUPTIONS, needing_mesh
from pointspider.clouds.names import CLEAN, CorruptionLevel
from pointspider.core.errors import InputError
from pointspider.core.seeding import generator

NAMES = tuple(name for name, corruption in CORRUPTIONS.items() if corruption.benchmark == "modelnet40-c")
LOOPS = ("modelnet40-c", "pointcloud-c")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
#: Points per cloud of the ModelNet40-C release, by severity; 1024 elsewhere.
RELEASE = {
    "background": (1046, 1049, 1053, 1058, 1075),
    "upsampling": (1228, 1280, 1365, 1536, 2048),
    "cutout": (964, 934, 874, 814, 724),
    "density": (949, 874, 799, 724, 649),
    "lidar": (768,) * 5,
}
NORMALIZED = set(NAMES) - {"gaussian", "cutout", "density", "density_inc", "lidar"}
REAL = Path(__file__).parents[3] / "shared" / "real_data" / "modelnet40_c" / "data_original.npy"


def as_mesh(mesh: trimesh.Trimesh) -> Mesh:
    return Mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def chair() -> Mesh:
    """A seat, a back and four legs: parts that hide each other."""
    boxes = [((1, 0.1, 1), (0, 0, 0)), ((1, 1, 0.1), (0, 0.5, -0.45))]
    boxes += [((0.1, 1, 0.1), (x, -0.5, z)) for x in (-0.4, 0.4) for z in (-0.4, 0.4)]
    move = trimesh.transformations.translation_matrix
    return as_mesh(trimesh.util.concatenate([trimesh.creation.box(size, move(at)) for size, at in boxes]))


@pytest.fixture(scope="module")
def pools() -> list[np.ndarray]:
    """Five clouds of 2048 points on an ellipsoid's surface, maximum radius 1."""
    rng = np.random.default_rng(7)
    clouds = rng.standard_normal((5, 2048, 3))
    clouds *= [1.0, 0.7, 0.4] / np.linalg.norm(clouds, axis=2, keepdims=True)
    return list(clouds.astype(np.float32))


@pytest.fixture(scope="module")
def meshes() -> list[Mesh]:
    return [chair() for _ in range(5)]


KEYS = [f"chair/{number:04d}" for number in range(5)]


def streams(count: int, name: str = "test") -> list[np.random.Generator]:
    return [generator(0, name, number) for number in range(count)]


def inside(pools: list[np.ndarray], points: int = 1024) -> np.ndarray:
    """Clouds as the corruptions take them: (B, 3, N) float32."""
    return np.stack(pools)[:, :points].transpose(0, 2, 1).copy()


# ----------------------------------------------------------------------------------------- all of them


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("name", NAMES)
def test_every_level_has_the_release_s_shape_and_frame(name, severity, pools, meshes):
    clouds = corrupt_clouds(CorruptionLevel(name, severity), pools[:2], meshes[:2], KEYS[:2], seed=3)
    assert clouds.shape == (2, RELEASE.get(name, (1024,) * 5)[severity - 1], 3)
    assert clouds.dtype == np.float32
    assert np.isfinite(clouds).all()
    low, high = clouds.min(axis=1), clouds.max(axis=1)
    if name in NORMALIZED:
        np.testing.assert_allclose(low + high, 0, atol=1e-5)
        np.testing.assert_allclose((high - low).max(axis=1), 2, rtol=1e-5)
    else:
        assert not np.allclose(low + high, 0, atol=1e-5)
    if name == "gaussian":
        assert np.abs(clouds).max() <= 1


def test_table_is_the_generator_s():
    assert len(NAMES) == 16
    assert needing_mesh() == ["occlusion", "lidar"]
    assert {name for name in NAMES if CORRUPTIONS[name].normalizes} == NORMALIZED


@pytest.mark.parametrize("name", [*NAMES, "original"])
def test_a_cloud_is_the_same_alone_and_in_a_batch(name, pools, meshes):
    level = CLEAN if name == "original" else CorruptionLevel(name, 5)
    batch = corrupt_clouds(level, pools, meshes, KEYS, seed=3)
    for number in (0, 3):
        alone = corrupt_clouds(level, [pools[number]], [chair()], [KEYS[number]], seed=3)
        assert alone.tobytes() == batch[number].tobytes()
    backwards = corrupt_clouds(level, pools[::-1], meshes[::-1], KEYS[::-1], seed=3)
    assert backwards[::-1].tobytes() == batch.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_draws_depend_on_object_severity_and_seed(name, pools, meshes):
    def make(severity: int, key: str, seed: int) -> np.ndarray:
        return corrupt_clouds(CorruptionLevel(name, severity), pools[:1], meshes[:1], [key], seed)[0]

    base = make(2, "chair/0000", 3)
    assert not np.array_equal(base, make(2, "chair/0001", 3))
    assert not np.array_equal(base, make(2, "chair/0000", 4))
    assert base.shape != make(3, "chair/0000", 3).shape or not np.array_equal(base, make(3, "chair/0000", 3))


def test_counts_scale_with_the_points(pools, meshes):
    counts = {
        name: corrupt_clouds(CorruptionLevel(name, 2), pools[:1], meshes[:1], KEYS[:1], 0, points=256).shape[
            1
        ]
        for name in NAMES
    }
    assert counts == dict.fromkeys(NAMES, 256) | {
        "background": 262,
        "upsampling": 320,
        "cutout": 235,
        "density": 256 - 2 * 18,
        "lidar": 192,
    }


def test_sample_takes_every_point_of_a_small_pool_equally_often():
    small, large = np.arange(30.0).reshape(10, 3), np.arange(3000.0).reshape(1000, 3)
    drawn, origin = sample([small, large], streams(2), 25)
    assert drawn.shape == (2, 3, 25)
    np.testing.assert_array_equal(drawn[0].T, small[origin[0]])
    rows, counts = np.unique(drawn[0].T, axis=0, return_counts=True)
    assert len(rows) == 10
    assert set(counts) == {2, 3}
    assert len(np.unique(drawn[1].T, axis=0)) == 25


def test_unknown_corruption_names_the_closest():
    with pytest.raises(InputError, match="'gausian' is not a corruption; did you mean 'gaussian'"):
        corrupt_clouds(CorruptionLevel("gausian", 1), [], [], [], 0)
    with pytest.raises(InputError, match="6 is not a severity of 'uniform'; choose from 1 to 5"):
        corrupt_clouds(CorruptionLevel("uniform", 6), [], [], [], 0)


def test_missing_mesh_is_named(pools):
    with pytest.raises(InputError, match=r"chair/0001 .*no mesh, which lidar_2 needs.*occlusion and lidar"):
        corrupt_clouds(CorruptionLevel("lidar", 2), pools[:2], [chair(), None], KEYS[:2], 0)


@pytest.mark.parametrize("severity", [1, 5])
@pytest.mark.parametrize("name", [n for n, each in CORRUPTIONS.items() if each.benchmark in LOOPS])
def test_clouds_equal_those_of_a_loop_over_clouds_in_double_precision(name, severity, pools, monkeypatch):
    """The loop is that of benchmarks/; it solves each interpolation and sums over the lattice by itself."""
    if name in needing_mesh():
        pytest.skip("the loop has no meshes")
    monkeypatch.syspath_prepend(BENCHMARKS)
    from corruption_loop import corrupt as corrupt_by_loop

    level = CorruptionLevel(name, severity)
    uneven = [pools[0][:1024], pools[1], pools[2][:700], *[pools[3]] * 20]  # more than a batch
    if name == "pointcloud-c/dropout_local":
        uneven[2] = pools[2]  # the sort of the loop orders repeated points in another way
    keys = [f"chair/{number}" for number in range(len(uneven))]
    corrupted = corrupt_clouds(level, uneven, [None] * len(uneven), keys, seed=3)
    assert corrupted.flags.c_contiguous
    for cloud, expected in zip(corrupted, corrupt_by_loop(level, uneven, keys, seed=3), strict=True):
        np.testing.assert_allclose(cloud, expected, atol=2e-5)


@pytest.mark.skipif(not REAL.exists(), reason="real clouds are not here")
def test_real_clouds_survive_everything_without_a_mesh():
    pools = list(np.load(REAL, mmap_mode="r")[:3])
    for name in set(NAMES) - set(needing_mesh()):
        clouds = corrupt_clouds(CorruptionLevel(name, 5), pools, [None] * 3, KEYS[:3], 0)
        assert np.isfinite(clouds).all()
        assert np.abs(clouds).max() <= 1 + 1e-6


# ----------------------------------------------------------------------------------------------- noise


@pytest.mark.parametrize("width", CORRUPTIONS["uniform"].constants)
def test_uniform_noise(width, pools):
    clouds = inside(pools)
    noise = modelnet40c.uniform(clouds, streams(5), width) - clouds
    assert np.abs(noise).max() <= width + 1e-6
    np.testing.assert_allclose(noise.std(), width / np.sqrt(3), rtol=0.02)
    assert abs(noise.mean()) < width / 50


@pytest.mark.parametrize("deviation", CORRUPTIONS["gaussian"].constants)
def test_gaussian_noise_is_clipped(deviation, pools):
    clouds = inside(pools) / 2
    noise = modelnet40c.gaussian(clouds, streams(5), deviation) - clouds
    np.testing.assert_allclose(noise.std(), deviation, rtol=0.03)
    np.testing.assert_allclose((np.abs(noise) < deviation).mean(), 0.6827, atol=0.02)
    assert np.abs(modelnet40c.gaussian(2 * clouds, streams(5), deviation)).max() == 1


def test_background_fills_the_cube(pools):
    clouds = inside(pools)
    noisy = modelnet40c.background(clouds, streams(5), 20).clouds
    np.testing.assert_array_equal(noisy[:, :, :1024], clouds)
    added = noisy[:, :, 1024:]
    assert added.shape == (5, 3, 51)
    assert np.abs(added).max() <= 1
    np.testing.assert_allclose(added.std(axis=(0, 2)), 1 / np.sqrt(3), rtol=0.15)


@pytest.mark.parametrize("divisor", CORRUPTIONS["impulse"].constants)
def test_impulse_moves_a_few_points_by_a_tenth(divisor, pools):
    clouds = inside(pools)
    jumps = modelnet40c.impulse(clouds, streams(5), divisor) - clouds
    moved = (jumps != 0).all(axis=1)
    assert (moved.sum(axis=1) == 1024 // divisor).all()
    assert (jumps.transpose(0, 2, 1)[~moved] == 0).all()
    values = jumps.transpose(0, 2, 1)[moved]
    np.testing.assert_allclose(np.abs(values), 0.1, atol=1e-6)
    assert 0.35 < (values > 0).mean() < 0.65


def test_upsampling_adds_points_beside_different_points(pools):
    clouds = inside(pools)
    upsampled = modelnet40c.upsampling(clouds, streams(5), 1).clouds
    np.testing.assert_array_equal(upsampled[:, :, :1024], clouds)
    for rng, cloud, added in zip(streams(5), clouds, upsampled[:, :, 1024:], strict=True):
        beside = rng.choice(1024, 1024, replace=False)
        offsets = added - cloud[:, beside]
        assert np.abs(offsets).max() <= 0.05 + 1e-6
        np.testing.assert_allclose(offsets.std(), 0.05 / np.sqrt(3), rtol=0.05)


# ------------------------------------------------------------------------------------- transformations


def linear_maps(clouds: np.ndarray, mapped: np.ndarray) -> np.ndarray:
    """The matrices A (B, 3, 3) with mapped = A clouds, asserting that there are such."""
    matrices = np.stack(
        [np.linalg.lstsq(a.T, b.T, rcond=None)[0].T for a, b in zip(clouds, mapped, strict=True)]
    )
    np.testing.assert_allclose(matrices @ clouds, mapped, atol=1e-5)
    return matrices


def many(pools: list[np.ndarray]) -> np.ndarray:
    return np.tile(inside(pools, 64), (40, 1, 1))  # 200 objects


@pytest.mark.parametrize("degrees", CORRUPTIONS["rotation"].constants)
def test_rotation_turns_about_three_axes(degrees, pools):
    clouds = many(pools)
    matrices = linear_maps(clouds, modelnet40c.rotation(clouds, streams(200), degrees))
    np.testing.assert_allclose(
        matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(3), (200, 1, 1)), atol=1e-5
    )
    np.testing.assert_allclose(np.linalg.det(matrices), 1, atol=1e-5)
    # The generator multiplies row vectors by Rx, Ry and Rz in turn.
    angles = Rotation.from_matrix(matrices.transpose(0, 2, 1)).as_euler("XYZ", degrees=True)
    assert np.abs(angles).min() >= degrees - 2.5 - 1e-3
    assert np.abs(angles).max() <= degrees + 2.5 + 1e-3
    assert ((angles > 0).mean(axis=0) > 0.35).all()
    assert ((angles > 0).mean(axis=0) < 0.65).all()


@pytest.mark.parametrize("strength", CORRUPTIONS["shear"].constants)
def test_shear_leaves_y(strength, pools):
    clouds = many(pools)
    matrices = linear_maps(clouds, modelnet40c.shear(clouds, streams(200), strength))
    np.testing.assert_allclose(matrices[:, [0, 1, 2], [0, 1, 2]], 1, atol=1e-5)
    np.testing.assert_allclose(matrices[:, 1, [0, 2]], 0, atol=1e-5)
    factors = np.abs(matrices[:, [0, 0, 2, 2], [1, 2, 0, 1]])
    assert factors.min() >= strength - 0.05 - 1e-5
    assert factors.max() <= strength + 0.05 + 1e-5
    np.testing.assert_allclose(factors.mean(), strength, atol=0.005)


@pytest.mark.parametrize("strength", CORRUPTIONS["scale"].constants)
def test_scale_stretches_one_axis_and_shrinks_another(strength, pools):
    clouds = many(pools)
    matrices = linear_maps(clouds, modelnet40c.scale(clouds, streams(200), strength))
    factors = matrices[:, [0, 1, 2], [0, 1, 2]]
    np.testing.assert_allclose(matrices - factors[:, None] * np.eye(3), 0, atol=1e-5)
    np.testing.assert_allclose(
        np.sort(factors), np.tile([1 - strength, 1, 1 + strength], (200, 1)), atol=1e-5
    )
    assert len(np.unique(np.argsort(factors), axis=0)) == 6  # every axis in every part


# ----------------------------------------------------------------------------------------- point density


def nearest(cloud: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    distance = np.linalg.norm(cloud - cloud[rng.integers(len(cloud))], axis=1)
    return np.sort(np.argsort(distance)[:size])


def slow_cutout(cloud: np.ndarray, rng: np.random.Generator, times: int) -> np.ndarray:
    for _ in range(times):
        cloud = np.delete(cloud, nearest(cloud, rng, 30), axis=0)
    return cloud


def slow_density(cloud: np.ndarray, rng: np.random.Generator, times: int) -> np.ndarray:
    for _ in range(times):
        near = nearest(cloud, rng, 100)
        cloud = np.delete(cloud, near[rng.permutation(100)[:75]], axis=0)
    return cloud


def slow_density_inc(cloud: np.ndarray, rng: np.random.Generator, times: int) -> np.ndarray:
    kept = []
    for _ in range(times):
        near = nearest(cloud, rng, 100)
        kept.append(cloud[near])
        cloud = np.delete(cloud, near, axis=0)
    return np.concatenate([*kept, cloud[rng.integers(len(cloud), size=1024 - 100 * times)]])


@pytest.mark.parametrize(
    ("fast", "slow", "points"),
    [
        (modelnet40c.cutout, slow_cutout, 1024),
        (modelnet40c.density, slow_density, 1024),
        (modelnet40c.density_inc, slow_density_inc, 2048),
    ],
)
def test_neighbourhoods_against_a_loop(fast, slow, points, pools):
    clouds = inside(pools, points)
    made = fast(clouds, streams(5), 5)
    for cloud, rng, result, origin in zip(clouds, streams(5), *made, strict=True):
        np.testing.assert_array_equal(result.T, slow(cloud.T, rng, 5))
        np.testing.assert_array_equal(result, cloud[:, origin])


# ------------------------------------------------------------------------------------------ distortions


def test_free_form_deformation_against_a_loop(pools):
    clouds = inside(pools, 200)
    made = modelnet40c.distortion(clouds, streams(5), 0.5)
    for cloud, rng, result in zip(clouds, streams(5), made, strict=True):
        moves = rng.uniform(-0.5, 0.5, (5, 3, 5, 5))  # z, component, x, y
        assert moves.shape == (5, 3, 5, 5)
        position = (cloud.T.astype(np.float64) + 1) / 2
        weight = np.stack([binom(4, i) * position**i * (1 - position) ** (4 - i) for i in range(5)])
        expected = cloud.T.astype(np.float64)
        for i in range(5):
            for j in range(5):
                for k in range(5):
                    w = weight[i, :, 0] * weight[j, :, 1] * weight[k, :, 2]
                    expected += 2 * w[:, None] * moves[k, :, i, j]
        np.testing.assert_allclose(result.T, expected, atol=2e-6)


@pytest.mark.parametrize(
    ("fast", "kernel"),
    [
        (modelnet40c.distortion_rbf, "multiquadric"),
        (modelnet40c.distortion_rbf_inv, "inverse_multiquadric"),
    ],
)
def test_radial_distortions_against_scipy(fast, kernel, pools):
    clouds = inside(pools, 200)
    made = fast(clouds, streams(5), 0.125)
    axis = np.linspace(-1, 1, 5)
    lattice = np.array([(x, y, z) for x in axis for y in axis for z in axis])
    for cloud, rng, result in zip(clouds, streams(5), made, strict=True):
        alpha, gamma = rng.uniform(-np.pi, np.pi, (2, 125))
        moves = np.stack([np.cos(alpha) * np.sin(gamma), np.sin(alpha) * np.sin(gamma), np.cos(gamma)], 1)
        np.testing.assert_allclose(np.linalg.norm(moves, axis=1), 1)
        moved = RBFInterpolator(lattice, lattice + 0.125 * moves, kernel=kernel, epsilon=1 / 0.5, degree=1)
        np.testing.assert_allclose(result.T, moved(cloud.T.astype(np.float64)), atol=2e-5)


# ------------------------------------------------------------------------------------------- ray casting


def generator_camera(azimuth: float, angle_x: float, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Position and axes (columns) of the generator's camera, turned from its z-up into the y-up frame."""
    turn = Rotation.from_euler("z", azimuth) * Rotation.from_euler("x", angle_x)
    to_y_up = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
    axes = to_y_up @ turn.as_matrix()
    return -distance * axes[:, 2], axes


def first_hits(origin: np.ndarray, targets: np.ndarray, mesh: trimesh.Trimesh) -> np.ndarray:
    """Distance from `origin` towards each target to the first triangle (Moeller-Trumbore), inf if none."""
    directions = targets - origin
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    a, b, c = mesh.triangles.transpose(1, 0, 2)
    p = np.cross(directions[:, None], (c - a)[None])
    determinant = (p * (b - a)).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (p * (origin - a)).sum(-1) / determinant
        q = np.cross(origin - a, b - a)
        v = (directions[:, None] * q).sum(-1) / determinant
        distance = (q * (c - a)).sum(-1) / determinant
    inside = (u >= -1e-6) & (v >= -1e-6) & (u + v <= 1 + 1e-6) & (distance > 0)
    return np.where(inside, distance, np.inf).min(axis=1)


def normalized(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    low, high = mesh.bounds
    return trimesh.Trimesh((mesh.vertices - (low + high) / 2) * 2 / (high - low).max(), mesh.faces)


@pytest.mark.parametrize("sector", range(1, 6))
def test_occlusion_sees_first_hits_through_the_generator_s_pixels(sector):
    mesh = chair().surface.copy().apply_scale(3).apply_translation((1, 2, 3))
    points = raycasting.occlusion(as_mesh(mesh), generator(0, sector), sector, 512)
    rng = generator(0, sector)
    azimuth = 2 * np.pi * sector / 5 + rng.uniform(-np.pi / 5, np.pi / 5)
    position, axes = generator_camera(azimuth, rng.uniform(np.pi / 6, np.pi / 3) + np.pi / 2, 3)
    assert 1.5 <= position[1] <= 3 * np.sin(np.pi / 3)

    distance = np.linalg.norm(points - position, axis=1)
    np.testing.assert_allclose(first_hits(position, points, normalized(mesh)), distance, atol=1e-4)

    seen = (points - position) @ axes
    pixels = 365 * seen[:, :2] / seen[:, 2:] + [539.5, 359.5]
    np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-3)
    assert len(np.unique(np.round(pixels), axis=0)) == 512
    assert (np.abs(pixels - [539.5, 359.5]) < 256).all()


def test_occlusion_hides_what_is_behind():
    """Of a box the camera of sector 5, in front (+z) and above, sees the top and the front."""
    points = raycasting.occlusion(as_mesh(trimesh.creation.box((1, 1, 1))), generator(0), 5, 1024)
    assert (points[:, 1] > 1 - 1e-6).mean() > 0.3
    assert (points[:, 2] > 1 - 1e-6).mean() > 0.1
    assert (points[:, 1] < -1 + 1e-6).sum() == 0
    assert (points[:, 2] < -1 + 1e-6).sum() == 0


def test_a_mesh_of_few_pixels_is_seen_with_repetition():
    needle = as_mesh(trimesh.creation.box((2, 0.02, 0.02)))
    points = raycasting.occlusion(needle, generator(0), 1, 2048)
    assert points.shape == (2048, 3)
    assert 100 < len(np.unique(points, axis=0)) < 2048


def test_an_invisible_mesh_is_refused():
    sliver = Mesh(np.array([[0, 0, 0], [1e-9, 1, 0], [0, 1, 0]]), np.array([[0, 1, 2]]))
    with pytest.raises(InputError, match="chair/0007: its mesh is thinner than a pixel"):
        corrupt_clouds(CorruptionLevel("occlusion", 1), [], [sliver], ["chair/0007"], 0)


def test_lidar_against_the_generator_s_loop_over_rings():
    """Its loop, in its z-up coordinates, over the surface points that the lidar sees."""
    made = raycasting.lidar(chair(), generator(0), 2, 1024)
    rng = generator(0)
    azimuth = 4 * np.pi / 5 + rng.uniform(-np.pi / 5, np.pi / 5)
    position, _ = generator_camera(azimuth, 5 / 8 * np.pi, 5)
    surface = raycasting._see(chair(), rng, position, 1024)
    x, z, y = ((surface - position) * [-1, 1, 1]).T
    length, polar, around = np.sqrt(x**2 + y**2 + z**2), np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    step, start, rings = np.radians(1), polar.min(), []
    while start < polar.max():
        middle = (polar >= start + step / 4) & (polar < start + step * 3 / 4)
        r, p, a = length[middle], start + step / 2, around[middle]
        rings.append(
            (middle, np.stack([r * np.sin(p) * np.cos(a), r * np.sin(p) * np.sin(a), r * np.cos(p)]))
        )
        start += step
    expected = np.full((1024, 3), np.nan)
    for middle, (x, y, z) in rings:
        expected[middle] = np.stack([-x, z, y], axis=1) + position
    expected = expected[np.isfinite(expected).all(axis=1)]
    assert 400 < len(expected) < 624  # about half
    np.testing.assert_allclose(made, expected[rng.integers(len(expected), size=768)], atol=1e-9)


@pytest.mark.parametrize("sector", range(1, 6))
def test_lidar_has_rings_one_degree_apart(sector):
    points = raycasting.lidar(chair(), generator(0, sector), sector, 1024)
    assert points.shape == (768, 3)
    azimuth = 2 * np.pi * sector / 5 + generator(0, sector).uniform(-np.pi / 5, np.pi / 5)
    position, _ = generator_camera(azimuth, 5 / 8 * np.pi, 5)
    np.testing.assert_allclose(np.linalg.norm(position), 5)
    rays = points - position
    polar = np.degrees(np.arccos(rays[:, 1] / np.linalg.norm(rays, axis=1)))
    rings = np.unique(np.round(polar, 6))
    np.testing.assert_allclose(rings - rings[0], np.round(rings - rings[0]), atol=1e-5)
    assert len(rings) > 10
    # A point leaves the surface by at most a quarter of a ring, from at most 7 away.
    assert np.abs(points).max() < 1 + 7 * np.radians(0.25)
