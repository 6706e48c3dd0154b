# Shared by all files of rules.
#
# INPUTS    params.yaml, the files of --configfile, --config; data/sources.csv
# OUTPUTS   PARAMS (typed), CLASSES, paths that more than one file of rules uses, functions for inputs and code
#
# Inputs from another phase are paths, never references to outputs of rules. Snakemake follows a reference even to
# a rule that --allowed-rules excludes, and dvc.yaml relies on that option.

import re
import shlex
import sys
from pathlib import Path

ROOT = Path(workflow.basedir)
SOURCE = ROOT / "src"
sys.path.insert(0, str(SOURCE))
if set("{}") & set(str(ROOT)):
    raise WorkflowError(f"{ROOT}: Snakemake cannot run in a path with braces; rename it.")
# Conda activation by Snakemake removes PYTHONPATH, before the prefix runs. A notebook's MPLBACKEND may be missing here.
shell.prefix(f"export PYTHONPATH={shlex.quote(str(SOURCE))} PYTHONUTF8=1 MPLBACKEND=agg; ")

from pointspider.clouds.sources.registry import SOURCES, class_names, parse_settings
from pointspider.core.errors import InputError
from pointspider.study.code_digest import code_digest, registered_modules
from pointspider.study.config import load, shared_space
from pointspider.study.remote import missing_places, read_remotes

try:
    REMOTES = read_remotes(ROOT / "data/sources.csv")
    given = workflow.config_settings  # by --configfile and --config
    PARAMS = load([ROOT / "params.yaml", *given.configfiles], given.config, REMOTES)
    FETCHED = {remote.place: remote for remote in REMOTES.values() if remote.path}
    MISSING = missing_places(REMOTES)
    SOURCE_SETTINGS = parse_settings(dict(PARAMS.clouds))
    CLASSES = list(class_names(SOURCE_SETTINGS))
    weights = PARAMS.encoders.points.checkpoint
    SPACE = shared_space(PARAMS, getattr(REMOTES.get(weights), "place", weights))
    if max(PARAMS.zero_shot.top) > len(CLASSES):
        raise InputError(
            f"zero_shot.top: is {PARAMS.zero_shot.top}, but there are {len(CLASSES)} classes."
        )
except InputError as error:
    raise WorkflowError(str(error)) from None

RESULTS, LOGS = f"results/{PARAMS.preset}", f"logs/{PARAMS.preset}"
BENCHMARKS = f"{LOGS}/benchmarks"
PROVENANCE = {"preset": PARAMS.preset, "data": PARAMS.clouds.source}  # of every table
CLIPS = PARAMS.encoders.images
# Models on the Hugging Face hub, with the backends that load them.
HUB = {clip.weights: clip.backend for clip in CLIPS.values() if clip.weights in REMOTES}
GPUS = int(bool(HUB))  # that a job with models of published size asks for
NORMS = ["none", "layer", "response"]  # Table III compares the three
# Both splits of manifests/alignment.csv: the column of the sides, and the columns that dependent clouds share.
SPLITS = {"objects": "split", "classes": "class_split"}
UNITS = {"objects": ["class", "object"], "classes": ["class"]}

MANIFESTS = {
    name: f"{RESULTS}/manifests/{name}.csv"
    for name in ("alignment", "test", "roulette", "encoders")
}
EVALUATED = [path for name, path in MANIFESTS.items() if name != "encoders"]
CLOUDS = [f"{RESULTS}/clouds/{name}.h5" for name in CLASSES]
RENDERS = [f"{RESULTS}/renders/{name}" for name in CLASSES]
POINT_EMBEDDINGS = f"{RESULTS}/embeddings/points/{PARAMS.encoders.points.name}.h5"
IMAGE_EMBEDDINGS = f"{RESULTS}/embeddings/images/{{clip}}.h5"
PROMPTS = f"{RESULTS}/embeddings/prompts/{{clip}}.h5"
PROJECTION = f"{RESULTS}/embeddings/projections/{{clip}}.h5"
CURVES = f"{RESULTS}/curves/{{split}}/{{norm}}/seed_{{seed}}.csv"
POINT_ENCODER = f"{RESULTS}/encoders/points/{PARAMS.encoders.points.name}"

# Modules that registries import at run time, for the digests of code.
POINT_ARCHITECTURE = f"pointspider.encoders.points.architectures.{PARAMS.encoders.points.name}"
FORMATS = SOURCES[PARAMS.clouds.source].formats
SOURCE_CODE = registered_modules(SOURCE, "pointspider.clouds.sources", [PARAMS.clouds.source])
SOURCE_CODE += registered_modules(SOURCE, "pointspider.clouds.readers", FORMATS)
CORRUPTION_CODE = registered_modules(
    SOURCE, "pointspider.clouds.corruptions", PARAMS.clouds.corruptions
)


wildcard_constraints:
    class_name="|".join(map(re.escape, CLASSES)),
    clip="|".join(map(re.escape, CLIPS)),
    norm="|".join(NORMS),
    split="|".join(SPLITS),


def code(script, *selected):
    """The digest of a script and of the library code that it runs, as a parameter of its rule."""
    return code_digest(ROOT / f"workflow/scripts/{script}.py", SOURCE, selected)


def dump(section, *keys):
    """A section of the parameters, or some of its keys, as a dictionary: Snakemake compares built-in types only."""
    return section.model_dump(include=set(keys) or None)


def source_files(wildcards):
    """The files that clouds are read from: of one class in a job of that class, else of all."""
    source = SOURCES[PARAMS.clouds.source]
    paths = source.input_files(SOURCE_SETTINGS, getattr(wildcards, "class_name", None))
    paths = [path for path in paths if path in FETCHED or Path(path).exists()]
    # The time of a directory changes with every file that a file manager adds
    return [path if Path(path).is_file() else ancient(path) for path in paths]


def point_checkpoint(encoder=PARAMS.encoders.points, trained=f"{POINT_ENCODER}/model.safetensors"):
    """A point encoder's file: `trained` by the workflow, a file of data/sources.csv, or a path."""
    path = encoder.checkpoint
    return trained if path == "train" else REMOTES[path].place if path in REMOTES else path


def train_split(encoder=PARAMS.encoders.points):
    """ModelNet40's files, if a point encoder is trained on them."""
    return [encoder.directory] if encoder.checkpoint == "train" and encoder.directory else []


def clip_weights(wildcards):
    """The directory of a CLIP; nothing for a model of the hub."""
    weights = CLIPS[wildcards.clip].weights
    if weights in HUB:
        return []
    return [f"{RESULTS}/encoders/images/{wildcards.clip}" if weights == "train" else weights]


def clip_commit(wildcards):
    """The file that marks a model of the hub as downloaded; nothing for another CLIP."""
    weights = CLIPS[wildcards.clip].weights
    return [f"data/hub/{weights}.txt"] if weights in HUB else []
