"""Published models on the Hugging Face hub, at the commits that data/sources.csv names."""

from pathlib import Path

import httpx2
from huggingface_hub import snapshot_download
from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE

from pointspider.core.errors import InputError

#: What each library reads, beside the weights: configuration, preprocessing and tokenizer.
FILES = {
    "open_clip": ["open_clip_config.json"],
    "transformers": [
        "config.json",
        "preprocessor_config.json",
        "tokenizer*.json",
        "vocab.json",
        "merges.txt",
        "special_tokens_map.json",
    ],
}
#: The weights, the safe format first: a commit that lacks it has the other.
WEIGHTS = {
    "open_clip": ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"],
    "transformers": ["model.safetensors", "pytorch_model.bin"],
}


def model_directory(weights: str | Path, backend: str, revision: str | None) -> Path:
    """The local directory of a model: itself, or the hub's cache, to which what is missing is downloaded.

    The hub's library resumes and retries, and with HF_HUB_OFFLINE=1 never asks the network.

    Args:
        weights: a local directory, or the name of a model on the hub.
        backend: "open_clip" or "transformers".
        revision: the commit on the hub, of data/sources.csv.

    Raises:
        InputError: it is neither; or its cache lacks a file that the hub does not give.
    """
    if Path(weights).is_dir():
        return Path(weights)
    if revision is None:
        raise InputError(
            f"'{weights}' is neither a directory nor a model of data/sources.csv. Give a local directory "
            "that holds the whole model, or add the hub's model, at a commit, to data/sources.csv."
        )
    directory = _download(str(weights), revision, FILES[backend])
    for name in WEIGHTS[backend]:
        _download(str(weights), revision, [name])
        if (directory / name).exists():
            return directory
    # The library is content with a part of a commit in its cache
    raise _incomplete(str(weights), revision, f"has neither {' nor '.join(WEIGHTS[backend])}")


def _download(name: str, revision: str, patterns: list[str]) -> Path:
    """The snapshot's directory, with those files of the commit that match."""
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (httpx2.HTTPError, OSError) as error:
        reason = str(error).splitlines()[0]
        if getattr(error, "response", None) is not None:
            raise _incomplete(name, revision, f"answers: {reason}") from error
        raise _incomplete(name, revision, f"cannot be reached ({reason})") from error


def _incomplete(name: str, revision: str, problem: str) -> InputError:
    offline = ", which HF_HUB_OFFLINE forbids to ask," if HF_HUB_OFFLINE else ""
    return InputError(
        f"{name}: the cache {HF_HUB_CACHE} lacks commit {revision}, or some of it, and the Hugging Face "
        f"hub{offline} {problem}. Where there is a network, run `hf download {name} --revision {revision}` "
        "and copy that cache here; or give a local directory that holds the model."
    )
