"""A folder that any static web server can host: presets, their exports, and a list of both."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import export
from lnn_keras.atomic_folder import whole_folder
from zoo import registry
from zoo.hub import store
from zoo.hub.download import MANIFEST, METADATA


def publish(
    folder: str | Path,
    names: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write presets and their exports as `LNN_ZOO_URL` expects them.

        manifest.json                        {"presets": {name: {"metadata.json": sha256, ...}}}
        presets/NAME/                        the preset's folder
        exports/NAME/TARGET-RECIPE/          one folder for each of its export recipes

    Args:
        folder: Where to write; it appears whole or not at all.
        names: Presets; all that are released by default.
        progress: Told what is being done.

    Returns:
        The folder.

    Raises:
        ValueError: There is no such preset.
        OSError: The folder cannot be written, or holds other files.
    """
    released = [name for name, preset in registry.PRESETS.items() if preset.weights_sha256]
    manifest = {}
    with whole_folder(folder, proof=MANIFEST) as made:
        for name in names or released:
            preset, source = registry.get(name), store.find(name)
            progress(f"Copying {name}")
            shutil.copytree(source, made / "presets" / name)
            model, samples = store.load(name), store.samples(name)
            exports = []
            for recipe in preset.export_recipes:
                progress(f"Exporting {name}, {recipe}")
                exports.append(f"exports/{name}/{preset.target}-{recipe}")
                export.to_tflite(
                    model,
                    made / exports[-1],
                    target=preset.target,
                    recipe=recipe,
                    calibration=samples["calibration"],
                    evaluation=store.evaluation(samples),
                )
            recorded = store.metadata(name)
            manifest[name] = {
                METADATA: store.sha256(source / METADATA),
                "domain": preset.domain,
                "task": preset.task,
                "license": preset.license,
                "parameters": recorded["parameters"],
                "exports": exports,
            }
        (made / MANIFEST).write_text(json.dumps({"presets": manifest}, indent=2) + "\n")
    return Path(folder)
