"""Ready configurations by name: ``--config ma52`` works in a clone and where the package was installed."""

from __future__ import annotations

from pathlib import Path

import piumr


def configs_folder() -> Path:
    """Where the ready configurations are: inside the installed package, else beside it in a checkout."""
    package = Path(piumr.__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def ready_configs() -> tuple[str, ...]:
    """Their names, sorted."""
    return tuple(sorted(path.stem for path in configs_folder().glob("*.yaml")))


def find_config(name: str) -> str:
    """The file of a ready configuration, for its name; anything else, and the name of a file that is here, as it is."""
    return str(configs_folder() / f"{name}.yaml") if name in ready_configs() and not Path(name).is_file() else name
