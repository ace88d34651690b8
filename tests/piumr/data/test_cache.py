"""The packed set between runs: the same as a fresh one, made again when and only when something changes."""

import logging
import multiprocessing
import os
import shutil

import numpy as np
import pytest
import torch

from piumr.data import cache
from piumr.data.cache import cache_folder, load_packed
from piumr.data.source import DataConfig, load_set
from piumr.data.store import ClipStore
from piumr.errors import PiumrError

TOML = """
title = "Mine"
citation = ""
licence = ""
source = ""
format = "pose_cache"
layout = "mediapipe-33"
[options.lists]
train = "train.txt"
val = "val.txt"
[person]
pattern = '(?P<person>p\\d)'
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PIUMR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def config(tmp_path, write_cache, folder):
    """A declared set of six caches; two more clips are listed and not there, one cache is torn."""
    data = tmp_path / "data"
    for i in range(6):
        write_cache(tmp_path / "poses" / f"p{i % 3}_c{i}.npz", frames=5 + i)
    (tmp_path / "poses" / "p1_torn.npz").write_bytes(b"PK\x03\x04")
    data.mkdir()
    (data / "dataset.toml").write_text(TOML)
    (data / "train.txt").write_text("".join(f"p{i % 3}_c{i}.mp4 {i % 2}\n" for i in range(4)) + "p1_torn.mp4 1\n")
    (data / "val.txt").write_text("p1_c4.mp4 0\np2_c5.mp4 1\np8_lost.mp4 0\n")
    return DataConfig(dataset=str(data / "dataset.toml"), poses=tmp_path / "poses")


@pytest.fixture
def reads(monkeypatch):
    """How often the set was read from its files."""
    counts = []

    def counted(config):
        counts.append(config)
        return load_set(config)

    monkeypatch.setattr(cache, "load_set", counted)
    return counts


def same(a, b):
    (table, store), (other, second) = a[1:], b[1:]
    np.testing.assert_array_equal(table.labels, other.labels)
    for name in ("names", "persons", "splits", "class_names", "coarse", "coarse_names", "mirror", "columns"):
        assert getattr(table, name) == getattr(other, name), name
    assert table.missing.names == other.missing.names
    np.testing.assert_array_equal(table.missing.labels, other.missing.labels)
    assert (store.layout, store.num_classes, store.frames) == (second.layout, second.num_classes, second.frames)
    for name in cache.TENSORS:
        assert torch.equal(getattr(store, name), getattr(second, name)), name
        assert getattr(store, name).dtype == getattr(second, name).dtype
    return True


def test_the_second_load_is_the_first_without_reading(config, folder, reads, caplog):
    first = load_packed(config, 8)
    fresh = ClipStore.pack(load_set(config)[1], 8)
    assert torch.equal(first[2].points, fresh.points)
    told = [record.getMessage() for record in caplog.records]
    caplog.clear()
    assert same(load_packed(config, 8), first)
    assert len(reads) == 1
    again = {record.getMessage() for record in caplog.records}
    assert again == set(told)
    assert any("cannot be read" in line for line in again)  # the torn cache
    assert any("are not there" in line for line in again)  # the clip that is listed and lost
    assert load_packed(config, 16)[2].frames == 16
    assert len(reads) == 1
    assert len(list(folder.iterdir())) == 1


def change_declaration(config):
    with open(config.dataset, "a") as file:
        file.write("[label]\npattern = '(?P<label>x)'\n")


def change_list(config):
    with open(os.path.join(os.path.dirname(config.dataset), "val.txt"), "a") as file:
        file.write("p9_lost.mp4 0\n")


def touch_a_file(config):
    os.utime(config.poses / "p0_c0.npz", ns=(1, 1))


def add_a_file(config):
    shutil.copy(config.poses / "p0_c0.npz", config.poses / "p5_c9.npz")


def remove_a_file(config):
    (config.poses / "p0_c0.npz").unlink()


@pytest.mark.parametrize("change", [change_declaration, change_list, touch_a_file, add_a_file, remove_a_file])
def test_it_is_made_again_when_something_changes(config, reads, change):
    load_packed(config, 8)
    change(config)
    load_packed(config, 8)
    load_packed(config, 8)
    assert len(reads) == 2


def test_it_is_made_again_when_the_code_changes(config, reads, monkeypatch):
    load_packed(config, 8)
    monkeypatch.setattr(cache, "_code", lambda: "changed")
    load_packed(config, 8)
    assert len(reads) == 2


def test_what_does_not_matter_changes_nothing(config, reads, tmp_path):
    load_packed(config, 8)
    (tmp_path / "data" / "notes.txt").write_text("the format names its files: this is none of them")
    load_packed(DataConfig(config.dataset, config.data, config.poses, protocol="all", fold=2), 8)
    assert len(reads) == 1


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"nothing", lambda data: b""])
def test_a_damaged_file_is_made_again(config, folder, reads, damage, caplog):
    first = load_packed(config, 8)
    (file,) = folder.glob("*.pt")
    first = (first[0], first[1], ClipStore.pack(load_set(config)[1], 8))
    file.write_bytes(damage(file.read_bytes()))
    assert same(load_packed(config, 8), first)
    assert "is made again" in caplog.text
    load_packed(config, 8)
    assert len(reads) == 2


def test_nothing_is_unpickled(config, folder, reads, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    load_packed(config, 8)
    (file,) = folder.glob("*.pt")
    torch.save({"facts": Evil()}, file)
    load_packed(config, 8)
    assert len(reads) == 2
    assert not (tmp_path / "harm").exists()


def test_a_folder_that_cannot_be_written_costs_a_warning(config, reads, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PIUMR_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        load_packed(config, 8)
    assert "cannot be kept" in caplog.text


def test_it_is_bounded_and_the_longest_unused_goes_first(config, folder, reads, monkeypatch):
    load_packed(config, 8)
    (used,) = folder.glob("*.pt")
    (folder / "old.pt").write_bytes(b"x" * 10)
    (folder / "older.pt").write_bytes(b"x" * 10)
    os.utime(folder / "old.pt", ns=(2, 2))
    os.utime(folder / "older.pt", ns=(1, 1))
    touch_a_file(config)
    monkeypatch.setattr(cache, "MAX_FILES", 3)
    load_packed(config, 8)
    assert used.exists()
    assert {file.name for file in folder.glob("old*")} == {"old.pt"}
    monkeypatch.setattr(cache, "MAX_BYTES", used.stat().st_size * 2 + 5)
    remove_a_file(config)
    load_packed(config, 8)
    assert not (folder / "old.pt").exists()
    assert len(list(folder.glob("*.pt"))) == 2


def test_a_set_that_is_too_large_drives_no_other_out(config, folder, reads, monkeypatch, caplog):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "other.pt").write_bytes(b"x" * 10)
    monkeypatch.setattr(cache, "MAX_BYTES", 20)
    load_packed(config, 8)
    assert "No room" in caplog.text
    assert [file.name for file in folder.glob("*.pt")] == ["other.pt"]


def test_a_set_without_room_is_not_kept(config, folder, reads, monkeypatch, caplog):
    usage = shutil.disk_usage(folder.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    load_packed(config, 8)
    assert "No room" in caplog.text
    assert not list(folder.glob("*.pt"))


def test_files_that_change_while_they_are_read_are_not_kept(config, folder, monkeypatch):
    def slow(config):
        read = load_set(config)
        touch_a_file(config)
        return read

    monkeypatch.setattr(cache, "load_set", slow)
    load_packed(config, 8)
    assert not list(folder.glob("*.pt"))


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("PIUMR_CACHE", "")
    assert cache_folder() is None
    monkeypatch.delenv("PIUMR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "piumr"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "piumr"


def test_switched_off_nothing_is_written(config, folder, reads, monkeypatch):
    monkeypatch.setenv("PIUMR_CACHE", "")
    load_packed(config, 8)
    load_packed(config, 8)
    assert len(reads) == 2
    assert not folder.exists()


def test_wrong_data_is_still_told(config, reads):
    with pytest.raises(PiumrError, match="no_such"):
        load_packed(DataConfig(dataset="no_such"), 8)


def _load(config):
    return float(load_packed(config, 8)[2].points.sum())


def test_two_processes_at_once(config, folder):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        sums = pool.map(_load, [config] * 4)
    assert len(set(sums)) == 1
    assert len(list(folder.iterdir())) == 1
