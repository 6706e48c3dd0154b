# Shared by all: the resolved parameters, where things live, and the input functions.

import re
import sys
from pathlib import Path

SOURCE = Path(workflow.basedir) / "src"
sys.path.insert(0, str(SOURCE))
# Snakemake drops PYTHONPATH when it activates a conda environment; a prefix is run after that.
shell.prefix(f"export PYTHONPATH='{SOURCE}'; ")

from pointspider.clouds.names import class_names
from pointspider.core.errors import InputError
from pointspider.study.config import locate, resolve
from pointspider.study.code_digest import imported_files
from pointspider.study.remote import read_remotes, verify

try:
    REMOTES = read_remotes(Path(workflow.basedir) / "data/sources.csv")
    PARAMS = resolve(config, Path(workflow.basedir) / "workflow/schemas/params.schema.yaml")
    PARAMS = locate(PARAMS, REMOTES)  # told now, not after hours of rendering
    # What data/sources.csv names and is a file here, by the place where it is used.
    FETCHED = {remote.place: remote for remote in REMOTES.values() if remote.path}
    MISSING = {place: remote for place, remote in FETCHED.items() if not Path(place).exists()}
    for place, remote in FETCHED.items():
        if place not in MISSING and not remote.is_archive:
            verify(remote, Path(place))
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
# The backends of the models on the Hugging Face hub, and the commits at which data/sources.csv has them.
HUB = {
    clip["weights"]: clip["backend"]
    for clip in PARAMS["encoders"]["images"].values()
    if clip["weights"] in REMOTES
}
COMMITS = {model: REMOTES[model].version for model in HUB}
NORMS = ["none", "layer", "response"]  # Table III always trains the three
# How clouds are kept from the mappers for the test: by objects or by whole classes, and the manifests' column.
SPLITS = {"objects": "split", "classes": "class_split"}
MANIFESTS = ["alignment", "test", "roulette", "encoders"]
EVALUATED = [f"{RESULTS}/manifests/{name}.csv" for name in MANIFESTS if name != "encoders"]


wildcard_constraints:
    class_name="|".join(map(re.escape, CLASSES)),
    clip="|".join(CLIPS),
    norm="|".join(NORMS),
    split="|".join(SPLITS),


def code(script):
    """The library's files that a script runs: Snakemake itself sees only the script."""
    path = Path(workflow.basedir) / f"workflow/scripts/{script}.py"
    return [str(file.relative_to(workflow.basedir)) for file in imported_files(path, SOURCE)]


def source_files(wildcards):
    """The files of the user's own clouds, of one class where a job makes one; or the release's or ModelNet40's
    directories, which count as changed when a file is added, renamed or replaced by `mv`.
    """
    directory = PARAMS["clouds"]["directory"]
    match PARAMS["clouds"]["source"]:
        case "folder":
            folder = Path(directory, getattr(wildcards, "class_name", ""))
            return sorted(str(path) for path in folder.rglob("*.*"))
        case "modelnet40c" if directory:
            return [directory]
        case "generate" if directory:
            paths = [f"{directory}/{name}" for name in ("modelnet40_ply_hdf5_2048", "ModelNet40")]
            return [path for path in paths if path in FETCHED or Path(path).exists()]
    return []


def missing(archives):
    """A pattern of the places that are not there yet: those of archives, or of single files."""
    places = [place for place, remote in MISSING.items() if remote.is_archive == archives]
    return "|".join(map(re.escape, places)) or "(?!)"


def remote_name(wildcards):
    """The name in data/sources.csv of what a job fetches."""
    return FETCHED[wildcards.place].name


def split_column(wildcards):
    """The column of the alignment's manifest that tells the train from the test side."""
    return SPLITS[wildcards.split]


def training_settings(encoder):
    """What an encoder is trained with: its parameters without those that name and find it and its data."""
    others = ("name", "backend", "weights", "checkpoint", "directory")
    return {key: value for key, value in encoder.items() if key not in others}


def point_checkpoint():
    """The point encoder's file: what the workflow trains, what data/sources.csv names, or a path."""
    path = PARAMS["encoders"]["points"]["checkpoint"]  # `checkpoint` is a word of Snakemake's
    if path == "train":
        return f"{POINT_ENCODER}/model.safetensors"
    return REMOTES[path].place if path in REMOTES else path


def train_split():
    """ModelNet40's files, if the point encoder is trained on them."""
    points = PARAMS["encoders"]["points"]
    trained = points["checkpoint"] == "train" and points["directory"]
    return [points["directory"]] if trained else []


def clip_settings(wildcards):
    """The parameters of one CLIP."""
    return PARAMS["encoders"]["images"][wildcards.clip]


def clip_training_settings(wildcards):
    """What one CLIP is trained with."""
    return training_settings(clip_settings(wildcards))


def clip_revision(wildcards):
    """The commit of a CLIP of the hub; None for a directory."""
    return COMMITS.get(clip_settings(wildcards)["weights"])


def clip_threads(wildcards):
    """One for a tiny CLIP, which gains nothing from more; all up to eight for a published one."""
    return 1 if wildcards.clip in TRAINED_CLIPS else 8


def clip_weights(wildcards):
    """A CLIP's directory as input: what the workflow trains, or what the parameters name; none for a hub name."""
    weights = clip_settings(wildcards)["weights"]
    if weights in HUB:
        return []
    return [f"{RESULTS}/encoders/{wildcards.clip}" if weights == "train" else weights]


def clip_commit(wildcards):
    """What tells that a CLIP of the hub is in its cache; none for another."""
    weights = clip_settings(wildcards)["weights"]
    return expand(rules.fetch_clip.output, model=weights) if weights in HUB else []


def hub_backend(wildcards):
    """Which library reads a model of the hub."""
    return HUB[wildcards.model]


def hub_commit(wildcards):
    """The commit of a model of the hub."""
    return COMMITS[wildcards.model]
