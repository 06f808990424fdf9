"""OnlineState: the state of OnlineDynamics, and the checks of its arguments."""

import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from lnn_keras.adapt.eligibility import PARAMETERS
from lnn_keras.adapt.guard_rails import GuardState
from lnn_keras.tensors import Tensor, concrete_values, ops


class OnlineState(NamedTuple):
    """The state of a stream: a pytree of tensors, whose sizes never change.

    Attributes:
        h: The state of the cell (1, units).
        traces: For each adapted parameter, a tensor of its shape.
        parameters: The adapted parameters.
        squares: For each, the running mean of squared gradients of "rmsprop"; () of "sgd".
        guard: The numbers of the guard rails.
        gaps: Number of steps with inputs that were not finite, int32.
        fingerprint: A checksum of the trained weights, int32.
    """

    h: Tensor
    traces: tuple[Tensor, ...]
    parameters: tuple[Tensor, ...]
    squares: tuple[Tensor, ...]
    guard: GuardState
    gaps: Tensor
    fingerprint: Tensor


def fingerprint(cell: Any) -> int:
    """A checksum of a cell's type and weights: an integer of 31 bits."""
    checksum = zlib.crc32(type(cell).__name__.encode())
    for weight in cell.weights:
        array = ops.convert_to_numpy(weight)
        checksum = zlib.crc32(array.tobytes(), zlib.crc32(str(array.shape).encode(), checksum))
    return checksum & 0x7FFFFFFF


def require_cell(cell: Any) -> Any:
    """Return the cell if its parameters can learn online.

    Raises:
        ValueError: It is of another type, or not built.
    """
    if type(cell) not in PARAMETERS:
        *others, last = (kind.__name__ for kind in PARAMETERS)
        inner = getattr(cell, "cell", None)
        hint = " Give the cell of the layer, `layer.cell`." if type(inner) in PARAMETERS else ""
        raise ValueError(
            f"`cell` must be a {', '.join(others)} or {last}; received {type(cell).__name__}.{hint}"
        )
    if not cell.built:
        raise ValueError(
            f"{type(cell).__name__} {cell.name!r} is not built, so it has no weights that could "
            "learn. Call its layer once, or `cell.build((None, features))`."
        )
    if getattr(cell, "solver", None) == "dopri5":
        raise ValueError(
            f"{type(cell).__name__} {cell.name!r} has the solver 'dopri5', whose number of steps "
            "varies. Online learning takes solvers with fixed steps, such as 'semi_implicit'."
        )
    return cell


def require_limit(
    argument: str, value: float, least: float, inclusive: bool = False, finite: bool = True
) -> float:
    """Return a number above `least`.

    Args:
        argument: The name of the argument.
        value: The received value.
        least: The bound.
        inclusive: Whether the bound itself is allowed.
        finite: Whether infinity is refused.

    Raises:
        ValueError: It is not such a number.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    within = is_number and (value > least or (inclusive and value == least))
    if within and not (finite and math.isinf(value)):
        return float(value)
    kind, relation = "finite number" if finite else "number", "at least" if inclusive else "above"
    preposition = f"of {relation}" if inclusive else relation
    raise ValueError(f"`{argument}` must be a {kind} {preposition} {least}; received {value!r}.")


def one_row(argument: str, values: Any, width: int) -> Tensor:
    """Values of one step as a tensor (1, width).

    Raises:
        ValueError: They are not `width` values of one stream.
    """
    values = ops.convert_to_tensor(values)
    shape = tuple(values.shape)
    if shape not in ((width,), (1, width)):
        raise ValueError(
            f"`{argument}` must have shape ({width},) or (1, {width}), one step of one stream; "
            f"received {shape}."
        )
    return ops.reshape(values, (1, width))


def require_state(state: Any, shapes: Sequence[tuple[int, ...]], checksum: int, name: str) -> None:
    """Check that a state belongs to a cell and its trained weights.

    Args:
        state: The received state.
        shapes: The shapes of the cell's state and of its adapted parameters.
        checksum: The fingerprint of the cell.
        name: The name of the cell.

    Raises:
        ValueError: It does not. A fingerprint that is being traced is not compared.
    """
    if not isinstance(state, OnlineState):
        raise ValueError(
            f"`state` must come from `initial_state`, `advance` or `learn`; received "
            f"{type(state).__name__}."
        )
    known = concrete_values(state.fingerprint)
    received = [tuple(tensor.shape) for tensor in (state.h, *state.parameters)]
    if received != list(shapes) or (known is not None and int(known) != checksum):
        raise ValueError(
            f"`state` belongs to another cell than {name!r}, or to other trained weights of it. "
            "Start with `initial_state()` of this OnlineDynamics."
        )
