"""Table III's long frame against hand-made numbers."""

import numpy as np
import pytest

from pointspider.errors import InputError
from pointspider.evaluate.alignment import COLUMNS, alignment_records, mean_l1
from pointspider.storage import read_csv, write_csv

X_TRAIN, X_TEST = np.zeros((3, 4), np.float32), np.zeros((2, 4), np.float32)
Y_TRAIN = np.array([[0, 1], [1, 1], [5, 4]], np.float32)  # mean (2, 2), median (1, 1)
Y_TEST = np.array([[1, 2], [3, 2]], np.float32)
LAST = {"l1_train": 0.3, "l1_last": 0.5, "l1_best": 0.25, "best_epoch": 7, "diverged_at": None}
RUN = {"norm": "layer", "seed": 1, "epochs": 9, "batch_size": 2, "base_width": 4, **LAST}
DIVERGED = {
    **RUN, "norm": "none", "seed": 0, "batch_size": None,
    "l1_train": None, "l1_last": None, "l1_best": None, "best_epoch": None, "diverged_at": 1,
}  # fmt: skip


def table(*runs, y_test=Y_TEST):
    return alignment_records(
        runs, X_TRAIN, Y_TRAIN, X_TEST, y_test, image_model="tiny", layer="pooled", point_encoder="pointnet"
    )


def test_mean_l1_is_over_rows_and_dimensions():
    assert mean_l1(Y_TEST, np.zeros_like(Y_TEST)) == 2
    with pytest.raises(InputError, match=r"\(2, 2\) and \(1, 2\)"):
        mean_l1(Y_TEST, Y_TEST[:1])
    with pytest.raises(InputError, match="shapes"):
        mean_l1(Y_TEST[:0], Y_TEST[:0])


def test_baselines_stand_first():
    frame = table().set_index("mapper")
    assert list(frame.index) == ["zero", "mean", "median"]
    assert frame["l1_last"].tolist() == [2.0, 0.5, 1.0]
    assert frame["l1_train"].tolist() == [2.0, pytest.approx(10 / 6), pytest.approx(8 / 6)]
    assert frame["l1_best"].tolist() == frame["l1_last"].tolist()
    assert frame["l1div_last"].tolist() == [0.5, 2.0, 1.0]
    assert frame["skill_last"].tolist() == [-1.0, 0.5, 0.0]
    assert frame["seed"].isna().all()
    assert set(frame["kind"]) == {"baseline"}


def test_a_run_becomes_a_row():
    row = table(RUN).iloc[-1]
    assert (row["kind"], row["mapper"], row["norm"], row["seed"]) == ("mapper", "LNORM", "layer", 1)
    assert (row["image_model"], row["layer"], row["point_encoder"]) == ("tiny", "pooled", "pointnet")
    assert (row["n_train"], row["n_test"], row["batch_size"], row["base_width"]) == (3, 2, 2, 4)
    assert (row["l1div_last"], row["l1div_best"]) == (2.0, 4.0)
    assert (row["skill_last"], row["skill_best"]) == (0.5, 0.75)
    assert row["best_epoch"] == 7


def test_rows_are_in_the_papers_order_whatever_the_runs():
    runs = [{**RUN, "norm": norm, "seed": seed} for norm in ("response", "layer", "none") for seed in (1, 0)]
    frame = table(*runs)
    assert frame["mapper"].tolist()[3:] == ["BASE", "BASE", "LNORM", "LNORM", "RNORM", "RNORM"]
    assert frame["seed"].tolist()[3:] == [0, 1, 0, 1, 0, 1]


def test_a_diverged_run_has_no_losses():
    row = table(RUN, DIVERGED).set_index("mapper").loc["BASE"]
    assert row["diverged_at"] == 1
    assert row[["l1_last", "l1div_last", "skill_last", "l1_best", "best_epoch"]].isna().all()
    assert row["batch_size"] == 3, "the whole training split"


def test_types_hold_with_and_without_runs(tmp_path):
    for frame in (table(), table(DIVERGED), table(RUN)):
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == COLUMNS
    write_csv(tmp_path / "table3.csv", frame)
    assert read_csv(tmp_path / "table3.csv")["skill_last"].tolist() == [-1.0, 0.5, 0.0, 0.5]
    assert ",7," in (tmp_path / "table3.csv").read_text(), "integers stay integers"


def test_a_perfect_median_has_no_skill_to_show():
    frame = table(RUN, y_test=np.ones((2, 2), np.float32)).set_index("mapper")
    assert frame["skill_last"].isna().all()
    assert frame.loc["median", "l1div_last"] == np.inf
