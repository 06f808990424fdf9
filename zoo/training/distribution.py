"""How training spreads: over the devices of one machine, or over several processes."""

import contextlib
from collections.abc import Iterator, Sequence

import keras

from lnn_keras.argument_checks import require_choice

WAYS = ("jax", "tensorflow")


@contextlib.contextmanager
def distributed(
    way: str | None, hosts: Sequence[str] = (), index: int | None = None
) -> Iterator[None]:
    """Models that are built and trained within share each batch among devices.

    Args:
        way: "jax", Keras's `DataParallel` over the devices of all processes; "tensorflow",
            a `MirroredStrategy` over those of this one; or None, which changes nothing.
        hosts: Addresses of all processes; the first, host:port, is where they meet. JAX only.
        index: Which of them this process is, from 0.

    Raises:
        ValueError: The backend is another one, or the hosts and the index do not fit.
    """
    if way is None:
        if hosts or index is not None:
            raise ValueError("Several hosts need `--distribute jax`.")
        yield
        return
    require_choice("distribution", way, WAYS)
    if keras.backend.backend() != way:
        raise ValueError(
            f"To distribute with {way}, set KERAS_BACKEND={way}; "
            f"Keras runs on {keras.backend.backend()}."
        )
    _require_hosts(way, hosts, index)
    if way == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(_logical_devices(tf)).scope():
            yield
        return
    if len(hosts) > 1:
        _meet(hosts, index)
    # Each process is handed its own share of a batch, see `share_of_batches`.
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(
            devices=keras.distribution.list_devices(), auto_shard_dataset=False
        )
    )
    try:
        yield
    finally:
        keras.distribution.set_distribution(None)


def devices() -> int:
    """How many devices share a batch."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    distribution = keras.distribution.distribution()
    return distribution.device_mesh.devices.size if distribution else 1


def process() -> tuple[int, int]:
    """Which process this is, from 0, and how many there are."""
    if keras.backend.backend() != "jax" or keras.distribution.distribution() is None:
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


@contextlib.contextmanager
def everywhere_the_same() -> Iterator[None]:
    """Within, every process computes all of it, from weights that all of them hold."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        yield
        return
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def _require_hosts(way, hosts, index):
    if not hosts and index is None:
        return
    if way != "jax":
        raise ValueError("Several hosts need `--distribute jax`.")
    if not hosts or index is None:
        raise ValueError("`--hosts` and `--index` go together: which of the hosts is this one?")
    if not 0 <= index < len(hosts):
        raise ValueError(f"`--index` must be from 0 to {len(hosts) - 1}; received {index}.")
    if not hosts[0].rpartition(":")[2].isdigit():
        raise ValueError(f"The first host needs a port, host:port; received {hosts[0]!r}.")


def _meet(hosts, index):
    import jax

    # Processors, unlike other devices, talk to one another in no way unless told which.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize(hosts[0], len(hosts), index)


def _logical_devices(tf):
    """All GPUs, or, where there are none, all parts that the processor was divided into."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]
