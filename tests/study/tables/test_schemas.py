"""Schemas: every table is checked when it is written and when it is read."""

import pandas as pd
import pytest

from pointspider.core.errors import InputError
from pointspider.core.files import read_json, write_text
from pointspider.study.tables.schemas import SCHEMAS, read_table, validate, write_provenance, write_table

ROW = {"split": "objects", "n_train": 240, "n_test": 80, "objects": 80, "gallery": 80}


def test_the_papers_tables_are_narrow():
    assert all(len(SCHEMAS[name]) <= 12 for name in ("table1", "table3"))


def test_a_table_is_read_with_the_types_of_its_schema(tmp_path):
    write_table(tmp_path / "splits.csv", pd.DataFrame([ROW]))
    table = read_table(tmp_path / "splits.csv")
    assert table.to_dict("records") == [ROW]
    assert table.dtypes.astype(str).tolist() == ["string", "int64", "int64", "int64", "int64"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "folds"}, "column 'split' has the value 'folds'"),
        ({"n_train": 1.5}, "column 'n_train' is not of type int64"),
        ({"n_train": None}, "column 'n_train' has empty cells"),
        ({"n_train": "many"}, "column 'n_train' is not of type int64"),
        ({"note": "x"}, r"has the columns \[.*'note'\], not \["),
    ],
)
def test_a_frame_that_does_not_match_is_refused(change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        write_table(tmp_path / "splits.csv", pd.DataFrame([ROW | change]))
    assert not list(tmp_path.iterdir())


def test_a_sentence_is_no_value():
    row = {
        "split": "objects",
        "kind": "baseline",
        "predictor": "ridge",
        "seed": None,
        "fact": "λ is 0.1",
        "value": 1,
    }
    with pytest.raises(InputError, match=r"column 'fact' has the value 'λ is 0\.1'"):
        validate("predictors", pd.DataFrame([row]))


def test_a_file_of_another_version_is_named(tmp_path):
    write_text(tmp_path / "splits.csv", "split,n\nobjects,3\n")
    with pytest.raises(
        InputError, match=r"splits\.csv: table splits: has the columns .* Delete it and run again"
    ):
        read_table(tmp_path / "splits.csv")


def test_provenance_names_its_tables_and_versions(tmp_path):
    write_provenance(tmp_path / "table2.json", [tmp_path / "table2.csv"], preset="paper", seeds={"test": 7})
    made = read_json(tmp_path / "table2.json")
    assert (made["tables"], made["preset"], made["seeds"]) == (["table2.csv"], "paper", {"test": 7})
    assert made["versions"]["pandas"] == pd.__version__
