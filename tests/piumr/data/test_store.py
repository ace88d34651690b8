from dataclasses import replace

import numpy as np
import pytest
import torch

from piumr.data.store import ClipStore
from piumr.preprocessing import normalise, resample


@pytest.fixture
def clips(make_set):
    return make_set(seed=3)


@pytest.mark.parametrize("frames", [1, 2, 8, 64])
def test_a_full_window_is_the_numpy_resampling(clips, frames):
    store = ClipStore.pack(clips, frames)
    indices = torch.tensor([4, 0, 17, 4])
    points, valid = store.sample(indices)
    assert points.shape == (4, 3, frames, 20)
    assert points.dtype == torch.float32
    for k, i in enumerate(indices.tolist()):
        expected, mask = resample(*normalise(*clips.clip(i), clips.layout), frames)
        np.testing.assert_allclose(points[k].permute(1, 2, 0).numpy(), expected, atol=1e-6)
        np.testing.assert_array_equal(valid[k].numpy(), mask)


def test_evaluation_tensors_equal_sampled_ones(clips):
    store = ClipStore.pack(clips, 16)
    indices = np.arange(len(clips))
    points, valid = store.evaluation(indices)
    sampled, mask = store.sample(torch.from_numpy(indices))
    torch.testing.assert_close(points, sampled, atol=1e-6, rtol=0)
    assert torch.equal(valid, mask)
    assert points.is_contiguous()


def test_a_window_reads_only_its_own_clip_and_time(clips):
    """On points that are a straight line in time, the sampled value is the time asked for."""
    line = np.concatenate([np.arange(t) / max(t - 1, 1) + 10 * i for i, t in enumerate(np.diff(clips.offsets))])
    store = ClipStore.pack(clips, 5)
    store = replace(store, points=torch.from_numpy(line).float()[:, None, None].expand(-1, 3, 20).contiguous())
    times = torch.tensor([[0.0, 0.1, 0.4, 0.9, 1.0], [0.3, 0.3, 0.5, 0.6, 1.0]])
    points, _ = store.sample(torch.tensor([7, 2]), times)
    torch.testing.assert_close(points[:, 0, :, 0], times + torch.tensor([[70.0], [20.0]]), atol=1e-4, rtol=0)


def test_labels_and_person_codes(clips, make_set):
    store = ClipStore.pack(clips, 8)
    assert store.labels.tolist() == clips.labels.tolist()
    assert [f"p{code}" for code in store.persons.tolist()] == list(clips.persons)
    assert set(ClipStore.pack(make_set(count=1), 8).persons.tolist()) == {0}
    assert set(ClipStore.pack(replace(clips, persons=None), 8).persons.tolist()) == {-1}
    assert (store.num_classes, store.dimensions, len(store)) == (4, 3, len(clips))


def test_names_and_persons_do_not_reach_points(clips):
    renamed = replace(clips, names=tuple(f"x{i}" for i in range(len(clips))), persons=None)
    a, b = ClipStore.pack(clips, 8), ClipStore.pack(renamed, 8)
    assert torch.equal(a.points, b.points)
    assert torch.equal(a.valid, b.valid)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_samples_are_the_same(clips):
    store = ClipStore.pack(clips, 8)
    points, valid = store.sample(torch.arange(5))
    there, mask = store.to("cuda").sample(torch.arange(5, device="cuda"))
    torch.testing.assert_close(there.cpu(), points, atol=1e-6, rtol=0)
    assert torch.equal(mask.cpu(), valid)


def test_the_median_length_is_that_of_the_chosen_clips(toy_set):
    store, lengths = ClipStore.pack(toy_set, 8), np.diff(toy_set.offsets)
    assert store.median_frames(np.arange(len(store))) == np.median(lengths)
    assert store.median_frames(np.array([3])) == lengths[3]
