"""The parameters of one preset as typed models: what params.yaml may contain.

The docstring below a field is its description in workflow/schemas/params.schema.yaml and docs/parameters.md.
Checks that involve more than one section are in `pointspider.study.config.load`.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    create_model,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from pointspider.clouds.corruptions.registry import CORRUPTIONS
from pointspider.clouds.sources.base import SourceSettings
from pointspider.clouds.sources.registry import SOURCES
from pointspider.encoders.points.registry import list_point_encoders
from pointspider.encoders.points.settings import PointSettings

T = TypeVar("T")


class Section(BaseModel):
    """A mapping in params.yaml: unknown keys are errors, and "3" is not 3."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        for key in value if isinstance(value, Mapping) else ():
            if key not in cls.model_fields:
                known = list(cls.model_fields)
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(sorted(known))}."
                raise PydanticCustomError("unknown_key", "unknown key; {hint}", {"key": key, "hint": hint})
        return value


def _unique(values: list[T]) -> list[T]:
    if any(value in values[:index] for index, value in enumerate(values)):
        raise PydanticCustomError("unique", "contains an item twice")
    return values


def _one_of(names: Sequence[str]) -> tuple[Any, ...]:
    """Annotations of a string that is one of `names`, which a registry provides."""

    def check(name: str) -> str:
        if name not in names:
            raise PydanticCustomError("one_of", "should be one of {names}", {"names": ", ".join(names)})
        return name

    return AfterValidator(check), Field(json_schema_extra={"enum": list(names)})


def _list(minimum: int = 1) -> tuple[Any, ...]:
    """Annotations of a list without duplicates."""
    return Field(min_length=minimum, json_schema_extra={"uniqueItems": True}), AfterValidator(_unique)


def _tag(key: str) -> Callable[[Any], str]:
    """A discriminator: `trained` where `key` is "train", else `published`."""

    def choose(value: Any) -> str:
        chosen = value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)
        return "trained" if chosen == "train" else "published"

    return choose


NOT_TRAIN = Field(json_schema_extra={"not": {"const": "train"}})
#: Corruptions whose names can be parts of file names, not "<benchmark>/<name>".
STUDIED = [name for name in CORRUPTIONS if "/" not in name]
Seed = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Resolution = Annotated[int, Field(ge=16, le=4096)]
HeadMultiple = Annotated[int, Field(ge=1, multiple_of=32)]
Prompt = Annotated[str, Field(pattern=r"\{class\}")]


class Seeds(Section):
    """The seeds of every random draw"""

    objects: Seed
    """proportions of procedural objects, surface points, resampling of a folder's clouds"""
    corruptions: Seed
    """noise and choices of the corruptions"""
    alignment: Seed
    """corruption level at which an object is aligned"""
    split: Seed
    """train and test side of the mappers, by objects and by classes; folds of cross-validation"""
    test: Seed
    """severities of the test clouds"""
    roulette: Seed
    """Double Roulette"""
    encoders: Seed
    """corruption levels of the training clouds, initial weights, batches"""
    render: Seed
    """Monte-Carlo samples"""


class CloudsSection(Section):
    """Where clouds come from and how they are corrupted, without the settings of the source itself"""

    source: str
    """where the clouds come from"""
    directory: str | None
    points: Count
    """points per clean cloud"""
    corruptions: Annotated[list[Annotated[str, *_one_of(STUDIED)]], *_list()]
    """names of ModelNet40-C's corruptions"""
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], *_list()]
    """severities, 1 (weak) to 5 (strong)"""
    classes: Literal["all"] | Annotated[list[str], *_list(2)]
    """`all`, or the classes to use"""
    evaluation_objects: Annotated[int, Field(ge=2)] | None
    """objects per class that are aligned and evaluated; null: all"""
    encoder_objects: Annotated[int, Field(ge=0)]
    """other objects per class that the encoders are trained on"""
    encoder_variants: Annotated[int, Field(ge=0)]
    """corruption levels of each encoder object that the CLIPs are trained on: clean, and random others"""


def _clouds(settings: type[SourceSettings]) -> type[CloudsSection]:
    """Return the section `clouds` of one source: its own settings and those of the study."""
    own: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in settings.model_fields.items()
        if name not in ("source", "classes", "corruptions")
    }
    source = Field(description=CloudsSection.model_fields["source"].description)
    own["source"] = (settings.model_fields["source"].annotation, source)
    return create_model(settings.__name__, __base__=CloudsSection, __doc__=settings.__doc__, **own)


if TYPE_CHECKING:
    Clouds = CloudsSection
else:
    Clouds = Annotated[
        Union[tuple(_clouds(source.Settings) for _, source in sorted(SOURCES.items()))],  # noqa: UP007 (computed)
        Field(discriminator="source"),
    ]


class ImageEmbedding(Section):
    """The embeddings that the mappers predict"""

    model: str
    """a key of `encoders.images`"""
    layer: Literal["pooled", "projected"]
    """before or after the visual projection"""


class Split(Section):
    """Numbers of objects on each side"""

    train: Count
    """objects"""
    test: Count
    """objects"""


class Alignment(Section):
    """The clouds that the mappers are trained on"""

    clouds: Literal["roulette", "original", "all"]
    """`roulette`: each object at one random corruption level, `original`: clean, `all`: at every level"""
    image_embedding: ImageEmbedding
    """the embeddings that the mappers predict"""
    split: Split
    """numbers of objects on each side"""
    held_out_classes: Count
    """classes on the test side of the second split, which is by classes"""


class Test(Section):
    """The clouds that everything is tested on"""

    clouds: Literal["corruptions", "all"]
    """each test object clean, and once per corruption or at every corruption level"""


class Roulette(Section):
    """The draws of Table II"""

    repeats: Count
    """Double Roulette draws, each with one cloud per class; the first is Table II's"""


class ZeroShot(Section):
    """Classification by prompts"""

    prompt: Prompt
    """the prompt, which contains {class}"""
    class_names: Literal["spaces", "verbatim"]
    """`spaces`: "night stand", `verbatim`: "night_stand\""""
    templates: Annotated[list[Prompt], *_list()]
    """the prompts of the ensemble, each with {class}"""
    top: Annotated[list[Count], *_list()]
    """every k of the top-k accuracies, 1 among them"""


class Render(Section):
    """How clouds are rendered"""

    variant: Literal["auto", "cuda_ad_rgb", "llvm_ad_rgb", "scalar_rgb"]
    """Mitsuba variant; `auto`: the first of cuda, llvm and scalar that works"""
    layout: Literal["png", "shards"]
    """files of renders; `png`: one per render, `shards`: HDF5, 1024 encoded PNGs of a class in each"""
    resolution: Resolution
    """pixels, width = height"""
    quality: Literal["clip", "reference"]
    """`clip`: for encoders, `reference`: for people"""


class ReferenceRender(Section):
    """The reference procedure's images"""

    resolution: Resolution
    """pixels, width = height"""
    samples_per_pixel: Count
    """Monte-Carlo samples per pixel"""


class Speed(Section):
    """Table I"""

    clouds: Count
    """clouds that are timed, after one that is not"""
    reference: ReferenceRender
    """the reference procedure's images"""


class _Clip(Section):
    backend: Literal["open_clip", "transformers"]
    """library that loads the model"""
    weights: str
    patch: Count | None = None
    """pixels; this and the rest: unused without `weights: train`"""
    width: HeadMultiple | None = None
    """width of the vision tower"""
    layers: Count | None = None
    """layers of the vision tower"""
    text_width: HeadMultiple | None = None
    """width of the text tower"""
    text_layers: Count | None = None
    """layers of the text tower"""
    projection: Count | None = None
    """width of the space that images and texts share"""
    epochs: Count | None = None
    """training epochs"""
    learning_rate: Rate | None = None
    """peak learning rate of AdamW"""
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    """weight decay of AdamW"""


class TrainedClip(_Clip):
    """A small CLIP that the workflow trains"""

    backend: Literal["open_clip"]
    weights: Literal["train"]
    patch: Count
    width: HeadMultiple
    layers: Count
    text_width: HeadMultiple
    text_layers: Count
    projection: Count
    epochs: Count
    learning_rate: Rate
    weight_decay: Annotated[float, Field(ge=0)]

    def training(self) -> dict[str, Any]:
        """Return the fields of `pointspider.encoders.images.settings.TinyClipSettings`."""
        return self.model_dump(exclude={"backend", "weights"})


class PublishedClip(_Clip):
    """A CLIP with published weights; the keys of the training are ignored"""

    weights: Annotated[str, NOT_TRAIN]
    """`train`, a hub model of data/sources.csv, or a local directory"""


Clip = Annotated[
    Annotated[TrainedClip, Tag("trained")] | Annotated[PublishedClip, Tag("published")],
    Discriminator(_tag("weights")),
]


class _PointEncoder(Section):
    name: Annotated[str, *_one_of(list_point_encoders())]
    """architecture"""
    checkpoint: str
    directory: str | None = None
    """ModelNet40's HDF5 files to train on; null: the encoder objects; unused without `checkpoint: train`"""


class TrainedPointEncoder(PointSettings, _PointEncoder):
    """A point encoder that the workflow trains"""

    checkpoint: Literal["train"]

    def training(self) -> dict[str, Any]:
        """Return the fields of `pointspider.encoders.points.settings.PointSettings`."""
        return self.model_dump(include=set(PointSettings.model_fields))


class _PublishedPointEncoder(_PointEncoder):
    """A point encoder with a checkpoint; the keys of the training are ignored"""

    checkpoint: Annotated[str, NOT_TRAIN]
    """`train`, a file of data/sources.csv by name, or a path"""


def _optional(field: FieldInfo) -> Any:
    """The type of a field with its constraints, or None."""
    kind: Any = field.annotation
    return (Annotated[(kind, *field.metadata)] if field.metadata else kind) | None


if TYPE_CHECKING:
    PublishedPointEncoder = _PublishedPointEncoder
else:
    PublishedPointEncoder = create_model(
        "PublishedPointEncoder",
        __base__=_PublishedPointEncoder,
        __doc__=_PublishedPointEncoder.__doc__,
        **{
            name: (_optional(field), Field(None, description=field.description))
            for name, field in PointSettings.model_fields.items()
        },
    )

PointEncoder = Annotated[
    Annotated[TrainedPointEncoder, Tag("trained")] | Annotated[PublishedPointEncoder, Tag("published")],
    Discriminator(_tag("checkpoint")),
]


class Encoders(Section):
    """The models that embed images, prompts and clouds"""

    images: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")], Clip],
        Field(min_length=1),
    ]
    """the CLIPs by name"""
    points: PointEncoder
    """the point encoder"""
    image_precision: Literal["auto", "fp32", "bf16", "int8"]
    """precision of the products that embed images; `auto`: bf16 on a GPU that supports it, else fp32; \
`int8`: CPUs only; a CPU needs the instructions of `bf16` or `int8`"""


class Table4(Section):
    """Table IV: point encoders under the same mapper and baselines; `snakemake table4`"""

    encoders: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")], PointEncoder] = Field(
        default_factory=dict
    )
    """the encoders by name, with the keys of `encoders.points`; keys with a default may be omitted"""


class Mapper(Section):
    """The mappers of Table III"""

    norm: Literal["none", "layer", "response"]
    """the selected mapper: BASE, LNORM or RNORM; Table III trains all three"""
    init: str | None
    """file of a mapper to fine-tune; `{norm}` in it stands for none, layer or response; without, only the \
    mapper with `mapper.norm` starts from it; null: random weights"""
    learning_rate: Rate
    """learning rate of Adam"""
    response_size: Count
    """channels of LocalResponseNorm"""
    precision: Literal["auto", "fp32", "bf16"]
    """precision of the products in training; `auto`: bf16 on a GPU that supports it, else fp32"""
    base_width: Count | None
    """hidden layers have 2, 4, 8, 4, 2 times this width; null: the input's width"""
    epochs: Count
    """training epochs"""
    batch_size: Count | None
    """samples; null: the complete training split"""
    seeds: Annotated[list[Seed], *_list()]
    """one training per seed"""


class Baselines(Section):
    """The baselines of Table III"""

    ridge_lambdas: Annotated[list[Rate], *_list()]
    """penalties to try, in units of the mean squared singular value of the centred point embeddings"""
    folds: Annotated[int, Field(ge=2)]
    """folds of the cross-validation"""
    choice_folds: Count
    """folds that are left out in turn to choose the predictor of search, at most `folds`"""


class Params(Section):
    """The parameters of one preset: the top level of params.yaml merged with presets.<preset>"""

    preset: str
    """name of the preset in use"""
    seeds: Seeds
    """the seeds of every random draw"""
    clouds: Clouds
    """where clouds come from and how they are corrupted"""
    alignment: Alignment
    """the clouds that the mappers are trained on"""
    test: Test
    """the clouds that everything is tested on"""
    roulette: Roulette
    """the draws of Table II"""
    zero_shot: ZeroShot
    """classification by prompts"""
    render: Render
    """how clouds are rendered"""
    speed: Speed
    """Table I"""
    encoders: Encoders
    """the models that embed images, prompts and clouds"""
    mapper: Mapper
    """the mappers of Table III"""
    table4: Table4 = Field(default_factory=Table4)
    """Table IV"""
    baselines: Baselines
    """the baselines of Table III"""
