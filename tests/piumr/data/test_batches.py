"""Every clip once an epoch, however many processes share the batches."""

from itertools import chain

import numpy as np
import pytest
import torch

from piumr.data.augment import Augmentation
from piumr.data.batches import BatchOrder, ClipBatches
from piumr.data.store import ClipStore
from piumr.errors import PiumrError


def orders(clips, batch_size, processes, seed=0):
    """What each process draws."""
    return [
        BatchOrder(clips, batch_size, torch.Generator().manual_seed(seed), torch.Generator(), rank, processes)
        for rank in range(processes)
    ]


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize(("clips", "batch_size"), [(40, 8), (41, 8), (45, 8), (47, 8), (9, 32), (33, 4), (8, 8)])
def test_every_clip_comes_once_an_epoch_in_as_many_steps_on_all_processes(clips, batch_size, processes):
    shares = orders(clips, batch_size, processes)
    assert len({len(share) for share in shares}) == 1
    for _ in range(2):
        epoch = [list(share) for share in shares]
        assert [len(batches) for batches in epoch] == [len(shares[0])] * processes
        assert sorted(chain(*chain(*epoch))) == list(range(clips))
        sizes = np.array([[len(share) for share in step] for step in zip(*epoch, strict=True)])
        assert (np.ptp(sizes, axis=1) <= 1).all()
        assert sizes.min() >= min(2, batch_size // processes)


@pytest.mark.parametrize("processes", [2, 4])
def test_the_number_of_processes_does_not_change_what_a_batch_holds(processes):
    (whole,) = orders(74, 16, 1)
    shares = orders(74, 16, processes)
    for _ in range(2):
        for batch, *parts in zip(whole, *shares, strict=True):
            assert sorted(batch) == sorted(chain(*parts))


def test_epochs_and_seeds_have_orders_of_their_own():
    (one,) = orders(50, 10, 1)
    (same,) = orders(50, 10, 1)
    (other,) = orders(50, 10, 1, seed=1)
    first, second = list(one), list(one)
    assert first != second
    assert first == list(same) != list(other)


def test_processes_draw_different_noise_and_repeat_it():
    drawn = []
    for rank in (0, 1, 2, 1):
        noise = torch.Generator().manual_seed(3)
        order = BatchOrder(20, 10, torch.Generator().manual_seed(3), noise, rank, 3)
        torch.manual_seed(3)
        order.set_epoch(0)
        first = torch.rand(4, generator=noise), torch.rand(4)
        order.set_epoch(1)
        drawn.append((*first, torch.rand(4, generator=noise), torch.rand(4)))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not any(torch.equal(x, y) for x, y in zip(drawn[a], drawn[b], strict=True))
    assert all(torch.equal(x, y) for x, y in zip(drawn[1], drawn[3], strict=True))
    assert not torch.equal(drawn[1][0], drawn[1][2])


def test_a_batch_that_leaves_a_process_without_a_clip_is_refused():
    with pytest.raises(PiumrError, match=r"clip for each of 4 devices, but got 3 of 3 .*--devices"):
        orders(3, 32, 4)


@pytest.mark.parametrize("processes", [1, 2, 5])
@pytest.mark.parametrize("clips", [4, 11])
def test_validation_clips_are_shared_out_whole(toy_set, clips, processes):
    store = ClipStore.pack(toy_set, 8)
    shares = []
    for rank in range(processes):
        data = ClipBatches(
            store,
            np.arange(20),
            np.arange(clips),
            batch_size=20,
            augmentation=Augmentation(),
            seed=0,
            processes=processes,
        )
        data.trainer = type("Trainer", (), {"global_rank": rank})()
        shares.append(torch.cat(list(data.val_dataloader())).tolist())
    if clips < processes:  # all take all, which leaves means as they are
        assert shares == [list(range(clips))] * processes
    else:
        assert sorted(chain(*shares)) == list(range(clips))
