"""The models of an index turn clouds, pictures and words into unit rows; checksums identify them.

A row is the direction of

    encoder(cloud)                      in the encoder's space
    predictor(encoder(cloud))           in the space of a CLIP's pooled or projected image embeddings

Words need CLIP's projected space. Pooled rows are taken there by the visual projection, which is exact: the
projection is linear, and only directions are compared.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32, UInt8

from pointspider.core.errors import InputError
from pointspider.core.vectors import unit_rows
from pointspider.index.words import check_length

if TYPE_CHECKING:
    from pointspider.encoders.base import PointEncoder
    from pointspider.encoders.images.encoder import ClipEncoder
    from pointspider.mappers.base import Predictor

#: Points per cloud if neither the user nor the encoder says: ModelNet40's, on which most encoders were
#: trained.
POINTS = 1024
#: Files up to this size are read for their checksum; of larger ones 64 pieces of 1 MiB.
HASHED_BYTES = 2**26
LAYERS = ("pooled", "projected")
#: Formats of pictures, by Pillow's names. Others may start programs, as EPS does.
PICTURES = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
#: Pixels of a picture, which needs 12 bytes for each.
MOST_PIXELS = 89_000_000


@dataclass(frozen=True)
class ModelFile:
    """A model on disk.

    Attributes:
        name: of the architecture or model, for messages and for loading.
        path: file, or directory of a CLIP; absolute.
        checksum: see `checksum`.
    """

    name: str
    path: str
    checksum: str

    @classmethod
    def of(cls, name: str, path: str | Path) -> "ModelFile":
        """Describe a file or directory.

        Raises:
            InputError: it does not exist.
        """
        return cls(name, str(Path(path).absolute()), checksum(path))

    def check(self, option: str) -> Path:
        """Return the path if it still holds the same model.

        Raises:
            InputError: it is missing or holds another model.
        """
        found = checksum(self.path, f"the index needs {self.name}; give its new place with {option}")
        if found != self.checksum:
            raise InputError(
                f"{self.path}: contains another {self.name} ({found[:12]}) than the index was built with "
                f"({self.checksum[:12]}). Restore it, or build a new index."
            )
        return Path(self.path)

    def __str__(self) -> str:
        return f"{self.name} ({self.checksum[:12]})"


@dataclass(frozen=True)
class Description:
    """Identity of the models of an index.

    Attributes:
        encoder: point encoder.
        points: points per cloud that it gets.
        predictor: from the encoder's space to the CLIP's; None: rows stay in the encoder's space.
        clip: the CLIP in whose space the rows are; None: the encoder's own space.
        backend: library that loads the CLIP.
        layer: of the CLIP, one of `LAYERS`.
        prompt: that words and labels are put into, see `pointspider.index.words.put_into_prompt`.
        precision: of the encoder, fp32 or bf16.
    """

    encoder: ModelFile
    points: int
    predictor: ModelFile | None = None
    clip: ModelFile | None = None
    backend: str = "open_clip"
    layer: str | None = None
    prompt: str = "a {class}"
    precision: str = "fp32"

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Description":
        """Read what `to_json` returned."""
        files = {
            key: ModelFile(**values[key]) if values[key] else None for key in ("encoder", "predictor", "clip")
        }
        return cls(**{**values, **files})

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @property
    def space(self) -> str:
        """The space of the rows, in words."""
        return f"{self.layer} layer of {self.clip}" if self.clip else f"embeddings of {self.encoder}"

    @property
    def _embedding(self) -> str:
        return f"{self.encoder}, {self.points} points, {self.precision}"

    def require_equal(self, other: "Description", what: str) -> None:
        """Refuse models that differ in encoder, predictor or space. Paths may differ.

        Raises:
            InputError: they differ; the message has both.
        """
        for part, mine, theirs in (
            ("encoder", self._embedding, other._embedding),
            ("predictor", str(self.predictor), str(other.predictor)),
            ("space", self.space, other.space),
        ):
            if mine != theirs:
                raise InputError(
                    f"{what}: its {part} is {mine}, not {theirs}. Use the same models, or build a new index "
                    "in another directory."
                )


class Models:
    """Loads the models of a description when they are first needed.

    Attributes:
        description: of the models.
        device: see `pointspider.training.device.pick_device`.
    """

    def __init__(self, description: Description, device: str = "auto"):
        self.description = description
        self.device = device

    @classmethod
    def of(
        cls,
        encoder: str,
        checkpoint: str | Path,
        *,
        points: int | None = None,
        predictor: str | Path | None = None,
        clip: str | Path | None = None,
        backend: str = "open_clip",
        layer: str | None = None,
        prompt: str = "a {class}",
        precision: str = "fp32",
        device: str = "auto",
    ) -> "Models":
        """Describe models by their files.

        Args:
            encoder: name of the point encoder, see `pointspider.encoders.points.registry`.
            checkpoint: its weights.
            points: points per cloud; None: the encoder's number, else `POINTS`.
            predictor: file of a predictor; None: rows stay in the encoder's space.
            clip: directory of the CLIP in whose space the rows are.
            backend: open_clip or transformers.
            layer: pooled or projected; needed with `clip`.
            prompt: that words and labels are put into, see `pointspider.index.words.put_into_prompt`.
            precision: of the encoder: fp32, or bf16, which is faster where the hardware multiplies in it.
            device: auto, cpu or cuda.

        Raises:
            InputError: a file is missing, a name is unknown, or widths do not match.
        """
        if clip is not None and layer not in LAYERS:
            raise InputError(f"layer: '{layer}' does not exist; a CLIP has {' and '.join(LAYERS)}.")
        if "{class}" not in prompt:
            raise InputError(f"prompt: '{prompt}' lacks {{class}}, the place of the words.")
        if clip is None and layer is not None:
            raise InputError(f"layer: '{layer}' needs the CLIP that it belongs to.")
        description = Description(
            encoder=ModelFile.of(encoder, checkpoint),
            points=points or 0,
            predictor=ModelFile.of(Path(predictor).stem, predictor) if predictor else None,
            clip=ModelFile.of(Path(clip).name, clip) if clip else None,
            backend=backend,
            layer=layer,
            prompt=prompt,
            precision=precision,
        )
        models = cls(description, device)
        if not points:
            points = models.encoder.points or POINTS
            models.description = Description.from_json({**description.to_json(), "points": points})
        if models.predictor and models.predictor.input_width != models.encoder.width:
            raise InputError(
                f"{predictor}: maps {models.predictor.input_width} numbers, but {encoder} gives "
                f"{models.encoder.width}; use the predictor that was trained with it."
            )
        if clip is not None and models.predictor is None:
            models._check_space(encoder, f"{layer} layer of {description.clip}")
        return models

    def _check_space(self, encoder: str, target: str) -> None:
        """Refuse an encoder that does not embed into the projected layer of the CLIP."""
        space, width = self.encoder.space, self.encoder.width
        if space is None:
            raise InputError(f"clip: {encoder} embeds into no CLIP's space; give a predictor into it.")
        if self.description.layer != "projected" or self.projection.shape[1] != width:
            raise InputError(
                f"clip: {encoder} embeds into the projected layer of {space}, {width} numbers, not into the "
                f"{target}, whose projected layer has {self.projection.shape[1]}. Give that CLIP and layer."
            )

    @cached_property
    def encoder(self) -> "PointEncoder":
        """The point encoder."""
        from pointspider.encoders.points.registry import load_point_encoder

        file = self.description.encoder
        encoder: PointEncoder = load_point_encoder(file.name, file.check("--checkpoint"), self.device)
        return encoder

    @cached_property
    def predictor(self) -> "Predictor | None":
        """The predictor."""
        from pointspider.mappers.files import load_predictor

        file = self.description.predictor
        return load_predictor(file.check("--predictor")) if file else None

    @cached_property
    def clip(self) -> "ClipEncoder":
        """The CLIP.

        Raises:
            InputError: the index is not in the space of a CLIP.
        """
        from pointspider.encoders.images.clip import load_clip

        file = self.description.clip
        if file is None:
            raise InputError(
                f"this index holds {self.description.space}, which pictures and words cannot be compared "
                "with. Build an index with a predictor into a CLIP's pooled or projected layer (--predictor, "
                "--clip, --layer), or with an encoder that lives in the space of a CLIP (OpenShape)."
            )
        return load_clip(file.name, self.description.backend, file.check("--clip"), self.device)

    @property
    def projection(self) -> Float32[np.ndarray, "W D"]:
        """CLIP's visual projection, from pooled to projected embeddings."""
        matrix: np.ndarray = self.clip.projection.detach().cpu().numpy()
        return matrix

    @property
    def width(self) -> int:
        """Width of the rows."""
        return self.predictor.output_width if self.predictor else self.encoder.width

    def embed_clouds(self, clouds: Float[np.ndarray, "n P 3"]) -> Float32[np.ndarray, "n D"]:
        """Embed clouds that `pointspider.index.clouds.prepare` returned, y up.

        Returns:
            Unit rows.

        Raises:
            InputError: an embedding has no direction (it is zero, NaN or inf).
        """
        from pointspider.encoders.points.inference import embed_clouds

        values = clouds.astype(np.float32)
        return self.predict(embed_clouds(self.encoder, values, precision=self.description.precision))

    def predict(self, embeddings: Float[np.ndarray, "n W"]) -> Float32[np.ndarray, "n D"]:
        """Take embeddings of the point encoder to unit rows."""
        if self.predictor:
            embeddings = self.predictor.predict(embeddings)
        return unit_rows(embeddings, "embeddings")

    def embed_pictures(self, pictures: Sequence[str | Path]) -> Float32[np.ndarray, "n D"]:
        """Embed picture files as unit rows of the layer of the index.

        Raises:
            InputError: a file is not a picture, or the index is not in the space of a CLIP.
        """
        layer = self.description.layer or "projected"
        clip = self.clip
        rows = [clip.encode_images(read_picture(path)[None])[layer][0] for path in pictures]
        return unit_rows(np.stack(rows), "pictures")

    def embed_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "n D"]:
        """Embed texts as unit rows of CLIP's projected space.

        Raises:
            InputError: a text is empty or longer than the context, or the index is not in the space of a
                CLIP.
        """
        for text in texts:
            check_length(self.clip, text)
        return unit_rows(self.clip.encode_prompts(list(texts)), "texts")

    def project(self, rows: Float[np.ndarray, "n D"]) -> Float32[np.ndarray, "n P"]:
        """Take rows of the index to unit rows of CLIP's projected space."""
        if self.description.layer == "pooled":
            return unit_rows(rows @ self.projection, "rows")
        return unit_rows(rows, "rows")


def read_picture(path: str | Path) -> UInt8[np.ndarray, "H H 3"]:
    """Read the central square of a picture as sRGB, over white where it is transparent.

    Raises:
        InputError: the file is missing, damaged or not a picture.
    """
    from PIL import Image

    try:
        content = io.BytesIO(Path(path).read_bytes())  # reads no more than there is
        with Image.open(content, formats=PICTURES) as image:
            width, height = image.size
            rgba = image.convert("RGBA") if width * height <= MOST_PIXELS else None
    except Exception as error:  # Pillow raises almost any for a damaged file
        raise InputError(f"{path}: not a complete picture ({error}).") from error
    if rgba is None:
        raise InputError(f"{path}: has {width} x {height} pixels; reduce it to {MOST_PIXELS:,} at most.")
    over = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    side = min(over.size)
    left, top = (over.width - side) // 2, (over.height - side) // 2
    return np.asarray(over.crop((left, top, left + side, top + side)))


def checksum(path: str | Path, missing: str = "give an existing file") -> str:
    """Return a SHA-256 of a file, or of the names and contents of the files of a directory.

    Of files above `HASHED_BYTES`, only the size and 64 evenly spaced pieces of 1 MiB are read.

    Raises:
        InputError: there is no such file or directory.
    """
    path = Path(path)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    try:
        for file in files:
            size = file.stat().st_size
            digest.update(f"{file.relative_to(path).as_posix()}\0{size}\0".encode())
            with file.open("rb") as stream:
                if size <= HASHED_BYTES:
                    digest.update(stream.read())
                else:
                    for offset in np.linspace(0, size - 2**20, 64).astype(np.int64).tolist():
                        stream.seek(offset)
                        digest.update(stream.read(2**20))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {missing}.") from error
    if not files:
        raise InputError(f"{path}: is empty; {missing}.")
    return digest.hexdigest()
