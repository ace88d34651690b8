import numpy as np
import pytest

from piumr.data.missing import RUN, lose_parts
from piumr.errors import PiumrError
from piumr.synthetic import synthetic_set

HANDS = ("left hand", "right hand")


@pytest.fixture(scope="module")
def clips():
    return synthetic_set(persons=1, takes=4, seed=0)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_the_share_and_the_runs_are_those_asked_for(clips, share):
    whole = clips.valid.copy()
    lost = whole & ~lose_parts(clips, HANDS, share, seed=1).valid
    assert not lost[:, :33].any()
    for first in (33, 54):
        hand = lost[:, first : first + 21]
        assert (hand == hand[:, :1])[whole[:, first]].all()
        found = whole[:, first]
        assert hand[found, 0].mean() == pytest.approx(share, abs=0.05)
    assert np.array_equal(clips.valid, whole)


def test_gaps_are_runs_of_frames(clips):
    everything = lose_parts(clips, HANDS, 0.3, seed=2, zero_filled=True)
    zero = (everything.points[:, 33] == 0).all(axis=-1)
    starts = np.flatnonzero(np.diff(zero.astype(int)) == 1)
    assert zero.sum() / len(starts) == pytest.approx(RUN, rel=0.2)


def test_zero_filling_hides_the_same_gaps(clips):
    masked, zeroed = (lose_parts(clips, HANDS, 0.3, seed=3, zero_filled=fill) for fill in (False, True))
    gone = clips.valid & ~masked.valid
    assert zeroed.valid[gone].all()
    assert not zeroed.points[gone].any()
    assert np.array_equal(zeroed.points[masked.valid], clips.points[masked.valid])


def test_nothing_is_lost_at_share_0(clips):
    assert np.array_equal(lose_parts(clips, HANDS, 0.0, seed=0).valid, clips.valid)


def test_wrong_arguments_are_refused(clips):
    with pytest.raises(PiumrError, match=r"`share`.*below 1, but got 1"):
        lose_parts(clips, HANDS, 1, seed=0)
    with pytest.raises(PiumrError, match="no 'tail'"):
        lose_parts(clips, ("tail",), 0.1, seed=0)
