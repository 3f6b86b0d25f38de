"""The target `onnx`: one ONNX file, run by ONNX Runtime before it is handed out."""

from __future__ import annotations

import json
import logging
import math
import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nas.targets.library import library
from nas.targets.quoting import in_comment
from nas.targets.target import MEAN, STD, Chosen, Exported, Refused
from nas.targets.torch_export import RANDOM_WEIGHTS, exported_program
from space.cost import cost
from space.errors import InputError

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor
    from torch.onnx import ONNXProgram

    from space.architecture import Architecture
    from space.network import ConvNet

NAME = "onnx"
SUMMARY = "NAME.onnx, any batch size, for ONNX Runtime and what else reads ONNX"
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
OPSET = 20  # the first with Gelu; ONNX Runtime reads it from 1.17 on
LARGEST = 2**31 - 2**24  # bytes: one protobuf, with room for the graph


def lacks(network: Architecture) -> str | None:
    """The parameters of a network that one file cannot hold; None for every other."""
    params = cost(network).params
    if 4 * params > LARGEST:
        return f"params: {params / 1e6:.0f} M; one ONNX file holds 2 GB, {LARGEST // 4_000_000} M parameters"
    return None


def export(chosen: Chosen) -> Exported:
    """NAME.onnx with the architecture in its metadata; what is checked is the file's content.

    Raises `Refused`, also where onnx, onnxruntime or onnxscript is not here or broken: they write the file.
    """
    reason = lacks(chosen.network)
    if reason is not None:
        raise Refused(reason)
    missing = [found.missing for found in map(library, PACKAGES) if found.module is None]
    if missing:
        raise Refused(f"{', '.join(missing)}; pip install 'convnext-nas[export]'")
    import onnxruntime
    import torch

    from nas.targets.checking import compare, original_of

    original, images = original_of(chosen)
    program = onnx_program(chosen, original, images)
    # before a BatchNorm is folded into the convolution it follows, or a weight transposed
    params = parameter_count(program, {name for name, _ in original.named_parameters()})
    program.optimize()
    model = final_model(chosen, program)
    # the bytes that are handed out are those that are run
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    check = compare(
        original,
        images,
        lambda batch: torch.from_numpy(session.run(None, {"images": batch.numpy()})[0]),
        library=f"onnxruntime {onnxruntime.__version__}",
        params=params,
        macs=multiply_accumulates(model),
    )
    size, name = chosen.recipe.data.resolution, f"{chosen.name}.onnx"
    run = f"s.run(None, {{'images': numpy.zeros((1, 3, {size}, {size}), 'float32')}})[0].shape"
    command = (
        f"python -c \"import numpy, onnxruntime; s = onnxruntime.InferenceSession('{name}'); print({run})\""
    )
    notes = (
        f"Opset {OPSET}; input images [N, 3, {size}, {size}] in float32, output logits "
        f"[N, {chosen.recipe.data.num_classes}]; stochastic depth is gone.",
    )
    return Exported(
        files={name: content},
        check=check,
        verify=f"python -c \"import onnx; onnx.checker.check_model('{name}', full_check=True)\"",
        commands=(command,),
        notes=notes if chosen.weights is not None else (RANDOM_WEIGHTS, *notes),
    )


def onnx_program(chosen: Chosen, original: ConvNet, images: Tensor) -> ONNXProgram:
    """The network as the exporter has it before its optimisations."""
    import torch

    with quiet():
        program = torch.onnx.export(
            exported_program(chosen, original, images),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=["logits"],
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise InputError(f"{NAME}: torch {torch.__version__} gave no program; 2.9 or later does")
    return program


def final_model(chosen: Chosen, program: ONNXProgram) -> ModelProto:
    """The optimised model with its architecture in the metadata, and no path of this machine."""
    model: ModelProto = program.model_proto
    model.doc_string = in_comment(chosen.title)
    name_batch(model)
    for node in model.graph.node:  # traces of this machine's files
        del node.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    for initializer in model.graph.initializer:
        del initializer.metadata_props[:]
    del model.metadata_props[:]
    facts = {
        "name": chosen.name,
        "architecture": chosen.network.to_json(),
        "fingerprint": chosen.network.fingerprint,
        "weights": "random" if chosen.weights is None else "trained",
        "mean": json.dumps(MEAN),
        "std": json.dumps(STD),
    }
    if chosen.classes is not None:
        facts["classes"] = json.dumps(chosen.classes)
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value)
    return model


def name_batch(model: ModelProto) -> None:
    """Call the axis of the images in a batch `batch` throughout, where the exporter has s77, say."""
    graph = model.graph
    own = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:  # by itself, or in an expression such as 49*s77
                size.dim_param = re.sub(rf"\b{re.escape(own)}\b", "batch", size.dim_param)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's remarks on libraries that are not needed here and on torch's own code."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def parameter_count(program: ONNXProgram, parameters: Collection[str]) -> int:
    """Elements of the graph's weights with these names."""
    initializers = program.model.graph.initializers
    shapes = [initializers[name].shape for name in parameters if name in initializers]
    return sum(math.prod(shape.numpy()) for shape in shapes if shape is not None)


def multiply_accumulates(model: ModelProto) -> int:
    """Multiply-accumulates of one image, from the shapes of the graph's convolutions and products."""
    graph = model.graph
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    }
    total = 0
    for node in graph.node:
        if node.op_type not in ("Conv", "MatMul", "Gemm"):
            continue
        out = math.prod(shapes[node.output[0]][1:])  # the batch comes first
        # always an initialiser: a ConvNet multiplies by weights, never two maps
        weight = weights[node.input[1]]
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        if node.op_type == "Conv":
            # [out, in / groups, k, k]: what one output pixel sums over
            total += out * math.prod(weight[1:])
        else:
            # [in, out], of a Gemm with transB [out, in]
            total += out * (weight[1] if transposed else weight[0])
    return total
