"""What a model computes in, by name: the arguments of Transformer and load for it.

    fp32    float32 throughout
    tf32    float32 numbers, of which matrix products read 10 bits after the point, as tensor cores do: on a GPU only
    bf16    16-bit numbers, with float32 masters, sums and statistics: on a GPU only, sm_80 or newer; there it is what you get unasked

>>> placed("cpu")
{'device': 'cpu', 'dtype': 'float32'}
"""

from typing import Any, Literal

Precision = Literal["fp32", "tf32", "bf16"]
TENSOR_CORES_SINCE = 80     # that know bfloat16 and tf32: compute capability, as in sm_80


def placed(device: str, precision: Precision | None = None) -> dict[str, Any]:
    """device, dtype and table of operations, as in Transformer(config, **placed("cuda", "bf16")). None: the device's usual precision."""
    precision = precision or usual(device)
    if device != "cuda":
        if precision != "fp32":
            raise ValueError(f"{precision} is for a GPU; on the {device} a model computes in fp32: leave out --precision, or give --device cuda.")
        return {"device": device, "dtype": "float32"}
    refuse_old_gpu(precision)
    from .. import kernels
    return {"device": device, "dtype": "bfloat16" if precision == "bf16" else "float32",
            "ops": kernels.CUDA_TF32 if precision == "tf32" else kernels.CUDA}


def refuse_old_gpu(precision: str) -> None:
    if precision != "fp32" and (found := capability()) < TENSOR_CORES_SINCE:
        raise ValueError(f"This GPU is an sm_{found}, and {precision} needs sm_{TENSOR_CORES_SINCE} or newer: give --precision fp32.")


def usual(device: str) -> Precision:
    return "bf16" if device == "cuda" and capability() >= TENSOR_CORES_SINCE else "fp32"


def capability() -> int:
    """Of the GPU: 90 for an sm_90."""
    from .transformer import array_module
    return int(array_module("cuda").cuda.Device().compute_capability)


def name(model: Any) -> Precision:
    """The precision of a model that is there."""
    if model.dtype.itemsize == 2:
        return "bf16"
    return "tf32" if getattr(model.ops, "tf32", False) else "fp32"
