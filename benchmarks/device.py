"""The name of the device that Keras computes on."""

import os
import platform


def device_name() -> str:
    """The device, as the title of its table: "2 CPU cores, x86_64", or as JAX names it."""
    import keras

    from lnn_keras.compat import has_accelerator

    if not has_accelerator():
        return host_name()
    if keras.backend.backend() != "jax":
        return "an accelerator"
    import jax

    return jax.devices()[0].device_kind


def host_name() -> str:
    """The processor."""
    return f"{os.cpu_count()} CPU cores, {platform.machine()}"
