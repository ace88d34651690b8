"""Which videos there are, and which cache file belongs to each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pose_extract.errors import PoseError
from pose_extract.preview import is_preview

SUFFIXES = tuple(
    ".3gp .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .vob .webm .wmv".split()
)  # fmt: skip
"""What counts as a video in a folder, in any case of letters."""


@dataclass(frozen=True)
class Job:
    """One video to extract.

    Attributes:
        video: the file.
        source: its path relative to the folder that was given, with ``/``; the file's name for a single file.
        output: its cache file.
    """

    video: Path
    source: str
    output: Path

    @property
    def error_file(self) -> Path:
        """Where a failure is recorded."""
        return self.output.with_name(self.output.name.removesuffix(".npz") + ".error.json")

    @property
    def parts(self) -> Path:
        """Folder of the finished spans of a long video, while it is not done."""
        return self.output.with_name(self.output.name.removesuffix(".npz") + ".parts")

    @property
    def former(self) -> Job:
        """The job under the name that the video has with a shared stem, if it has none now, or without."""
        name = PurePosixPath(self.source).name
        long = self.output.with_name(f"{name}.npz")
        other = self.output.with_name(f"{os.path.splitext(name)[0]}.npz") if self.output == long else long
        return replace(self, output=other)


def find_jobs(videos: Path, out: Path) -> list[Job]:
    """All videos under a folder, or the one file, in order of their paths.

    Links to files and folders are followed, circles are not; hidden files, previews and the output folder are left out.
    ``a.mp4`` becomes ``a.npz``; videos that share a stem in a folder all keep their suffix: ``a.mp4.npz`` and
    ``a.avi.npz``.

    Raises:
        PoseError: if there is nothing at ``videos``, no video in it, or a folder cannot be read.
    """
    if not os.path.lexists(videos):
        raise PoseError(f"Expected a video or a folder of videos, but there is nothing at {videos}.")
    if videos.is_dir():
        found = sorted(_walk(videos, skip=out.resolve(), above=()))
        if not found:
            raise PoseError(f"{videos} holds no video; looked, in its subfolders too, for {' '.join(SUFFIXES)}")
        root = videos
    else:  # a file is taken at its word, whatever its suffix
        found, root = [videos], videos.parent
    sources = [path.relative_to(root).as_posix() for path in found]
    names = _output_names(sources)
    return [Job(video, source, out / f"{names[source]}.npz") for video, source in zip(found, sources, strict=True)]


def _walk(folder: Path, skip: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    here = folder.resolve()
    if here in above or (above and here == skip):
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise PoseError(f"{folder} cannot be read ({error.strerror}); make it readable or move it away.") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            yield from _walk(Path(entry.path), skip, (*above, here))
        elif entry.name.lower().endswith(SUFFIXES) and not is_preview(Path(entry.path)):
            yield Path(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _output_names(sources: list[str]) -> dict[str, str]:
    """Source to output name: without the suffix, but with it for all that would otherwise share a name."""
    names = {source: os.path.splitext(source)[0] for source in sources}
    while shared := {name for name, count in Counter(names.values()).items() if count > 1}:
        names = {source: source if name in shared else name for source, name in names.items()}
    return names
