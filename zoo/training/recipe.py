"""TrainingRecipe: the hyperparameters of a training run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingRecipe:
    """The hyperparameters of a training run.

    Attributes:
        epochs: Maximum number of epochs.
        batch_size: Sequences per gradient step.
        learning_rate: Peak learning rate. It rises linearly over the first twentieth of the steps
            and then falls to 0 along a cosine.
        weight_decay: Weight decay of AdamW.
        clip_norm: Maximum norm of each gradient.
        noise: Standard deviation of Gaussian noise on the training inputs, relative to the standard
            deviation of each feature. Inputs without a feature axis get no noise.
        average: Decay of the exponential moving average of the weights over epochs. Validation uses
            the averaged weights, and training returns them.
        patience: Epochs without a better validation loss after which training stops.
        checkpoint_every: Epochs between checkpoints.
        jit_compile: Whether XLA compiles the training step, which pays off if a step is a long loop
            of small operations.

    Raises:
        ValueError: A number is out of range.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    noise: float = 0.0
    average: float = 0.0
    patience: int = 20
    checkpoint_every: int = 5
    jit_compile: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1; received {getattr(self, name)!r}.")
        if not 0 <= self.average < 1:
            raise ValueError(f"`average` must be in [0, 1); received {self.average!r}.")
