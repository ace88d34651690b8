"""A worker that has done two thousand clips holds no more memory than one that has done a hundred."""

import io
import os
import threading
from pathlib import Path

import pytest
from rich.console import Console

from pose_extract import extract
from pose_extract.video import Video

CLIPS = 2000


def resident(pid):
    """Megabytes; what is shared with other processes, such as libraries, in part (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    return 0.0


def workers():
    """Worker processes of this one."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
                found.append(int(child))
    return found


@pytest.mark.long
def test_memory_is_flat_over_two_thousand_clips(shared_data, tmp_path, encode_video):
    import av

    with Video(shared_data / "videos/ma52/0078_01_0005.mp4", stop=0.09) as video:
        frames = [frame for _, frame in video]
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    videos = tmp_path / "videos"
    videos.mkdir()
    for i in range(CLIPS):
        (videos / f"{i:04}.mp4").symlink_to(tmp_path / "clip.mp4")

    samples = []  # clips done, megabytes, process
    stop = threading.Event()

    def watch():
        while not stop.wait(1.0):
            done = sum(1 for _ in (tmp_path / "poses").glob("*.npz")) if (tmp_path / "poses").is_dir() else 0
            samples.extend((done, resident(pid), pid) for pid in workers())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        summary = extract(videos, tmp_path / "poses", workers=1, console=Console(file=io.StringIO()))
    finally:
        stop.set()
        watcher.join()
    assert len(summary.select("done")) == CLIPS
    early = max(megabytes for done, megabytes, _ in samples if 20 < done <= 200)
    late = max(megabytes for done, megabytes, _ in samples if done > 200)
    print(f"{CLIPS} clips: at most {early:.0f} MB in the first 200, {late:.0f} MB after; {os.cpu_count()} cores")
    assert len({pid for *_, pid in samples}) == 1
    assert late < 350
    assert late < early + 30
