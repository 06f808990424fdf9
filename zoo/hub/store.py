"""Where pretrained models come from and go to: folders that Keras reads, verified before use."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

# Loading a saved model needs its cells to be registered.
import lnn_keras
from lnn_keras.argument_checks import require_choice
from lnn_keras.atomic_folder import whole_folder
from zoo import registry
from zoo.hub import download
from zoo.preset import Preset, Samples
from zoo.training.loop import Inputs

METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
CARD = "card.md"
SAMPLES = "samples.npz"
EXPORT = ".tflite"
_PACKAGE = Path(__file__).parent.parent


class CorruptPresetError(RuntimeError):
    """A preset's file is missing or is not the one that was published."""


def bundled_folder(preset: Preset) -> Path:
    """The folder of a preset that ships with the package."""
    return _PACKAGE / preset.domain / preset.name


def load(source: str | Path) -> keras.Model:
    """Load a pretrained model.

    What a folder holds is data: no code of it runs, and Keras loads it in safe mode.

    Args:
        source: Name of a preset, that ships with the package or lies on the host
            `LNN_ZOO_URL`; a folder that `save` wrote; the address of one, https://... or
            hf://user/repo; or a `.keras` file.

    Raises:
        ValueError: There is no such preset, folder or file.
        CorruptPresetError: A file differs from the digest published for it.
        DownloadError: An address cannot be fetched, or differs from its digests.
    """
    path = Path(source)
    if path.suffix == ".keras" and not download.is_address(str(source)):
        if not path.is_file():
            raise ValueError(f"There is no file {path}.")
        return keras.saving.load_model(path)
    return keras.saving.load_model(find(source))


def find(source: str | Path) -> Path:
    """Return the verified folder of a preset's name, an address or a local folder.

    Raises:
        ValueError: There is no such preset or folder.
        CorruptPresetError: A file is missing or differs from its digest.
        DownloadError: An address cannot be fetched, or differs from its digests.
    """
    if download.is_address(str(source)):
        folder = download.folder_at(str(source))
        _verify(folder)
        return folder
    if str(source) not in registry.PRESETS and Path(source).is_dir():
        _verify(Path(source))
        return Path(source)
    if str(source) not in registry.PRESETS and download.host_is_set():
        folder = download.folder_named(str(source))
        _verify(folder)
        return folder
    preset = registry.get(str(source))
    if not preset.weights_sha256:
        raise ValueError(
            f"Preset {preset.name!r} is not released; `lnn train {preset.name}` trains it."
        )
    folder = bundled_folder(preset)
    _verify(folder)
    digest = sha256(folder / WEIGHTS)
    if digest != preset.weights_sha256:
        raise CorruptPresetError(
            f"The weights of {preset.name!r} are not the published ones: their sha256 is "
            f"{digest[:12]}..., published is {preset.weights_sha256[:12]}..."
        )
    return folder


def metadata(source: str | Path) -> dict[str, Any]:
    """What is recorded of a preset: versions, digests, metrics, parameters, licence."""
    return json.loads((find(source) / METADATA).read_text())


def card(source: str | Path) -> str:
    """The card of a preset, in Markdown."""
    return (find(source) / CARD).read_text()


def samples(source: str | Path) -> Samples:
    """Real data of a preset: "calibration", "inputs" and "targets".

    They ship with it, or are fetched where their licence lets nobody ship them.

    Raises:
        ValueError: The folder holds none, and is not that of a preset.
        DataError: They cannot be fetched.
    """
    path = find(source) / SAMPLES
    if not path.is_file():
        if str(source) in registry.PRESETS:
            return registry.get(str(source)).load_samples()
        raise ValueError(f"{source} ships no samples; give the data in a file.")
    with np.load(path, allow_pickle=False) as arrays:
        nested: Samples = {}
        for name, array in arrays.items():
            first, _, last = name.partition("/")
            if last:
                nested.setdefault(first, {})[last] = array
            else:
                nested[first] = array
    return nested


def exported(source: str | Path, recipe: str) -> bytes:
    """The file for devices of a recipe that ships with a preset.

    Raises:
        ValueError: No file of that recipe ships with it; the message names those that do.
    """
    folder = find(source)
    shipped = [path.name.removesuffix(EXPORT) for path in folder.glob(f"*{EXPORT}")]
    if not shipped:
        raise ValueError(f"{source} ships no exported files; `lnn export {source}` makes them.")
    return (folder / f"{require_choice('recipe', recipe, shipped)}{EXPORT}").read_bytes()


def evaluation(samples: Samples) -> Inputs | tuple[Inputs, np.ndarray]:
    """What `to_tflite` and `verify` take of samples: inputs, with targets if there are any."""
    inputs = samples["inputs"]
    return (inputs, samples["targets"]) if "targets" in samples else inputs


def save(
    model: keras.Model,
    folder: str | Path,
    *,
    card: str = "",
    samples: Samples | None = None,
    files: dict[str, bytes] | None = None,
    **recorded: Any,
) -> None:
    """Write a model as a folder that `load`, and Keras itself, can read.

    Args:
        model: The model to save, built.
        folder: Where; it appears whole or not at all.
        card: Its card, in Markdown.
        samples: Real data to ship with it, by name.
        files: Files for devices to ship with it, by recipe.
        **recorded: What to add to its metadata, as JSON takes it.

    Raises:
        OSError: The folder cannot be written, or holds other files.
    """
    with whole_folder(folder, proof=METADATA) as made:
        archive = made / "model.keras"
        keras.saving.save_model(model, archive)
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(made)
        archive.unlink()
        if card:
            (made / CARD).write_text(card)
        if samples:
            np.savez_compressed(made / SAMPLES, **_flat(samples))
        for recipe, content in (files or {}).items():
            (made / f"{recipe}{EXPORT}").write_bytes(content)
        keras_metadata = json.loads((made / METADATA).read_text())
        written = sorted(path for path in made.iterdir() if path.name != METADATA)
        content = {
            **keras_metadata,
            "lnn_keras_version": lnn_keras.__version__,
            "parameters": model.count_params(),
            **recorded,
            "sha256": {path.name: sha256(path) for path in written},
        }
        (made / METADATA).write_text(json.dumps(content, indent=2) + "\n")


def _flat(samples):
    """Arrays by name; those of an input that has several by both names: "inputs/elapsed"."""
    flat = {}
    for name, value in samples.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        flat |= {f"{name}/{last}" if last else name: array for last, array in inner}
    return flat


def _verify(folder):
    path = folder / METADATA
    if not path.is_file():
        raise CorruptPresetError(f"{folder} holds no preset: {METADATA} is missing.")
    try:
        digests = json.loads(path.read_text())["sha256"]
    except (ValueError, KeyError) as error:
        raise CorruptPresetError(f"{path} is damaged: it records no digests.") from error
    for name in {WEIGHTS, "config.json", *digests}:
        # A name with a folder in it could point outside the preset.
        if Path(name).name != name or not (folder / name).is_file():
            raise CorruptPresetError(f"The preset in {folder} lacks {name}.")
        if sha256(folder / name) != digests.get(name):
            raise CorruptPresetError(
                f"{folder / name} is damaged: its sha256 differs from the one in {METADATA}."
            )


def sha256(path: Path) -> str:
    """The sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
