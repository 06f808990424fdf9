"""Types of the arguments that Keras takes as a name, a config or an object."""

from collections.abc import Callable
from typing import Any

Activation = str | dict | Callable[..., Any] | None
Initializer = str | dict | Callable[..., Any]
Regularizer = str | dict | Callable[..., Any] | None
Constraint = str | dict | Callable[..., Any] | None
