"""Load and save pretrained models: folders that Keras reads, verified before use."""

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import registry
from zoo.argument_checks import require_choice
from zoo.hub import download, model_config, model_file
from zoo.hub.model_file import CONFIG, METADATA, WEIGHTS
from zoo.hub.verified_folder import CorruptPresetError, verified
from zoo.local_files import sha256
from zoo.preset import Preset, Samples
from zoo.readers import arrays, files, hdf5, json_text
from zoo.readers.files import FileError, shown
from zoo.readers.text import printable, printable_values
from zoo.training.arrays import Inputs

if TYPE_CHECKING:
    import keras

CARD = "card.md"
SAMPLES = "samples.npz"
EXPORT = ".tflite"
MAX_CARD_BYTES = 1 << 20
_PACKAGE = Path(__file__).parent.parent


def bundled_folder(preset: Preset) -> Path:
    """The folder of a preset in this package."""
    return _PACKAGE / preset.domain / preset.name


def load(source: str | Path) -> "keras.Model":
    """Load a pretrained model.

    The source need not be trusted: before Keras reads it, its files, the classes that its config
    names and its sizes are checked (SECURITY.md). The model is not compiled.

    Args:
        source: The name of a preset that ships with the package or lies on the host `LNN_ZOO_URL`;
            a folder that `save` wrote; the address of one, https://... or hf://user/repo; or a
            `.keras` file.

    Returns:
        The model.

    Raises:
        ValueError: There is no such preset, folder or file; or the model has a class, a function
            or a size that is not allowed, or weights that do not fit or are not finite.
        CorruptPresetError: A file is missing, not listed, or differs from its published digest.
        DownloadError: A file cannot be downloaded, or differs from its digest.

    Example:
        >>> import zoo
        >>> model = zoo.load("half-cheetah-micro")
        >>> model.predict(zoo.samples("half-cheetah-micro")["inputs"][None], verbose=0).shape
        (1, 500, 17)
    """
    path = Path(source)
    if path.suffix == ".keras" and not download.is_address(str(source)):
        return model_file.load_archive(path)
    return model_file.load_folder(find(source))


def find(source: str | Path) -> Path:
    """Return the verified folder of a preset name, an address or a local folder.

    Raises:
        ValueError: There is no such preset or folder.
        CorruptPresetError: A file is missing or differs from its digest.
        DownloadError: A file cannot be downloaded, or differs from its digest.
    """
    name = str(source)
    if download.is_address(name):
        return verified(download.folder_at(name))
    if name not in registry.PRESETS and Path(source).is_dir():
        return verified(Path(source))
    if name not in registry.PRESETS and download.host_is_set():
        return verified(download.folder_named(name))
    if name not in registry.PRESETS and Path(source).is_file():
        raise ValueError(
            f"{shown(name)} is a file: it has no card, metadata or samples, as the folder of a "
            "preset has."
        )
    preset = registry.get(name)
    if not preset.metadata_sha256:
        raise ValueError(
            f"Preset {preset.name!r} is not released; `lnn train {preset.name}` trains it."
        )
    folder = verified(bundled_folder(preset))
    digest = sha256(folder / METADATA)
    if digest != preset.metadata_sha256:
        raise CorruptPresetError(
            f"The files of {preset.name!r} are not the published ones: the sha256 of {METADATA} is "
            f"{digest[:12]}..., published is {preset.metadata_sha256[:12]}..."
        )
    return folder


def metadata(source: str | Path) -> dict[str, Any]:
    """The metadata of a preset: versions, digests, metrics, parameters, licence.

    Texts hold no characters that control a terminal.
    """
    return printable_values(json_text.read_object(find(source) / METADATA))


def card(source: str | Path) -> str:
    """The card of a preset in Markdown, without characters that control a terminal.

    Raises:
        ValueError: The preset has no card.
    """
    return printable(files.read_text(find(source) / CARD, MAX_CARD_BYTES), keep="\n\t")


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
    for key, array in arrays.read_named(path).items():
        name, _, input_name = key.partition("/")
        group = nested.setdefault(name, {}) if input_name else nested
        if not isinstance(group, dict) or (input_name or name) in group:
            raise FileError(f"{shown(path)} names {name[:80]!r} as an array and as several.")
        group[input_name or name] = array
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
    return files.content(folder / f"{require_choice('recipe', recipe, shipped)}{EXPORT}")


def evaluation(samples: Samples) -> Inputs | tuple[Inputs, np.ndarray]:
    """The evaluation data for `to_tflite` and `verify`: inputs, with targets if there are any.

    Raises:
        ValueError: There are no inputs, or the targets are several arrays.
    """
    if "inputs" not in samples:
        raise ValueError("The preset ships no sample of inputs; give the data in a file.")
    if "targets" not in samples:
        return samples["inputs"]
    targets = samples["targets"]
    if not isinstance(targets, np.ndarray):
        raise ValueError("The targets of the preset's sample must be one array.")
    return samples["inputs"], targets


def save(
    model: "keras.Model",
    folder: str | Path,
    *,
    card: str = "",
    samples: Samples | None = None,
    files: dict[str, bytes] | None = None,
    attachments: dict[str, bytes] | None = None,
    **recorded: Any,
) -> None:
    """Write a model as a folder that `load`, and Keras itself, can read.

    Args:
        model: The built model.
        folder: The folder; it appears complete or not at all.
        card: Its card in Markdown.
        samples: Real data to ship with it, by name.
        files: Exported files to ship with it, by recipe.
        attachments: Other files to ship with it, by name.
        **recorded: Additional entries of its metadata, in types that JSON has.

    Raises:
        OSError: The folder cannot be written, or holds other files.
        ValueError: The model has a class or a size that `load` does not allow.
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
        config = json_text.read_object(new / CONFIG)
        model_config.checked(config, CONFIG, hdf5.count_weights(new / WEIGHTS))
        if card:
            (new / CARD).write_text(card, "utf-8")
        if samples:
            flat: dict[str, Any] = _flat(samples)
            np.savez_compressed(new / SAMPLES, **flat)
        for recipe, content in (files or {}).items():
            (new / f"{recipe}{EXPORT}").write_bytes(content)
        for name, content in (attachments or {}).items():
            (new / name).write_bytes(content)
        keras_metadata = json_text.read_object(new / METADATA)
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
    text = json.dumps(content, indent=2, allow_nan=False)
    (folder / METADATA).write_text(text + "\n", "utf-8")


def _flat(samples: Samples) -> dict[str, np.ndarray]:
    """Arrays by name; arrays of a dict of inputs are named "inputs/elapsed"."""
    flat = {}
    for name, value in samples.items():
        if isinstance(value, dict):
            flat |= {f"{name}/{input_name}": array for input_name, array in value.items()}
        else:
            flat[name] = value
    return flat
