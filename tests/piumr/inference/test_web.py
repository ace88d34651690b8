"""The shipped model in ONNX Runtime Web, as a browser would run it: WebAssembly, here inside Node."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from piumr.inference import DEFAULT_MODEL, Recognizer
from piumr.inference.shipped import find_model

SCRIPT = """
const ort = require("onnxruntime-web"), fs = require("fs");
const [model, folder, batch, channels, frames, joints] = process.argv.slice(1);
const [n, c, t, v] = [batch, channels, frames, joints].map(Number);
const points = new Float32Array(new Uint8Array(fs.readFileSync(folder + "/points")).buffer);
const valid = new Uint8Array(fs.readFileSync(folder + "/valid"));
ort.env.wasm.numThreads = 1;
(async () => {
  const session = await ort.InferenceSession.create(fs.readFileSync(model), { executionProviders: ["wasm"] });
  const found = await session.run({
    points: new ort.Tensor("float32", points, [n, c, t, v]),
    valid: new ort.Tensor("bool", valid, [n, t, v]),
  });
  const plain = ([name, value]) => [name, { dims: value.dims, data: Array.from(value.data) }];
  console.log(JSON.stringify(Object.fromEntries(Object.entries(found).map(plain))));
})();
"""


@pytest.fixture(scope="module")
def node():
    """Node, able to import onnxruntime-web: ``npm install onnxruntime-web`` in a folder that NODE_PATH names."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node is not installed")
    found = subprocess.run([program, "-e", "require.resolve('onnxruntime-web')"], capture_output=True, check=False)
    if found.returncode:
        pytest.skip("the npm package onnxruntime-web is not in NODE_PATH")
    return program


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3])
def test_the_web_runtime_gives_the_same_result(node, tmp_path, batch):
    recognizer = Recognizer(threads=1)
    card, rng = recognizer.card, np.random.default_rng(batch)
    points = rng.normal(size=(batch, card.dimensions, card.frames, len(card.layout))).astype(np.float32)
    valid = rng.random((batch, card.frames, len(card.layout))) > 0.3
    (tmp_path / "points").write_bytes(points.tobytes())
    (tmp_path / "valid").write_bytes(valid.tobytes())
    command = [node, "-e", SCRIPT, str(find_model(DEFAULT_MODEL)), str(tmp_path), *map(str, points.shape)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = dict(zip(("logits", "embedding"), recognizer._run(["logits", "embedding"], points, valid), strict=True))
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name]["dims"] == list(values.shape)
        np.testing.assert_allclose(np.array(found[name]["data"]), values.ravel(), atol=1e-4, rtol=1e-4)
        assert values.std() > 0.1
