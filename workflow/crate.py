"""Write a finished run as a Workflow Run RO-Crate, a zip file to deposit: `make crate`.

    python workflow/crate.py results/embedded crate.zip

The crate holds the workflow with its code, parameters and locked packages, and the results of the run:
tables, plots, sheets, manifests and metrics. Clouds, renders, embeddings and weights are left out: they are
large, and the workflow computes them again. The profile is https://w3id.org/ro/wfrun/workflow/0.5.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import yaml
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

ROOT = Path(__file__).parents[1]
CODE = ("workflow", "src", "envs", "profiles", "data/sources.csv", "params.yaml", "dvc.yaml", "Makefile")
CODE += ("pyproject.toml", "requirements.lock", "README.md", "LICENSE", "CITATION.cff")
RESULTS = ("tables", "plots", "sheets", "speed", "manifests", "report.html", "metrics.json", "objects.csv")
RESULTS += ("speed.csv", "speed.json")
SKIPPED = ("__pycache__", ".egg-info", ".snakemake_timestamp")
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".yaml": "application/yaml",
}


def files(root: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """The files among `names` below `root`, folders with their contents, without caches."""
    for path in (root / name for name in names):
        for found in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if found.is_file() and not any(part in str(found) for part in SKIPPED):
                yield found


def modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def write_crate(results: Path, target: Path) -> None:
    """Write the crate of the run whose results are in a directory.

    Raises:
        SystemExit: the run is not finished.
    """
    if not (results / "metrics.json").exists() or not (results / "tables/summary.md").exists():
        sys.exit(f"{results}: no finished run. Run `snakemake --cores all` first.")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    crate = ROCrate(version="1.1")  # the one of the profiles
    crate.name = f"{citation['title']}: a run of the preset {results.name}"
    crate.description = citation["abstract"]
    crate.keywords = citation["keywords"]
    crate.license = crate.add(
        ContextEntity(
            crate,
            f"https://spdx.org/licenses/{citation['license']}",
            {"@type": "CreativeWork", "name": f"{citation['license']} license"},
        )
    )
    author = crate.add(
        ContextEntity(crate, "#authors", {"@type": "Organization", "name": citation["authors"][0]["name"]})
    )
    crate.creator = crate.publisher = crate.root_dataset["author"] = author

    workflow = crate.add_workflow(
        ROOT / "Snakefile",
        "Snakefile",
        main=True,
        lang="snakemake",
        lang_version=version("snakemake"),
        properties={
            "name": citation["title"],
            "version": citation["version"],
            "encodingFormat": "text/plain",
        },
    )
    workflow["license"], workflow["creator"] = crate.license, author
    code = {
        str(path.relative_to(ROOT)): add_file(crate, path, path.relative_to(ROOT))
        for path in files(ROOT, CODE)
    }
    workflow["hasPart"] = list(code.values())
    outputs = [
        add_file(crate, path, Path("results") / results.name / path.relative_to(results))
        for path in files(results, RESULTS)
    ]
    logs = [modified(path) for path in files(results.parents[1] / "logs", (results.name,))]
    ended = max(modified(path) for path in files(results, RESULTS))
    action = crate.add_action(
        workflow,
        identifier="#run",
        object=[code["params.yaml"], code["data/sources.csv"]],
        result=outputs,
        properties={
            "name": f"Run of the preset {results.name}",
            "description": "Snakemake ran the jobs that the results need.",
            "startTime": min([*logs, ended]).isoformat(timespec="seconds"),
            "endTime": ended.isoformat(timespec="seconds"),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    action["agent"] = author
    crate.root_dataset["mentions"] = [action]
    crate.root_dataset["conformsTo"] = [
        crate.add(ContextEntity(crate, address, {"@type": "CreativeWork", "name": name, "version": number}))
        for address, (name, number) in PROFILES.items()
    ]
    crate.write_zip(target)


def add_file(crate: ROCrate, path: Path, place: Path):
    properties = {
        "name": path.name,
        "contentSize": str(path.stat().st_size),
        "encodingFormat": FORMATS.get(path.suffix, "text/plain"),
        "dateModified": modified(path).isoformat(timespec="seconds"),
    }
    return crate.add_file(path, str(place), properties=properties)


if __name__ == "__main__":
    write_crate(Path(sys.argv[1]), Path(sys.argv[2]))
