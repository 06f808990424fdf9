"""Saliency of an LSTM in PyTorch by captum, with the scores of time_interpret.

python benchmarks/saliency_peer.py INPUT.npz OUTPUT.npz

INPUT holds `inputs`, `salient`, and the weights of the Keras model: `kernel`, `recurrent_kernel`,
`bias`, `readout_kernel` and `readout_bias`. OUTPUT holds the logits of the LSTM, and the
attributions and scores of each method. It runs in an environment of its own, with
time_interpret and captum, and without lnn_keras.
"""

# pyright: reportMissingImports=false

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

INTEGRATION_STEPS = 64
THRESHOLD = 0.5


class MeanLogit(torch.nn.Module):
    """An LSTM with a linear readout, whose output is the mean over the steps, (batch, 1).

    Args:
        weights: Arrays of the Keras model. Its gates have the order of PyTorch.
    """

    def __init__(self, weights: Any):
        super().__init__()
        features, units = weights["kernel"].shape[0], weights["recurrent_kernel"].shape[0]
        self.lstm = torch.nn.LSTM(features, units, batch_first=True)
        self.readout = torch.nn.Linear(units, 1)
        copied = {
            "lstm.weight_ih_l0": weights["kernel"].T,
            "lstm.weight_hh_l0": weights["recurrent_kernel"].T,
            "lstm.bias_ih_l0": weights["bias"],
            "lstm.bias_hh_l0": 0 * weights["bias"],
            "readout.weight": weights["readout_kernel"].T,
            "readout.bias": weights["readout_bias"],
        }
        self.load_state_dict({name: torch.tensor(array) for name, array in copied.items()})

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The mean logit of each sequence."""
        return self.readout(self.lstm(inputs)[0]).mean(dim=1)


def gradients(model: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Gradients by captum, with their signs."""
    from captum.attr import Saliency

    return Saliency(model).attribute(inputs.requires_grad_(), abs=False).detach()


def integrated_gradients(model: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Integrated gradients by captum, from the baseline 0."""
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(model)
    found: Any = method.attribute(
        inputs, baselines=0.0, n_steps=INTEGRATION_STEPS, method="gausslegendre"
    )
    return found.detach()


def occlusion(model: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Occlusion of each value by time_interpret."""
    from tint.attr import Occlusion

    return Occlusion(model).attribute(inputs, sliding_window_shapes=(1, 1), baselines=0.0).detach()


def temporal_saliency_rescaling(model: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Algorithm 1 of Ismail et al. 2020 over captum's gradients, one value after the other.

    A step is relevant from the median of the sequence on. Neither captum nor time_interpret has it.
    """
    found = torch.zeros_like(inputs)
    for number, whole in enumerate(inputs.detach()):
        explained = gradients(model, whole[None].clone())

        def change(*place: Any, whole=whole, explained=explained) -> float:
            variant = whole[None].clone()
            variant[(0, *place)] = 0.0
            return float((gradients(model, variant) - explained).abs().sum())

        steps, features = whole.shape
        time = np.array([change(step) for step in range(steps)])
        for step in np.flatnonzero(time >= np.quantile(time, THRESHOLD)):
            for feature in range(features):
                found[number, step, feature] = time[step] * change(step, feature)
    return found


METHODS: dict[str, Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]] = {
    "gradients": gradients,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
    "temporal_saliency_rescaling": temporal_saliency_rescaling,
}


def scores(saliency: torch.Tensor, salient: torch.Tensor) -> list[float]:
    """Average precision, area under precision and area under recall by time_interpret."""
    from tint.metrics.white_box import aup, auprc, aur

    return [float(score(saliency, salient)) for score in (auprc, aup, aur)]


def main() -> None:
    """Write the logits, attributions and scores of the LSTM."""
    source, target = sys.argv[1:]
    data = np.load(source)
    model = MeanLogit(data).eval()
    inputs, salient = torch.tensor(data["inputs"]), torch.tensor(data["salient"])
    found = {"logits": model(inputs).detach().numpy()}
    for name, method in METHODS.items():
        attributions = method(model, inputs.clone())
        found[name] = attributions.numpy()
        found[f"{name} scores"] = np.array(scores(attributions.abs(), salient))
    np.savez(target, **found)


if __name__ == "__main__":
    main()
