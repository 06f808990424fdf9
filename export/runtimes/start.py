"""Starts the runtimes that are available on this host."""

from collections.abc import Callable, Iterable

from export.artifact import Artifact, require_readable
from export.c.model import CModel
from export.runtimes.c_code import CCode
from export.runtimes.isolated import Isolated
from export.runtimes.litert import LiteRT
from export.runtimes.micro import Micro
from export.runtimes.rollout import Runtime
from export.targets import BUILT_IN, MICRO, XNNPACK
from export.tflite_file.own_files import is_own

# By name of a runtime, as in `Target.runtimes`, a function that starts it on a file.
RUNTIMES: dict[str, Callable[[bytes], Runtime]] = {
    XNNPACK: LiteRT,
    BUILT_IN: lambda content: LiteRT(content, xnnpack=False),
    MICRO: Micro,
}


def start_runtimes(
    content: Artifact, names: Iterable[str]
) -> tuple[list[Runtime], list[str], dict[str, str]]:
    """Start runtimes on a file, or on C source.

    Files that this process has converted run in it, as does C source, which is compiled. Other
    files are verified, and run in processes of their own, so that a file that kills its runtime is
    an error.

    Returns:
        The runtimes that accept the file; the names of those without a wheel on this platform, or
        without a C compiler;
        by name of each runtime that rejects the file, its reason.

    Raises:
        ValueError: The file is damaged.
    """
    require_readable(content)
    started, missing, rejections = [], [], {}
    for name in names:
        try:
            started.append(_start(content, name))
        except ImportError:
            missing.append(name)
        except RuntimeError as error:
            rejections[name] = str(error)
    return started, missing, rejections


def _start(content: Artifact, name: str) -> Runtime:
    if isinstance(content, CModel):
        return CCode(content)
    return RUNTIMES[name](content) if is_own(content) else Isolated(content, name)
