"""Data-parallel training over the devices of one machine or over several processes."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from zoo.argument_checks import require_choice
from zoo.extras import extra
from zoo.training import rendezvous

BACKENDS = ("jax", "tensorflow")
# Seconds to wait for the processes on other hosts.
TIMEOUT = 60.0


@contextlib.contextmanager
def distributed(
    backend: str | None,
    hosts: Sequence[str] = (),
    index: int | None = None,
    task: str = "",
    timeout: float = TIMEOUT,
) -> Iterator[None]:
    """Models that are built and trained inside this block share each batch among devices.

    Args:
        backend: "jax": Keras's `DataParallel` over the devices of all processes. "tensorflow": a
            `MirroredStrategy` over the devices of this process. None: no distribution.
        hosts: Addresses of all processes. The first one, host:port, coordinates them. JAX only.
        index: Index of this process in `hosts`.
        task: The training of this process, in words; all processes must train the same.
        timeout: Seconds to wait for the other processes.

    With several hosts, JAX must not have computed anything before.

    Raises:
        ValueError: Keras runs on another backend, the hosts and the index do not fit, or another
            process trains something else.
        TimeoutError: A process is missing.
    """
    if backend is None:
        if hosts or index is not None:
            raise ValueError("Several hosts need `--distribute jax`.")
        yield
        return
    require_choice("distribution", backend, BACKENDS)
    if keras.backend.backend() != backend:
        raise ValueError(
            f"To distribute with {backend}, set KERAS_BACKEND={backend}; "
            f"Keras runs on {keras.backend.backend()}."
        )
    _require_hosts(backend, hosts, index)
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(_logical_devices(tf)).scope():
            yield
        return
    if len(hosts) > 1:
        _connect(hosts, index or 0, task, timeout)
    # Keras must not shard the data: each process loads its share, see `loop._share_of_batches`.
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(
            devices=keras.distribution.list_devices(), auto_shard_dataset=False
        )
    )
    try:
        yield
        if len(hosts) > 1:
            _await_all()
    finally:
        keras.distribution.set_distribution(None)


def devices() -> int:
    """The number of devices that share a batch."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    distribution = keras.distribution.distribution()
    return distribution.device_mesh.devices.size if distribution else 1


def process() -> tuple[int, int]:
    """The index of this process and the number of processes."""
    if keras.backend.backend() != "jax" or keras.distribution.distribution() is None:
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


@contextlib.contextmanager
def replicated() -> Iterator[None]:
    """Inside this block every process computes the whole result from its copy of the weights."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        yield
        return
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def _require_hosts(backend: str, hosts: Sequence[str], index: int | None) -> None:
    if not hosts and index is None:
        return
    if backend != "jax":
        raise ValueError("Several hosts need `--distribute jax`.")
    if not hosts or index is None:
        raise ValueError("`--hosts` and `--index` go together: which of the hosts is this one?")
    if not 0 <= index < len(hosts):
        raise ValueError(f"`--index` must be from 0 to {len(hosts) - 1}; received {index}.")
    if not hosts[0].rpartition(":")[2].isdigit():
        raise ValueError(f"The first host needs a port, host:port; received {hosts[0]!r}.")


def _connect(hosts: Sequence[str], index: int, task: str, timeout: float) -> None:
    rendezvous.meet(hosts[0], len(hosts), index, task, timeout)
    with extra("jax"):
        import jax

    # The CPU backend has no default collectives, so Gloo is used.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        hosts[0], len(hosts), index, initialization_timeout=max(round(timeout), 1)
    )


def _await_all() -> None:
    """Wait until every process is here: one that ends earlier breaks the connections of others."""
    from jax.experimental import multihost_utils

    multihost_utils.sync_global_devices("end of the training")


def _logical_devices(tf: Any) -> list[str]:
    """All GPUs; without GPUs, the logical devices that the CPU is divided into."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in devices]
