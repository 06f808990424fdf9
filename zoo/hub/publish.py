"""Write presets and their exports as a folder for a static web server."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from zoo import registry
from zoo.hub import store
from zoo.hub.download import MANIFEST, METADATA
from zoo.local_files import sha256


def publish(
    folder: str | Path,
    names: tuple[str, ...] = (),
    progress: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write presets and their exports in the layout that `LNN_ZOO_URL` requires.

        manifest.json                        {"presets": {name: {"metadata.json": sha256,
                                                                 "files": {file: bytes}, ...}}}
        presets/NAME/                        the folder of the preset
        exports/NAME/TARGET-RECIPE/          one folder for each of its export recipes

    Args:
        folder: The folder to write; it appears complete or not at all.
        names: Names of presets; by default all released ones.
        progress: Called with a description of each step.

    Returns:
        The folder.

    Raises:
        ValueError: There is no such preset.
        OSError: The folder cannot be written, or holds other files.
    """
    import export
    from lnn_keras.atomic_folder import require_replaceable, whole_folder

    # Exports take minutes: a folder that would be refused in the end is refused before.
    require_replaceable(folder, MANIFEST, ("presets", "exports"))
    released = [name for name, preset in registry.PRESETS.items() if preset.metadata_sha256]
    manifest = {}
    with whole_folder(folder, proof=MANIFEST) as new:
        for name in names or released:
            preset, source = registry.get(name), store.find(name)
            progress(f"Copying {name}")
            shutil.copytree(source, new / "presets" / name)
            model, samples = store.load(name), store.samples(name)
            exports = []
            for recipe in preset.export_recipes:
                progress(f"Exporting {name}, {recipe}")
                exports.append(f"exports/{name}/{preset.target}-{recipe}")
                export.to_tflite(
                    model,
                    new / exports[-1],
                    target=preset.target,
                    recipe=recipe,
                    calibration=samples["calibration"],
                    evaluation=store.evaluation(samples),
                )
            recorded = store.metadata(name)
            manifest[name] = {
                METADATA: sha256(source / METADATA),
                "files": {path.name: path.stat().st_size for path in sorted(source.iterdir())},
                "domain": preset.domain,
                "task": preset.task,
                "license": preset.license,
                "parameters": recorded["parameters"],
                "exports": exports,
            }
        (new / MANIFEST).write_text(json.dumps({"presets": manifest}, indent=2) + "\n")
    return Path(folder)
