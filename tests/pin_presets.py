"""Write the SHA-256 of each bundled metadata.json into its preset: python tests/pin_presets.py."""

import re

from zoo import registry
from zoo.hub.model_file import METADATA
from zoo.hub.store import bundled_folder
from zoo.local_files import sha256


def main() -> None:
    """Replace digests that changed, where the presets are defined."""
    for preset in registry.PRESETS.values():
        folder = bundled_folder(preset)
        old, new = preset.metadata_sha256, sha256(folder / METADATA)
        if old == new or not re.fullmatch("[0-9a-f]{64}", old):
            continue
        (source,) = [path for path in folder.parent.glob("*.py") if old in path.read_text("utf-8")]
        source.write_text(source.read_text("utf-8").replace(old, new), "utf-8")
        print(f"{preset.name}: {new}")


if __name__ == "__main__":
    main()
