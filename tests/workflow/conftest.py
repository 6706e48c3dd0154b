"""Fixtures of the workflow's tests: its rules and stages as text."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml


class Rule(NamedTuple):
    """A rule of workflow/rules.

    Attributes:
        file: name of its file.
        text: its source, from `rule` to the next one.
    """

    file: str
    text: str

    @property
    def script(self) -> str | None:
        """Name of the script that it runs, without a suffix; None for a target rule."""
        match = re.search(r"scripts/(\w+)\.py", self.text)
        return match and match[1]


@pytest.fixture(scope="session")
def rules(root: Path) -> dict[str, Rule]:
    """Every rule of workflow/rules by name."""
    return {
        re.match(r"rule (\w+):", text)[1]: Rule(path.name, text)
        for path in sorted((root / "workflow/rules").glob("*.smk"))
        for text in path.read_text().split("\n\n\n")
        if text.startswith("rule ") or "\nrule " in text
        for text in [
            text[text.index("rule ") :] if text.startswith("rule ") else text[text.index("\nrule ") + 1 :]
        ]
    }


class Stage(NamedTuple):
    """A stage of dvc.yaml: the rules that Snakemake may run in it, its dependencies and outputs."""

    rules: list[str]
    deps: list[str]
    outs: list[str]


@pytest.fixture(scope="session")
def stages(root: Path) -> dict[str, Stage]:
    """Every stage of dvc.yaml by name."""
    content = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    return {
        name: Stage(
            stage["cmd"].partition("${run} ")[2].partition(" -- ")[0].split(),
            stage["deps"],
            [
                next(iter(out)) if isinstance(out, dict) else out
                for out in stage.get("outs", stage.get("metrics"))
            ],
        )
        for name, stage in content.items()
    }


@pytest.fixture(scope="session")
def count_submissions() -> Callable[[Any], int]:
    """A function that counts the jobs of Slurm, single and grouped, that a project would submit."""

    def count(project: Any) -> int:
        plan = project.run("snakemake", "--profile", "profiles/slurm", "--dry-run").stdout
        groups = re.findall(r"Group job \w+ \(jobs", plan)
        single = re.findall(r"^Job \d+: ", plan, re.MULTILINE)
        return len(groups) + len(single)

    return count
