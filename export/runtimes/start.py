"""Start the runtimes that there are here."""

from collections.abc import Iterable

from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import Runtime
from export.targets import BUILT_IN, MICRO, XNNPACK

# Name of a runtime, as targets have it -> what starts it on the bytes of a file.
RUNTIMES = {
    XNNPACK: LiteRT,
    BUILT_IN: lambda content: LiteRT(content, xnnpack=False),
    MICRO: Micro,
}


def start(content: bytes, names: Iterable[str]) -> tuple[list[Runtime], list[str], dict[str, str]]:
    """Start runtimes on a file.

    Returns:
        Those that run it, the names of those that have no wheel for this platform, and
        by name why others refuse it.
    """
    started, missing, refused = [], [], {}
    for name in names:
        try:
            started.append(RUNTIMES[name](content))
        except ImportError:
            missing.append(name)
        except RuntimeError as error:
            refused[name] = str(error)
    return started, missing, refused
