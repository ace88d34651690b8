"""On a GPU: every method learns, a step waits for nothing, and a deployed network is the trained one."""

from dataclasses import replace

import pytest
import torch
from lightning.pytorch.callbacks import Callback

import gcn
from piumr.data.augment import Augmentation
from piumr.model import ModelConfig
from piumr.training.config import OptimConfig, TrainConfig
from piumr.training.fit import fit, predict

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

SMALL = {"channels": (16, 32), "depths": (1, 1), "strides": (1, 2)}
CONFIG = TrainConfig(
    method="piumr",
    model=ModelConfig(backbone="microgcn-nano", backbone_options={**SMALL, "groups": 4, "dropout": 0.0}, frames=16),
    optim=OptimConfig(epochs=20, batch_size=6, warmup_epochs=1, learning_rate=0.01),
    augmentation=Augmentation(mirror=0),
)


class RefuseToWait(Callback):
    """Makes every call that waits for the GPU an error, from the second batch of an epoch to its last."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        torch.cuda.set_sync_debug_mode("error" if batch_idx > 0 else "default")

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx + 2 >= trainer.num_training_batches:  # the epoch's end reads what it logs
            torch.cuda.set_sync_debug_mode("default")

    def on_exception(self, trainer, pl_module, exception):
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("method", ["erm", "tfam", "girl", "piumr", "mixstyle", "dsu", "groupdro", "vrex", "focal"])
def test_every_method_recognises_a_person_it_has_never_seen(store, split, method, precision):
    there = store.to("cuda")
    outcome = fit(there, split.train, replace(CONFIG, method=method, precision=precision))
    assert all(parameter.is_cuda for parameter in outcome.net.parameters())
    hits = predict(outcome.net, there, split.test).argmax(1) == store.labels[torch.from_numpy(split.test)]
    assert hits.float().mean() > 0.9


@pytest.mark.parametrize("method", ["erm", "tfam", "girl", "piumr"])
def test_a_step_waits_for_nothing(store, split, method):
    config = replace(CONFIG, method=method, optim=replace(CONFIG.optim, epochs=3, batch_size=3))
    outcome = fit(store.to("cuda"), split.train, config, callbacks=[RefuseToWait()])
    assert len(outcome.history) == 3


@pytest.mark.parametrize("name", ["stgcn", "aagcn", "stgcnpp", "ctrgcn", "microgcn-nano"])
def test_deployed_network_is_the_trained_one(store, split, name):
    model = ModelConfig(backbone=name, backbone_options=SMALL, frames=16)
    optim = replace(CONFIG.optim, epochs=2)
    there = store.to("cuda")
    config = replace(CONFIG, model=model, optim=optim, precision="32-true")
    net = fit(there, split.train, config).net
    inputs = there.evaluation(split.test)
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):  # TF32 rounds to a thousandth
        expected, got = net(*inputs).logits, gcn.deploy(net)(*inputs).logits
        exact, folded = net.double()(inputs[0].double(), inputs[1]), gcn.deploy(net)(inputs[0].double(), inputs[1])
    assert (got - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (folded.logits - exact.logits).abs().max() < 1e-12 * exact.logits.abs().max()
    here = net.float().cpu()
    with torch.no_grad():
        torch.testing.assert_close(here(*store.evaluation(split.test)).logits, expected.cpu(), rtol=1e-3, atol=1e-4)
