"""Kills of the commands that write: `lnn train`, `export`, `load` and `publish`.

Each trial runs a command in a process that is forked from one with all imports, kills it before an
access to its output that the seed chooses, and starts it again.
"""

import contextlib
import hashlib
import importlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any

from tests.stress.killed_steps import accesses, survives_access
from tests.stress.kinds import Kind, Result

_ROOT = Path(__file__).parents[2]


class Command(ABC):
    """A command, and how its output is judged."""

    @abstractmethod
    def run(self, output: Path) -> None:
        """Run the command in this process."""

    @abstractmethod
    def prepare(self, output: Path) -> None:
        """Write the output of an earlier run, if a later run can replace it."""

    @abstractmethod
    def wrong(self, output: Path, finished: bool) -> str | None:
        """The fault of an output after a kill, or after a run to the end."""


class Train(Command):
    """Two epochs of a small preset, with a checkpoint after each."""

    def __init__(self):
        sys.path.insert(0, str(_ROOT / "tests" / "zoo"))
        import keras  # noqa: F401

        from tests.zoo import sweep_worker
        from zoo.experiments import runs

        self._preset, self._runs = sweep_worker.preset(), runs
        self._expected: list[float] = []

    def run(self, output: Path) -> None:
        self._runs.run(self._preset, "liquid", 0, output)

    def prepare(self, output: Path) -> None:
        pass

    def wrong(self, output: Path, finished: bool) -> str | None:
        import numpy as np

        folder = self._runs.folder_of(output, self._preset, "liquid", 0)
        for archive in (folder / "model.keras", *folder.glob("checkpoint/*.npz")):
            if archive.exists() and zipfile.ZipFile(archive).testzip():
                return f"{archive.name} is damaged"
        for path in (folder / "checkpoint" / "state.json", folder / "result.json"):
            if path.exists():
                json.loads(path.read_text())
        if (folder / "checkpoint.damaged").exists():
            return "the checkpoint was damaged"
        if not finished:
            return None
        losses = [epoch["loss"] for epoch in json.loads(path.read_text())["history"]]
        self._expected = self._expected or losses
        equal = np.allclose(losses, self._expected, rtol=0, atol=1e-5)
        return None if equal else f"the losses are {losses}, not {self._expected}"


class Export(Command):
    """A small model as a file for microcontrollers; a warm converter serves all trials."""

    def __init__(self):
        import numpy as np

        import export
        import export.converter_process
        from export import convert

        self._export = export
        self._data = np.random.default_rng(0).standard_normal((2, 20, 3)).astype("float32")
        convert.converter.start()
        # A forked process cannot wait for it, and would take it for ended.
        convert.converter._process.poll = lambda: None
        self._files: dict[str, bytes] = {}

    def run(self, output: Path) -> None:
        import keras

        from lnn_keras import LiquidCell, LiquidRNN

        keras.utils.set_random_seed(0)
        layer = LiquidRNN(LiquidCell(2), return_sequences=True)
        model = keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(1)])
        self._export.to_tflite(
            model,
            output / "exported",
            target="micro",
            recipe="float32",
            calibration=self._data,
            steps=20,
        )

    def prepare(self, output: Path) -> None:
        (output / "exported").mkdir()
        for name, content in self._files.items():
            (output / "exported" / name).write_bytes(content)

    def wrong(self, output: Path, finished: bool) -> str | None:
        folder = output / "exported"
        if not folder.exists():
            return "the folder is missing" if finished else None
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        if finished:
            self._files = self._files or files
        if files.keys() != self._files.keys():
            return f"the files are {sorted(files)}"
        digest = json.loads(files["report.json"])["file_sha256"]
        same = digest == hashlib.sha256(files["model.tflite"]).hexdigest()
        return None if same else "the report is of another file"


class Load(Command):
    """A preset from a server, without the reading of its files by Keras."""

    def __init__(self):
        from tests.stress.folder_replacement import without_keras
        from tests.stress.hostile_server import HostileServer
        from zoo.hub import download, preset_files

        without_keras()
        self._download, self._preset_files = download, preset_files
        self._server = HostileServer()
        draw = random.Random(0)
        contents = {name: draw.randbytes(20_000) for name in ("config.json", "model.weights.h5")}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        metadata = json.dumps({"sha256": digests}).encode()
        entry = {"metadata.json": hashlib.sha256(metadata).hexdigest()}
        self._server.files = {
            "manifest.json": json.dumps({"presets": {"mine": entry}}).encode(),
            "presets/mine/metadata.json": metadata,
            **{f"presets/mine/{name}": data for name, data in contents.items()},
        }

    def run(self, output: Path) -> None:
        os.environ.update(LNN_HOME=str(output), LNN_ZOO_URL=self._server.url)
        self._download.folder_named("mine")

    def prepare(self, output: Path) -> None:
        self.run(output)
        (folder,) = (output / "presets").iterdir()
        (folder / "config.json").write_bytes(b"damaged")

    def wrong(self, output: Path, finished: bool) -> str | None:
        folders = [path for path in output.glob("presets/*") if path.name[0] != "."]
        whole = [folder for folder in folders if self._preset_files.is_whole(folder, None)]
        if finished:
            return None if len(whole) == len(folders) == 1 else f"{folders} are not whole"
        return None if len(folders) <= 1 else f"there are {folders}"


class Publish(Command):
    """A bundled preset without its exports, which `Export` kills."""

    def __init__(self):
        from dataclasses import replace

        import zoo
        from zoo import registry

        self._name = "half-cheetah-micro"
        registry.PRESETS[self._name] = replace(registry.get(self._name), export_recipes=())
        self._zoo = zoo

    def run(self, output: Path) -> None:
        self._zoo.publish(output / "public", (self._name,))

    def prepare(self, output: Path) -> None:
        self.run(output)

    def wrong(self, output: Path, finished: bool) -> str | None:
        folder = output / "public"
        if not folder.exists():
            return "the folder is missing" if finished else None
        entry = json.loads((folder / "manifest.json").read_text())["presets"][self._name]
        preset = folder / "presets" / self._name
        sizes = {path.name: path.stat().st_size for path in preset.iterdir()}
        return None if sizes == entry["files"] else "the files are not those of the manifest"


COMMANDS = {"train": Train, "export": Export, "load": Load, "publish": Publish}


def run(name: str, count: int, seed: int) -> Result:
    """Kill a command `count` times."""
    command = [sys.executable, "-m", "tests.stress.kills", name, str(count), str(seed)]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return Result(1, [f"the trials ended with {done.stderr[-2000:]!r}"])
    tried, failures = json.loads(done.stdout.splitlines()[-1])
    return Result(tried, failures)


KINDS = tuple(
    Kind(
        f"kills of `lnn {name}`" if name != "load" else "kills of `zoo.load`",
        50,
        partial(run, name),
        "the old or the new output; the next start succeeds and leaves nothing hidden",
    )
    for name in COMMANDS
)


def _failure(command: Command, number: int, events: int, draw: random.Random) -> str | None:
    with tempfile.TemporaryDirectory(prefix="kills-") as parent:
        output = Path(parent) / "output"
        output.mkdir()
        prepared = draw.random() < 0.5
        if prepared:
            _in_fork(lambda: command.prepare(output))
        kills = [draw.randint(1, events) for _ in range(draw.choice([1, 1, 2]))]
        for kill in kills:
            survives_access(lambda: command.run(output), output, kill)
            if wrong := command.wrong(output, finished=False):
                return f"{kills=}, {prepared=}: {wrong}"
        _in_fork(lambda: command.run(output))
        wrong = command.wrong(output, finished=True) or _hidden(output)
        return wrong and f"{kills=}, {prepared=}, next start: {wrong}"


def _import_what_it_imports(command: Command) -> None:
    """Import the modules that a run imports, so that the trials need not."""
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        names = Path(folder) / "names"
        (output := Path(folder) / "output").mkdir()

        def run_and_list() -> None:
            command.run(output)
            names.write_text("\n".join(sys.modules))

        _in_fork(run_and_list)
        for name in names.read_text().split("\n"):
            with contextlib.suppress(Exception):
                importlib.import_module(name)


def _hidden(output: Path) -> str | None:
    hidden = [path.name for path in output.rglob(".*")]
    return f"{hidden} remain" if hidden else None


def _in_fork(function: Any) -> None:
    accesses(function, Path("/nowhere"))


def _main(name: str, count: int, seed: int) -> None:
    command, result = COMMANDS[name](), Result()
    reference = Path(tempfile.mkdtemp(prefix="kills-"))
    try:
        _import_what_it_imports(command)
        events = accesses(lambda: command.run(reference), reference)
        result.add(command.wrong(reference, finished=True) or _hidden(reference))
        for number in range(count):
            draw = random.Random(f"{seed} {number}")
            try:
                result.add(_failure(command, number, events, draw))
            except (RuntimeError, ValueError, OSError, KeyError) as error:
                result.add(f"trial {number}: {type(error).__name__}: {str(error)[-600:]}")
    finally:
        shutil.rmtree(reference)
    print(json.dumps([result.tried - 1, result.failures]))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
