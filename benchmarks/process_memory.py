"""Memory of the current process, from /proc (Linux only), and of the accelerator of JAX."""

from pathlib import Path

STATUS = Path("/proc/self/status")


def resident_mib() -> float:
    """Resident memory of this process, in MiB."""
    return _read("VmRSS")


def peak_mib() -> float:
    """Peak resident memory of this process, in MiB.

    `resource.getrusage` is not used, because its peak can include memory of the parent process.
    """
    return _read("VmHWM")


def used_and_peak_mib() -> tuple[float, float]:
    """Memory in use and its peak, in MiB: that of JAX's accelerator, or else of this process."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        # None on a processor.
        if memory := jax.devices()[0].memory_stats():
            return memory["bytes_in_use"] / 2**20, memory["peak_bytes_in_use"] / 2**20
    return resident_mib(), peak_mib()


def _read(field: str) -> float:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"no {field} in {STATUS}")
