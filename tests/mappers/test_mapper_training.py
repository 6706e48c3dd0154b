"""Training against steps computed by hand and closed forms; refused input; divergence."""

import json
import multiprocessing
import os
import shutil
import signal

import numpy as np
import pytest
import torch

from pointspider.core.errors import InputError
from pointspider.mappers import training
from pointspider.mappers.base import LABELS
from pointspider.mappers.network import Mapper
from pointspider.mappers.settings import MapperSettings
from pointspider.mappers.training import (
    Initial,
    _batches,
    _grown_from,
    _torch_generator,
    load_initial,
    train_mapper,
)
from pointspider.training import loop

WIDTHS = (8, 6)


def problem(train: int = 48, test: int = 16) -> tuple[np.ndarray, ...]:
    """x_train, y_train, x_test, y_test; the image embeddings are a noisy affine map of the point ones."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(train + test, WIDTHS[0])).astype(np.float32)
    y = x @ rng.normal(size=WIDTHS) + 1 + 0.05 * rng.normal(size=(len(x), WIDTHS[1]))
    y = y.astype(np.float32)
    return x[:train], y[:train], x[train:], y[train:]


def train(data=None, norm="none", seed=0, on_epoch=None, checkpoint=None, init=None, **settings):
    settings = MapperSettings(**{"epochs": 3, **settings})
    files = {"checkpoint": checkpoint, "init": init}
    return train_mapper(*(data or problem()), norm, settings, seed, on_epoch=on_epoch, device="cpu", **files)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("norm", LABELS)
def test_losses_are_the_mean_absolute_difference(norm):
    data = problem()
    result = train(data, norm)
    predicted = result.last.predict(data[2])
    assert result.test_loss[-1] == pytest.approx(np.abs(predicted - data[3]).mean(), rel=1e-5)
    initial = Mapper(*WIDTHS, norm)
    initial.initialise(_torch_generator(0, "weights"))
    assert result.train_loss[0] == pytest.approx(np.abs(initial.predict(data[0]) - data[1]).mean(), rel=1e-5)
    assert len(result.train_loss) == len(result.test_loss) == 3
    assert result.train_loss.dtype == result.test_loss.dtype == np.float64


def test_one_epoch_is_the_adam_step_computed_by_hand():
    x, y, *_ = data = problem()
    initial = Mapper(*WIDTHS, "none").double()
    initial.initialise(_torch_generator(0, "weights"))
    start = Mapper(*WIDTHS, "none")
    start.initialise(_torch_generator(0, "weights"))
    weights = [layer.weight.detach().double().numpy() for layer in start.layers[0::2]]
    biases = [layer.bias.detach().double().numpy() for layer in start.layers[0::2]]

    inputs = [x.astype(np.float64)]  # of each layer
    for weight, bias in zip(weights, biases, strict=True):
        inputs.append(inputs[-1] @ weight.T + bias)
    gradient = np.sign(inputs[-1] - y) / y.size  # of the mean |difference| by the output
    trained = train(data, epochs=1).last
    for number in reversed(range(6)):
        layer = trained.layers[2 * number]
        for before, after, slope in (
            (weights[number], layer.weight, gradient.T @ inputs[number]),
            (biases[number], layer.bias, gradient.sum(axis=0)),
        ):
            # Adam's first step: both moments, bias corrected, are the slope and its square.
            expected = before - 0.005 * slope / (np.abs(slope) + 1e-8)
            clear = np.abs(slope) > 1e-5  # below, float32 rounding decides the direction
            assert clear.mean() > 0.9
            np.testing.assert_allclose(after.detach().numpy()[clear], expected[clear], atol=2e-5)
        gradient = gradient @ weights[number]


def test_training_beats_the_median_on_a_linear_problem():
    _, y_train, _, y_test = data = problem()
    result = train(data, epochs=150)
    median = np.abs(np.median(y_train, axis=0) - y_test).mean()
    assert result.test_loss[-1] < 0.5 * median
    assert result.diverged_at is None


def test_best_is_the_epoch_of_lowest_test_loss():
    data = problem(train=12)
    result = train(data, epochs=60, learning_rate=0.02)
    assert result.best_epoch == np.argmin(result.test_loss) + 1
    assert result.best_epoch < 60, "the problem should be one where best is not last"
    best = np.abs(result.best.predict(data[2]) - data[3]).mean()
    assert best == pytest.approx(result.test_loss.min(), rel=1e-5)
    assert best < np.abs(result.last.predict(data[2]) - data[3]).mean()


@pytest.mark.parametrize("batch_size", [None, 20])
@pytest.mark.parametrize("norm", LABELS)
def test_equal_arguments_give_equal_bytes(norm, batch_size, tmp_path):
    for name in ("a", "b"):
        result = train(norm=norm, batch_size=batch_size)
        result.last.save(tmp_path / f"{name}.last")
        result.best.save(tmp_path / f"{name}.best")
        torch.rand(3)  # the global random state does not matter
    for state in ("last", "best"):
        assert (tmp_path / f"a.{state}").read_bytes() == (tmp_path / f"b.{state}").read_bytes()
    other = train(norm=norm, batch_size=batch_size, seed=1)
    assert not np.array_equal(other.test_loss, result.test_loss)


def test_seed_pairs_the_variants():
    """One seed gives BASE and LNORM the same initial Linear weights."""
    rate = 1e-12  # so small that the trained weights are the initial ones
    base, lnorm = (train(norm=norm, epochs=1, learning_rate=rate).last for norm in ("none", "layer"))
    torch.testing.assert_close(base.layers[0].weight, lnorm.layers[0].weight, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("samples", "size"), [(10, 3), (9, 3), (5, 1)])
def test_mini_batches_cover_every_sample_once_in_a_new_order(samples, size):
    shuffling = torch.Generator().manual_seed(0)
    x = torch.arange(samples)
    epochs = [list(_batches(x, -x, size, shuffling)) for _ in range(2)]
    for batches in epochs:
        assert sorted(torch.cat([x for x, _ in batches]).tolist()) == list(range(samples))
        assert max(len(x) for x, _ in batches) == size
        assert all(torch.equal(x, -y) for x, y in batches)
    first, second = (torch.cat([x for x, _ in batches]).tolist() for batches in epochs)
    assert first != second


@pytest.mark.parametrize("size", [None, 10, 11])
def test_a_full_batch_is_everything_at_once(size):
    x = torch.arange(10)
    ((batch, target),) = _batches(x, x, size, torch.Generator())
    assert batch is x
    assert target is x


@pytest.mark.parametrize("norm", LABELS)
def test_training_starts_from_an_initial_mapper(tmp_path, norm):
    first = train(norm=norm)
    path = tmp_path / f"{norm}.safetensors"
    first.last.save(path)
    init = load_initial(f"{tmp_path}/{{norm}}.safetensors", norm)
    before = {name: value.clone() for name, value in init.mapper.state_dict().items()}
    result, again = (train(norm=norm, seed=5, init=init, batch_size=16) for _ in range(2))
    x, y, *_ = problem()
    assert train(norm=norm, init=init, epochs=1).train_loss[0] == pytest.approx(
        np.abs(first.last.predict(x) - y).mean(), rel=1e-5
    )
    assert (result.init, result.summary()["init"], first.init) == (str(path), str(path), None)
    assert all((value == before[name]).all() for name, value in init.mapper.state_dict().items())
    for value, same in zip(result.last.state_dict().values(), again.last.state_dict().values(), strict=True):
        assert (value == same).all()


def test_an_initial_mapper_without_the_norm_in_its_path_is_for_its_norm_only(tmp_path):
    path = str(tmp_path / "mapper.safetensors")
    train(norm="layer").last.save(path)
    assert load_initial(path, "layer").name == path
    assert load_initial(path, "none") is None
    with pytest.raises(InputError, match=r"mapper_layer.safetensors: cannot be read"):
        load_initial(str(tmp_path / "mapper_{norm}.safetensors"), "layer")


@pytest.mark.parametrize(
    ("architecture", "difference"),
    [
        ((9, 6, "layer"), "its input width is 9, not 8"),
        ((8, 5, "layer"), "its output width is 5, not 6"),
        ((8, 6, "none"), "its norm is none, not layer"),
        ((8, 6, "layer", 4), "its base width is 4, not 8"),
        ((8, 6, "layer", 8, 3), "its response size is 3, not 1"),
    ],
)
def test_an_initial_mapper_of_another_architecture_is_refused(architecture, difference):
    init = Initial("other.safetensors", Mapper(*architecture))
    with pytest.raises(InputError, match=f"mapper.init: other.safetensors does not fit .*: {difference}"):
        train(norm="layer", init=init)


def test_train_loss_weights_an_unequal_last_batch():
    data = problem(train=5)
    rate = 1e-12
    complete = train(data, epochs=1, learning_rate=rate).train_loss
    split = train(data, epochs=1, learning_rate=rate, batch_size=3).train_loss
    assert split == pytest.approx(complete, rel=1e-5)


def test_divergence_is_a_result():
    seen = []
    result = train(
        epochs=20, learning_rate=1e9, on_epoch=lambda epoch, metrics: seen.append((epoch, *metrics.values()))
    )
    assert result.diverged_at is not None
    assert len(result.test_loss) == len(result.train_loss) == len(seen) == result.diverged_at - 1
    assert np.isfinite(result.test_loss).all()
    assert all(torch.isfinite(value).all() for value in result.best.state_dict().values())
    summary = json.loads(json.dumps(result.summary(), allow_nan=False))
    assert summary["l1_last"] is None
    assert summary["diverged_at"] == result.diverged_at


def test_divergence_in_the_first_epoch_leaves_no_best():
    result = train(learning_rate=1e30)
    assert (result.diverged_at, result.best_epoch, len(result.test_loss)) == (1, None, 0)
    assert result.summary()["l1_best"] is None


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([1, 2, 3], None),
        ([1, 20, 3], None),  # it came back
        ([1, 20, 3, 11, 12], 4),
        ([1000, 500, 400], None),  # slow, but on its way
        ([], None),
    ],
)
def test_a_finite_loss_far_above_its_lowest_is_divergence(losses, epoch):
    assert _grown_from(np.array(losses, dtype=np.float64)) == epoch


def test_a_finite_divergence_shows_no_last_loss(monkeypatch):
    # At 1 any loss above the lowest counts, which a step of this length makes sure of.
    monkeypatch.setattr("pointspider.mappers.training.DIVERGED", 1.0)
    result = train(epochs=4, learning_rate=2.0)
    assert np.isfinite(result.test_loss).all()
    assert len(result.test_loss) == 4
    assert result.test_loss[-1] > result.test_loss.min()
    assert result.diverged_at > result.best_epoch
    assert result.summary()["l1_last"] is None


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_training_in_a_basis_is_the_same_training(norm, monkeypatch):
    data = problem()
    found, calls, in_basis = [], [], Mapper.forward_in_basis
    monkeypatch.setattr(Mapper, "forward_in_basis", lambda self, x: (calls.append(1), in_basis(self, x))[1])
    for pays in (True, False):
        monkeypatch.setattr(Mapper, "basis_pays", lambda self, rows, pays=pays: pays)
        found.append(train(data, norm, epochs=10, learning_rate=1e-3).test_loss)
    assert len(calls) == 10
    np.testing.assert_allclose(*found, rtol=2e-4)


@pytest.mark.parametrize("norm", LABELS)
def test_half_precision_trains_to_the_loss_of_full_precision(norm):
    """bfloat16 has 8 bits; Adam, weights and losses stay float32."""
    half, full = (
        [train(norm=norm, epochs=40, learning_rate=2e-3, seed=seed, precision=name) for seed in range(4)]
        for name in ("bf16", "fp32")
    )
    assert half[0].last.layers[0].weight.dtype == torch.float32
    half, full = ([result.test_loss[-1] for result in results] for results in (half, full))
    assert half != full
    spread = max(full) - min(full)
    assert np.mean(half) == pytest.approx(np.mean(full), abs=max(spread, 0.01 * np.mean(full)))


def test_precision_is_reported():
    assert train(epochs=1).summary()["precision"] == "fp32"  # auto on a CPU
    assert train(epochs=1, precision="bf16").summary()["precision"] == "bf16"


def steps_taken(monkeypatch) -> list:
    """Grows by one with every step of Adam."""
    steps, step = [], torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: (steps.append(1), step(self)))
    return steps


@pytest.mark.parametrize(("norm", "batch_size"), [("none", None)])
def test_a_killed_training_goes_on_to_the_same_bytes(norm, batch_size, tmp_path, monkeypatch):
    path = tmp_path / "seed_0.safetensors"
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)

    def kill(epoch, *losses):
        if epoch == 8:  # after the checkpoint of epoch 7
            os.kill(os.getpid(), signal.SIGKILL)

    arguments = {"norm": norm, "epochs": 12, "batch_size": batch_size, "on_epoch": kill, "checkpoint": path}
    process = multiprocessing.get_context("fork").Process(target=train, kwargs=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    steps = steps_taken(monkeypatch)
    heard, fresh = [], []
    resumed = train(
        norm=norm, epochs=12, batch_size=batch_size, checkpoint=path, on_epoch=lambda *it: heard.append(it)
    )
    assert len(steps) == 5 * (3 if batch_size else 1)
    complete = train(norm=norm, epochs=12, batch_size=batch_size, on_epoch=lambda *it: fresh.append(it))
    assert heard == fresh
    assert resumed.summary() == complete.summary()
    for name in ("last", "best"):
        getattr(resumed, name).save(tmp_path / f"resumed.{name}")
        getattr(complete, name).save(tmp_path / f"complete.{name}")
        assert (tmp_path / f"resumed.{name}").read_bytes() == (tmp_path / f"complete.{name}").read_bytes()


def test_a_finished_training_is_not_repeated(tmp_path, monkeypatch):
    path = tmp_path / "seed_0.safetensors"
    first = train(checkpoint=path)
    steps = steps_taken(monkeypatch)
    again = train(checkpoint=path)
    assert not steps
    assert again.summary() == first.summary()
    assert torch.equal(again.last.layers[0].weight, first.last.layers[0].weight)


@pytest.mark.parametrize(
    "other", [{"epochs": 4}, {"seed": 1}, {"norm": "layer"}, {"base_width": 4}, {"data": problem(train=47)}]
)
def test_a_checkpoint_of_another_training_is_replaced(other, tmp_path):
    path = tmp_path / "seed_0.safetensors"
    train(checkpoint=path)
    assert train(checkpoint=path, **other).summary() == train(**other).summary()
    before = path.read_bytes()
    train(checkpoint=path, **other)
    assert path.read_bytes() == before


def test_a_checkpoint_of_another_machine_is_replaced(tmp_path, monkeypatch):
    path = tmp_path / "seed_0.safetensors"
    train(checkpoint=path)
    steps = steps_taken(monkeypatch)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1000)
    train(checkpoint=path)
    assert len(steps) == 3, "equal bytes need as many threads"


def test_a_diverged_training_stays_diverged_when_resumed(tmp_path):
    path = tmp_path / "seed_0.safetensors"
    first, again = (train(epochs=20, learning_rate=1e9, checkpoint=path) for _ in range(2))
    assert first.diverged_at == again.diverged_at
    assert first.summary() == again.summary()


def test_on_epoch_hears_of_every_epoch():
    seen = []
    result = train(on_epoch=lambda epoch, metrics: seen.append((epoch, *metrics.values())))
    assert seen == list(zip([1, 2, 3], result.train_loss, result.test_loss, strict=True))


def test_summary_is_plain():
    result = train(base_width=4, batch_size=20, norm="layer", seed=7)
    assert json.loads(json.dumps(result.summary())) == {
        "norm": "layer",
        "seed": 7,
        "epochs": 3,
        "batch_size": 20,
        "base_width": 4,
        "init": None,
        "precision": result.precision,
        "l1_train": result.train_loss[-1],
        "l1_last": result.test_loss[-1],
        "l1_best": result.test_loss.min(),
        "best_epoch": result.best_epoch,
        "diverged_at": None,
    }


@pytest.mark.parametrize("norm", LABELS)
def test_one_sample_and_constant_features_train(norm):
    one = train(problem(train=1, test=1), norm)
    assert np.isfinite(one.test_loss).all()
    x_train, y_train, x_test, y_test = problem()
    constant = train((np.ones_like(x_train), y_train, np.ones_like(x_test), y_test), norm)
    assert np.isfinite(constant.test_loss).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x, y, u, v: (x[:-1], y, u, v),
            "47 point embeddings but 48 image embeddings in the train split",
        ),
        (lambda x, y, u, v: (x, y, u, v[:3]), "16 point embeddings but 3 image embeddings in the test split"),
        (lambda x, y, u, v: (x[:0], y[:0], u, v), r"train split: none.*Change alignment\.split"),
        (
            lambda x, y, u, v: (x, y, u[:0], v[:0]),
            r"test split: none.*Change alignment\.split or alignment\.held_out",
        ),
        (lambda x, y, u, v: (x[0], y, u, v), r"point embeddings of the train split: the shape is \(8,\)"),
        (lambda x, y, u, v: (x, y, u[:, :5], v), "point embeddings are 8 wide in the train split but 5"),
        (lambda x, y, u, v: (x, y[:, :2], u, v), "image embeddings are 2 wide in the train split but 6"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        train(change(*problem()))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("which", "what"), [(0, "point embeddings of the train"), (3, "image embeddings of the test")]
)
def test_broken_embeddings_are_refused_naming_the_row(which, what, value):
    data = problem()
    data[which][5, 2] = value
    with pytest.raises(InputError, match=f"{what} split: NaN or inf in row 5"):
        train(data)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="PyTorch's inductor needs a C++ compiler")
@pytest.mark.parametrize(("norm", "batch_size"), [("none", None), ("layer", 20), ("response", 20)])
def test_the_step_that_a_gpu_compiles_has_the_losses_of_the_plain_one(monkeypatch, norm, batch_size):
    plain = train(norm=norm, epochs=3, batch_size=batch_size)
    monkeypatch.setattr(training, "COMPILED", {"cpu"})
    torch.compiler.reset()
    compiled = train(norm=norm, epochs=3, batch_size=batch_size)
    np.testing.assert_allclose(compiled.train_loss, plain.train_loss, rtol=1e-5)
    np.testing.assert_allclose(compiled.test_loss, plain.test_loss, rtol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
