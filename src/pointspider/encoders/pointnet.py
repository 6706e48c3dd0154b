"""PointNet (Qi et al., CVPR 2017), as ModelNet40-C's benchmark trains it.

    points (B, N, 3)
      input T-Net      3 x 3 matrix per cloud
      conv1            64 channels
      feature T-Net    64 x 64 matrix per cloud
      conv2, conv3     128, 1024 channels
      max over points  the global feature (B, 1024), no ReLU: it has negatives
      fc1, fc2, fc3    512, 256, classes

Parameters have the names and shapes of the benchmark's released checkpoint, which so loads as it is once its
wrappers' prefixes are off (github.com/jiachens/ModelNet40-C, cor_exp/dgcnn_pointnet_run_1).

B is clouds in a batch, N points per cloud, P = B * N, C channels.
"""

import codecs
import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

from pointspider.encoders.training import reproducible
from pointspider.errors import InputError
from pointspider.storage import atomic

#: Channels of the global feature.
FEATURES = 1024

#: The rest of the benchmark's recipe (ModelNet40-C, all_utils.smooth_loss, main.get_loss and dataloader.py).
LABEL_SMOOTHING = 0.2  # probability that the target gives to the other classes together
ORTHOGONALITY = 0.001  # weight of the feature T-Net's regulariser
SCALE = (2 / 3, 3 / 2)  # per cloud and axis, uniform
SHIFT = 0.2  # per cloud and axis, uniform in [-SHIFT, SHIFT]
PLATEAU = {"factor": 0.5, "patience": 10, "min_lr": 1e-5}  # of the learning rate, by the training loss


# ----------------------------------------------------------------------------------------------- model


class PointwiseLinear(nn.Conv1d):
    """One linear layer for every point: (P, C) to (P, C').

    Its weight is that of a convolution of width 1, the checkpoint's layout; as a matrix product it takes a
    CPU half the time.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight[:, :, 0], self.bias)


def max_over_points(x: torch.Tensor, clouds: int) -> torch.Tensor:
    """(P, C) to (B, C)."""
    # max with indices, not amax: its gradient goes to one point and is twice as quick
    return x.view(clouds, -1, x.shape[1]).max(dim=1).values


class TNet(nn.Module):
    """A matrix per cloud, predicted from its points; the identity before training."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.conv1, self.bn1 = PointwiseLinear(width, 64), nn.BatchNorm1d(64)
        self.conv2, self.bn2 = PointwiseLinear(64, 128), nn.BatchNorm1d(128)
        self.conv3, self.bn3 = PointwiseLinear(128, 1024), nn.BatchNorm1d(1024)
        self.fc1, self.bn4 = nn.Linear(1024, 512), nn.BatchNorm1d(512)
        self.fc2, self.bn5 = nn.Linear(512, 256), nn.BatchNorm1d(256)
        self.fc3 = nn.Linear(256, width * width)
        nn.init.zeros_(self.fc3.weight)
        nn.init.zeros_(self.fc3.bias)

    def forward(self, x: torch.Tensor, clouds: int) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(x)))  # (P, 64)
        x = F.relu(self.bn2(self.conv2(x)))  # (P, 128)
        x = self.bn3(self.conv3(x))  # (P, 1024)
        x = F.relu(max_over_points(x, clouds))  # (B, 1024); ReLU is monotone, so it may come after
        x = F.relu(self.bn4(self.fc1(x)))  # (B, 512)
        x = F.relu(self.bn5(self.fc2(x)))  # (B, 256)
        x = self.fc3(x).view(clouds, self.width, self.width)
        return x + torch.eye(self.width, device=x.device)  # (B, width, width)


class Features(nn.Module):
    """From points to the global feature."""

    def __init__(self) -> None:
        super().__init__()
        self.stn = TNet(3)
        self.fstn = TNet(64)
        self.conv1, self.bn1 = PointwiseLinear(3, 64), nn.BatchNorm1d(64)
        self.conv2, self.bn2 = PointwiseLinear(64, 128), nn.BatchNorm1d(128)
        self.conv3, self.bn3 = PointwiseLinear(128, FEATURES), nn.BatchNorm1d(FEATURES)

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        clouds = len(points)
        x = points.reshape(-1, 3)  # (P, 3)
        x = torch.bmm(points, self.stn(x, clouds)).view(-1, 3)  # (P, 3)
        x = F.relu(self.bn1(self.conv1(x)))  # (P, 64)
        transform = self.fstn(x, clouds)  # (B, 64, 64)
        x = torch.bmm(x.view(clouds, -1, 64), transform).view(-1, 64)  # (P, 64)
        x = F.relu(self.bn2(self.conv2(x)))  # (P, 128)
        x = self.bn3(self.conv3(x))  # (P, 1024)
        return max_over_points(x, clouds), transform  # (B, 1024), (B, 64, 64)


class PointNet(nn.Module):
    """The classifier; its global feature is what clouds are embedded with."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.feat = Features()
        self.fc1, self.bn1 = nn.Linear(FEATURES, 512), nn.BatchNorm1d(512)
        self.fc2, self.bn2 = nn.Linear(512, 256), nn.BatchNorm1d(256)
        self.dropout = nn.Dropout(0.3)
        self.fc3 = nn.Linear(256, classes)

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (B, N, 3) float32 to logits (B, classes) and the feature T-Net's matrices (B, 64, 64)."""
        x, transform = self.feat(points)  # (B, 1024)
        x = F.relu(self.bn1(self.fc1(x)))  # (B, 512)
        x = F.relu(self.bn2(self.dropout(self.fc2(x))))  # (B, 256)
        return self.fc3(x), transform

    def global_feature(self, points: torch.Tensor) -> torch.Tensor:
        """Points (B, N, 3) float32 to the maximum over points of bn3(conv3), (B, 1024) float32."""
        return self.feat(points)[0]


def encode(model: PointNet, points: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Global features of clouds with any one number of points.

    Args:
        model: in eval mode, as `load_point_encoder` returns it.
        points: (M, N, 3) float32.
        batch_size: clouds that go through the model at once.

    Returns:
        (M, 1024) float32.
    """
    return _apply(model.global_feature, model, points, batch_size)


def classify(model: PointNet, points: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Class numbers of clouds, (M,) int64; arguments as for `encode`."""
    return _apply(lambda x: model(x)[0].argmax(dim=1), model, points, batch_size)


def _apply(function: Callable, model: PointNet, points: np.ndarray, batch_size: int) -> np.ndarray:
    device = next(model.parameters()).device
    with torch.inference_mode():
        results = [function(batch.to(device)) for batch in torch.tensor(points).split(batch_size)]
    return torch.cat(results).cpu().numpy()


# -------------------------------------------------------------------------------------------- training


@dataclass(frozen=True)
class PointNetSettings:
    """How to train: `encoders.points` with `weights: train`.

    The benchmark trains 300 epochs of 1024 points in batches of 32 with learning rate 0.001 and the plateau
    schedule, which gives 89 to 90 % on ModelNet40's test split, and takes days on a CPU. Fifteen epochs of
    128 points with the cosine take about a minute of one CPU core for 480 procedural clouds, and name 90 %
    of 320 clean unseen ones among 40 classes.
    """

    epochs: int
    points: int  # drawn anew from each cloud for every batch
    batch_size: int  # clouds
    learning_rate: float  # Adam
    schedule: str  # of the learning rate: "plateau", or "cosine" to zero, for trainings of a few epochs


def augment(points: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Scale and shift each cloud of (B, N, 3) along each axis."""
    clouds = len(points)
    scale = torch.empty(clouds, 1, 3).uniform_(*SCALE, generator=generator)
    shift = torch.empty(clouds, 1, 3).uniform_(-SHIFT, SHIFT, generator=generator)
    return points * scale + shift


def loss_function(logits: torch.Tensor, labels: torch.Tensor, transform: torch.Tensor) -> torch.Tensor:
    """Smoothed cross-entropy plus the feature T-Net's distance from orthogonality."""
    classes = logits.shape[1]
    # PyTorch spreads its smoothing over all classes, the benchmark over the wrong ones
    smoothing = LABEL_SMOOTHING * classes / (classes - 1)
    gram = torch.bmm(transform, transform.transpose(1, 2))  # (B, 64, 64)
    distance = torch.linalg.matrix_norm(gram - torch.eye(64)).mean()
    return F.cross_entropy(logits, labels, label_smoothing=smoothing) + ORTHOGONALITY * distance


def batches(
    points: torch.Tensor, labels: torch.Tensor, settings: PointNetSettings, generator: torch.Generator
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One epoch of augmented (points (B, settings.points, 3), labels (B,)); a rest is dropped."""
    size = min(settings.batch_size, len(points))
    for rows in torch.randperm(len(points), generator=generator).split(size):
        if len(rows) == size:
            some = torch.randperm(points.shape[1], generator=generator)[: settings.points]
            yield augment(points[rows][:, some], generator), labels[rows]


def _plateau(optimizer: torch.optim.Optimizer, epochs: int) -> Callable[[float], None]:
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **PLATEAU).step


def _cosine(optimizer: torch.optim.Optimizer, epochs: int) -> Callable[[float], None]:
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    return lambda loss: schedule.step()


#: From an optimizer and the number of epochs to what takes the loss of each epoch.
SCHEDULES = {"plateau": _plateau, "cosine": _cosine}


def train_pointnet(
    points: np.ndarray,
    labels: np.ndarray,
    settings: PointNetSettings,
    seed: int,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda epoch, metrics: None,
) -> tuple[PointNet, list[dict[str, float]]]:
    """Train a classifier on the CPU.

    Args:
        points: (M, N, 3) float32.
        labels: (M,) integers from 0.
        settings: see `PointNetSettings`.
        seed: of initial weights, batches, augmentation and dropout.
        on_epoch: called after every epoch with its number and {"loss", "accuracy", "learning_rate"}, the
            first two means over its batches.

    Returns:
        The model in eval mode, and the epochs' metrics.
    """
    points, labels = torch.tensor(points, dtype=torch.float32), torch.tensor(labels, dtype=torch.long)
    history = []
    with reproducible(seed, "pointnet") as generator:
        model = PointNet(classes=int(labels.max()) + 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)
        step_schedule = SCHEDULES[settings.schedule](optimizer, settings.epochs)
        for epoch in tqdm(range(settings.epochs), desc="PointNet", unit="epoch", disable=None):
            losses, hits = [], []
            for x, y in batches(points, labels, settings, generator):
                logits, transform = model(x)
                loss = loss_function(logits, y, transform)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                hits.append((logits.argmax(dim=1) == y).float().mean().item())
            metrics = {
                "loss": float(np.mean(losses)),
                "accuracy": float(np.mean(hits)),
                "learning_rate": optimizer.param_groups[0]["lr"],
            }
            step_schedule(metrics["loss"])
            history.append(metrics)
            on_epoch(epoch, metrics)
    return model.eval(), history


# ------------------------------------------------------------------------------------------------ files


def save_pointnet(path: str | Path, model: PointNet) -> None:
    """Write a model as safetensors; equal weights give equal bytes."""
    # One entry: safetensors writes several in random order
    metadata = {"pointnet": json.dumps({"classes": model.fc3.out_features})}
    with atomic(path) as temporary:
        save_file(model.state_dict(), temporary, metadata=metadata)


def load_point_encoder(path: str | Path, device: str = "auto") -> PointNet:
    """Load a PointNet that `save_pointnet` wrote (.safetensors), or the benchmark's checkpoint (.pth).

    Args:
        path: the file.
        device: a PyTorch device, or "auto": CUDA where there is one.

    Returns:
        The model in eval mode.

    Raises:
        InputError: the file is missing, broken, or holds another model.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"encoders.points.weights: there is no file {path}.")
    classes, state = _read_released(path) if path.suffix == ".pth" else _read_own(path)
    model = PointNet(classes)
    wanted = model.state_dict()
    wrong = {
        "missing": [name for name in wanted if name not in state],
        "unexpected": [name for name in state if name not in wanted],
        "of another shape": [n for n in wanted if n in state and state[n].shape != wanted[n].shape],
    }
    if found := "; ".join(f"{what}: {', '.join(names)}" for what, names in wrong.items() if names):
        raise InputError(f"{path}: is not a PointNet with T-Nets and {classes} classes. Tensors {found}.")
    model.load_state_dict(state)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device).eval()


def _read_own(path: Path) -> tuple[int, dict[str, torch.Tensor]]:
    """Number of classes and tensors of a file that `save_pointnet` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: is not a whole safetensors file ({error}).") from error
    if "pointnet" not in metadata:
        raise InputError(f"{path}: its metadata tells of no PointNet; it is another model's file.")
    return json.loads(metadata["pointnet"])["classes"], state


def _read_released(path: Path) -> tuple[int, dict[str, torch.Tensor]]:
    """Number of classes and tensors of the benchmark's checkpoint, without the wrappers' prefixes.

    Beside the tensors it holds scores as NumPy scalars, which are the only further types that may be read.
    """
    scalar = np.float64(0).__reduce__()[0]
    allowed = [
        scalar,
        (scalar, "numpy.core.multiarray.scalar"),  # its name in NumPy 1
        np.dtype,
        *(type(np.dtype(name)) for name in ("float32", "float64", "int64")),
        codecs.encode,
    ]
    try:
        with torch.serialization.safe_globals(allowed):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        state = {
            name.removeprefix("module.").removeprefix("model."): tensor
            for name, tensor in checkpoint["model_state"].items()
        }
        return len(state["fc3.bias"]), state
    except (OSError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is not ModelNet40-C's PointNet checkpoint, a dictionary with 'model_state' ({error})."
        ) from error
