"""solve: a solution whose gradients come by backpropagation."""


def solve(method, increments, h, elapsed):
    """The solution of dh/dt = drive - decay h after `elapsed`.

    Args:
        method: `FixedSteps` or `Dopri5`.
        increments: Function (h, delta) -> (delta drive, delta decay), each (batch, size).
        h: State at the start (batch, size).
        elapsed: A number or a tensor (batch, 1).

    Returns:
        The state at the end.
    """
    return method.finish(method.run(increments, method.start(increments, h, elapsed)))
