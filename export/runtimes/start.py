"""Starts the runtimes that are available on this host."""

from collections.abc import Callable, Iterable

from export.runtimes.isolated import Isolated
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import Runtime
from export.targets import BUILT_IN, MICRO, XNNPACK
from export.tflite_file.own_files import is_own
from export.tflite_file.verifier import require_readable

# By name of a runtime, as in `Target.runtimes`, a function that starts it on a file.
RUNTIMES: dict[str, Callable[[bytes], Runtime]] = {
    XNNPACK: LiteRT,
    BUILT_IN: lambda content: LiteRT(content, xnnpack=False),
    MICRO: Micro,
}


def start_runtimes(
    content: bytes, names: Iterable[str]
) -> tuple[list[Runtime], list[str], dict[str, str]]:
    """Start runtimes on a file.

    Files that this process has converted run in it. Others are verified, and run in processes of
    their own, so that a file that kills its runtime is an error.

    Returns:
        The runtimes that accept the file; the names of those without a wheel on this platform;
        by name of each runtime that rejects the file, its reason.

    Raises:
        ValueError: The file is damaged.
    """
    trusted = is_own(content)
    require_readable(content)
    started, missing, rejections = [], [], {}
    for name in names:
        try:
            started.append(RUNTIMES[name](content) if trusted else Isolated(content, name))
        except ImportError:
            missing.append(name)
        except RuntimeError as error:
            rejections[name] = str(error)
    return started, missing, rejections
