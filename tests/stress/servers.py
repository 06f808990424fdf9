"""Bad servers: presets are complete and verified, or one line says why not, within a deadline."""

import hashlib
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import lnn_keras  # noqa: F401 # importing it is not part of the first trial
from tests.stress.hostile_server import ANSWERS, HostileServer, chosen_answers, hostile_server
from tests.stress.kinds import Kind, Result
from tests.stress.trials import unclear_error
from zoo import http_client, transfers
from zoo.downloads import DownloadError
from zoo.hub import download

# Limits of a trial, and the seconds after which it failed; a loaded machine needs some.
LIMITS = {"SILENCE": 0.3, "GRACE": 0.6, "MIN_RATE": 1 << 20, "MAX_SECONDS": 3.0}
DEADLINE = 20.0
FOLDER = "presets/mine"
NAMES = ("config.json", "model.weights.h5", "card.md", "int8.tflite")
PATHS = ["manifest.json", f"{FOLDER}/metadata.json", *(f"{FOLDER}/{name}" for name in NAMES)]

# JSON that a server may send in the place of the manifest or the metadata.
JSON_TEXTS = (
    b"",
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b"9" * 100_000,
    b'{"sha256": {"a": "b", "a": "c"}}',
    b"[]",
    b"null",
    b'"text"',
    b"{}",
    b'{"sha256": []}',
    b'{"sha256": {}}',
    b'{"sha256": null, "presets": null}',
    b'{"presets": []}',
    b'{"presets": {"mine": []}}',
    b'{"presets": {"mine": {"metadata.json": 5}}}',
    b'{"presets": {"\\u001b[31m": {}}}',
    b"\xff\xfe\x00",
    b"\x1b[31m",
    b" " * (5 << 20),
)
# Names of files that metadata.json or the manifest may list.
BAD_NAMES = (
    "../x", "a/b", "/etc/x", "a\\b", "..", ".", "", ".hidden", "CON", "nul.txt", "com1",
    "METADATA.json", "metadata.json", "Config.json", "x.", "x ", " x", "a\x00b", "\x1b[31m",
    "\u00fcbung", "x" * 300, "a:b", "-rf", "\ufb01le", "~", "x\n", "%2e%2e",
)  # fmt: skip
BAD_DIGESTS = (None, 5, "", "0" * 63, "0" * 65, "A" * 64, "g" * 64, ["0" * 64], "0" * 63 + "\n")
BAD_SIZES = (-1, 0, 1, 10**30, 1.5, True, None, "5", [5], 1 << 40)


class Site:
    """A published preset on a server, and the ways in which both go wrong."""

    def __init__(self, server: HostileServer, draw: random.Random):
        self.server, self.draw = server, draw
        self.published: list[bytes] = []
        self.contents = {name: draw.randbytes(draw.choice([0, 1, 300, 30_000])) for name in NAMES}
        self.publish()

    def publish(
        self,
        edit_metadata: Callable[[dict], Any] = lambda metadata: None,
        edit_entry: Callable[[dict], Any] = lambda entry: None,
    ) -> None:
        """Write the manifest and the preset; the functions change their statements."""
        digests = {name: _sha256(content) for name, content in self.contents.items()}
        metadata: dict[str, Any] = {"keras_version": "3", "sha256": digests}
        edit_metadata(metadata)
        text = json.dumps(metadata).encode()
        entry: dict[str, Any] = {"metadata.json": _sha256(text)}
        if self.draw.random() < 0.8:
            sizes = {name: len(content) for name, content in self.contents.items()}
            entry["files"] = {"metadata.json": len(text), **sizes}
        edit_entry(entry)
        self.published.append(text)
        self.server.files = {
            "manifest.json": json.dumps({"presets": {"mine": entry}}).encode(),
            f"{FOLDER}/metadata.json": text,
            **{f"{FOLDER}/{name}": content for name, content in self.contents.items()},
        }
        self.server.answers, self.server.requested = {}, []

    def is_whole(self, folder: Path) -> bool:
        """Whether a folder holds a published preset and nothing else."""
        found = {path.name: path.read_bytes() for path in folder.iterdir()}
        return found.pop("metadata.json") in self.published and found == self.contents


def _answers(site: Site) -> str:
    chosen = chosen_answers(site.draw, PATHS)
    site.server.answers = {path: ANSWERS[name] for path, name in chosen.items()}
    return str(chosen)


def _json_text(site: Site) -> str:
    path, text = site.draw.choice(PATHS[:2]), site.draw.choice(JSON_TEXTS)
    site.server.files[path] = text
    return f"{path} is {text[:30]!r}"


def _bad_name(site: Site) -> str:
    name, everywhere = site.draw.choice(BAD_NAMES), site.draw.random() < 0.5
    site.publish(
        lambda metadata: metadata["sha256"].update({name: "0" * 64}),
        lambda entry: everywhere and entry.get("files", {}).update({name: 5}),
    )
    return f"a file {name!r}"


def _bad_digest(site: Site) -> str:
    digest = site.draw.choice(BAD_DIGESTS)
    if site.draw.random() < 0.5:
        site.publish(lambda metadata: metadata["sha256"].update({"card.md": digest}))
    else:
        site.publish(edit_entry=lambda entry: entry.update({"metadata.json": digest}))
    return f"a digest {digest!r}"


def _bad_size(site: Site) -> str:
    size, name = site.draw.choice(BAD_SIZES), site.draw.choice(("metadata.json", *NAMES))
    site.publish(edit_entry=lambda entry: entry.setdefault("files", {}).update({name: size}))
    return f"a size {size!r} of {name}"


def _many_files(site: Site) -> str:
    names = {f"file{number}": "0" * 64 for number in range(site.draw.choice([13, 1000, 50_000]))}
    site.publish(lambda metadata: metadata["sha256"].update(names))
    return f"{len(names)} more files"


def _missing_file(site: Site) -> str:
    path = site.draw.choice(PATHS)
    del site.server.files[path]
    return f"no {path}"


SCENARIOS = (_answers,) * 7 + (
    _json_text, _bad_name, _bad_digest, _bad_size, _many_files, _missing_file,
)  # fmt: skip


def run(count: int, seed: int) -> Result:
    """Download from `count` bad servers."""
    result = Result()
    with hostile_server() as server:
        for number in range(count):
            with tempfile.TemporaryDirectory() as home:
                environment = {"LNN_HOME": home, "LNN_ZOO_URL": server.url}
                with mock.patch.dict(os.environ, environment):
                    result.add(_failure(server, Path(home), random.Random(f"{seed} {number}")))
    return result


KINDS = (
    Kind(
        "bad servers",
        500,
        run,
        "all files verified, or one line; nothing half-written; the next start succeeds",
    ),
)


def _failure(server: HostileServer, home: Path, draw: random.Random) -> str | None:
    """Download from a bad server, then from the mended one: the fault, or None."""
    site = Site(server, draw)
    by_name = draw.random() < 0.6

    def load() -> Path:
        if by_name:
            return download.folder_named("mine")
        return download.folder_at(f"{server.url}/{FOLDER}")

    before = draw.choice(["empty", "empty", "damaged", "part"])
    if before != "empty":
        folder = load()
        damaged = folder / draw.choice(("metadata.json", *NAMES))
        damaged.write_bytes(draw.choice([b"", b"damaged", damaged.read_bytes()[:-1] + b"~"]))
    if before == "part":
        _make_part(folder, site)
    described = f"{draw.choice(SCENARIOS)(site)}, {by_name=}, {before=}"
    start = time.monotonic()
    with limits():
        failure = _wrong(load, site, server.url)
    failure = failure or _half_written(home, site)
    if time.monotonic() - start > DEADLINE:
        failure = f"it took {time.monotonic() - start:.0f} s"
    site.publish()
    failure = failure or _wrong(load, site, None) or _left_hidden(home)
    return failure and f"{described}: {failure}"


def _make_part(folder: Path, site: Site) -> None:
    """Leave a part that may be wrong, as a killed download does."""
    work = folder.with_name(f".{folder.name}.download")
    folder.rename(work)
    content = site.contents["model.weights.h5"]
    part = work / f".model.weights.h5.{_sha256(content)[:16]}.part"
    (work / "model.weights.h5").rename(part)
    part.write_bytes(site.draw.choice([content[:100], content, content + b"x", b"wrong" * 50]))


def _wrong(load: Callable[[], Path], site: Site, named: str | None) -> str | None:
    """Load; the error may be one clear line that names the server, or none is allowed."""
    try:
        folder = load()
    except (DownloadError, ValueError) as error:
        raised = error

        def again() -> None:
            raise raised

        if named is None:
            return f"the next start fails: {error}"
        return unclear_error(again, named, (DownloadError, ValueError))
    return None if site.is_whole(folder) else "the folder is not what is published"


def _half_written(home: Path, site: Site) -> str | None:
    visible = [path for path in (home / "presets").glob("*") if path.name[0] != "."]
    wrong = [path.name for path in visible if not site.is_whole(path)]
    # A damaged folder of an earlier start stays until another one replaces it.
    return None if len(wrong) == len(visible) <= 1 or not wrong else f"{wrong} are not whole"


def _left_hidden(home: Path) -> str | None:
    hidden = [path.name for path in (home / "presets").iterdir() if path.name[0] == "."]
    return f"{hidden} remain" if hidden else None


@contextmanager
def limits() -> Iterator[None]:
    """Short times for a block."""
    with mock.patch.multiple(http_client, **LIMITS), mock.patch.object(transfers, "PAUSE", 0.01):
        yield


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
