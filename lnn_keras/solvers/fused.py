"""The fused semi-implicit step (Hasani et al., Liquid Time-constant Networks, AAAI 2021, eq. 3)."""


def semi_implicit(terms, h, delta):
    """One step of dh/dt = drive - decay h, implicit in the decay alone.

        h <- (h + delta drive) / (1 + delta decay)

    First order. For decay >= 0 it is stable at any step size: with drive = f A
    and decay = 1/tau + f the result is a convex combination of h, A and 0.

    Args:
        terms: Function h -> (drive, decay).
        h: State at the start of the step.
        delta: Length of the step, broadcast against h.
    """
    drive, decay = terms(h)
    return (h + delta * drive) / (1 + delta * decay)
