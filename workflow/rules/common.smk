# Shared by all: the resolved parameters, where things live, and the input functions.

import re
import sys
from pathlib import Path

SOURCE = Path(workflow.basedir) / "src"
sys.path.insert(0, str(SOURCE))
# Snakemake drops PYTHONPATH when it activates a conda environment; a prefix is run after that.
shell.prefix(f"export PYTHONPATH='{SOURCE}'; ")

from pointspider.clouds.catalogue import class_names
from pointspider.errors import InputError
from pointspider.params import resolve
from pointspider.provenance import imported_files

try:
    PARAMS = resolve(config, Path(workflow.basedir) / "workflow/schemas/params.schema.yaml")
    CLASSES = class_names(PARAMS["clouds"])
    if max(PARAMS["zero_shot"]["top"]) > len(CLASSES):
        raise InputError(
            f"params.yaml: zero_shot.top: {max(PARAMS['zero_shot']['top'])}, but there are {len(CLASSES)} classes."
        )
except InputError as error:
    raise WorkflowError(str(error)) from None

RESULTS = f"results/{PARAMS['preset']}"
LOGS = f"logs/{PARAMS['preset']}"
POINT_ENCODER = f"{RESULTS}/encoders/{PARAMS['encoders']['points']['name']}"
CLIPS = list(PARAMS["encoders"]["images"])
TRAINED_CLIPS = [
    name for name, clip in PARAMS["encoders"]["images"].items() if clip["weights"] == "train"
]
NORMS = ["none", "layer", "response"]  # Table III always trains the three
MANIFESTS = ["alignment", "test", "roulette", "encoders"]
EVALUATED = [f"{RESULTS}/manifests/{name}.csv" for name in MANIFESTS if name != "encoders"]


wildcard_constraints:
    class_name="|".join(map(re.escape, CLASSES)),
    clip="|".join(CLIPS),
    norm="|".join(NORMS),


def code(script):
    """The library's files that a script runs: Snakemake itself sees only the script."""
    path = Path(workflow.basedir) / f"workflow/scripts/{script}.py"
    return [str(file.relative_to(workflow.basedir)) for file in imported_files(path, SOURCE)]


def source_files(wildcards):
    """The files of the user's own clouds, of one class where a job makes one, or of the release."""
    directory = PARAMS["clouds"]["directory"]
    if PARAMS["clouds"]["source"] == "folder" and "class_name" in wildcards.keys():
        directory = Path(directory) / wildcards.class_name
    return sorted(str(path) for path in Path(directory).rglob("*.*")) if directory else []


def files(path):
    """`path` if it is on this machine; a published model that is not is fetched by the library that loads it."""
    return [path] if path.startswith(RESULTS) or Path(path).exists() else []


def training_settings(encoder):
    """What an encoder is trained with: its parameters without those that name and find it."""
    return {
        key: value for key, value in encoder.items() if key not in ("name", "backend", "weights")
    }


def point_weights():
    """The point encoder's checkpoint as input: what the workflow trains, or what the parameters name."""
    weights = PARAMS["encoders"]["points"]["weights"]
    return files(f"{POINT_ENCODER}/model.safetensors" if weights == "train" else weights)


def clip_settings(wildcards):
    """The parameters of one CLIP."""
    return PARAMS["encoders"]["images"][wildcards.clip]


def clip_training_settings(wildcards):
    """What one CLIP is trained with."""
    return training_settings(clip_settings(wildcards))


def clip_weights(wildcards):
    """A CLIP's directory as input: what the workflow trains, or what the parameters name; none for a hub name."""
    weights = clip_settings(wildcards)["weights"]
    return files(f"{RESULTS}/encoders/{wildcards.clip}" if weights == "train" else weights)
