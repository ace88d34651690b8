import pytest
import torch

from gcn.masking import downsample_valid, masked_mean


@pytest.mark.parametrize(("T", "stride"), [(8, 2), (7, 2), (30, 4), (5, 1), (9, 3)])
def test_a_frame_is_valid_where_any_of_its_frames_was(T, stride):
    valid = torch.rand(3, T, 4, generator=torch.Generator().manual_seed(T)) > 0.7
    frames = -(-T // stride)
    out = downsample_valid(valid, frames)
    for t in range(frames):
        assert torch.equal(out[:, t], valid[:, t * stride : (t + 1) * stride].any(dim=1))


def test_frames_that_no_stride_leaves_are_refused():
    with pytest.raises(ValueError, match="ceil"):
        downsample_valid(torch.ones(1, 8, 2, dtype=torch.bool), 5)


def test_masked_mean_is_the_mean_of_what_is_valid():
    x = torch.randn(3, 2, 5, 4)
    valid = torch.rand(3, 5, 4) > 0.5
    valid[2] = False
    out = masked_mean(x, valid)
    for n in range(2):
        torch.testing.assert_close(out[n], x[n][:, valid[n]].mean(dim=1))
    torch.testing.assert_close(out[2], x[2].mean(dim=(1, 2)))
    torch.testing.assert_close(masked_mean(x, None), x.mean(dim=(2, 3)))
