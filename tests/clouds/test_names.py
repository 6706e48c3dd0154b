"""Names of classes, corruption levels and clouds."""

from pointspider.clouds.names import CLEAN, MODELNET40_CLASSES, CorruptionLevel, cloud_id, levels


def test_modelnet40_has_40_sorted_classes():
    assert len(MODELNET40_CLASSES) == 40
    assert sorted(MODELNET40_CLASSES) == list(MODELNET40_CLASSES)


def test_names_of_clouds():
    assert cloud_id("chair", CLEAN, "0003") == "chair/original/0003"
    assert cloud_id("chair", CorruptionLevel("uniform", 2), "0003") == "chair/uniform_2/0003"
    assert [str(v) for v in levels(["a", "b"], [1, 5])] == ["a_1", "a_5", "b_1", "b_5"]
