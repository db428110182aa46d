"""The network of all-MiniLM-L6-v2 written as an ONNX graph from its published safetensors weights.

The architecture is that of BERT (Devlin et al. 2018, arXiv:1810.04805; post-norm encoder layers after Vaswani et al.
2017, arXiv:1706.03762) in the dimensions of https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2, without the
pooler, which FastEmbed replaces by mean pooling. The weight file follows
https://huggingface.co/docs/safetensors (little-endian header length, JSON header, raw tensors).

Run as ``python -m core.index.minilm_graph WEIGHTS TARGET``: serialising 90 MB holds the interpreter lock for half a
second, so it belongs in a process of its own.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

HIDDEN = 384
HEADS = 12
HEAD_SIZE = HIDDEN // HEADS
LAYERS = 6
_LAYER_NORM_EPSILON = 1e-12
_MASKED_SCORE = -1e9
_OPSET = 20
_IR_VERSION = 9
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}

Tensor = NDArray[Any]


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All float32 and int64 tensors of a safetensors file by name.

    Raises:
        ValueError: the file is not in that format, or is cut short.
    """
    data = path.read_bytes()
    header_end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:header_end])
    tensors: dict[str, Tensor] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        raw = data[header_end + start : header_end + end]
        tensors[name] = np.frombuffer(raw, _DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


class _GraphBuilder:
    """Collects nodes and constants; every method answers the name of the value it adds."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Tensor) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def integers(self, name: str, values: Sequence[int]) -> str:
        return self.constant(name, np.array(values, np.int64))

    def operation(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def weight(self, name: str) -> str:
        return self.constant(name, self._weights[name])

    def linear(self, value: str, name: str, output: str) -> str:
        """``value · Wᵀ + b``; the weights are stored transposed, as ONNX multiplies from the right."""
        transposed = self.constant(f"{name}.weight.T", self._weights[f"{name}.weight"].T)
        product = self.operation("MatMul", [value, transposed], f"{output}.product")
        return self.operation("Add", [product, self.weight(f"{name}.bias")], output)

    def layer_norm(self, value: str, name: str, output: str) -> str:
        inputs = [value, self.weight(f"{name}.weight"), self.weight(f"{name}.bias")]
        return self.operation("LayerNormalization", inputs, output, axis=-1, epsilon=_LAYER_NORM_EPSILON)

    def embeddings(self) -> str:
        """Token, type and position embeddings added and normalised: batch x tokens x 384."""
        words = self.operation("Gather", [self.weight("embeddings.word_embeddings.weight"), "input_ids"], "words")
        types = self.operation(
            "Gather", [self.weight("embeddings.token_type_embeddings.weight"), "token_type_ids"], "types"
        )
        shape = self.operation("Shape", ["input_ids"], "shape")
        length = self.operation("Gather", [shape, self.integers("second_axis", [1])], "length")
        table = self.constant("positions", self._weights["embeddings.position_embeddings.weight"][None])
        # A Gather over a Range here breaks onnxruntime's graph optimiser; a Slice of the table does not.
        positions = self.operation(
            "Slice", [table, self.integers("zero", [0]), length, self.integers("second_axis", [1])], "positions.used"
        )
        total = self.operation("Add", [words, types], "words.types")
        total = self.operation("Add", [total, positions], "words.types.positions")
        return self.layer_norm(total, "embeddings.LayerNorm", "embedded")

    def attention_bias(self) -> str:
        """0 for tokens and -1e9 for padding, shaped batch x 1 x 1 x tokens to be added to the scores."""
        mask = self.operation("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
        mask = self.operation("Unsqueeze", [mask, self.integers("head_and_query_axes", [1, 2])], "mask.broadcast")
        padding = self.operation("Sub", [self.constant("one", np.array(1, np.float32)), mask], "padding")
        masked = self.constant("masked_score", np.array(_MASKED_SCORE, np.float32))
        return self.operation("Mul", [padding, masked], "attention_bias")

    def heads(self, value: str, name: str, output: str, order: Sequence[int]) -> str:
        """A linear projection split into heads, its axes permuted to ``order``."""
        projected = self.linear(value, name, output)
        shape = self.integers("head_shape", [0, 0, HEADS, HEAD_SIZE])
        split = self.operation("Reshape", [projected, shape], f"{output}.split")
        return self.operation("Transpose", [split], f"{output}.heads", perm=list(order))

    def self_attention(self, value: str, prefix: str, bias: str) -> str:
        """Softmax(QKᵀ / √d + bias) V over twelve heads, joined again."""
        query = self.heads(value, f"{prefix}attention.self.query", f"{prefix}query", [0, 2, 1, 3])
        key = self.heads(value, f"{prefix}attention.self.key", f"{prefix}key", [0, 2, 3, 1])
        values = self.heads(value, f"{prefix}attention.self.value", f"{prefix}value", [0, 2, 1, 3])
        scores = self.operation("MatMul", [query, key], f"{prefix}scores")
        scale = self.constant("scale", np.array(1 / math.sqrt(HEAD_SIZE), np.float32))
        scores = self.operation("Mul", [scores, scale], f"{prefix}scores.scaled")
        scores = self.operation("Add", [scores, bias], f"{prefix}scores.masked")
        weights = self.operation("Softmax", [scores], f"{prefix}attention", axis=-1)
        mixed = self.operation("MatMul", [weights, values], f"{prefix}mixed")
        mixed = self.operation("Transpose", [mixed], f"{prefix}mixed.tokens", perm=[0, 2, 1, 3])
        return self.operation("Reshape", [mixed, self.integers("hidden_shape", [0, 0, HIDDEN])], f"{prefix}joined")

    def layer(self, value: str, index: int, bias: str, output: str) -> str:
        """One encoder layer: attention and feed-forward, each with its residual and normalisation."""
        prefix = f"encoder.layer.{index}."
        joined = self.self_attention(value, prefix, bias)
        projected = self.linear(joined, f"{prefix}attention.output.dense", f"{prefix}attended")
        residual = self.operation("Add", [projected, value], f"{prefix}attended.residual")
        attended = self.layer_norm(residual, f"{prefix}attention.output.LayerNorm", f"{prefix}attended.normal")
        wide = self.linear(attended, f"{prefix}intermediate.dense", f"{prefix}wide")
        active = self.operation("Gelu", [wide], f"{prefix}active")
        narrow = self.linear(active, f"{prefix}output.dense", f"{prefix}narrow")
        residual = self.operation("Add", [narrow, attended], f"{prefix}narrow.residual")
        return self.layer_norm(residual, f"{prefix}output.LayerNorm", output)


def minilm_model(weights: dict[str, Tensor]) -> onnx.ModelProto:
    """The ONNX model: three int64 inputs of batch x tokens, one float32 output of batch x tokens x 384.

    Raises:
        KeyError: a tensor of the architecture is missing.
    """
    builder = _GraphBuilder(weights)
    value = builder.embeddings()
    bias = builder.attention_bias()
    for index in range(LAYERS):
        output = "last_hidden_state" if index == LAYERS - 1 else f"encoder.layer.{index}.result"
        value = builder.layer(value, index, bias, output)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    outputs = [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["batch", "tokens", HIDDEN])]
    graph = helper.make_graph(builder.nodes, "all-MiniLM-L6-v2", inputs, outputs, list(builder.constants.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


def write_model(weights: Path, target: Path) -> None:
    """Write the ONNX file ``target`` from the safetensors file ``weights``.

    Raises:
        OSError: a file cannot be read or written.
        ValueError, KeyError: ``weights`` does not hold the tensors of all-MiniLM-L6-v2.
    """
    model = minilm_model(read_safetensors(weights))
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


if __name__ == "__main__":
    write_model(Path(sys.argv[1]), Path(sys.argv[2]))
