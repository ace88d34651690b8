from dataclasses import replace

import numpy as np
import pytest
import torch
from independence.ablations import ablate, decide_by
from independence.experiments import EXPERIMENTS, Experiment, configure
from independence.tasks import TASKS, load_task
from lightning.pytorch.callbacks import Callback

from piumr.errors import PiumrError
from piumr.training.fit import fit, make_net, predict


@pytest.fixture(scope="module")
def data(shared_data):
    return load_task("msr", shared_data / "skeletons")


def train(data, experiment, indices, watch=()):
    config = configure(experiment, TASKS["msr"])
    config = replace(config, optim=replace(config.optim, epochs=2))
    return fit(data.store, indices, config, callbacks=[*ablate(experiment), *watch]).net


class Groups(Callback):
    def __init__(self):
        self.seen = []

    def on_train_start(self, trainer, module):
        update = module.girl._update_risks

        def spy(losses, groups):
            self.seen.append(groups)
            update(losses, groups)

        module.girl._update_risks = spy


def test_fixed_parameters_stay_and_others_learn(data):
    indices = data.splits[0].train[:32]
    made = EXPERIMENTS["tfam-no-attention"]
    net, fresh = train(data, made, indices), make_net(data.store, configure(made, TASKS["msr"]))
    state, start = net.state_dict(), fresh.state_dict()
    assert (state["tfam.temporal.attention"] == 0).all()
    assert not torch.equal(state["tfam.classifier.weight"], start["tfam.classifier.weight"])
    assert train(data, Experiment("tfam"), indices).tfam.temporal.attention.any()


def test_without_alignment_frames_stay_where_they_are_and_without_spectrum_there_is_one_band(data):
    frequency, temporal = (
        train(data, EXPERIMENTS[name], data.splits[0].train[:32]).tfam for name in ("tfam-frequency", "tfam-temporal")
    )
    x = torch.randn(2, frequency.channels, frequency.frames, 20)
    torch.testing.assert_close(frequency.align(x).plan, torch.eye(8).expand(2, 8, 8) / 8)
    assert temporal.gate.shape == (64, 1)
    assert not torch.allclose(temporal.align(x).plan, torch.eye(8) / 8, atol=1e-3)


def test_either_look_decides_alone_and_both_by_their_mean(data):
    indices = data.splits[0].train[:32]
    net, store = train(data, Experiment("tfam"), indices), data.store
    both, first, second = (decide_by(net, store, indices, look) for look in ("", "network", "spectrum"))
    assert net.tfam is not None
    torch.testing.assert_close(both, predict(net, store, indices))
    seen = []
    hook = net.tfam.classifier.register_forward_hook(lambda module, inputs, output: seen.append(output))
    predict(net, store, indices)
    hook.remove()
    torch.testing.assert_close(second, torch.cat(seen), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(both, (first + second) / 2)
    assert not torch.allclose(first, second, atol=0.1)


@pytest.mark.parametrize(("method", "look"), [("tfam", "both"), ("erm", "network")])
def test_a_look_that_is_not_there_is_refused(data, method, look):
    from independence.training import prepare

    with pytest.raises(PiumrError, match=f"but got '{look}' of {method}"):
        prepare(Experiment(method, look=look), data)


@pytest.mark.parametrize("name", ["girl-random-groups", "girl-person-groups"])
def test_groups_are_what_the_experiment_says(data, name):
    indices = data.splits[0].train[::9]
    watch = Groups()
    train(data, EXPERIMENTS[name], indices, [watch])
    groups = torch.cat(watch.seen).numpy()
    assert len(groups) == 2 * len(indices)
    if name == "girl-random-groups":
        assert set(groups) == {0, 1, 2, 3}
    else:
        np.testing.assert_array_equal(np.sort(groups), np.sort(np.tile(data.store.persons.numpy()[indices], 2)))


def test_every_experiment_fits_every_task_it_may_be_asked_for(data):
    from independence.training import prepare

    for made in EXPERIMENTS.values():
        prepare(made, data)
    assert ablate(Experiment("erm")) == []
