"""Readers of cloud files: formats and their dialects, attributes, and one sentence for unreadable files."""

import json
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import h5py
import laspy
import numpy as np
import pytest
import trimesh
from pypcd4 import Encoding, PointCloud

from pointspider.clouds.cloud import Cloud
from pointspider.clouds.readers.registry import FORMATS, Format, count_clouds, extensions, load_cloud
from pointspider.core.errors import InputError

POINTS = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3], [4, 5, 6]], np.float32)
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [51, 102, 204], [1, 2, 3]], np.uint8)
NORMALS = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0], [0, -0.6, 0.8]])


@pytest.fixture
def write(tmp_path):
    """Write text or bytes to a file and return its path."""

    def write_file(name: str, content: str | bytes):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def ply(body: bytes | str, *header: str, form: str = "ascii", end: str = "\n") -> bytes:
    lines = ["ply", f"format {form} 1.0", *header, "end_header", ""]
    return end.join(lines).encode("latin-1") + (body if isinstance(body, bytes) else body.encode())


XYZ = ("property float x", "property float y", "property float z")


# ---------------------------------------------------------------------------------------- every format


def npy(path):
    np.save(path, POINTS)


def npz(path):
    np.savez(path, points=POINTS, labels=np.arange(5), colors=COLORS)


def hdf5(path):
    with h5py.File(path, "w") as file:
        file["data"] = POINTS


def pcd(path):
    PointCloud.from_xyz_points(POINTS).save(path)


def las(path):
    file = laspy.LasData(laspy.LasHeader(version="1.2", point_format=3))
    file.header.scales = [0.001] * 3
    file.x, file.y, file.z = POINTS.T.astype(np.float64)
    file.classification = np.arange(5)
    file.red, file.green, file.blue = COLORS.T.astype(np.uint16) * 257
    file.write(path)


def xyz(path):
    np.savetxt(path, POINTS)


def text_ply(path):
    rows = "\n".join(" ".join(map(str, row)) for row in POINTS)
    path.write_bytes(ply(rows, "element vertex 5", *XYZ))


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("a.npy", npy), ("a.npz", npz), ("a.h5", hdf5), ("a.pcd", pcd), ("a.las", las), ("a.xyz", xyz),
        ("a.pts", xyz), ("a.txt", xyz), ("a.ply", text_ply),
    ],
)  # fmt: skip
def test_points_of_every_format_by_extension_and_by_content(tmp_path, name, writer):
    path = tmp_path / name
    writer(path)
    np.testing.assert_allclose(load_cloud(path).points, POINTS, atol=1e-3)
    assert load_cloud(path).mesh is None
    assert count_clouds(path) is None
    for other in ("no_extension", "a.jpg", "b.OFF"):
        path = path.rename(tmp_path / other)
        np.testing.assert_allclose(load_cloud(path).points, POINTS, atol=1e-3)


@pytest.mark.parametrize("extension", ["off", "obj", "stl", "glb", "ply", "STL"])
def test_meshes_of_every_format(tmp_path, extension):
    box = trimesh.creation.box((1, 2, 3))
    path = tmp_path / f"box.{extension}"
    box.export(path, file_type=extension.lower())
    cloud = load_cloud(path)
    assert cloud.mesh.surface.area == pytest.approx(box.area)
    assert len(cloud.mesh.faces) == 12
    np.testing.assert_allclose(np.ptp(cloud.points, axis=0), [1, 2, 3])
    np.testing.assert_array_equal(cloud.points, cloud.mesh.vertices)


def test_objects_of_a_scene_are_joined_where_they_stand(tmp_path):
    scene = trimesh.Scene()
    for x in (0, 5):
        scene.add_geometry(
            trimesh.creation.box(), transform=trimesh.transformations.translation_matrix([x, 0, 0])
        )
    scene.export(tmp_path / "two.glb")
    cloud = load_cloud(tmp_path / "two.glb")
    assert len(cloud.mesh.faces) == 24
    np.testing.assert_allclose(np.ptp(cloud.points, axis=0), [6, 1, 1])


def test_a_format_is_one_entry(write):
    FORMATS.add("toy", Format((".toy",), lambda path, row: Cloud(np.full((2, 3), float(path.read_text())))))
    try:
        assert load_cloud(write("a.toy", "7")).points.tolist() == [[7, 7, 7]] * 2
        assert ".toy" in extensions()
    finally:
        FORMATS.remove("toy")


def test_scans_without_a_header_are_read_only_when_the_format_is_named(write):
    rows = np.hstack([POINTS, np.ones((5, 1), np.float32)])
    path = write("000001.bin", rows.tobytes())
    np.testing.assert_array_equal(load_cloud(path, format="kitti").points, POINTS)
    np.testing.assert_array_equal(load_cloud(path, format="nuscenes").points, rows.reshape(4, 5)[:, :3])
    with pytest.raises(InputError, match=r"000001\.bin: its format is unknown; if it is one of .*kitti"):
        load_cloud(path)
    with pytest.raises(InputError, match="its 76 bytes are not rows of 4 float32"):
        load_cloud(write("cut.bin", rows.tobytes()[:-4]), format="kitti")
    with pytest.raises(InputError, match="'kiti' is not a format; did you mean 'kitti'"):
        load_cloud(path, format="kiti")


# ------------------------------------------------------------------------------------------ attributes


def assert_attributes(cloud):
    np.testing.assert_allclose(cloud.colors, COLORS / 255, atol=1e-6)
    np.testing.assert_allclose(cloud.normals, NORMALS, atol=1e-6)
    assert cloud.labels.tolist() == [0, 1, 2, 3, 4]


def test_named_fields_in_any_case(write, tmp_path):
    dtype = [("X", "f4"), ("y", "f4"), ("z", "f4"), ("Red", "u1"), ("green", "u1"), ("blue", "u1")]
    array = np.zeros(
        5, [*dtype, ("NX", "f8"), ("ny", "f8"), ("nz", "f8"), ("Label", "i4"), ("is_green", "?")]
    )
    for names, values in (
        (("X", "y", "z"), POINTS),
        (("Red", "green", "blue"), COLORS),
        (("NX", "ny", "nz"), NORMALS),
    ):
        for name, column in zip(names, values.T, strict=True):
            array[name] = column
    array["Label"] = np.arange(5)
    np.save(tmp_path / "a.npy", array)
    assert_attributes(load_cloud(tmp_path / "a.npy"))
    header = " ".join(array.dtype.names[:-1])
    rows = "\n".join(" ".join(map(str, list(row)[:-1])) for row in array.tolist())
    assert_attributes(load_cloud(write("a.txt", f"{header}\n{rows}")))
    kinds = {"f4": "float", "u1": "uchar", "f8": "double", "i4": "int", "b1": "bool"}
    fields = [f"property {kinds[array.dtype[name].str[1:]]} {name}" for name in array.dtype.names]
    binary = ply(array.tobytes(), "element vertex 5", *fields, form="binary_little_endian")
    assert_attributes(load_cloud(write("a.ply", binary)))
    swapped = array.astype(array.dtype.newbyteorder(">")).tobytes()
    binary = ply(swapped, "comment Möbel", "element vertex 5", *fields, form="binary_big_endian", end="\r\n")
    assert_attributes(load_cloud(write("b.ply", binary)))


def test_colours_and_normals_of_unnamed_columns(write):
    def columns(*parts):
        return load_cloud(
            write("a.xyz", "\n".join(" ".join(map(str, row)) for row in np.hstack(parts).tolist()))
        )

    cloud = columns(POINTS, COLORS, NORMALS)
    np.testing.assert_allclose(cloud.colors, COLORS / 255, atol=1e-6)
    np.testing.assert_allclose(cloud.normals, NORMALS)
    np.testing.assert_allclose(columns(POINTS, NORMALS).normals, NORMALS)
    intensity = np.arange(5)[:, None] - 3
    np.testing.assert_allclose(columns(POINTS, intensity, COLORS).colors, COLORS / 255, atol=1e-6)
    features = columns(POINTS, POINTS - 7)
    assert features.colors is None
    assert features.normals is None


def test_colours_of_other_formats(tmp_path, write):
    las(tmp_path / "a.las")
    cloud = load_cloud(tmp_path / "a.las")
    np.testing.assert_allclose(cloud.colors, COLORS / 255, atol=1e-6)
    assert cloud.labels.tolist() == [0, 1, 2, 3, 4]
    npz(tmp_path / "a.npz")
    np.testing.assert_allclose(load_cloud(tmp_path / "a.npz").colors, COLORS / 255, atol=1e-6)
    packed = (COLORS.astype(np.uint32) << np.array([16, 8, 0], np.uint32)).sum(axis=1, dtype=np.uint32)
    PointCloud.from_xyzrgb_points(np.column_stack([POINTS, packed.view(np.float32)])).save(tmp_path / "a.pcd")
    np.testing.assert_allclose(load_cloud(tmp_path / "a.pcd").colors, COLORS / 255, atol=1e-6)
    off = "COFF\n3 1 0\n0 0 0 255 0 0 255\n1 0 0 0 255 0 255\n0 1 0 0 0 255 255\n3 0 1 2\n"
    np.testing.assert_array_equal(load_cloud(write("a.off", off)).colors, np.eye(3))
    obj = "v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0 0 1\nf 1 2 3\n"
    np.testing.assert_array_equal(load_cloud(write("a.obj", obj)).colors, np.eye(3))


# -------------------------------------------------------------------------------------------- dialects

SQUARE = "0 0 0\n1 0 0\n1 1 0\n0 1 0\n0.5 2 0\n"
FACES = ("element vertex 5", *XYZ, "element face 2", "property list uchar int vertex_indices")


def test_triangles_and_quads_binary_as_ascii(write):
    body = np.loadtxt(SQUARE.splitlines(), dtype="<f4").tobytes()
    body += struct.pack("<B4iB3i", 4, 0, 1, 2, 3, 3, 2, 4, 3)
    binary = load_cloud(write("a.ply", ply(body, *FACES, form="binary_little_endian")))
    text = load_cloud(write("b.ply", ply(SQUARE + "4 0 1 2 3\n3 2 4 3\n", *FACES)))
    for cloud in (binary, text):
        assert cloud.mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [2, 4, 3]]
        assert cloud.mesh.surface.area == pytest.approx(1.5)


def test_triangle_strips(write):
    header = ("element vertex 5", *XYZ, "element tristrips 1", "property list int int vertex_indices")
    cloud = load_cloud(write("a.ply", ply(SQUARE + "8 0 1 3 2 -1 3 2 4\n", *header)))
    assert cloud.mesh.faces.tolist() == [[0, 1, 3], [3, 1, 2], [3, 2, 4]]
    assert cloud.mesh.surface.area == pytest.approx(1.5)
    assert (cloud.mesh.surface.face_normals[:, 2] > 0).all()


def test_rows_of_ply_that_have_more_or_lack_a_list(write):
    more = ply("0 0 0 9\n1 0 0 9\n", "element vertex 2", *XYZ)
    assert load_cloud(write("a.ply", more)).points.tolist() == [[0, 0, 0], [1, 0, 0]]
    lists = ply("0 0 0\n1 0 0 2 7 8\n", "element vertex 2", *XYZ, "property list uchar int vertex_indices")
    assert load_cloud(write("b.ply", lists)).points.tolist() == [[0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    "text",
    [
        "OFF4 4 0\n{}",
        "OFF\n# a comment\n\n4 4 6  # counts\n{}",
        "off\n4 4\n{}",
        "# before the header\nOFF 4 4 0\n{}",
        "NOFF\n4 4 0\n{n}",
    ],
)
def test_dialects_of_off(write, text):
    corners = ["0 0 0", "1 0 0", "0 1 0", "0 0 1"]
    faces = "3 0 1 2\n3 0 1 3 255 0 0\n\n3 0 2 3\n3 1 2 3\n"
    plain = "\r\n".join(corners) + "\n" + faces
    content = text.format(plain, n="\n".join(f"{corner} 0 0 1" for corner in corners) + "\n" + faces)
    cloud = load_cloud(write("a.off", content))
    assert cloud.points.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert len(cloud.mesh.faces) == 4


def test_separators_comments_and_counts_of_text(write):
    for content in (
        "3\n1 2 3\n4 5 6\n7 8 9\n",
        "# x\n1,2,3\n4, 5,6\n\n7;8;9 # end\n",
        "1\t2 3\r\n4 5 6\r\n7 8 9",
    ):
        assert load_cloud(write("a.pts", content)).points.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_a_pcd_whose_rows_end_with_blanks(write):
    header = "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 2\nHEIGHT 1\n"
    content = header + "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 2\nDATA ascii\n1 2 3 \n4 5 6 \n"
    assert load_cloud(write("a.pcd", content)).points.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_files_with_several_clouds(tmp_path):
    stack = np.stack([POINTS, 2 * POINTS])
    np.save(tmp_path / "a.npy", stack)
    np.savez(tmp_path / "a.npz", data=stack, label=np.arange(2))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = stack
    for name in ("a.npy", "a.npz", "a.h5"):
        assert count_clouds(tmp_path / name) == 2
        np.testing.assert_array_equal(load_cloud(tmp_path / name, row=1).points, 2 * POINTS)
        with pytest.raises(InputError, match=rf"{name}: has 2 clouds; give the row of one"):
            load_cloud(tmp_path / name)
        with pytest.raises(InputError, match=rf"{name}: has no row 2; it has 2"):
            load_cloud(tmp_path / name, row=2)


# ---------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "pointer of git-LFS"),
        ("chair.npy", "<!DOCTYPE html><html>", "is a web page"),
        ("a.ply", "", "it is empty"),
        ("a.txt", "004_box\n005_can\n", "'004_box' is not a row of numbers"),
        ("a.txt", "1 2 3\n4 5\n", "rows differ in length"),
        ("a.txt", "# nothing\n", "has no points"),
        ("a.txt", 3 * f"{'1 ' * 13}\n", r"its array is \(3, 13\); points are rows, \(N, 3\): transpose it"),
        ("a.obj", "# nothing\n", "has no points"),
        ("a.ply", ply("0 0 0\n", "element vertex 1", *XYZ, "element vertex 0"), "has two elements 'vertex'"),
        ("a.ply", ply("0 0\n", "element vertex 1", *XYZ[:2]), "has no coordinates x, y, z; it has x, y"),
        ("a.ply", ply("0 0 0\n", "element vertex 1", "property quad x"), "type 'quad' of its property 'x'"),
        ("a.ply", ply("0 0 0\n", "element vertex 9", *XYZ), "has 1 rows of 9 of 'vertex'; is it complete"),
        ("a.ply", ply("", "element vertex 4000000000", *XYZ, form="binary_little_endian"), "is it complete"),
        ("a.ply", ply("", "element edge 0"), "has no element 'vertex'"),
        ("a.ply", "ply\nformat ascii 1.0\n", "its header does not end"),
        ("a.ply", ply(SQUARE + "3 0 1 9\n3 0 1 2\n", *FACES), r"triangle 0 has vertices \[0, 1, 9\], but"),
        ("a.off", "OFF\n3 2 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n", "has 4 rows of 3 vertices and 2 faces"),
        ("a.off", "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n4 0 1 2\n", "a face has fewer vertices than it states"),
        ("a.las", b"LASF broken", "cannot be read as las"),
        ("a.glb", b"glTF broken", "cannot be read as glb"),
        ("a.pcd", "VERSION 0.7\nFIELDS x y z\n", "cannot be read as pcd"),
        ("a.npz", b"PK\x03\x04 a.npy", "cannot be read as npz"),
        ("a.stl", "solid broken\nfacet\n", "has no points|cannot be read"),
        ("a.xyz.md", "words", "its format is unknown"),
    ],
)  # fmt: skip
def test_unreadable_files_are_refused_in_one_sentence(write, name, content, message):
    path = write(name, content)
    with pytest.raises(InputError, match=message) as raised:
        load_cloud(path).normalize(str(path))
    text = str(raised.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert "pickle" not in text


def test_python_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"x": 1}]), allow_pickle=True)
    np.savez(tmp_path / "a.npz", points=np.array([{"x": 1}]))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError, match=rf"{name}: its array has Python objects, which are not loaded"):
            load_cloud(tmp_path / name)


def test_a_missing_file_and_a_missing_array(tmp_path):
    with pytest.raises(InputError, match=r"no\.npy: cannot be read \(No such file"):
        load_cloud(tmp_path / "no.npy")
    np.savez(tmp_path / "a.npz", weights=POINTS, bias=POINTS)
    with pytest.raises(InputError, match="has no array 'points', but weights, bias"):
        load_cloud(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", points=POINTS, labels=np.arange(4))
    with pytest.raises(InputError, match="has 4 labels for 5 points"):
        load_cloud(tmp_path / "b.npz")


def test_the_registry_imports_no_library_of_a_format():
    code = (
        "import sys; from pointspider.clouds.readers.registry import FORMATS; list(FORMATS); "
        "print({'trimesh', 'h5py', 'laspy', 'pypcd4'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_missing_textures_and_materials_are_ignored(tmp_path):
    (tmp_path / "a.obj").write_text(
        "mtllib none.mtl\nusemtl wood\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"
    )
    (tmp_path / "b.obj").write_text((tmp_path / "a.obj").read_text().replace("none", "some"))
    (tmp_path / "some.mtl").write_text("newmtl wood\nmap_Kd none.png\n")
    (tmp_path / "c.ply").write_text(
        "ply\nformat ascii 1.0\ncomment TextureFile none.png\nelement vertex 3\nproperty float x\n"
        "property float y\nproperty float z\nelement face 1\nproperty list uchar int vertex_indices\n"
        "property list uchar float texcoord\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2 6 0 0 1 0 0 1\n"
    )
    for name in ("a.obj", "b.obj", "c.ply"):
        cloud = load_cloud(tmp_path / name)
        assert (len(cloud), len(cloud.mesh.faces)) == (3, 1)


def test_fields_of_a_mesh_follow_its_vertices_and_samples(tmp_path):
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
        "property float Quality\nproperty int label\nelement face 1\n"
        "property list uchar int vertex_indices\nend_header\n"
        "9 9 9 9 9\n0 0 0 0 1\n1 0 0 10 2\n0 1 0 0 3\n3 1 2 3\n"
    )
    cloud = load_cloud(tmp_path / "a.ply")  # the first vertex is in no face
    assert cloud.fields["quality"].tolist() == [0, 10, 0]
    assert cloud.labels.tolist() == [1, 2, 3]
    sampled = cloud.sample_mesh(50, np.random.default_rng(0))
    np.testing.assert_allclose(sampled.fields["quality"], 10 * sampled.points[:, 0], atol=1e-5)
    nearest = np.linalg.norm(sampled.points[:, None] - cloud.points, axis=2).argmin(axis=1)
    third = np.stack([1 - sampled.points.sum(axis=1), *sampled.points[:, :2].T])
    np.testing.assert_array_equal(sampled.labels, third.argmax(axis=0) + 1)
    assert (sampled.labels == nearest + 1).mean() > 0.6
    np.testing.assert_array_equal(sampled.points, cloud.mesh.sample(50, np.random.default_rng(0)))


def test_dimensions_of_las_are_fields(tmp_path):
    header = laspy.LasHeader(point_format=3)
    file = laspy.LasData(header)
    file.x, file.y, file.z = np.eye(3)
    file.intensity = [5, 6, 7]
    file.classification = [2, 2, 6]
    file.write(tmp_path / "a.las")
    cloud = load_cloud(tmp_path / "a.las")
    assert cloud.fields["intensity"].tolist() == [5, 6, 7]
    assert cloud.fields["classification"].tolist() == cloud.labels.tolist() == [2, 2, 6]
    assert {"x", "X", "red"}.isdisjoint(cloud.fields)


# -------------------------------------------------------------- files that declare more than they can hold


def npy_without_points(path):
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 0, 3)}
        )
        file.write(bytes(4))


def npz_of_one_array(path, shape, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("points.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        file.write(content)


def hdf5_without_bytes(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (10**6, 10**6, 3), np.float32, chunks=(1, 1000, 3))


def compressed_pcd(path):
    PointCloud.from_xyz_points(POINTS).save(path, Encoding.BINARY_COMPRESSED)
    head, mark, body = path.read_bytes().partition(b"compressed\n")
    path.write_bytes(head + mark + body[:4] + struct.pack("<I", 2**32 - 1) + body[8:])


def pcd_of_many_columns(path):
    PointCloud.from_xyz_points(POINTS).save(path)
    path.write_bytes(path.read_bytes().replace(b"COUNT 1 1 1", b"COUNT 1 1 1000000000"))


def glb_without_a_buffer(path):
    trimesh.creation.box().export(path)
    content = path.read_bytes()
    length = int.from_bytes(content[12:16], "little")
    header = json.loads(content[20 : 20 + length])
    header["accessors"].append({"componentType": 5126, "type": "VEC3", "count": 10**10})
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    body = content[20 + length :]
    size = struct.pack("<I", 20 + len(text) + len(body))
    path.write_bytes(content[:8] + size + struct.pack("<I", len(text)) + content[16:20] + text + body)


def las_of_many_records(path):
    las(path)
    content = path.read_bytes()
    path.write_bytes(content[:100] + struct.pack("<I", 2**32 - 1) + content[104:])


def las_cut(path):
    las(path)
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("name", "writer", "message"),
    [
        ("a.npy", npy_without_points, "has no points"),
        ("a.npz", lambda path: npz_of_one_array(path, (10**9, 3), bytes(120)), "ends too early"),
        ("a.npz", lambda path: npz_of_one_array(path, (10**12, 0, 3), b""), "has no points"),
        ("a.h5", hdf5_without_bytes, "declares 12,000,000,000,000 bytes of data in a file of"),
        ("a.pcd", compressed_pcd, "declares 4,294,967,295 bytes"),
        ("a.pcd", pcd_of_many_columns, "declares 5,000,000,010 bytes"),
        ("a.glb", glb_without_a_buffer, "declares 10,000,000,"),
        ("a.las", las_of_many_records, "declares 231,928,233,930 bytes"),
        ("a.las", las_cut, "is it complete?"),
    ],
)
def test_a_file_cannot_declare_more_than_it_can_hold(tmp_path, name, writer, message):
    """It is refused before memory is allocated, or as many names are listed."""
    writer(tmp_path / name)
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        load_cloud(tmp_path / name, row=0 if name == "a.h5" else None)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message in str(caught.value)
    assert most < 50_000_000


def test_a_list_of_negative_length_does_not_turn_back(write):
    """Or a few bytes would be read for ever."""
    header = ("element face 4000000000", "property list char char vertex_indices", "element vertex 1", *XYZ)
    path = write("a.ply", ply(b"\1\0\xff\0\0", *header, form="binary_little_endian"))
    with pytest.raises(InputError, match="a list of 'face' has the length -1"):
        load_cloud(path)
    path = write("a.ply", ply("-1 0\n", "element face 1", *header[1:]))
    with pytest.raises(InputError, match="a list of 'face' has the length -1"):
        load_cloud(path)
