"""The roles of objects."""

import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.study.objects import assign_roles


def test_roles_are_disjoint_seeded_and_sorted():
    names = {"b": [f"x{number}" for number in range(10)], "a": ["q", "p", "r"]}
    roles = assign_roles({"all": names}, 2, 1, seed=1)
    assert list(roles.columns) == ["class", "object", "role"]
    assert roles.groupby(["class", "role"]).size().to_dict() == {
        ("a", "encoders"): 1,
        ("a", "evaluation"): 2,
        ("b", "encoders"): 1,
        ("b", "evaluation"): 2,
    }
    assert not roles.duplicated(["class", "object"]).any()
    pd.testing.assert_frame_equal(roles, roles.sort_values(["class", "object"], ignore_index=True))
    backwards = {class_name: names[class_name][::-1] for class_name in ("a", "b")}
    pd.testing.assert_frame_equal(roles, assign_roles({"all": backwards}, 2, 1, seed=1))
    drawn = [frozenset(assign_roles({"all": names}, 2, 0, seed)["object"]) for seed in range(20)]
    assert len(set(drawn)) > 5


def test_all_that_the_encoders_leave_is_evaluated():
    roles = assign_roles({"all": {"a": list("pqrst")}}, None, 2, seed=1)
    assert roles["role"].value_counts().to_dict() == {"evaluation": 3, "encoders": 2}


@pytest.mark.parametrize(("evaluation", "encoders", "needed"), [(4, 2, 6), (None, 5, 6)])
def test_too_few_objects_name_the_class_and_the_numbers(evaluation, encoders, needed):
    with pytest.raises(InputError, match=f"class 'a' has 5 objects and needs {needed}"):
        assign_roles({"all": {"a": list("pqrst")}}, evaluation, encoders, seed=1)


def test_roles_follow_the_splits_of_the_source():
    objects = {"test": {"a": list("pqr")}, "train": {"a": list("stuv")}}
    roles = assign_roles(objects, None, 2, seed=1)
    by_role = roles.groupby("role")["object"].apply(set).to_dict()
    assert by_role["evaluation"] == set("pqr")
    assert by_role["encoders"] < set("stuv")
    assert len(by_role["encoders"]) == 2
    assert set(assign_roles(objects, 2, 0, seed=1)["role"]) == {"evaluation"}
    with pytest.raises(InputError, match=r"clouds\.encoder_objects: 1, but the source has no train split"):
        assign_roles({"test": {"a": list("pqr")}}, None, 1, seed=1)


def test_one_more_object_of_a_class_leaves_the_order_of_the_others():
    names = [f"{number:04d}" for number in range(20)]
    evaluated = [
        set(assign_roles({"all": {"a": objects}}, 8, 0, seed=1)["object"])
        for objects in (names, [*names, "x"])
    ]
    assert len(evaluated[0] - evaluated[1]) <= 1
    assert evaluated[1] - evaluated[0] <= {"x"}
