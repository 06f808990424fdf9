"""LTCCell: liquid time-constant neurons with conductance-based synapses on a wiring."""

from collections.abc import Sequence
from typing import Any

import keras

from lnn_keras.autodiff.transposition import transposed
from lnn_keras.cells.continuous_time import first_state
from lnn_keras.cells.initializers import LogInitializer, clone_initializer, uniform_or
from lnn_keras.cells.ode import ODECell
from lnn_keras.cells.synapses import Synapses
from lnn_keras.solvers import solve
from lnn_keras.tensors import Tensor, ops
from lnn_keras.types import Initializer
from lnn_keras.wirings import FullyConnected, Wiring


@keras.saving.register_keras_serializable(package="lnn_keras")
class LTCCell(ODECell):
    """Liquid time-constant neurons that are connected by the synapses of a wiring.

        C dv_i/dt = g_i (e_i - v_i) + sum over synapses j -> i of w_j s_j (E_j - v_i),
        s_j = sigmoid(sigma_j (u_j - mu_j)),

    where u_j is the potential of the neuron, or the input, that is the source of synapse j;
    w, g >= 0 and C > 0. Each input has a scale and a bias, and so has each motor neuron. The
    scaled motor neurons are the output. With `solver="semi_implicit"` a step is

        v <- (C v + delta (g e + sum w s E)) / (C + delta (g + sum w s)).

    The default initial values are for inputs and potentials within [-1, 1] and elapsed times of
    about 0.1 to 1: thresholds mu over that range, time constants C / (g + sum w s) below and around
    the elapsed times, and leaks about as strong as a synapse (docs/defaults.md). The authors' code
    has inputs within [0, 1] in mind, g and w in [0.001, 1], C in [0.4, 0.6],
    sigma in [3, 8] and mu in [0.3, 0.8]. Explicit solvers need steps shorter than the smallest time
    constant, about 0.01: give `capacitance_initializer`, or more `unfolds`.

    Args:
        wiring: A `lnn_keras.wirings.Wiring`, or a number of fully connected neurons.
        unfolds: Solver steps per call. The first step of "dopri5" is at most elapsed / unfolds.
        leak_initializer: Initializer of the leak conductances g (units,); by default uniform
            in [0.3, 1].
        leak_reversal_initializer: Initializer of the leak potentials e (units,); by default
            uniform in [-0.2, 0.2].
        capacitance_initializer: Initializer of the capacitances C (units,), stored as their
            logarithm; by default uniform in [0.03, 0.2].
        weight_initializer: Initializer of w (synapses,); by default uniform in [0.5, 2].
        sigma_initializer: Initializer of sigma (synapses,); by default uniform in [7, 12].
        mu_initializer: Initializer of mu (synapses,); by default uniform in [-0.7, 0.7].
        elapsed: Elapsed time per call: a number, for regularly sampled data, or
            "last_feature" if the last input feature is the elapsed time.
        solver: "semi_implicit", "euler", "midpoint", "rk4", or "dopri5" (adaptive).
        rtol: Relative tolerance of a step of "dopri5".
        atol: Absolute tolerance of a step of "dopri5".
        max_steps: Maximum number of steps of "dopri5" per call. The state becomes NaN if they
            do not suffice. Backpropagation on JAX always computes all of them.
        adjoint: Whether the gradient recomputes solver steps from a few checkpoints of the
            state instead of storing every step. It can be differentiated again, in the same memory.
        **kwargs: `name`, `dtype` and `trainable` of `keras.layers.Layer`.

    Call arguments:
        inputs: (batch, features), or (batch, features + 1) with elapsed="last_feature".
        states: The potentials (batch, units), or a list that holds them.
        elapsed: Optional elapsed time that replaces the cell's own: a number, (batch,) or
            (batch, 1).
        training: Has no effect.

    Returns:
        The output (batch, wiring.outputs), and the list of the new potentials.

    Raises:
        ValueError: `wiring` is neither a wiring nor a number, `unfolds` or `max_steps` below 1,
            `rtol` or `atol` not above 0, unknown `solver`, invalid `elapsed`, or an initial
            capacitance that is not above 0.

    Example:

    ```python
    wiring = lnn_keras.wirings.AutoNCP(32, outputs=4)
    layer = lnn_keras.LiquidRNN(lnn_keras.LTCCell(wiring))
    ```

    References: Hasani et al., Liquid Time-constant Networks, AAAI 2021; Lechner et al.,
    Neural circuit policies enabling auditable autonomy, 2020, eq. 1-3.
    """

    def __init__(
        self,
        wiring: Wiring | int,
        unfolds: int = 6,
        leak_initializer: Initializer | None = None,
        leak_reversal_initializer: Initializer | None = None,
        capacitance_initializer: Initializer | None = None,
        weight_initializer: Initializer | None = None,
        sigma_initializer: Initializer | None = None,
        mu_initializer: Initializer | None = None,
        elapsed: float | str = 1.0,
        solver: str = "semi_implicit",
        rtol: float = 1e-3,
        atol: float = 1e-6,
        max_steps: int = 256,
        adjoint: bool = False,
        **kwargs,
    ):
        wiring = _as_wiring(wiring)
        super().__init__(
            wiring.units,
            unfolds,
            elapsed=elapsed,
            solver=solver,
            rtol=rtol,
            atol=atol,
            max_steps=max_steps,
            adjoint=adjoint,
            output_size=wiring.outputs,
            **kwargs,
        )
        self.wiring = wiring
        self.leak_initializer: Any = uniform_or(leak_initializer, 0.3, 1.0)
        self.leak_reversal_initializer: Any = uniform_or(leak_reversal_initializer, -0.2, 0.2)
        self.capacitance_initializer: Any = uniform_or(capacitance_initializer, 0.03, 0.2)
        self.weight_initializer: Any = uniform_or(weight_initializer, 0.5, 2.0)
        self.sigma_initializer: Any = uniform_or(sigma_initializer, 7.0, 12.0)
        self.mu_initializer: Any = uniform_or(mu_initializer, -0.7, 0.7)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features, units, outputs = self.features_of(input_shape), self.units, self.output_size
        connections = self.wiring.connect(features)
        self.input_scale = self.add_weight(
            name="input_scale", shape=(features,), initializer="ones"
        )
        self.input_bias = self.add_weight(name="input_bias", shape=(features,), initializer="zeros")
        self.output_scale = self.add_weight(
            name="output_scale", shape=(outputs,), initializer="ones"
        )
        self.output_bias = self.add_weight(
            name="output_bias", shape=(outputs,), initializer="zeros"
        )
        self.leak = self.add_weight(
            name="leak", shape=(units,), initializer=self.leak_initializer, constraint="non_neg"
        )
        self.leak_reversal = self.add_weight(
            name="leak_reversal", shape=(units,), initializer=self.leak_reversal_initializer
        )
        self.log_capacitance = self.add_weight(
            name="log_capacitance",
            shape=(units,),
            initializer=LogInitializer("capacitance_initializer", self.capacitance_initializer),
        )
        initializers = (self.weight_initializer, self.sigma_initializer, self.mu_initializer)
        self.sensory = Synapses(self, "sensory_", connections.sensory, *initializers)
        clones = (clone_initializer(initializer) for initializer in initializers)
        self.recurrent = Synapses(self, "", connections.recurrent, *clones)
        self.built = True

    def project(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Currents of leaks and sensory synapses: (..., features) -> (..., 2 units)."""
        inputs = inputs * self.input_scale + self.input_bias
        if len(inputs.shape) > 2:
            drive, decay = self._sensory_currents_of_sequences(inputs)
        else:
            drive, decay = self.sensory.currents(inputs)
        drive = drive + self.leak * self.leak_reversal
        return ops.concatenate([drive, decay + self.leak], axis=-1)

    def _sensory_currents_of_sequences(self, inputs):
        """The sensory currents, computed in the batch-last form with all steps as the batch."""
        columns = transposed(ops.reshape(inputs, (-1, inputs.shape[-1])))
        constants = self.sensory.constants(ops.ones((self.units,), inputs.dtype))
        currents = self.sensory.currents_batch_last(columns, *constants)
        shape = (*ops.shape(inputs)[:-1], self.units)
        return (ops.reshape(transposed(current), shape) for current in currents)

    def increments(
        self, projected: Tensor, h: Tensor, delta: float | Tensor, *constants: Tensor
    ) -> tuple[Tensor, Tensor]:
        drive, decay = self.recurrent.currents(h)
        rate = delta * ops.exp(-self.log_capacitance)
        drive = drive + projected[..., : self.units]
        return rate * drive, rate * (decay + projected[..., self.units :])

    def constants(
        self, elapsed: float | None = None, recurrent_mask: Tensor | None = None
    ) -> list[Tensor]:
        """1 / C and the padded synapses for `advance_batch_last`, or [] if it does not apply.

        Adaptive steps and `adjoint` need `advance`.
        """
        if self.adjoint or self.solver == "dopri5":
            return []
        rate = ops.exp(-self.log_capacitance)
        return [ops.expand_dims(rate, -1), *self.recurrent.constants(rate)]

    def advance(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor] | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """Solve over `elapsed`: -> (output, [v]). It uses the edge list and no constants."""
        return super().advance(projected, states, elapsed, constants=(), training=training)

    def advance_batch_last(
        self,
        projected: Tensor,
        states: Any,
        elapsed: float | Tensor,
        constants: Sequence[Tensor],
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """`advance` with the batch as the last axis of every tensor, for scans.

        The gathers of the synapses then copy contiguous rows, and their sums are one batched
        product.

        Args:
            projected: Result of `project`, transposed (2 units, batch).
            states: The potentials (units, batch), or a list that holds them.
            elapsed: Elapsed time, a number or (1, batch).
            constants: Result of `constants`.
            training: Has no effect.

        Returns:
            The output (wiring.outputs, batch), and the list of the new potentials.
        """
        rate, *synapses = constants
        sensory_drive, sensory_decay = (rate * part for part in ops.split(projected, 2, axis=0))

        def increments(h, delta):
            drive, decay = self.recurrent.currents_batch_last(h, *synapses)
            return delta * (drive + sensory_drive), delta * (decay + sensory_decay)

        h = solve(self._method, increments, first_state(states), elapsed)
        return transposed(self.read_out(transposed(h))), [h]

    def read_out(self, h: Tensor) -> Tensor:
        """The motor neurons, each with its scale and bias."""
        return h[..., : self.output_size] * self.output_scale + self.output_bias

    def quantities(
        self, features: Tensor, states: Any, elapsed: float | Tensor
    ) -> dict[str, Tensor]:
        """As of every ODE cell, with time_constant = C / (g + sum w s); and currents.

        "leak_current" is g (e - v), (batch, units). "sensory_current" and "recurrent_current" are
        w s (E - v) of each synapse, (batch, synapses), in the order of the nonzero entries of
        `wiring.connect(features).sensory` and `.recurrent`.
        """
        v = first_state(states)
        inputs = features * self.input_scale + self.input_bias
        return {
            **super().quantities(features, states, elapsed),
            "leak_current": self.leak * (self.leak_reversal - v),
            "sensory_current": self.sensory.current_of_each(inputs, v),
            "recurrent_current": self.recurrent.current_of_each(v, v),
        }

    def _equation(self, projected, constants):
        """As in the base class; the constants are those of `advance_batch_last`."""
        return super()._equation(projected, ())

    def fastest_rate(self) -> Tensor:
        """(g + sum of w) / C of each neuron."""
        decay = self.leak + self.sensory.total_weight() + self.recurrent.total_weight()
        return ops.exp(-self.log_capacitance) * decay

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["units"]
        serialize = keras.initializers.serialize
        return {
            **config,
            "wiring": keras.saving.serialize_keras_object(self.wiring),
            "leak_initializer": serialize(self.leak_initializer),
            "leak_reversal_initializer": serialize(self.leak_reversal_initializer),
            "capacitance_initializer": serialize(self.capacitance_initializer),
            "weight_initializer": serialize(self.weight_initializer),
            "sigma_initializer": serialize(self.sigma_initializer),
            "mu_initializer": serialize(self.mu_initializer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LTCCell":
        wiring = keras.saving.deserialize_keras_object(config["wiring"])
        return cls(**{**config, "wiring": wiring})


def _as_wiring(wiring: Any) -> Wiring:
    """The wiring, or a fully connected one with this number of neurons."""
    if hasattr(wiring, "connect"):
        return wiring
    if isinstance(wiring, bool) or not isinstance(wiring, int):
        raise ValueError(
            f"`wiring` must be a Wiring or a number of neurons; received {type(wiring).__name__}."
        )
    return FullyConnected(wiring)
