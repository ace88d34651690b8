import numpy as np
import pytest

from piumr.errors import PiumrError


def test_clips_and_subset_hold_the_same_frames(make_set):
    clips = make_set()
    chosen = [5, 0, 5]
    subset = clips.subset(chosen)
    assert len(subset) == 3
    for k, i in enumerate(chosen):
        for mine, theirs in zip(subset.clip(k), clips.clip(i), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert subset.names[k] == clips.names[i]
        assert subset.persons[k] == clips.persons[i]
        assert subset.labels[k] == clips.labels[i]


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("points", lambda a: a.astype(np.float64), "float32"),
        ("points", lambda a: a[:, :10], "20 joints of layout kinect-20"),
        ("points", lambda a: np.where(a > 2, np.nan, a).astype(np.float32), "finite"),
        ("valid", lambda a: a.astype(np.uint8), "bool"),
        ("valid", lambda a: a[1:], "bool"),
        ("offsets", lambda a: a[1:], "offsets"),
        ("offsets", lambda a: np.concatenate([a[:1], a[:-1]]), "offsets"),
        ("labels", lambda a: a + 1, r"labels within 0\.\.3"),
        ("labels", lambda a: a[:-1], "labels"),
        ("names", lambda a: a[:-1], "names"),
        ("persons", lambda a: a[:-1], "persons"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(make_set, field, change, message):
    clips = make_set()
    with pytest.raises(PiumrError, match=message):
        make_set(**{field: change(getattr(clips, field))})


def test_coarse_classes_must_cover_the_classes(make_set):
    assert make_set(coarse=(0, 0, 1, 1), coarse_names=("a", "b")).coarse == (0, 0, 1, 1)
    with pytest.raises(PiumrError, match="coarse"):
        make_set(coarse=(0, 0, 2, 1), coarse_names=("a", "b"))
    with pytest.raises(PiumrError, match="together"):
        make_set(coarse=(0, 0, 1, 1))


def test_empty_subset_is_refused(make_set):
    with pytest.raises(PiumrError, match="at least one clip"):
        make_set().subset([])
