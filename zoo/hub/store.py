"""Load and save pretrained models: folders that Keras reads, verified before use."""

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import registry
from zoo.argument_checks import require_choice
from zoo.hub import download
from zoo.hub.download import METADATA
from zoo.local_files import sha256
from zoo.preset import Preset, Samples
from zoo.training.arrays import Inputs

if TYPE_CHECKING:
    import keras

WEIGHTS = "model.weights.h5"
CARD = "card.md"
SAMPLES = "samples.npz"
EXPORT = ".tflite"
_PACKAGE = Path(__file__).parent.parent


class CorruptPresetError(RuntimeError):
    """A file of a preset is missing or differs from the published one."""


def bundled_folder(preset: Preset) -> Path:
    """The folder of a preset in this package."""
    return _PACKAGE / preset.domain / preset.name


def load(source: str | Path) -> "keras.Model":
    """Load a pretrained model.

    Preset folders contain no code, and Keras loads them in safe mode.

    Args:
        source: The name of a preset that ships with the package or lies on the host `LNN_ZOO_URL`;
            a folder that `save` wrote; the address of one, https://... or hf://user/repo; or a
            `.keras` file.

    Returns:
        The model.

    Raises:
        ValueError: There is no such preset, folder or file.
        CorruptPresetError: A file differs from its published digest.
        DownloadError: A file cannot be downloaded, or differs from its digest.

    Example:
        >>> import zoo
        >>> model = zoo.load("half-cheetah-micro")
        >>> model.predict(zoo.samples("half-cheetah-micro")["inputs"][None], verbose=0).shape
        (1, 500, 17)
    """
    path = Path(source)
    if path.suffix == ".keras" and not download.is_address(str(source)):
        if not path.is_file():
            raise ValueError(f"There is no file {path}.")
        return _load_model(path)
    return _load_model(find(source))


def _load_model(path: Path) -> "keras.Model":
    import keras

    # Loading requires that the cells and the loss functions are registered with Keras.
    import lnn_keras  # noqa: F401

    registry.register_losses()
    model: Any = keras.saving.load_model(path)
    return model


def find(source: str | Path) -> Path:
    """Return the verified folder of a preset name, an address or a local folder.

    Raises:
        ValueError: There is no such preset or folder.
        CorruptPresetError: A file is missing or differs from its digest.
        DownloadError: A file cannot be downloaded, or differs from its digest.
    """
    name = str(source)
    if download.is_address(name):
        return _verified(download.folder_at(name))
    if name not in registry.PRESETS and Path(source).is_dir():
        return _verified(Path(source))
    if name not in registry.PRESETS and download.host_is_set():
        return _verified(download.folder_named(name))
    preset = registry.get(name)
    if not preset.weights_sha256:
        raise ValueError(
            f"Preset {preset.name!r} is not released; `lnn train {preset.name}` trains it."
        )
    folder = _verified(bundled_folder(preset))
    digest = sha256(folder / WEIGHTS)
    if digest != preset.weights_sha256:
        raise CorruptPresetError(
            f"The weights of {preset.name!r} are not the published ones: their sha256 is "
            f"{digest[:12]}..., published is {preset.weights_sha256[:12]}..."
        )
    return folder


def metadata(source: str | Path) -> dict[str, Any]:
    """The metadata of a preset: versions, digests, metrics, parameters, licence."""
    return json.loads((find(source) / METADATA).read_text())


def card(source: str | Path) -> str:
    """The card of a preset in Markdown."""
    return (find(source) / CARD).read_text()


def samples(source: str | Path) -> dict[str, Any]:
    """Real data of a preset: "calibration", "inputs" and, for most presets, "targets".

    Each is an array, or a dict of arrays by the names of the model's inputs. The data ship with
    the preset, or are downloaded if their licence forbids to ship them.

    Raises:
        ValueError: The folder holds no samples, and is not the folder of a bundled preset.
        DataError: The dataset cannot be downloaded.
    """
    path = find(source) / SAMPLES
    if not path.is_file():
        if str(source) in registry.PRESETS:
            return dict(registry.get(str(source)).load_samples())
        raise ValueError(f"{source} ships no samples; give the data in a file.")
    nested: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key, array in arrays.items():
            name, _, input_name = key.partition("/")
            if input_name:
                nested.setdefault(name, {})[input_name] = array
            else:
                nested[name] = array
    return nested


def exported(source: str | Path, recipe: str) -> bytes:
    """The bytes of the exported file that ships with a preset.

    Args:
        source: See `load`.
        recipe: The export recipe: "int8", "int16x8", ...

    Raises:
        ValueError: No file of that recipe ships with it. The message lists the recipes.
    """
    folder = find(source)
    shipped = [path.name.removesuffix(EXPORT) for path in folder.glob(f"*{EXPORT}")]
    if not shipped:
        raise ValueError(f"{source} ships no exported files; `lnn export {source}` makes them.")
    return (folder / f"{require_choice('recipe', recipe, shipped)}{EXPORT}").read_bytes()


def evaluation(samples: Samples) -> Inputs | tuple[Inputs, np.ndarray]:
    """The evaluation data for `to_tflite` and `verify`: inputs, with targets if there are any."""
    if "targets" not in samples:
        return samples["inputs"]
    targets = samples["targets"]
    assert isinstance(targets, np.ndarray)
    return samples["inputs"], targets


def save(
    model: "keras.Model",
    folder: str | Path,
    *,
    card: str = "",
    samples: Samples | None = None,
    files: dict[str, bytes] | None = None,
    **recorded: Any,
) -> None:
    """Write a model as a folder that `load`, and Keras itself, can read.

    Args:
        model: The built model.
        folder: The folder; it appears complete or not at all.
        card: Its card in Markdown.
        samples: Real data to ship with it, by name.
        files: Exported files to ship with it, by recipe.
        **recorded: Additional entries of its metadata, in types that JSON has.

    Raises:
        OSError: The folder cannot be written, or holds other files.
    """
    import keras

    import lnn_keras
    from lnn_keras.atomic_folder import whole_folder

    registry.register_losses()
    with whole_folder(folder, proof=METADATA) as new:
        archive = new / "model.keras"
        keras.saving.save_model(model, archive)
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(new)
        archive.unlink()
        if card:
            (new / CARD).write_text(card)
        if samples:
            arrays: dict[str, Any] = _flat(samples)
            np.savez_compressed(new / SAMPLES, **arrays)
        for recipe, content in (files or {}).items():
            (new / f"{recipe}{EXPORT}").write_bytes(content)
        keras_metadata = json.loads((new / METADATA).read_text())
        written = sorted(path for path in new.iterdir() if path.name != METADATA)
        write_metadata(
            new,
            {
                **keras_metadata,
                "lnn_keras_version": lnn_keras.__version__,
                "parameters": model.count_params(),
                **recorded,
                "sha256": {path.name: sha256(path) for path in written},
            },
        )


def write_metadata(folder: Path, content: dict[str, Any]) -> None:
    """Write the metadata of a preset folder."""
    (folder / METADATA).write_text(json.dumps(content, indent=2) + "\n")


def _flat(samples: Samples) -> dict[str, np.ndarray]:
    """Arrays by name; arrays of a dict of inputs are named "inputs/elapsed"."""
    flat = {}
    for name, value in samples.items():
        if isinstance(value, dict):
            flat |= {f"{name}/{input_name}": array for input_name, array in value.items()}
        else:
            flat[name] = value
    return flat


def _verified(folder: Path) -> Path:
    path = folder / METADATA
    if not path.is_file():
        raise CorruptPresetError(f"{folder} holds no preset: {METADATA} is missing.")
    try:
        digests = json.loads(path.read_text())["sha256"]
    except (ValueError, KeyError) as error:
        raise CorruptPresetError(f"{path} is damaged: it records no digests.") from error
    for name in {WEIGHTS, "config.json", *digests}:
        # A name with a folder in it could point outside of the preset.
        if Path(name).name != name or not (folder / name).is_file():
            raise CorruptPresetError(f"The preset in {folder} lacks {name}.")
        if sha256(folder / name) != digests.get(name):
            raise CorruptPresetError(
                f"{folder / name} is damaged: its sha256 differs from the one in {METADATA}."
            )
    return folder
