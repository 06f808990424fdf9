"""The argument `parallel` of LiquidRNN: how the steps of a sequence are computed."""

from typing import Any

import keras

from lnn_keras.argument_checks import require_choice
from lnn_keras.cells.continuous_time import as_list
from lnn_keras.layers import parallel_scan

SCAN, AUTO = "scan", "auto"
METHODS = (AUTO, SCAN, *parallel_scan.METHODS)


def has_maps(cell: Any) -> bool:
    """Whether the steps of a cell are Moebius maps, which `parallel="scan"` composes."""
    return hasattr(cell, "step_map")


def require_supported(method: str | None, layer: Any) -> str | None:
    """Check the argument `parallel` of a LiquidRNN: None or one of `METHODS`.

    Args:
        method: The argument.
        layer: The layer, with all its other attributes set.

    Returns:
        The argument; None for any false value.

    Raises:
        ValueError: Unknown method; "scan" for a cell whose neurons mix within a step. For
            "newton" and "quasi_newton" another backend than JAX, half precision, `unroll`, or a
            cell with several states, without `read_out`, or with an adaptive or adjoint solver.
    """
    if not method:
        return None
    require_choice("parallel", method, METHODS)
    if method in parallel_scan.METHODS:
        _require_newton(method, layer)
    elif method == SCAN and not has_maps(layer.cell):
        raise ValueError(
            'parallel="scan" needs a cell whose neurons do not mix within a step: '
            f"DiagonalLiquidCell; received {type(layer.cell).__name__}. parallel=None takes every "
            'cell, and on JAX "newton" takes cells with one state.'
        )
    return method


def portable(method: str | None) -> str | None:
    """The argument of a saved layer on this backend: Newton's method becomes None off JAX."""
    is_newton = method in parallel_scan.METHODS
    return None if is_newton and keras.backend.backend() != "jax" else method


def _require_newton(method, layer):
    cell, backend = layer.cell, keras.backend.backend()
    name = type(cell).__name__
    if backend != "jax":
        problem = f"Keras to run on 'jax'; it runs on {backend!r}, where parallel=None is allowed"
    elif has_maps(cell):
        problem = f'another cell; parallel="scan" computes all steps of {name} exactly'
    elif layer.unroll:
        problem = "unroll=False; received unroll=True"
    elif len(as_list(cell.state_size)) > 1:
        problem = f"a cell with one state; {name} has {len(cell.state_size)}"
    elif not hasattr(cell, "read_out"):
        problem = f"a cell with `read_out`, its output as a function of its state; {name} has none"
    elif getattr(cell, "solver", None) == "dopri5" or getattr(cell, "adjoint", False):
        problem = (
            "a solver of fixed steps and adjoint=False; "
            f"received solver={cell.solver!r}, adjoint={cell.adjoint}"
        )
    elif not {layer.compute_dtype, cell.compute_dtype} <= {"float32", "float64"}:
        problem = (
            'layer and cell of dtype="float32" or "float64", since half precision cannot meet the '
            f"tolerance; received {layer.dtype_policy.name!r} and {cell.dtype_policy.name!r}"
        )
    else:
        return
    raise ValueError(f"parallel={method!r} needs {problem}.")
