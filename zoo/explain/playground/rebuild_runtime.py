"""Rebuilds the files of `browser_runtime` from the npm package that they come from.

python -m zoo.explain.playground.rebuild_runtime       needs npm
"""

import gzip
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

from zoo.explain.playground.runtime_files import FOLDER, LOADER, PROGRAM

PACKAGE = "@tensorflow/tfjs-tflite@0.0.1-alpha.10"
SHA256 = "ce63551608097a5ecb0f0128fc64c53c15843a851fcd17f83e66e1908a628d71"
# The build without threads and without SIMD, which every browser with WebAssembly runs.
WASM = "package/wasm/"


def rebuild(folder: Path = FOLDER) -> None:
    """Write the runtime's two files into a folder.

    Args:
        folder: The folder; files of the same names are replaced.

    Raises:
        ValueError: The package differs from the one with the pinned digest.
        OSError: npm is missing, or the folder cannot be written.
        CalledProcessError: npm failed.
    """
    with tempfile.TemporaryDirectory() as download:
        packed = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE, "--pack-destination", download],
            check=True,
            capture_output=True,
            text=True,
        )
        archive = Path(download) / packed.stdout.strip().splitlines()[-1]
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != SHA256:
            raise ValueError(f"The sha256 of {PACKAGE} is {digest}; expected is {SHA256}.")
        with tarfile.open(archive) as files:
            loader = _content(files, WASM + LOADER)
            program = _content(files, WASM + PROGRAM.removesuffix(".gz"))
    (folder / LOADER).write_bytes(loader)
    # Without a time stamp, equal contents are equal files.
    (folder / PROGRAM).write_bytes(gzip.compress(program, 9, mtime=0))


def _content(files: tarfile.TarFile, name: str) -> bytes:
    member = files.extractfile(name)
    assert member is not None, name
    return member.read()


if __name__ == "__main__":
    rebuild()
