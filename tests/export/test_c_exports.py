"""Folders of C source: read, verified and replaced; README.md, names and refusals."""

import re
import shutil

import numpy as np
import pytest
from c_projects import C99, FILES, MODELS, data, run, sources, with_replay, write
from export_models import CELLS, irregular, reset_names_and_seeds, sequential

import export

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc")


@pytest.fixture(scope="module")
def gru():
    return sources("gru", ["int16x8"])["int16x8"]


@pytest.mark.parametrize("recipe", ["int16x8", "float32"])
def test_the_example_in_the_readme_compiles(c_exports, recipe, tmp_path):
    text = (c_exports[recipe] / "README.md").read_text()
    (example,) = (code for code in re.findall(r"```c\n(.*?)```", text, re.S) if "next_step" in code)
    shutil.copytree(c_exports[recipe], tmp_path, dirs_exist_ok=True)
    write(tmp_path, {"example.c": example})
    run("gcc", *C99, "-c", "example.c", cwd=tmp_path)
    raw = f"void {export.read_file(tmp_path).prefix}_step_raw("
    assert (raw in text) is (recipe == "int16x8")
    assert ("by value" in text) is (recipe == "float32")
    for piece in ("lnn profile", "make replay-m4", "_NOT_FINITE", "C++"):
        assert piece in text


def test_a_window_is_in_the_readme(gru):
    texts = with_replay(gru)
    assert "windows of" not in texts["README.md"]
    replay = {"replay.c": "", "replay.h": ""}
    note = "The model reads windows of 24 time steps."
    texts = export.c.project.project_files(gru, replay, window_note=note)
    assert note in texts["README.md"]


@pytest.mark.parametrize("recipe", ["int16x8", "float32"])
def test_a_folder_is_verified_and_stepped(c_exports, recipe):
    name = {"int16x8": "gru", "float32": "cfc-elapsed"}[recipe]
    reset_names_and_seeds()
    model = MODELS[name]()
    source = export.read_file(c_exports[recipe])
    assert isinstance(source, export.CModel)
    report = export.verify(model, source, data(model), steps=30)
    assert report.passed and report.target == "c" and report.recipe == recipe
    (stepper,) = export.steppers(source, model)
    rows = [array[0, 0] for array in data(model).values()]
    inputs = {name: array[:1, :1] for name, array in data(model).items()}
    keras_output = model.predict(inputs if len(inputs) > 1 else inputs["x"], verbose=0)[0, 0]
    np.testing.assert_allclose(stepper(*rows), keras_output, atol=0.02)


def test_a_changed_source_is_not_the_one_of_the_report(c_export):
    (c_export / "gru.c").write_text((c_export / "gru.c").read_text() + "\n")
    with pytest.raises(ValueError, match=r"is not the file that .*report.json describes: its sha2"):
        export.read_file(c_export)
    header = (c_export / "gru.h").read_text()
    (c_export / "gru.h").unlink()
    with pytest.raises(ValueError, match=r"^\S+gru.h is missing"):
        export.read_file(c_export)
    (c_export / "gru.h").write_text(header)
    whole = (c_export / "model.json").read_text()
    changes = [("{", "{{"), ('"format": 1', '"format": 2'), ('"sources": "."', '"sources": ".."')]
    for old, new in [*changes, ('"fraction": 14', '"fraction": -99999'), ('"inputs"', '"in"')]:
        assert old in whole
        (c_export / "model.json").write_text(whole.replace(old, new))
        with pytest.raises(ValueError, match=r"^\S+model.json .*Export the model again") as raised:
            export.read_file(c_export)
        assert len(str(raised.value).splitlines()) == 1


def test_a_folder_is_replaced_only_if_all_files_are_of_an_export(c_export):
    reset_names_and_seeds()
    arguments = {"recipe": "float32", "layout": "arduino", "steps": 20}
    model = sequential("gru", name="gru")
    (c_export / "board/mine.c").touch()
    with pytest.raises(FileExistsError, match=r"holds other files \(board\)"):
        export.to_c(model, c_export, **arguments)
    (c_export / "board/mine.c").unlink()
    # Results of make are no obstacle.
    (c_export / "build").mkdir(exist_ok=True)
    (c_export / "build/replay").touch()
    export.to_c(model, c_export, **arguments)
    names = {
        path.relative_to(c_export).as_posix() for path in c_export.rglob("*") if path.is_file()
    }
    assert names == FILES["arduino"] | {"README.md", "model.json", "report.json", "report.html"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "make"}, "Unknown layout 'make'; allowed: cmake, arduino, zephyr, espidf."),
        ({"prefix": "1st"}, "`prefix` must be a C identifier that is no keyword, such as"),
        ({"prefix": "a-b"}, "`prefix` must be a C identifier that is no keyword, such as"),
        ({"prefix": "union"}, "`prefix` must be a C identifier that is no keyword, such as"),
        ({"prefix": ""}, "`prefix` must be a C identifier that is no keyword, such as"),
        ({"prefix": "replay"}, "`prefix` must not be 'replay', the name of another header or sou"),
        ({"prefix": "String"}, "`prefix` must not be 'String', the name of another header or sou"),
        ({"prefix": "lnn_primitives"}, "`prefix` must not be 'lnn_primitives', the name of anoth"),
    ],
)
def test_bad_names_are_refused_before_anything_runs(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=r"^" + re.escape(message)) as raised:
        export.to_c(None, tmp_path / "out", **arguments)
    assert len(str(raised.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_model_named_like_a_header_gets_another_prefix():
    reset_names_and_seeds()
    model = sequential("stateless", name="replay")
    step = export.to_step(model)
    source = export.c.compile.c_model(step, export.RECIPES["float32"])
    assert source.prefix == "replay_model"
    model = irregular(CELLS["cfc"]())
    model.name = "String"
    source = export.c.compile.c_model(export.to_step(model), export.RECIPES["float32"])
    assert source.prefix == "string_model"


def test_a_failed_export_names_the_finer_recipe(tmp_path):
    reset_names_and_seeds()
    model = MODELS["gru"]()
    with pytest.raises(export.VerificationError) as failed:
        export.to_c(model, tmp_path / "out", calibration=data(model), steps=40, tolerance=0.001)
    remedy = next(text for text in failed.value.report.remedies if "recipe" in text)
    assert remedy.startswith("Use recipe 'int16': its outputs' error is 0.0")
    assert [path.name for path in tmp_path.iterdir()] == ["out.failed"]
