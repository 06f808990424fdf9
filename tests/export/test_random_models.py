"""Random models of the supported layers: files equal Keras, or a refusal names the remedy."""

import keras
import numpy as np
import pytest
from independent_runner import run_sequence, run_steps
from random_models import draw_model

import export

pytest.importorskip("tflite_micro", reason="no TFLite Micro wheel here")
FAST, ALL = 1, 60
SEEDS = [seed if seed < FAST else pytest.param(seed, marks=pytest.mark.slow) for seed in range(ALL)]
EQUAL = 3e-6


def draw_inputs(model, random, batch, length):
    return [
        np.abs(random.standard_normal((batch, t.shape[1] or length, *t.shape[2:]))).astype(
            "float32"
        )
        for t in model.inputs
    ]


def exported(model, folder, data, target, recipe):
    """The content of a file, or None if the export is refused with a remedy."""
    calibration = data if len(data) > 1 else data[0]
    try:
        export.to_tflite(
            model, folder, target=target, recipe=recipe, calibration=calibration, steps=200
        )
    except export.VerificationError as error:
        # Untrained models may vary too little for integers.
        assert recipe == "int8"
        assert len(error.report.remedies) >= 2
        return None
    except ValueError as error:
        assert "ayer '" in str(error)
        assert any(
            word in str(error) for word in ("Use ", "use ", "Target 'phone' takes it", "Other")
        )
        return None
    return (folder / "model.tflite").read_bytes()


def require_equal(model, random, outputs_of):
    """Compare on batches of 1, 3 and 7, and lengths of 1, 2 and 33."""
    compared = []
    for batch, length in ((1, 33), (3, 2), (7, 1)):
        values = draw_inputs(model, random, batch, length)
        expected = keras.tree.flatten(model(values if len(values) > 1 else values[0]))
        compared += zip(outputs_of(values), map(np.asarray, expected), strict=True)
    largest = max(np.abs(reference).max() for _, reference in compared)
    for output, reference in compared:
        assert np.abs(output - reference).max() <= EQUAL * largest


@pytest.mark.parametrize("seed", SEEDS)
def test_random_models(seed, tmp_path):
    model = draw_model(seed)
    random = np.random.default_rng(seed)
    data = draw_inputs(model, random, 8, 24)
    phone = exported(model, tmp_path / "phone", data, "phone", "float32")
    # Phones take every model that these layers make.
    assert phone is not None
    names = export.to_sequence(model)
    keys = list(names.input_specs)
    outputs = list(names.graph.outputs)

    def sequence(values):
        results = run_sequence(phone, dict(zip(keys, values, strict=True)))
        return [results[name] for name in outputs]

    require_equal(model, random, sequence)
    for recipe in ("float32", "int8"):
        content = exported(model, tmp_path / recipe, data, "micro", recipe)
        if content is None:
            continue
        if recipe == "float32":
            step = export.to_step(model)

            def steps(values, content=content, step=step):
                # A micro file has a batch of 1.
                rows = [
                    run_steps(content, dict(zip(keys, [v[i : i + 1] for v in values], strict=True)))
                    for i in range(len(values[0]))
                ]
                joined = {name: np.concatenate([r[name] for r in rows]) for name in step.outputs}
                return [v if n in step.sequences else v[:, -1] for n, v in joined.items()]

            require_equal(model, random, steps)
