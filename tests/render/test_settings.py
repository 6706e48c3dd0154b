import pytest

from pointspider.render.settings import QUALITIES, RenderSettings


@pytest.mark.parametrize(("resolution", "cells"), [(1, 192), (64, 192), (128, 192), (129, 194), (224, 336)])
def test_the_grid_is_finer_than_the_picture(resolution, cells):
    assert RenderSettings(resolution).cells == cells
    assert RenderSettings(resolution, "reference").cells == resolution


def test_pictures_with_more_spheres_get_more_samples():
    settings = RenderSettings(64)
    few, usual, many = (settings.effort(share) for share in (0.05, 0.15, 0.3))
    assert few.sphere_samples < usual.sphere_samples < many.sphere_samples
    assert few.floor_samples == usual.floor_samples < many.floor_samples
    assert few.cache_rays == usual.cache_rays < many.cache_rays
    reference = RenderSettings(64, "reference")
    assert reference.effort(0.05) == reference.effort(0.3)


def test_larger_cells_get_more_samples_and_finer_grids_more_cache_rays():
    fine, coarse = (RenderSettings(resolution).effort(0.15) for resolution in (64, 224))
    assert coarse.sphere_samples == 2 * fine.sphere_samples == 2 * QUALITIES["clip"].sphere_samples
    assert coarse.floor_samples == fine.floor_samples
    assert (fine.cache_rays, coarse.cache_rays) == (16, 28)
    fine, coarse = (RenderSettings(resolution).effort(0.3) for resolution in (64, 224))
    assert (fine.sphere_samples, coarse.sphere_samples) == (2 * 8, 2.5 * 16)
    assert (fine.floor_samples, coarse.floor_samples) == (2 * 4, 4 * 4)
    assert (fine.cache_rays, coarse.cache_rays) == (2 * 16, 3 * 28)


@pytest.mark.parametrize("resolution", [64, 96, 128, 129, 224, 336])
def test_samples_fill_the_parts_of_a_cell_evenly(variant, resolution):
    """Otherwise the tracer leaves `detail` out."""
    from pointspider.render.gather.tracer import SPLIT

    efforts = [RenderSettings(resolution).effort(share) for share in (0.05, 0.15, 0.3)]
    assert not any(each.sphere_samples % SPLIT**2 or each.floor_samples % SPLIT**2 for each in efforts)


def test_samples_per_pixel_are_those_of_its_cells():
    assert RenderSettings(64).samples_per_pixel == 9 * 8 * 2
    assert RenderSettings(224).samples_per_pixel == 2.25 * 16 * 2
    assert RenderSettings(64, "reference").samples_per_pixel == 32 * 2
