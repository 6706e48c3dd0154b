"""Epochs: history, checkpoints and reproducible random numbers."""

import pytest
import torch

from pointspider.training import loop
from pointspider.training.checkpoint import Checkpoint
from pointspider.training.loop import reproducible, run_epochs


class Killed(Exception):
    pass


@pytest.fixture
def train(tmp_path):
    """Train a linear layer with dropout; returns its weights and history."""

    def run(epochs=6, checkpoint=None, on_epoch=None, stop_after=None):
        with reproducible(3, "test") as batches:
            model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
            optimizer = torch.optim.Adam(model.parameters(), lr=0.1)

            def train_epoch(history):
                if len(history) == stop_after:
                    return None
                loss = model(torch.rand(8, 4, generator=batches)).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                return {"loss": loss.item()}

            parts = {"model": model, "optimizer": optimizer}
            checkpoint = Checkpoint(tmp_path / checkpoint, "identity") if checkpoint else None
            history = run_epochs(train_epoch, epochs, "test", parts, batches, checkpoint, on_epoch)
        return model[1].weight.detach(), history

    return run


def test_an_interrupted_training_resumes_bit_identically(train, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    weight, history = train()

    def kill(epoch, metrics):
        if epoch == 4:
            raise Killed

    with pytest.raises(Killed):
        train(checkpoint="a.safetensors", on_epoch=kill)
    heard = []
    resumed, all_history = train(checkpoint="a.safetensors", on_epoch=lambda *epoch: heard.append(epoch))
    assert torch.equal(resumed, weight)
    assert all_history == history
    assert heard == list(enumerate(history, start=1))


def test_checkpoints_are_written_after_a_time_and_at_the_end(train, tmp_path, monkeypatch):
    saves = []
    monkeypatch.setattr(Checkpoint, "save", lambda self, state: saves.append(len(state["history"])))
    train(checkpoint="a.safetensors")
    assert saves == [6]
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0)
    train(checkpoint="a.safetensors")
    assert saves == [6, 1, 2, 3, 4, 5, 6, 6]


def test_an_epoch_can_end_the_training(train):
    assert len(train(stop_after=2)[1]) == 2


def test_random_states_are_restored():
    before = torch.random.get_rng_state()
    with reproducible(0, "a") as first:
        drawn = torch.rand(3), torch.rand(3, generator=first)
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()
    with reproducible(0, "a") as second:
        again = torch.rand(3), torch.rand(3, generator=second)
    with reproducible(0, "b") as third:
        other = torch.rand(3), torch.rand(3, generator=third)
    assert all(map(torch.equal, drawn, again))
    assert not any(map(torch.equal, drawn, other))
