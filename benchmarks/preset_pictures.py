"""Draw a prediction of each preset on its sample: docs/figures/presets/NAME.svg.

    python -m benchmarks.preset_pictures

The pages of the presets on the documentation site show them. Takes about a minute.
"""

import keras

from benchmarks.arguments import argument_parser
from benchmarks.figures import DOCS, write_svg
from zoo import registry
from zoo.explain import figures
from zoo.explain.influence import influence
from zoo.explain.reading import subject_of
from zoo.explain.sequences import bundled
from zoo.explain.variations import Window

WIDTH = 7.4


def main() -> None:
    """Write the picture of each preset."""
    argument_parser(__doc__).parse_args()
    folder = DOCS / "figures/presets"
    folder.mkdir(parents=True, exist_ok=True)
    for name in registry.PRESETS:
        keras.utils.set_random_seed(0)
        subject = subject_of(name, bundled(name))
        if figures.has_answers(subject):
            figure = figures.answers_figure(subject, WIDTH)
        else:
            window = Window(subject)
            found = influence(subject, window)
            assert found is not None
            figure = figures.influences_figure(subject, window, found, WIDTH)
        write_svg(figure, folder / f"{name}.svg")
        print(f"{name}: {(folder / f'{name}.svg').stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
