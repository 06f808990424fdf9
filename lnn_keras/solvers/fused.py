"""The fused semi-implicit step (Hasani et al., Liquid Time-constant Networks, AAAI 2021, eq. 3)."""


def semi_implicit(increments, h):
    """One step of dh/dt = drive - decay h, implicit in the decay alone.

        h <- (h + delta drive) / (1 + delta decay)

    First order. For decay >= 0 it is stable at any step size: with drive = f A
    and decay = 1/tau + f the result is a convex combination of h, A and 0.

    Args:
        increments: Function h -> (delta drive, delta decay).
        h: State at the start of the step.
    """
    gain, loss = increments(h)
    return (h + gain) / (1 + loss)
