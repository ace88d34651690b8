"""Ready configurations by name: ``--config ma52`` works in a clone and where the package was installed."""

from __future__ import annotations

import re
from pathlib import Path

import piumr
from piumr.errors import PiumrError


def configs_folder() -> Path:
    """Where the ready configurations are: inside the installed package, else beside it in a checkout."""
    package = Path(piumr.__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def ready_configs() -> tuple[str, ...]:
    """Their names, sorted."""
    return tuple(sorted(path.stem for path in configs_folder().glob("*.yaml")))


def find_config(name: str) -> str:
    """The file that ``--config`` names: a path, or the name of a ready configuration where no such file is here.

    Raises:
        PiumrError: if there is neither.
    """
    if Path(name).is_file() or not re.fullmatch(r"[\w./~-]+", name):  # the parser takes YAML itself, too
        return name
    if name in ready_configs():
        return str(configs_folder() / f"{name}.yaml")
    raise PiumrError(
        f"Expected `config` to be a YAML file or one of {', '.join(ready_configs())}, but there is no {name!r}."
    )
