"""A limit on the memory of a process, so that a bomb is an error and not a dead machine."""

import functools
from pathlib import Path

# Beyond the memory that the process has when the limit is set.
EXTRA_BYTES = 3 << 30


@functools.cache
def limit_memory() -> None:
    """Limit the address space of this process, once; only Linux can."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return
    import resource

    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmSize")]
    most = (int(line.split()[1]) << 10) + EXTRA_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
