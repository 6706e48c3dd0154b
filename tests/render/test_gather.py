import numpy as np
import pytest
from scipy.stats import qmc

from pointspider.render.mask import Mask
from pointspider.render.points import PointScene
from pointspider.render.scene import FLOOR_HEIGHT, RADIUS, Camera, Spheres, auto_radius, place, to_srgb

SIZE = 64
CACHE_RAYS = 64


@pytest.fixture(scope="module")
def gather(variant, torus):
    from pointspider.render.gather.tracer import FinalGather

    points = PointScene(Camera(), SIZE)
    gather = FinalGather(points, near=1, seed=1)
    points.show(place(torus()))
    return gather


@pytest.mark.parametrize("count", [1, 600, 3000])
def test_scalar_pictures_are_guided_by_what_mitsuba_sees(variant, count, torus):
    import mitsuba as mi

    from pointspider.render.gather.tracer import FinalGather
    from pointspider.render.path_tracer import look

    points = PointScene(Camera(), SIZE)
    gather = FinalGather(points, near=1, seed=1)
    points.show(place(torus(max(count, 2))))
    spheres = Spheres(points.spheres.centres[:count], points.spheres.colours[:count])
    row, column = np.divmod(np.arange(SIZE**2), SIZE)
    met = gather.rays().look(mi.Point2f(column + 0.5, row + 0.5))
    sphere, on_sphere = np.array(met.sphere), np.array(met.on_sphere)
    on_sphere &= sphere < count
    albedo = np.where(on_sphere[:, None], spheres.colours[np.where(on_sphere, sphere, 0)], 1)
    normal = np.where(on_sphere[:, None], np.array(met.normal).T, [0, 0, 1])
    ours = np.concatenate(look(spheres, Camera(), SIZE), axis=-1).reshape(-1, 6)
    same = np.isclose(ours, np.concatenate([albedo, normal], axis=1), atol=2e-3).all(axis=1)
    assert on_sphere.mean() > 0.0002 * count**0.5
    assert same.mean() > 0.998


@pytest.mark.parametrize(("count", "most"), [(100, 0.02), (600, 0.02), (20_000, 0.04)])
def test_no_bias_against_the_path_tracer(gather, count, most, torus):
    """Over a picture's cells the noise of both averages away; what is left is the final gather's bias."""
    import mitsuba as mi

    points = gather._points
    points.show(place(torus(count), radius=min(RADIUS, auto_radius(count))))
    aov = {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal", "radiance": points.scene.integrator()}
    expected = np.array(mi.render(points.scene, spp=256, seed=3, integrator=mi.load_dict(aov))).reshape(-1, 9)
    ours = gather.trace(np.arange(SIZE**2), np.full(SIZE**2, 64), CACHE_RAYS)
    np.testing.assert_allclose(
        ours[:, 3:9], expected[:, 3:], atol=0.12
    )  # albedo and normal: exact but for noise
    spheres = expected[:, 5:6].ravel() < 0.999  # blue albedo: the floor's is 1
    # Chosen by both, so that the noise of neither decides.
    shadow = ~spheres & ((expected[:, :3] + ours[:, :3]).min(axis=1) / 2 < 0.95)
    for cells, tolerance in ((spheres, 0.015), (shadow, most)):
        assert cells.sum() > 20
        difference = (ours[:, :3] - expected[:, :3])[cells].mean(axis=0)
        assert np.abs(difference).max() < tolerance * expected[cells, :3].mean()


def test_detail_is_what_is_darker_when_parts_of_cells_are_encoded_before_they_are_averaged(gather, torus):
    from pointspider.render.gather.tracer import FinalGather

    gather._points.show(place(torus()))
    fine = FinalGather(PointScene(Camera(), 2 * SIZE), near=1, seed=2)
    fine._points.show(gather._points.spheres)
    parts = fine.trace(np.arange(4 * SIZE**2), np.full(4 * SIZE**2, 64), CACHE_RAYS)[:, :3].reshape(
        SIZE, 2, SIZE, 2, 3
    )
    cells = gather.trace(np.arange(SIZE**2), np.full(SIZE**2, 16), CACHE_RAYS)
    expected = (to_srgb(parts) / 255.0).mean(axis=(1, 3)) - to_srgb(parts.mean(axis=(1, 3))) / 255
    expected, found = expected.reshape(-1, 3)[cells[:, 9] > 0], cells[cells[:, 9] > 0, 10:]
    assert found.mean() == pytest.approx(expected.mean(), rel=0.25)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.75


def test_the_coat_is_mitsubas(gather):
    import drjit as dr
    import mitsuba as mi

    bsdf = gather._points.shape("floor").bsdf()
    context = mi.BSDFContext()
    context.type_mask = mi.BSDFFlags.DiffuseReflection
    inward, outward = np.random.default_rng(0).uniform(0.05, 1, size=(2, 200)).astype(np.float32)
    surface = dr.zeros(mi.SurfaceInteraction3f, 200)
    surface.wi = mi.Vector3f(np.sqrt(1 - inward**2), 0, inward)
    direction = mi.Vector3f(-np.sqrt(1 - outward**2), 0, outward)
    expected = np.array(bsdf.eval(context, surface, direction))[0] / outward
    product = gather.floor.transmittance(mi.Float(inward)) * gather.floor.transmittance(mi.Float(outward))
    np.testing.assert_allclose(np.array(product), expected, rtol=2e-3)


def test_irradiance_of_the_whole_light_is_lamberts(gather):
    """Lambert's formula for a polygon above the horizon: L / 2 * sum of angle * cos(edge normal, n), 1760."""
    import mitsuba as mi

    from pointspider.render.scene import LIGHT_HALF_WIDTH, LIGHT_ORIGIN, LIGHT_RADIANCE, axes_towards_scene

    right, up, _ = axes_towards_scene(LIGHT_ORIGIN)
    corners = [
        LIGHT_ORIGIN + LIGHT_HALF_WIDTH * (a * right + b * up)
        for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))
    ]
    for normal in ([0, 0, 1], [-0.3, 0.2, 0.93]):
        normal = np.array(normal) / np.linalg.norm(normal)
        sides = [corner / np.linalg.norm(corner) for corner in corners]
        total = 0
        for one, other in zip(sides, sides[1:] + sides[:1], strict=True):
            edge = np.cross(one, other)
            total += np.arccos(one @ other) * (edge / np.linalg.norm(edge)) @ normal
        found = gather.light.irradiance(mi.Point3f(0), mi.Normal3f(normal.astype(np.float32)))
        assert found[0] == pytest.approx(LIGHT_RADIANCE / 2 * abs(total), rel=1e-4)


def test_direct_light_is_fitted_by_what_an_unhidden_light_gives(gather):
    import mitsuba as mi

    normal = np.random.default_rng(0).normal(size=(3, 500))
    normal = mi.Normal3f((normal / np.linalg.norm(normal, axis=0)).astype(np.float32))
    cosine = np.array(gather.light.cosine(normal))
    irradiance = np.array(gather.light.irradiance(mi.Point3f(0), normal))
    assert (cosine == 0).any()
    np.testing.assert_allclose(irradiance / irradiance.max(), cosine, atol=0.03)


def test_the_floors_unhidden_light_is_looked_up_right(gather):
    import mitsuba as mi

    place = np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32) * [[1], [20], [0]]
    position = mi.Point3f(place + np.float32([[0], [0], [FLOOR_HEIGHT]]))
    expected = gather.light.irradiance(position, mi.Normal3f(0, 0, 1), gather.floor.transmittance)
    np.testing.assert_allclose(gather.floor.bare_irradiance(position), expected, rtol=2e-3)


def test_the_floor_is_seen_without_a_search_where_no_sphere_covers_it(gather):
    spheres = Mask(Camera(), SIZE)(gather._points.spheres)[0].ravel()
    cells = np.flatnonzero(~spheres)[::50]
    samples = np.full(len(cells), 4)
    searched = gather.trace(cells, samples, CACHE_RAYS)
    np.testing.assert_allclose(
        gather.trace(cells, samples, CACHE_RAYS, np.zeros(len(cells), bool)), searched, rtol=1e-5
    )


def test_samples_may_differ_from_cell_to_cell(gather):
    cells, samples = np.array([2000, 2001, 100]), np.array([4, 16, 1])
    together = gather.trace(cells, samples, CACHE_RAYS)
    for cell, count, found in zip(cells, samples, together, strict=True):
        np.testing.assert_allclose(
            gather.trace(np.array([cell]), np.array([count]), CACHE_RAYS)[0], found, rtol=1e-5
        )


def test_sobols_points_are_scipys(variant):
    import drjit as dr
    import mitsuba as mi

    from pointspider.render.gather.sampler import sobol

    points = np.stack([np.array(axis) for axis in sobol(dr.arange(mi.UInt32, 1024))], axis=1) / 2**32
    expected = qmc.Sobol(2, scramble=False, bits=32).random(1024)  # in another order
    assert set(map(tuple, points)) == set(map(tuple, expected))


def test_scrambled_points_fill_every_elementary_interval(variant):
    import drjit as dr
    import mitsuba as mi

    from pointspider.render.gather.sampler import Sampler

    index = dr.arange(mi.UInt32, 256) + 7 * 256
    first, second = (np.array(Sampler(3)(index, dimension)) for dimension in (0, 1))
    for points in (first, second):
        assert (points >= 0).all()
        assert (points < 1).all()
        for power in range(9):
            cells = np.floor(points * [[2**power], [2 ** (8 - power)]])
            assert len(set(map(tuple, cells.T))) == 256
    assert abs(np.corrcoef(first[0], second[0])[0, 1]) < 0.2


def test_mortons_curve_interleaves_bits():
    from pointspider.render.gather.sampler import morton

    row, column = np.indices((8, 8)).reshape(2, -1)
    order = morton(column, row)
    assert sorted(order) == list(range(64))
    assert morton(np.array([5]), np.array([3]))[0] == 0b011011
