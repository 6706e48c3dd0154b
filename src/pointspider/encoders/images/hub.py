"""Published models on the Hugging Face hub, at the commits in data/sources.csv, and the files of a model."""

import json
from pathlib import Path

import httpx2
from huggingface_hub import snapshot_download
from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE

from pointspider.core.errors import InputError

#: Weights that each library reads: the safe format first, for commits that have both.
WEIGHTS = {
    "open_clip": ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"],
    "transformers": ["model.safetensors", "pytorch_model.bin"],
}
#: Other files that each library needs. Of each entry, all files of one alternative.
REQUIRED = {
    "open_clip": [[["open_clip_config.json"]]],
    "transformers": [
        [["config.json"]],
        [["preprocessor_config.json"]],
        [["tokenizer.json"], ["vocab.json", "merges.txt"]],
    ],
}
#: Files that are read if they are there.
OPTIONAL = {"open_clip": [], "transformers": ["tokenizer_config.json", "special_tokens_map.json"]}


def model_directory(weights: str | Path, backend: str, revision: str | None) -> Path:
    """Return the local directory of a model, after downloading what the hub's cache lacks.

    The hub's library resumes and retries downloads. With HF_HUB_OFFLINE=1 it does not use the network.

    Args:
        weights: a local directory, or the name of a model on the hub.
        backend: "open_clip" or "transformers".
        revision: commit on the hub, from data/sources.csv.

    Raises:
        InputError: neither a directory nor a known model; or a file is damaged, or neither in the cache nor
            on the hub.
    """
    if Path(weights).is_dir():
        return Path(weights)
    if revision is None:
        raise InputError(
            f"'{weights}' is neither a directory nor a model of data/sources.csv. Give a local directory "
            "that contains the model, or add the hub's model, at a commit, to data/sources.csv."
        )
    others = [name for entry in REQUIRED[backend] for files in entry for name in files] + OPTIONAL[backend]
    directory = _download(str(weights), revision, others)
    for name in WEIGHTS[backend]:
        _download(str(weights), revision, [name])
        if (directory / name).exists():
            break
    else:
        # The library accepts a cache that has only some files of a commit
        raise _incomplete(str(weights), revision, f"has neither {' nor '.join(WEIGHTS[backend])}")
    if problem := check_files(directory, backend):
        raise _incomplete(str(weights), revision, f"does not supply it: {problem}")
    return directory


def check_files(directory: Path, backend: str) -> str:
    """Describe the first file besides the weights that is missing, empty or damaged; "" if there is none."""
    required = [*REQUIRED[backend]]
    if backend == "open_clip" and (directory / "open_clip_config.json").is_file():
        if problem := _check_file(directory / "open_clip_config.json"):
            return problem
        config = json.loads((directory / "open_clip_config.json").read_text(encoding="utf-8"))
        for key in ("model_cfg", "text_cfg"):
            config = config.get(key, {})
            if not isinstance(config, dict):
                return f"open_clip_config.json is damaged ({key} is not a JSON object)"
        if config.get("hf_tokenizer_name"):
            required.append(REQUIRED["transformers"][-1])  # its tokenizer is not open_clip's own
    names = OPTIONAL[backend]
    for alternatives in required:
        if not any(all((directory / name).exists() for name in files) for files in alternatives):
            partial = [files for files in alternatives if any((directory / name).exists() for name in files)]
            missing = [
                " and ".join(name for name in files if not (directory / name).exists())
                for files in partial or alternatives
            ]
            return f"{' or '.join(missing)} is missing"
        names = [*names, *(name for files in alternatives for name in files)]
    present = [directory / name for name in names if (directory / name).exists()]
    return next((problem for path in present if (problem := _check_file(path))), "")


def _check_file(path: Path) -> str:
    """Describe what is wrong with a text file; "" if nothing is."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return f"{path.name} cannot be read ({error})"
    if not text.strip():
        return f"{path.name} is empty"
    if path.suffix == ".json":
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            return f"{path.name} is damaged ({error})"
        if not isinstance(content, dict):
            return f"{path.name} is damaged (not a JSON object)"
    return ""


def _download(name: str, revision: str, patterns: list[str]) -> Path:
    """Return the directory of the snapshot, with the files of the commit that match."""
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (httpx2.HTTPError, OSError) as error:
        reason = str(error).splitlines()[0]
        if getattr(error, "response", None) is not None:
            raise _incomplete(name, revision, f"answers: {reason}") from error
        raise _incomplete(name, revision, f"cannot be reached ({reason})") from error


def _incomplete(name: str, revision: str, problem: str) -> InputError:
    offline = ", which HF_HUB_OFFLINE disables," if HF_HUB_OFFLINE else ""
    return InputError(
        f"{name}: the cache {HF_HUB_CACHE} lacks files of commit {revision}, and the Hugging Face "
        f"hub{offline} {problem}. Run `hf download {name} --revision {revision}` on a machine with a network "
        "and copy its cache here, or give a local directory that contains the model."
    )
