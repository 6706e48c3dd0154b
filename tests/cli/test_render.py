"""`pointspider render`: what is read, drawn, skipped, reported and written."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pointspider.cli.inputs import check_output, find_clouds
from pointspider.cli.main import main
from pointspider.core.errors import InputError

MAIN = "from pointspider.cli.main import main; main()"
SMALL = ["--quality", "clip", "--resolution", "24", "--jobs", "1"]


@pytest.fixture
def clouds(tmp_path):
    """A directory with a.npy, b.npy and sub/c.npy, of 60 points each."""
    folder = tmp_path / "clouds"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a", "b", "sub/c")):
        np.save(folder / f"{name}.npy", np.random.default_rng(number).normal(size=(60, 3)) * [1, 2, 1])
    return folder


def render(*arguments, size=SMALL):
    main(["render", *size, *map(str, arguments)])


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------------------------------- directories


def test_a_directory_is_mirrored_and_finished_pictures_are_skipped(clouds, tmp_path, capsys):
    out = tmp_path / "out"
    render(clouds, out)
    assert written(out) == ["a.png", "b.png", "sub/c.png"]
    assert pixels(out / "a.png").shape == (24, 24, 3)
    (out / "b.png").unlink()
    (out / "a.png").write_text("finished")
    render(clouds, out)
    assert "skipped 2 finished pictures" in capsys.readouterr().err
    assert (out / "b.png").exists()
    assert (out / "a.png").read_text() == "finished"
    render(clouds, out, "--force")
    assert pixels(out / "a.png").shape == (24, 24, 3)


def test_processes_draw_the_same(clouds, tmp_path):
    render(clouds, tmp_path / "one")
    child = subprocess.run(
        [sys.executable, "-c", MAIN, "render", clouds, tmp_path / "two", *SMALL[:-1], "2"],
        capture_output=True,
        text=True,
    )
    assert (child.returncode, child.stderr) == (0, "")
    for name in written(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_hidden_files_are_skipped_and_links_followed(clouds, tmp_path):
    for name in (".hidden.npy", "._a.npy", ".DS_Store", "notes.docx"):
        (clouds / name).write_text("not a cloud")
    (clouds / ".git").mkdir()
    (clouds / ".git/x.npy").write_text("not a cloud")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    np.save(elsewhere / "d.npy", np.eye(3))
    (clouds / "linked").symlink_to(elsewhere)
    (clouds / "circle").symlink_to(clouds)
    items, errors = find_clouds([clouds], None, None)
    assert [item.name for item in items] == ["a", "b", "linked/d", "sub/c"]
    assert errors == []


def test_names_that_would_collide_get_the_extension_or_the_directory(clouds, tmp_path):
    (clouds / "a.ply").write_text(PLY)
    items, _ = find_clouds([clouds], None, None)
    assert [item.name for item in items] == ["a.npy", "a.ply", "b", "sub/c"]
    other = tmp_path / "other"
    other.mkdir()
    np.save(other / "b.npy", np.eye(3))
    items, _ = find_clouds([clouds / "b.npy", other / "b.npy"], None, None)
    assert [item.name for item in items] == ["clouds/b.npy", "other/b.npy"]


def test_one_broken_file_does_not_stop_the_others(clouds, tmp_path, capsys):
    (clouds / "broken.ply").write_text("ply\nformat ascii 1.0\nelement vertex 9\n")
    np.save(clouds / "same.npy", np.ones((5, 3)))
    with pytest.raises(SystemExit, match=r"^pointspider: 2 of 5 clouds were not drawn\.$"):
        render(clouds, tmp_path / "out")
    errors = capsys.readouterr().err
    assert f"pointspider: {clouds / 'broken.ply'}: " in errors
    assert f"pointspider: {clouds / 'same.npy'}: all 5 points are the same" in errors
    assert written(tmp_path / "out") == ["a.png", "b.png", "sub/c.png"]


def test_a_picture_that_is_named_replaces_the_old_one(clouds, tmp_path):
    (tmp_path / "a.png").write_text("old")
    render(clouds / "a.npy", tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").shape == (24, 24, 3)
    assert written(tmp_path) == ["a.png", "clouds/a.npy", "clouds/b.npy", "clouds/sub/c.npy"]


def test_a_killed_process_leaves_no_half_picture_and_is_resumed(clouds, tmp_path):
    code = (
        "import os, signal\nfrom PIL import Image\n"
        "from pointspider.cli.main import main\n"
        "save, seen = Image.Image.save, []\n"
        "def killed(self, path, **options):\n"
        "    save(self, path, **options)\n"
        "    seen.append(path)\n"
        "    if len(seen) == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Image.Image.save = killed\nmain()"
    )
    command = [sys.executable, "-c", code, "render", clouds, tmp_path / "out", *SMALL]
    assert subprocess.run(command, capture_output=True).returncode == -9
    assert [name for name in written(tmp_path / "out") if name.endswith(".png")] == ["a.png"]
    render(clouds, tmp_path / "out")
    pictures = [name for name in written(tmp_path / "out") if name.endswith(".png")]
    assert pictures == ["a.png", "b.png", "sub/c.png"]


def test_a_file_of_several_clouds_becomes_a_directory_or_a_row(tmp_path):
    np.save(tmp_path / "many.npy", np.random.default_rng(0).normal(size=(3, 40, 3)))
    render(tmp_path / "many.npy", tmp_path / "out")
    assert written(tmp_path / "out") == ["many/0000.png", "many/0001.png", "many/0002.png"]
    render(tmp_path / "many.npy", tmp_path / "one.png", "--row", 1)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "out/many/0001.png").read_bytes()
    with pytest.raises(SystemExit, match=r"one\.png: there are 3 clouds; give a directory, --row"):
        render(tmp_path / "many.npy", tmp_path / "one.png")


# ------------------------------------------------------------------------------------------------ points

TRIANGLE = """ply
format ascii 1.0
element vertex 3
property float x
property float y
property float z
element face 1
property list uchar int vertex_indices
end_header
0 0 0
1 0 0
0 1 0
3 0 1 9
"""
PLY = """ply
format ascii 1.0
element vertex 3
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
property int label
end_header
0 0 0 255 0 0 1
1 1 0 255 0 0 1
0 1 1 255 0 0 2
"""


def test_points_that_are_not_finite_are_dropped_and_counted(tmp_path, capsys):
    points = np.random.default_rng(0).normal(size=(60, 3))
    np.save(tmp_path / "clean.npy", points)
    np.save(tmp_path / "dirty.npy", np.concatenate([points, [[np.nan, 0, 0], [0, np.inf, 0]]]))
    render(tmp_path / "clean.npy", tmp_path / "clean.png")
    render(tmp_path / "dirty.npy", tmp_path / "dirty.png")
    assert "dirty.npy: dropped 2 of 62 points with NaN or inf." in capsys.readouterr().err
    np.testing.assert_array_equal(pixels(tmp_path / "clean.png"), pixels(tmp_path / "dirty.png"))


@pytest.mark.parametrize("rule", ["random", "stride"])
def test_many_points_are_thinned_by_a_named_rule(tmp_path, capsys, rule):
    np.save(tmp_path / "many.npy", np.random.default_rng(0).normal(size=(1234, 3)))
    render(tmp_path / "many.npy", tmp_path / "a.png", "--max-points", 100, "--thin", rule)
    assert f"many.npy: drew 100 of 1,234 points ({rule}; see --max-points)." in capsys.readouterr().err


def test_colours_of_the_file_labels_and_scalars(tmp_path, clouds):
    (tmp_path / "c.ply").write_text(PLY)
    pictures = {}
    np.save(tmp_path / "l.npy", [5, 6, 6])
    (tmp_path / "s.txt").write_text("0.5\n1.5\nnan\n")
    for name, options in {
        "file": [],
        "red": ["--color", "#ff0000"],
        "position": ["--color", "position"],
        "own": ["--color", "labels"],
        "labels": ["--labels", tmp_path / "l.npy"],
        "scalar": ["--scalar", tmp_path / "s.txt", "--colorbar"],
        "height": ["--scalar", "y", "--colormap", "coolwarm", "--range", 0, 2],
    }.items():
        render(tmp_path / "c.ply", tmp_path / f"{name}.png", *options)
        pictures[name] = pixels(tmp_path / f"{name}.png")
    np.testing.assert_array_equal(pictures["file"], pictures["red"])
    assert pictures["scalar"].shape[1] > 24
    assert len({picture.tobytes() for picture in pictures.values()}) == 6


def test_labels_of_a_directory_belong_to_clouds_of_the_same_name(clouds, tmp_path):
    for name in ("a", "b", "sub/c"):
        (tmp_path / "labels" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / f"labels/{name}.npy", np.arange(60) % 3)
    render(clouds, tmp_path / "out", "--labels", tmp_path / "labels")
    assert len(written(tmp_path / "out")) == 3


def test_a_mesh_is_sampled(tmp_path):
    (tmp_path / "cube.off").write_text(
        "OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"
    )
    render(tmp_path / "cube.off", tmp_path / "a.png")
    render(tmp_path / "cube.off", tmp_path / "b.png", "--mesh-points", 20)
    assert (pixels(tmp_path / "a.png") != pixels(tmp_path / "b.png")).any()


def test_a_mesh_is_drawn_as_a_surface(tmp_path):
    (tmp_path / "cube.off").write_text(
        "COFF\n4 4 0\n0 0 0 255 0 0\n1 0 0 255 0 0\n0 1 0 255 0 0\n0 0 1 255 0 0\n"
        "3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"
    )
    np.save(tmp_path / "labels.npy", [2, 2, 2, 2])
    np.save(tmp_path / "cloud.npy", np.random.default_rng(0).normal(size=(60, 3)))
    surface = ["--mesh", "surface"]
    render(tmp_path / "cube.off", tmp_path / "red.png", *surface)
    render(tmp_path / "cube.off", tmp_path / "also_red.png", *surface, "--color", "red")
    render(tmp_path / "cube.off", tmp_path / "green.png", *surface, "--labels", tmp_path / "labels.npy")
    red, also_red, green = (pixels(tmp_path / f"{name}.png") for name in ("red", "also_red", "green"))
    np.testing.assert_array_equal(red, also_red)
    assert (red[..., 0].astype(int) - red[..., 1]).max() > 100
    assert (green[..., 1].astype(int) - green[..., 0]).max() > 60
    render(tmp_path / "cloud.npy", tmp_path / "points.png")
    render(tmp_path / "cloud.npy", tmp_path / "same.png", *surface)  # a cloud has no surface
    np.testing.assert_array_equal(pixels(tmp_path / "points.png"), pixels(tmp_path / "same.png"))


def test_fields_of_files_are_labels_and_scalars(tmp_path):
    points = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    part, time = np.arange(60) % 3, np.linspace(0, 9, 60).astype(np.float32)
    np.savez(tmp_path / "a.npz", points=points, part=part, time=time)
    np.hstack([points, time[:, None]]).tofile(tmp_path / "scan.bin")
    np.save(tmp_path / "time.npy", time)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["data"], file["pid"] = points[None], part[None]
    render(tmp_path / "a.npz", tmp_path / "labels.png", "--labels", "part")
    render(tmp_path / "b.h5", tmp_path / "pid.png", "--labels", "pid", "--row", 0)
    render(tmp_path / "a.npz", tmp_path / "time.png", "--scalar", "Time")
    render(tmp_path / "scan.bin", tmp_path / "bin.png", "--format", "kitti", "--scalar", "intensity")
    render(tmp_path / "a.npz", tmp_path / "file.png", "--scalar", tmp_path / "time.npy")
    labels, pid, time, scan, file = (
        pixels(tmp_path / f"{name}.png") for name in ("labels", "pid", "time", "bin", "file")
    )
    np.testing.assert_array_equal(labels, pid)
    np.testing.assert_array_equal(time, scan)
    np.testing.assert_array_equal(time, file)
    assert (labels != time).any()
    for option in ("--labels", "--scalar"):
        with pytest.raises(SystemExit, match=r"a\.npz: has no field 'parts', .* its fields: part, time\.$"):
            render(tmp_path / "a.npz", tmp_path / "x.png", option, "parts")
    with pytest.raises(SystemExit, match="time: labels are whole numbers"):
        render(tmp_path / "a.npz", tmp_path / "x.png", "--labels", "time")
    assert not (tmp_path / "x.png").exists()


def test_a_directory_of_scans_has_labels_of_semantic_kitti(tmp_path):
    (tmp_path / "velodyne").mkdir()
    (tmp_path / "labels").mkdir()
    scan = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    scan.tofile(tmp_path / "velodyne/000000.bin")
    (np.arange(60, dtype=np.uint32) % 3 + (7 << 16)).tofile(tmp_path / "labels/000000.label")
    np.save(tmp_path / "labels.npy", np.arange(60) % 3)
    options = ["--format", "kitti", "--labels"]
    render(tmp_path / "velodyne", tmp_path / "out", *options, tmp_path / "labels")
    assert written(tmp_path / "out") == ["000000.png"]
    render(tmp_path / "velodyne/000000.bin", tmp_path / "a.png", *options, tmp_path / "labels.npy")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "out/000000.png"))
    with pytest.raises(SystemExit, match=r"has no clouds; they are .*bin"):
        render(tmp_path / "labels", tmp_path / "x", "--format", "kitti")


# --------------------------------------------------------------------------------------- view and layout


def test_a_camera_is_saved_and_used_again(clouds, tmp_path):
    view = ["--azimuth", 200, "--elevation", 20, "--orthographic", "--save-camera", tmp_path / "camera.json"]
    render(clouds / "a.npy", tmp_path / "a.png", *view)
    render(clouds / "a.npy", tmp_path / "b.png", "--camera", tmp_path / "camera.json")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert json.loads((tmp_path / "camera.json").read_text())["azimuth"] == 200


def test_transparent_pictures_have_alpha(clouds, tmp_path):
    render(clouds / "a.npy", tmp_path / "a.png", "--background", "transparent")
    picture = pixels(tmp_path / "a.png")
    assert picture.shape == (24, 24, 4)
    assert picture[0, 0, 3] == 0
    assert picture[..., 3].max() == 255


def test_clouds_may_share_a_scale(tmp_path):
    cloud = np.random.default_rng(0).normal(size=(60, 3))
    np.save(tmp_path / "large.npy", cloud)
    np.save(tmp_path / "small.npy", cloud / 3)
    files = [tmp_path / "large.npy", tmp_path / "small.npy"]
    render(*files, tmp_path / "each")
    render(*files, tmp_path / "same", "--fit", "same")
    each, same = (
        [pixels(tmp_path / way / f"{name}.png") for name in ("large", "small")] for way in ("each", "same")
    )
    np.testing.assert_array_equal(*each)
    np.testing.assert_array_equal(each[0], same[0])
    assert (same[1] < 250).sum() < (same[0] < 250).sum() / 2


def test_a_grid_has_captions_and_one_colour_bar(clouds, tmp_path):
    render(clouds, tmp_path / "plain.png", "--grid", "2x2", "--captions", "none", "--gap", 0)
    assert pixels(tmp_path / "plain.png").shape == (48, 48, 3)
    render(clouds, tmp_path / "bar.png", "--grid", "2", "--scalar", "z", "--colorbar")
    assert pixels(tmp_path / "bar.png").shape[0] > 48


def test_an_overlay_is_one_scene(clouds, tmp_path):
    render(clouds / "a.npy", clouds / "b.npy", tmp_path / "over.png", "--overlay")
    render(clouds / "a.npy", clouds / "b.npy", tmp_path / "plain.png", "--overlay", "--color", "position")
    over, plain = pixels(tmp_path / "over.png"), pixels(tmp_path / "plain.png")
    assert over.shape == plain.shape == (24, 24, 3)
    assert (over != plain).any()


def test_movies_turn_once_or_follow_poses(clouds, tmp_path):
    render(clouds / "a.npy", tmp_path / "a.gif", "--frames", 3)
    (tmp_path / "poses.json").write_text('[{"azimuth": 0}, {"azimuth": 20, "fov": 40}]')
    render(clouds / "a.npy", tmp_path / "b.gif", "--poses", tmp_path / "poses.json")
    for name, frames in (("a", 3), ("b", 2)):
        with Image.open(tmp_path / f"{name}.gif") as image:
            assert image.n_frames == frames
    render(clouds / "a.npy", clouds / "b.npy", tmp_path / "out", "--turntable", "--frames", 2)
    assert written(tmp_path / "out") == ["a.gif", "b.gif"]


# ---------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.npy", "x.jpg"], r"x\.jpg: pictures are \.png, movies"),
        (["a.npy", "x.png", "--resolution", "0"], "render.resolution: is 0, must be 1 or more"),
        (["none.npy", "x.png"], r"none\.npy: does not exist"),
        (["empty", "x"], "empty: has no clouds; they are .*npy"),
        (["a.npy", "b.npy", "x.png"], "there are 2 clouds"),
        (["a.npy", "empty"], None),
        (["a.npy", "dir.png"], r"dir\.png: is a directory"),
        (["a.npy", "b.npy"], None),
        (["a.npy", "b.npy/x.png"], r"b\.npy/x\.png: cannot be written, since .*b\.npy is a file"),
        (["a.npy", "x", "--grid", "2"], "a grid or an overlay is one picture"),
        (["a.npy", "x.png", "--grid", "0"], "--grid: '0' is not ROWSxCOLUMNS"),
        (["sub", "a.npy", "x.png", "--grid", "1x1"], "1x1 has fewer places than there are clouds, 2"),
        (["a.npy", "x.png", "--color", "redish"], "'redish' is not a colour"),
        (["a.npy", "x.png", "--color", "labels"], r"a\.npy: has no labels"),
        (["a.npy", "x.png", "--color", "normals"], r"a\.npy: has no normals"),
        (["a.npy", "x.png", "--labels", "short.txt"], r"a\.npy: short\.txt has 2 labels for 60 points"),
        (["a.npy", "x.png", "--labels", "half.txt"], r"half\.txt: labels are whole numbers"),
        (["a.npy", "x.png", "--labels", "a.npy"], r"a\.npy: must be one number per point"),
        (["a.npy", "x.png", "--scalar", "none.txt"], r"a\.npy: has no field 'none\.txt', .*: none"),
        (["a.npy", "x.png", "--labels", "short.txt", "--scalar", "x"], "one of --labels and --scalar"),
        (["a.npy", "x.png", "--scalar", "x", "--colormap", "jet"], "'jet' is unknown"),
        (["a.npy", "x.png", "--scalar", "x", "--range", "2", "1"], "range: 2 must be below 1"),
        (["a.npy", "x.png", "--radius", "big"], "'big' is neither auto nor a number"),
        (["a.npy", "x.png", "--radius", "-1"], "radius: is -1"),
        (["a.npy", "x.png", "--up", "w"], "up: is 'w'"),
        (["a.npy", "x.png", "--fov", "200"], "camera: fov is 200"),
        (["a.npy", "x.png", "--camera", "half.txt"], r"half\.txt: cannot be read as JSON|not an object"),
        (["a.npy", "x.png", "--palette", "list.json"], r"list\.json: a palette is JSON like"),
        (["a.npy", "x.png", "--palette", "numbers.json"], r"numbers\.json: a palette is JSON like"),
        (["a.npy", "x.png", "--camera", "far.json"], r"far\.json: camera: distance is 1000.*, must"),
        (["a.npy", "x.gif", "--poses", "half.txt"], r"half\.txt"),
        (["a.npy", "x.gif", "--poses", "list.json"], r"list\.json: poses are a list of cameras"),
        (["a.npy", "x.gif", "--poses", "lists.json"], r"lists\.json: poses are a list of cameras"),
        (["a.npy", "x.png", "--labels", "archive.npy"], r"archive\.npy: cannot be read as a number"),
        (["a.npy", "x.png", "--labels", "short.npy"], r"short\.npy: cannot be read as a number per point"),
        (["a.npy", "x.png", "--max-points", "0"], "--max-points: 0 must be above 0"),
        (["a.npy", "x.gif", "--frames", "0"], "--frames: 0 must be above 0"),
        (["a.npy", "x.png", "--format", "doc"], "'doc' is not a format"),
        (["a.npy", "x.png", "--row", "1"], r"a\.npy: has no row 1"),
        (["blank.npy", "x.png"], r"blank\.npy: cannot be read: it is empty"),
        (["none3.npy", "x.png"], r"none3\.npy: the cloud has no points"),
        (["nan.npy", "x.png"], r"nan\.npy: the cloud has no points"),
        (["wide.npy", "x.png"], r"wide\.npy: its array is \(3, 40\); .* transpose it"),
        (["index.ply", "x.png"], r"index\.ply: triangle 0 has vertices \[0, 1, 9\]"),
        (["lfs.npy", "x.png"], r"lfs\.npy: is a pointer of git-LFS"),
        (["pickled.npy", "x.png"], r"pickled\.npy: its array has Python objects, which are not loaded"),
        (["a.npy", "x.png", "--mesh", "surface", "--overlay"], "leave out --mesh surface"),
        (["a.npy", "x.png", "--jobs", "0"], "--jobs: 0 must be above 0"),
        (["one.npy", "x.png"], r"one\.npy: has only one point"),
        (["flat.npy", "x.png"], None),
    ],
)  # fmt: skip
def test_bad_input_ends_with_one_line_and_no_picture(clouds, monkeypatch, arguments, message):
    monkeypatch.chdir(clouds)
    (clouds / "empty").mkdir()
    (clouds / "dir.png").mkdir()
    (clouds / "short.txt").write_text("1\n2\n")
    (clouds / "half.txt").write_text("0.5\n" * 60)
    (clouds / "list.json").write_text("[]")
    (clouds / "lists.json").write_text("[[]]")
    (clouds / "numbers.json").write_text('{"0": 1}')
    (clouds / "far.json").write_text(f'{{"distance": {10**400}}}')
    np.savez("archive.npz", np.arange(60))
    (clouds / "archive.npz").rename(clouds / "archive.npy")
    with open("short.npy", "wb") as file:  # declares a terabyte
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": (2**37,)}
        )
    np.save("one.npy", np.ones((1, 3)))
    (clouds / "blank.npy").write_text("")
    np.save("none3.npy", np.empty((0, 3)))
    np.save("nan.npy", np.full((4, 3), np.nan))
    np.save("wide.npy", np.random.default_rng(0).normal(size=(3, 40)))
    np.save("pickled.npy", np.array([{}, {}], dtype=object))
    (clouds / "index.ply").write_text(TRIANGLE)
    (clouds / "lfs.npy").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    np.save("flat.npy", np.random.default_rng(0).normal(size=(20, 3)) * [1, 1, 0])
    if message is None and arguments[-1] == "b.npy":
        message = r"b\.npy: is a file; give a directory"
    if message is None:
        render(*arguments)
        return
    with pytest.raises(SystemExit, match=rf"^pointspider: .*({message})") as error:
        render(*arguments)
    assert "\n" not in str(error.value)
    assert not [name for name in os.listdir(clouds) if name.startswith("x.")]


def test_an_output_that_the_system_refuses_is_found_first(tmp_path, monkeypatch):
    check_output(tmp_path / "new/x.png", directory=False)
    with pytest.raises(InputError, match=r"x{300}\.png: cannot be written \(File name too long\)"):
        check_output(tmp_path / f"{'x' * 300}.png", directory=False)
    if Path("/proc/self").exists():  # also for root
        with pytest.raises(InputError, match=r"^/proc/x\.png: cannot be written \("):
            check_output(Path("/proc/x.png"), directory=False)

    def refuse(dir: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(InputError, match=r"x\.png: cannot be written \(Permission denied\)"):
        check_output(tmp_path / "new/x.png", directory=False)
    assert list(tmp_path.iterdir()) == []
