"""Sampling and grouping, against small cases by hand, plain NumPy and SciPy's kd-tree."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from pointspider.encoders.points.sampling import (
    ball_query,
    farthest_point_sampling,
    gather_points,
    nearest_neighbours,
)


def on_a_line(*positions: float) -> torch.Tensor:
    """One cloud of points on the x axis."""
    return torch.tensor([[[position, 0, 0] for position in positions]], dtype=torch.float32)


def test_farthest_points_of_a_line():
    # The mean is 3.2 and 10 is farthest from it; then 0, at 10; then 3, at 3; then 1 and 2, both at 1
    cloud = on_a_line(0, 1, 2, 3, 10)
    assert farthest_point_sampling(cloud, 5).tolist() == [[4, 0, 3, 1, 2]]


def test_farthest_points_are_the_definition(random_clouds):
    clouds = random_clouds(3, 50)
    for cloud, samples in zip(clouds.numpy(), farthest_point_sampling(clouds, 12).tolist(), strict=True):
        expected = [int(np.argmax(np.linalg.norm(cloud - cloud.mean(axis=0), axis=1)))]
        while len(expected) < 12:
            distances = np.linalg.norm(cloud[:, None] - cloud[expected], axis=2).min(axis=1)
            expected.append(int(np.argmax(distances)))
        assert samples == expected


def test_farthest_point_samples_are_nested_and_ignore_the_order_and_the_batch(random_clouds):
    clouds = random_clouds(3, 200)
    samples = farthest_point_sampling(clouds, 100)
    assert all(len(set(row)) == 100 for row in samples.tolist())
    torch.testing.assert_close(farthest_point_sampling(clouds, 25), samples[:, :25])
    torch.testing.assert_close(farthest_point_sampling(clouds[1:2], 100), samples[1:2])
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    shuffled = farthest_point_sampling(clouds[:, order], 100)
    torch.testing.assert_close(order[shuffled], samples)


def test_farthest_points_of_duplicates_and_of_too_few_points(random_clouds):
    assert farthest_point_sampling(on_a_line(1, 1, 1), 3).tolist() == [[0, 0, 0]]
    assert sorted(farthest_point_sampling(on_a_line(0, 1, 0, 1), 2).tolist()[0]) == [0, 1]
    with pytest.raises(ValueError, match="cannot sample 4 of 3 points"):
        farthest_point_sampling(on_a_line(0, 1, 2), 4)


def test_ball_query_of_a_line():
    cloud = on_a_line(0, 1, 2, 3, 10)
    # Around 2 with radius 1.5: 1, 2, 3, of which the first two; around 10: only itself, repeated
    assert ball_query(cloud, on_a_line(2, 10), 1.5, 2).tolist() == [[[1, 2], [4, 4]]]
    assert ball_query(cloud, on_a_line(2), 1.5, 4).tolist() == [[[1, 2, 3, 1]]]
    assert ball_query(cloud, on_a_line(2), 1.5, 9).tolist() == [[[1, 2, 3, 1, 1]]]
    with pytest.raises(ValueError, match="no point within 1 of a centre"):
        ball_query(cloud, on_a_line(5), 1, 2)


@pytest.mark.parametrize("radius", [0.05, 0.3, 5.0])
def test_ball_query_agrees_with_a_kd_tree(random_clouds, radius):
    clouds = random_clouds(2, 300)
    centres = clouds[:, :40]
    found = ball_query(clouds, centres, radius, 16).numpy()
    for cloud, points, rows in zip(clouds.numpy(), centres.numpy(), found, strict=True):
        for inside, row in zip(cKDTree(cloud).query_ball_point(points, radius), rows, strict=True):
            first = sorted(inside)[:16]
            np.testing.assert_array_equal(row, first + first[:1] * (16 - len(first)))


@pytest.mark.parametrize("channels", [3, 9])
def test_nearest_neighbours_agree_with_a_kd_tree(channels):
    clouds = np.random.default_rng(0).normal(size=(2, 300, channels)).astype(np.float32)
    found = nearest_neighbours(torch.tensor(clouds), torch.tensor(clouds[:, :50]), 20).numpy()
    for cloud, rows in zip(clouds, found, strict=True):
        expected = cKDTree(cloud).query(cloud[:50], 20)[1]
        np.testing.assert_array_equal(np.sort(rows, axis=1), np.sort(expected, axis=1))
    assert nearest_neighbours(torch.tensor(clouds[:, :7]), torch.tensor(clouds[:, :2]), 20).shape == (2, 2, 7)


def test_gathered_values_and_their_gradient():
    values = torch.randn(2, 6, 4, requires_grad=True)
    index = torch.tensor([[[0, 5], [5, 5]], [[1, 2], [3, 4]]])
    gathered = gather_points(values, index)
    expected = np.stack([values.detach().numpy()[cloud][index[cloud].numpy()] for cloud in range(2)])
    np.testing.assert_array_equal(gathered.detach().numpy(), expected)
    gathered.sum().backward()
    np.testing.assert_array_equal(values.grad[:, :, 0], [[1, 0, 0, 0, 0, 3], [0, 1, 1, 1, 1, 0]])
