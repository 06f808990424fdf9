"""Start Keras without the notices of its backend."""

import os


def load_keras(start: bool = True) -> None:
    """Import Keras and start its backend with stderr closed.

    Args:
        start: Whether to start the backend. JAX must connect to other hosts before it starts.

    TensorFlow writes notices to the file descriptor of stderr that no setting suppresses.
    """
    saved = os.dup(2)
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), 2)
    try:
        import keras

        if start:
            keras.ops.zeros(())
    finally:
        os.dup2(saved, 2)
        os.close(saved)
