"""Memory of the current process, from /proc (Linux only)."""

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


def _read(field: str) -> float:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"no {field} in {STATUS}")
