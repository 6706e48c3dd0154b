# What every rule shares: the resolved parameters, where things live, and the input functions.

import sys
from pathlib import Path

SOURCE = Path(workflow.basedir) / "src"
sys.path.insert(0, str(SOURCE))
# Snakemake drops PYTHONPATH when it activates a conda environment; a prefix is run after that.
shell.prefix(f"export PYTHONPATH='{SOURCE}'; ")

from pointspider.clouds.catalogue import class_names
from pointspider.errors import InputError
from pointspider.params import resolve

try:
    PARAMS = resolve(config, Path(workflow.basedir) / "workflow/schemas/params.schema.yaml")
    CLASSES = class_names(PARAMS["clouds"])
except InputError as error:
    raise WorkflowError(str(error)) from None

RESULTS = f"results/{PARAMS['preset']}"
LOGS = f"logs/{PARAMS['preset']}"
CLIPS = list(PARAMS["encoders"]["images"])
TRAINED_CLIPS = [name for name, clip in PARAMS["encoders"]["images"].items() if clip["weights"] == "train"]
NORMS = ["none", "layer", "response"]  # Table III always trains the three
MANIFESTS = ["alignment", "clean", "roulette", "encoders"]


wildcard_constraints:
    class_name="|".join(CLASSES),
    clip="|".join(CLIPS),
    norm="|".join(NORMS),


def code(*parts):
    """The library's files on which a step depends, e.g. code("clouds", "storage.py")."""
    paths = [SOURCE / "pointspider" / part for part in parts]
    return sorted(str(f.relative_to(workflow.basedir)) for p in paths for f in (p.glob("*.py") if p.is_dir() else [p]))


def source_files():
    """The files of the user's own clouds or of the release; none for procedural ones."""
    directory = PARAMS["clouds"]["directory"]
    return sorted(str(path) for path in Path(directory).rglob("*.*")) if directory else []


def point_weights():
    """The point encoder's weights if they are files here: what the workflow trains, or a checkpoint in place."""
    weights = PARAMS["encoders"]["points"]["weights"]
    if weights == "train":
        return rules.train_points.output[0]
    return weights if Path(weights).exists() else []


def clip_settings(wildcards):
    """The parameters of one CLIP."""
    return PARAMS["encoders"]["images"][wildcards.clip]


def clip_weights(wildcards):
    """A CLIP's weights if they are files: what the workflow trains, or a local directory; none for a hub name."""
    weights = clip_settings(wildcards)["weights"]
    if weights == "train":
        return rules.train_clip.output[0].format(clip=wildcards.clip)
    return weights if Path(weights).exists() else []
