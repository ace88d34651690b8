"""What a user installs: three packages, the declarations inside one of them, nothing else at the top."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out], cwd=ROOT, check=True)
    (path,) = out.glob("piumr-*.whl")
    return path


def test_no_package_called_datasets_reaches_the_top_level(wheel):
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"gcn", "piumr", "pose_extract"}


def test_every_module_page_model_and_declaration_is_inside(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("gcn", "piumr", "pose_extract"):
        for suffix in ("py", "html", "onnx", "json"):
            for file in (ROOT / package).rglob(f"*.{suffix}"):
                assert file.relative_to(ROOT).as_posix() in names
    for file in (ROOT / "datasets").rglob("*"):
        if file.is_file():
            assert f"piumr/{file.relative_to(ROOT).as_posix()}" in names


def test_the_installed_package_finds_its_model(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import piumr; from piumr.inference.shipped import DEFAULT_MODEL, find_model;"
        "print(piumr.__file__); print(find_model(DEFAULT_MODEL)); piumr.Recognizer()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path.parent,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    package, model = map(Path, done.stdout.split())
    assert package.is_relative_to(tmp_path)
    assert model == package.parent / "inference" / "models" / "synthetic.onnx"


def test_the_installed_package_finds_its_declarations_beside_a_foreign_datasets(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("HUGGING_FACE = True\n")
    code = (
        "import datasets; assert datasets.HUGGING_FACE;"
        "from piumr.data.declaration import load_declaration, shipped_datasets;"
        "print(*[load_declaration(name).name for name in shipped_datasets()])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path.parent,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    files = (path.relative_to(ROOT / "datasets") for path in (ROOT / "datasets").glob("*/*.toml"))
    assert set(done.stdout.split()) == {str(file.with_suffix("")).removesuffix("/dataset") for file in files}
