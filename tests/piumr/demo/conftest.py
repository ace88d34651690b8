"""A small untrained model of the body and hands, its server, and poses."""

import asyncio
import contextlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from piumr.export import export_onnx
from piumr.inference import ModelCard, Recognizer
from piumr.layouts import get_layout
from piumr.model import ActionNet, ModelConfig
from pose_extract.schema import PoseSequence

aiohttp = pytest.importorskip("aiohttp")
NOTICE = "This model knows only <synthetic> persons."
CLASSES = ("nod", "wave", "<b>shrug</b>", "rub eyes", "fold arms", "tap foot", "lean", "point")


@pytest.fixture(scope="session")
def make_card():
    """``make_card(layout name, coordinates, summary, **texts)`` gives the card of a model."""

    def make(layout="mediapipe-75", coordinates="image", summary=None, **texts):
        coarse = (1, 0, 2, 0, 0, 3, 2, 0)
        names = ("arms", "head", "torso", "legs")
        return ModelCard(CLASSES, get_layout(layout), 16, coordinates, coarse, names, summary or {}, **texts)

    return make


@pytest.fixture(scope="session")
def model(make_card, tmp_path_factory):
    """The path of an exported network."""
    torch.manual_seed(0)
    config = ModelConfig(backbone_options={"channels": [12], "depths": [1], "strides": [2]}, frames=16)
    net = ActionNet(get_layout("mediapipe-75"), len(CLASSES), 2, config, tfam=False).eval()
    torch.nn.init.normal_(net.backbone.classifier.weight, std=10)
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    facts = {"accuracy": 0.456, "test_clips": 832, "person_disjoint": True, "parameters": 1234}
    texts = {"trained_on": "Synthetic <i>persons</i>", "licence": "own", "notice": NOTICE}
    export_onnx(net, make_card(summary=facts, **texts), path)
    return path


@pytest.fixture(scope="session")
def recognizer(model):
    return Recognizer(model, threads=1)


@pytest.fixture
def make_poses():
    """``make_poses(seconds, unseen)`` gives moving landmarks, 30 a second; nobody is seen from ``unseen[0]`` to [1]."""

    def make(seconds=5.0, unseen=(0.0, 0.0)):
        layout = get_layout("mediapipe-75")
        times = np.arange(round(30 * seconds)) / 30
        rng = np.random.default_rng(0)
        landmarks = rng.uniform(0.2, 0.8, (1, 75, 4)) + 0.05 * np.sin(times[:, None, None] * rng.uniform(1, 9, (75, 4)))
        landmarks[..., 3] = 0.9
        landmarks[(times >= unseen[0]) & (times < unseen[1])] = np.nan
        landmarks = landmarks.astype(np.float32)
        meta = {"layout": layout.name, "joints": list(layout.joints), "edges": [list(edge) for edge in layout.edges]}
        meta |= {"width": 640, "height": 480, "warnings": ["too <b>dark</b>"]}
        world = np.full((len(times), 33, 3), np.nan, np.float32)
        return PoseSequence(landmarks, world, ~np.isnan(landmarks[..., 0]), times, meta)

    return make


@pytest.fixture
def talk(recognizer):
    """``talk(conversation)`` runs a coroutine function with a client of a fresh server and gives what it returns."""
    from aiohttp.test_utils import TestClient, TestServer

    from piumr.demo.server import create_app

    def run(conversation):
        async def main():
            async with TestClient(TestServer(create_app(recognizer))) as client:
                origin = str(client.make_url("")).rstrip("/")
                return await conversation(client, {"Origin": origin})

        return asyncio.run(main())

    return run


@pytest.fixture
def pose_processes():
    """``pose_processes()`` gives the ids of this process's pose processes."""

    def find():
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and b"piumr.demo.pose_process" in (entry / "cmdline").read_bytes():
                    parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                    found += [int(entry.name)] if int(parent) == os.getpid() else []
        return found

    return find
