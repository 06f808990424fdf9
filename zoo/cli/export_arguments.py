"""Checks of the arguments of `lnn export`, `verify` and `compare` that need no Keras."""

from pathlib import Path
from typing import Any

from zoo.argument_checks import require_choice

# The names in export.TARGETS and export.RECIPES, whose import takes seconds.
RECIPES = {
    "phone": ("float32", "float16", "dynamic", "int8", "int16x8"),
    "micro": ("float32", "int8", "int16x8"),
    "c": ("int16x8", "int16", "float32"),
}
DEFAULT_RECIPES = {"phone": "int8", "micro": "int8", "c": "int16x8"}
INTEGER_RECIPES = ("int8", "int16x8", "int16")
FORMATS = {"table": ".txt", "markdown": ".md", "json": ".json"}  # with the suffixes of files


def require_target(target: str) -> None:
    """Raise a ValueError if there is no such target."""
    require_choice("target", target, RECIPES)


def require_recipe(target: str, recipe: str) -> None:
    """Raise a ValueError if there is no such target or recipe, or they do not fit together."""
    require_target(target)
    require_choice("recipe", recipe, {name for names in RECIPES.values() for name in names})
    if recipe not in RECIPES[target]:
        raise ValueError(
            f"Target {target!r} does not take recipe {recipe!r}; "
            f"allowed: {', '.join(RECIPES[target])}."
        )


def require_c_options(
    target: str, recipe: str, prefix: str | None, layout: str | None, adapt: bool
) -> None:
    """Raise a ValueError if an option does not fit the target, or a prefix or layout is wrong."""
    from export.c import layouts
    from export.c.code import identifiers

    if target == "c":
        if adapt and recipe != "float32":
            raise ValueError(
                f"Target 'c' takes `--adapt` with recipe 'float32' only; received {recipe!r}."
            )
        if prefix is not None:
            identifiers.require_prefix(prefix)
        layouts.get(layout or layouts.DEFAULT)
        return
    for option, value in (("--prefix", prefix), ("--layout", layout)):
        if value is not None:
            raise ValueError(f"`{option}` is for target 'c'; the target is {target!r}.")


def require_exported(path: Path) -> None:
    """Raise a ValueError if a path is neither a file nor a folder with a model in C."""
    from zoo.readers import files

    if not path.is_dir():
        files.content(path)
    elif not (path / "model.json").is_file():
        raise ValueError(
            f"{path} is a folder without model.json; name a .tflite file, or a folder that "
            "`lnn export --target c` wrote."
        )


def require_steps(steps: int) -> None:
    """Raise a ValueError if there are too few steps to verify."""
    if steps < 2:
        raise ValueError(f"`--steps` must be an integer of at least 2; received {steps}.")


def require_tolerances(tolerance: float | None, metric_tolerance: float | None) -> None:
    """Raise a ValueError if a tolerance is not between 0 and 1."""
    options = {"--tolerance": tolerance, "--metric-tolerance": metric_tolerance}
    for option, value in options.items():
        if value is not None and not 0 < value < 1:
            raise ValueError(
                f"`{option}` must lie between 0 and 1, for example 0.05 for 5 %; received {value}."
            )


def require_model(source: str) -> None:
    """Raise a ValueError if a name, folder or file names no model; addresses are not checked."""
    from zoo.hub import download, store
    from zoo.readers import files

    if download.is_address(source):
        return
    if Path(source).suffix == ".keras":
        files.require_file(source)
    else:
        store.find(source)


def require_calibration(recipe: str, data: Any) -> None:
    """Raise a ValueError if an integer recipe has no calibration data."""
    if data is None and recipe in INTEGER_RECIPES:
        raise ValueError(
            f"Recipe {recipe!r} needs typical sequences: give a file with --calibration, or use "
            "--recipe float32."
        )


def comparison_format(name: str | None, out: Path | None) -> str:
    """Return the format of a comparison: that of the option, else by the suffix of the file.

    Raises:
        ValueError: There is no such format, or the file cannot be written.
    """
    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        kind = "a folder has that name" if out.is_dir() else f"there is no folder {out.parent}"
        raise ValueError(f"Cannot write {out}: {kind}.")
    if name is not None:
        return require_choice("format", name, FORMATS)
    formats = {suffix: form for form, suffix in FORMATS.items()}
    return formats.get(out.suffix if out else "", "table")
