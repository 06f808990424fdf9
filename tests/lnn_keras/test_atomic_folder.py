"""Folders and files that are whole or absent: kills, crowds, full disks, odd names."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lnn_keras import atomic_folder, folder_lock
from lnn_keras.atomic_folder import recover, whole_file, whole_folder
from tests.stress import folder_replacement

PROOF = "proof.json"


def write(target, text):
    with whole_folder(target, PROOF) as folder:
        (folder / PROOF).write_text(text)


def read(target):
    return (target / PROOF).read_text()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_a_kill_at_any_step_leaves_the_old_or_the_new_folder():
    result = folder_replacement.run(16, 1)
    assert result.tried >= 16 and not result.failures


@pytest.mark.parametrize("can_exchange", [True, False])
def test_replacement(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(atomic_folder, "exchange", lambda new, target: False)
    target = tmp_path / "name with spaces, ünïcode 液"
    for text in ("one", "two", "three"):
        write(target, text)
        assert read(target) == text
    assert os.listdir(tmp_path) == [target.name]


def test_a_crowd_of_writers_leaves_one_folder_of_one_of_them(tmp_path):
    target = tmp_path / "target"
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: write(target, str(number)), range(48)))
    assert int(read(target)) in range(48)
    assert os.listdir(tmp_path) == ["target"]


def test_a_running_writer_is_not_swept(tmp_path):
    target = tmp_path / "target"
    with whole_folder(target, PROOF) as folder:
        (folder / PROOF).write_text("slow")
        write(target, "fast")
        recover(target)
        assert read(target) == "fast" and folder.is_dir()
    assert read(target) == "slow"
    assert os.listdir(tmp_path) == ["target"]


def test_folders_of_the_user_are_not_leftovers(tmp_path):
    kept = [".target-settings", ".target-abcd1234", ".target-new", "target-old"]
    for name in kept:
        (tmp_path / name).mkdir()
    write(tmp_path / "target", "text")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "target"])


def test_a_filesystem_without_locks(tmp_path, monkeypatch):
    """NFS may have none: writing works, and nothing of others is deleted."""

    def no_locks(descriptor):
        raise folder_lock.NoLocksError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(folder_lock, "_is_taken", no_locks)
    other = tmp_path / ".target-0123abcd.lnn-keras"
    other.mkdir()
    write(tmp_path / "target", "one")
    write(tmp_path / "target", "two")
    assert read(tmp_path / "target") == "two" and other.is_dir()


def test_links_stay_links(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    write(tmp_path / "link", "one")
    write(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink() and read(tmp_path / "disk") == "two"


def test_longest_names(tmp_path):
    write(tmp_path / ("x" * 250), "text")
    write(tmp_path / ("x" * 250), "text")
    assert os.listdir(tmp_path) == ["x" * 250]
    with pytest.raises(OSError, match=r"^Cannot write the folder .*xxx: File name too long\.$"):
        write(tmp_path / ("x" * 300), "text")


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="a file has that name"):
        write(tmp_path / "file", "text")
    with pytest.raises(OSError, match=r"^Cannot write the folder .*below: .*\.$"):
        write(tmp_path / "file" / "below", "text")
    with pytest.raises(IsADirectoryError, match="a folder has that name"), whole_file(tmp_path):
        pytest.fail("the block must not start")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="/proc is a folder without files")
def test_a_folder_that_cannot_be_written():
    for context in (whole_folder("/proc/self/new", PROOF), whole_file("/proc/self/new.txt")):
        with pytest.raises(OSError, match=r"^Cannot write the f\w+ /proc/\S*: .*\.$"), context:
            pytest.fail("the block must not start")


def full_disk_errors():
    """Errors of a full disk as the system, HDF5, NumPy and the disk quota tell them."""
    yield OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "weights.npz")
    yield OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "weights.npz")
    yield RuntimeError("Can't decrement id\n(file write failed: errno = 28, message = '...')")
    yield OSError("1000 requested and 4 written")


@pytest.mark.parametrize("error", full_disk_errors(), ids=["system", "quota", "HDF5", "NumPy"])
def test_a_full_disk_is_one_line_and_keeps_the_old(error, tmp_path, monkeypatch):
    write(tmp_path / "target", "old")
    if not getattr(error, "errno", None):
        monkeypatch.setattr(atomic_folder, "_NEARLY_FULL", 1 << 62)
    message = r"^Cannot write the folder .*target: .*; nothing was written\.$"
    folder = whole_folder(tmp_path / "target", PROOF)
    with pytest.raises(OSError, match=message), folder as new:
        (new / PROOF).write_text("new")
        raise error
    assert os.listdir(tmp_path) == ["target"] and read(tmp_path / "target") == "old"


def test_blocks_within_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_folder, "_PATIENCE", 0.0)
    with whole_folder(tmp_path / "outer", PROOF) as outer:
        with whole_file(outer / PROOF) as file:
            file.write_text("outer")
        write(outer / "inner", "inner")
    assert read(tmp_path / "outer") == "outer" and read(tmp_path / "outer/inner") == "inner"
    assert sorted(os.listdir(tmp_path / "outer")) == ["inner", PROOF]


def test_a_folder_that_another_process_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_folder, "_PATIENCE", 0.0)
    message = r"^Cannot write the folder .*target: Another process has held .* for 0 s\.$"
    with folder_lock.folder_lock(tmp_path, 0), pytest.raises(OSError, match=message):
        write(tmp_path / "target", "text")


def test_a_lock_whose_folder_is_renamed_meanwhile(tmp_path, monkeypatch):
    """`mkdir` found the folder, and it was gone when `mkdir` looked whether it is one."""
    calls = []

    def mkdir(path, **options):
        calls.append(path)
        if len(calls) == 1:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        os.mkdir(path)

    monkeypatch.setattr(folder_lock.Path, "mkdir", mkdir)
    with folder_lock.folder_lock(tmp_path / "lock", 5):
        assert (tmp_path / "lock").is_dir()


def test_other_errors_pass(tmp_path):
    with pytest.raises(ValueError, match="mine"), whole_folder(tmp_path / "target", PROOF):
        raise ValueError("mine")
    assert os.listdir(tmp_path) == []


def test_files(tmp_path):
    """A file keeps its content if the block fails, and has its own name while it is written."""
    path = tmp_path / "predictions.npz"
    for value in (1, 2):
        with whole_file(path) as temporary:
            np.savez(temporary, value=value)
    with pytest.raises(KeyError), whole_file(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyError
    assert int(np.load(path)["value"]) == 2
    assert os.listdir(tmp_path) == ["predictions.npz"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe with a name")
def test_pipes_and_devices_are_written_directly(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_text()))
    reader.start()
    with whole_file(pipe) as path:
        path.write_text("text")
    reader.join()
    assert received == ["text"] and pipe.is_fifo()
    with whole_file("/dev/null") as path:
        path.write_text("text")
    assert not os.path.isfile("/dev/null")
