"""`lnn verify` on files that another process made, damaged ones among them."""

import hashlib
import json

import pytest
from command_line import lnn

from zoo.hub import store

NAME = "half-cheetah-micro"
# Few steps measure the task less precisely.
LOOSE = ("--metric-tolerance", 0.3)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(store.exported(NAME, "int8"))
    return path


def test_a_file_of_another_process_is_verified_in_a_process_of_its_own(file):
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    report = {"files": {file.name: str(file)}, "file_sha256": digest}
    (file.parent / "report.json").write_text(json.dumps(report))
    done = lnn("verify", file, "--model", NAME, "--steps", 60, *LOOSE)
    assert done.returncode == 0 and "LiteRT (XNNPACK)" in done.stdout, done.stderr
    # One bit of a weight: the file runs, and is not the one that was exported.
    file.write_bytes(content[:9000] + bytes([content[9000] ^ 1]) + content[9001:])
    done = lnn("verify", file, "--model", NAME, "--steps", 60, *LOOSE)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"lnn: {file} is not the file that {file.parent}/report.json")


@pytest.mark.parametrize("content", [b"no file", b"\0\0\0\0TFL3", None])
def test_a_damaged_file_is_one_line(content, file):
    file.write_bytes(file.read_bytes()[:5000] if content is None else content)
    done = lnn("verify", file, "--model", NAME)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"lnn: {file}: The .tflite file is damaged: ")


def test_an_empty_file_is_one_line(file):
    file.write_bytes(b"")
    done = lnn("verify", file, "--model", NAME)
    assert done.returncode == 2
    assert done.stderr == f"lnn: {file} is empty: it holds 0 bytes.\n"


def test_a_file_of_another_model_is_one_line(file):
    file.write_bytes(store.exported("car-following-micro", "int8"))
    done = lnn("verify", file, "--model", NAME)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "The file was not made of model" in done.stderr or "has the shape" in done.stderr
