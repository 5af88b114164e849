"""The network as a folder that Triton serves: ``DIR/<served name>/config.pbtxt`` and ``DIR/<served name>/<version>/``.

Invariant: what is written depends on the network and the options alone, and the name on the network's bytes, so writing it twice
changes nothing and an older network stays beside the new one while scores of both are on their way. The configuration is the same
for both back ends of Triton: ``onnxruntime`` of NVIDIA's container, and ``python``, the one that the ``nvidia-pytriton`` wheel
brings, where ``on_triton.py`` goes along as ``model.py``. Answers are never cached: no window comes twice.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from features.spec import SCORED
from models.detectors.views import WINDOW
from models.model_files import ONNX_FILE
from models.serving.interface import ServingError
from models.serving.network import INSTRUMENT_INPUT, OUTPUT, WINDOWS_INPUT, WindowNetwork

CONFIG_FILE: Final = "config.pbtxt"
PYTHON_FILE: Final = "model.py"
BACK_ENDS: Final = ("onnxruntime", "python")
KINDS: Final = ("gpu", "cpu")

PREFERRED_ROWS: Final = (64, 512, 4_096)
WARM_ROWS: Final = (1, 64, 512)
"""Batches that run before the model counts as ready: the first run of a shape allocates, and on CUDA loads kernels."""


@dataclass(frozen=True, slots=True)
class TritonOptions:
    """How Triton shall serve the network.

    Attributes:
        back_end: ``onnxruntime`` or ``python``.
        kind: ``gpu`` or ``cpu``.
        version: Number of the version folder.
        rows_max: Most windows of a batch; a tick of more instruments is refused.
        queue_delay_us: How long a request may wait for others to share its batch.

    Raises:
        ServingError: A value that Triton would not take.
    """

    back_end: str = "onnxruntime"
    kind: str = "gpu"
    version: int = 1
    rows_max: int = 8_192
    queue_delay_us: int = 200

    def __post_init__(self) -> None:
        if self.back_end not in BACK_ENDS or self.kind not in KINDS:
            raise ServingError(f"{self.back_end!r} on {self.kind!r}: wanted one of {BACK_ENDS} on one of {KINDS}")
        if self.version < 1 or self.rows_max < 1 or self.queue_delay_us < 0:
            raise ServingError(f"version {self.version}, {self.rows_max} rows, {self.queue_delay_us} us: out of range")


def write_repository(folder: Path, network: WindowNetwork, options: TritonOptions) -> Path:
    """Write the network into the model repository ``folder`` and return its own folder there."""
    model = folder / network.served_name
    version = model / str(options.version)
    version.mkdir(parents=True, exist_ok=True)
    (version / ONNX_FILE).write_bytes(network.onnx)
    if options.back_end == "python":
        (version / PYTHON_FILE).write_bytes(Path(__file__).with_name("on_triton.py").read_bytes())
    (model / CONFIG_FILE).write_text(configuration(network.served_name, options))  # last: from now on it is a model
    return model


def configuration(served_name: str, options: TritonOptions) -> str:
    """Return ``config.pbtxt``, a ``ModelConfig`` of Triton in protobuf's text form."""
    windows = f"data_type: TYPE_FP32, dims: [{WINDOW}, {len(SCORED)}]"
    # One number a window: the protocol wants a dimension besides the batch, the network has none.
    numbers = "data_type: TYPE_INT64, dims: [1]"
    warm = ",\n".join(_warm_up(rows, windows, numbers) for rows in WARM_ROWS if rows <= options.rows_max)
    preferred = ", ".join(str(rows) for rows in PREFERRED_ROWS if rows <= options.rows_max) or str(options.rows_max)
    return "\n".join(
        (
            f'name: "{served_name}"',
            *_back_end(options.back_end),
            f"max_batch_size: {options.rows_max}",
            "input [",
            f'  {{ name: "{WINDOWS_INPUT}", {windows} }},',
            f'  {{ name: "{INSTRUMENT_INPUT}", {numbers}, reshape: {{ shape: [] }} }}',
            "]",
            f'output [ {{ name: "{OUTPUT}", data_type: TYPE_FP32, dims: [{len(SCORED)}] }} ]',
            f"version_policy: {{ specific: {{ versions: [{options.version}] }} }}",
            f"instance_group [ {{ count: 1, kind: KIND_{options.kind.upper()} }} ]",
            "dynamic_batching {",
            f"  preferred_batch_size: [{preferred}]",
            f"  max_queue_delay_microseconds: {options.queue_delay_us}",
            "}",
            "model_warmup [",
            warm,
            "]",
            "response_cache { enable: false }",
            "",
        )
    )


def _back_end(name: str) -> tuple[str, ...]:
    if name == "python":
        return ('backend: "python"', f'default_model_filename: "{PYTHON_FILE}"')
    one_thread = (
        f'parameters {{ key: "{pool}_op_thread_count", value: {{ string_value: "1" }} }}' for pool in ("intra", "inter")
    )
    return (
        'platform: "onnxruntime_onnx"',
        'backend: "onnxruntime"',
        f'default_model_filename: "{ONNX_FILE}"',
        *one_thread,
    )


def _warm_up(rows: int, windows: str, numbers: str) -> str:
    return "\n".join(
        (
            "  {",
            f'    name: "rows_{rows}", batch_size: {rows}',
            f'    inputs {{ key: "{WINDOWS_INPUT}", value: {{ {windows}, zero_data: true }} }}',
            f'    inputs {{ key: "{INSTRUMENT_INPUT}", value: {{ {numbers}, zero_data: true }} }}',
            "  }",
        )
    )
