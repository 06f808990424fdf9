"""The interpreter that runs .tflite files in a browser: TensorFlow Lite as WebAssembly."""

from pathlib import Path

FOLDER = Path(__file__).parent / "browser_runtime"
LOADER, PROGRAM = "tflite_web_api_cc.js", "tflite_web_api_cc.wasm.gz"


def loader() -> bytes:
    """The JavaScript that starts the interpreter."""
    return (FOLDER / LOADER).read_bytes()


def program() -> bytes:
    """The interpreter as WebAssembly, compressed by gzip."""
    return (FOLDER / PROGRAM).read_bytes()
