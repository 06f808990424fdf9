"""Readers: every damage to a file is one error that names the file and the cause."""

import io
import json
import os
import socket
import zipfile

import h5py
import numpy as np
import pytest

from zoo.readers import archive, arrays, files, hdf5, json_text
from zoo.readers.files import FileError
from zoo.readers.text import has_control, printable, printable_values


def refused(function, *arguments, match):
    """The function raises a FileError of one line that matches."""
    with pytest.raises(FileError, match=match) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)


class TestFiles:
    def test_only_regular_files_are_read(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "empty").touch()
        (tmp_path / "large").write_bytes(b"abc")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "s"))
            refused(files.content, tmp_path / "s", match="no regular file")
        refused(files.content, tmp_path / "pipe", match="pipe is no regular file")
        refused(files.content, "/dev/zero", match="/dev/zero is no regular file")
        refused(files.content, tmp_path, match="is a folder")
        refused(files.content, tmp_path / "none", match="There is no file")
        refused(files.content, tmp_path / "empty" / "x", match=r"x cannot be read: Not a directory")
        refused(files.content, tmp_path / "loop", match="loop cannot be read")
        refused(files.content, tmp_path / "empty", match=r"empty is empty: it holds 0 bytes")
        refused(files.content, tmp_path / "large", 2, match="more than 2 bytes")
        refused(files.content, "a\0b", match="ab cannot be read: embedded null")
        refused(files.content, "x" * 5000, match="cannot be read: File name too long")
        assert files.content(tmp_path / "large") == b"abc"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_files_without_permission(self, tmp_path):
        (tmp_path / "x").write_text("x")
        (tmp_path / "x").chmod(0)
        refused(files.content, tmp_path / "x", match="Permission denied")

    def test_text_must_be_utf_8(self, tmp_path):
        (tmp_path / "x.md").write_bytes("é".encode("latin1"))
        refused(files.read_text, tmp_path / "x.md", match=r"x.md is no text in UTF-8")


class TestText:
    def test_characters_that_control_a_terminal_are_removed(self):
        text = "a\x1b[31mb\x07c\u202ed\u2028e\x9bf\ud800g"
        assert has_control(text) and printable(text) == "a[31mbcdefg"
        assert printable("é 日本 👍🏽\n\t", keep="\n\t") == "é 日本 👍🏽\n\t"
        assert not has_control("é 日本 👍🏽")
        nested = {"k\x1b": ["\x1b[2J", 1, None, {"x": "a\nb\r"}]}
        assert printable_values(nested) == {"k": ["[2J", 1, None, {"x": "a\nb"}]}


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "x.json holds no valid JSON"),
        (b"{", "holds no valid JSON"),
        (b"[]", "must hold a JSON object; it holds a list"),
        (b'{"a": 1, "a": 2}', "key 'a' is repeated"),
        (b'{"a": NaN}', "not finite"),
        (b'{"a": [-Infinity]}', "not finite"),
        (b'{"a": 1e999}', "not finite"),
        (b'{"a": ' + b"9" * 25 + b"}", "more than 64 bits"),
        (b'{"a": ' + b"9" * 9_999 + b"}", "more than 64 bits"),
        (b'{"a": 18446744073709551616}', "more than 64 bits"),
        (b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}", "nested more than 100"),
        (b'{"a": ' * 10_000 + b"1" + b"}" * 10_000, "nested more than 100"),
        ('{"a": 1}'.encode("utf-16"), "not text in UTF-8"),
        (b'{"a": "\xff"}', "not text in UTF-8"),
        (b'{"a": "\\ud800"}', "half a character"),
        (b'{"\\udc00": 1}', "half a character"),
        (b'{"a": 1}\0', "no valid JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "no valid JSON"),
    ],
)
def test_json(content, match):
    refused(json_text.parse_object, content, "x.json", match=match)


def test_json_of_seeds_and_identities():
    value = {"seed": 2**64 - 1, "x": [1.5, None, True, "a"], "deep": [[[[]]]]}
    assert json_text.parse_object(json.dumps(value).encode(), "x") == value


def npy(array, **arguments):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **arguments)
    return stream.getvalue()


def zipped(members, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': %s}"


def with_header(text, size=16):
    header = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(size)


class TestArrays:
    @pytest.mark.parametrize(
        ("content", "match"),
        [
            (b"", "is empty"),
            (b"\x80\x04N.", "neither an .npy nor an .npz"),
            (b"PK\x03\x04", "no intact zip archive"),
            (npy(np.array([None]), allow_pickle=True), "must hold numbers; it holds dtype object"),
            (npy(np.array(["a"])), "must hold numbers"),
            (npy(np.zeros(2, [("a", "f4")])), "must hold numbers"),
            (npy(np.ones(2, complex)), "must hold numbers"),
            (npy(np.ones(3))[:-1], "needs 24 bytes; it holds 23"),
            (npy(np.ones(3)) + b"x", "needs 24 bytes; it holds 25"),
            (with_header(HEADER % "(1000000000000,)"), "needs 4,000,000,000,000 bytes"),
            (with_header(HEADER % "(-2, -2)"), "is damaged"),
            (with_header(HEADER % "(4,) * 2"), "is damaged"),
            (with_header("(" * 100), "is damaged"),
            (with_header("[].__class__"), "is damaged"),
            (b"\x93NUMPY\x09\x00" + bytes(200), "format version"),
            (zipped([]), "holds no arrays"),
            (zipped([("x.txt", b"x")]), "holds 'x.txt', which is no array"),
            (zipped([("x.npy", b"x")]), "array 'x', is damaged"),
        ],
    )
    def test_faults_are_named(self, content, match, tmp_path):
        (tmp_path / "x.npz").write_bytes(content)
        refused(arrays.read, tmp_path / "x.npz", match=f"x.npz.*{match}")

    @pytest.mark.parametrize("dtype", ["float32", ">f8", "int8", "uint64", "bool", "float16"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_numbers_are_read_as_they_were_written(self, dtype, order, tmp_path):
        array = np.arange(24).reshape(2, 3, 4).astype(dtype, order=order)
        np.save(tmp_path / "x.npy", array)
        np.savez_compressed(tmp_path / "x.npz", a=array, b=array[0, 0, 0])
        read = arrays.read(tmp_path / "x.npy")
        named = arrays.read_named(tmp_path / "x.npz")
        for values in (read, named["a"], arrays.read_array(tmp_path / "x.npy")):
            np.testing.assert_array_equal(values, array)
            assert values.dtype == np.dtype(dtype).newbyteorder("=") and values.flags.writeable
        assert named["b"].shape == ()
        refused(arrays.read_named, tmp_path / "x.npy", match="must be an .npz file")
        refused(arrays.read_array, tmp_path / "x.npz", match="must be an .npy file")


class TestArchive:
    @pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\..\\x"])
    def test_members_outside(self, name):
        refused(archive.members, zipped([(name, b"x")]), "x.zip", match="lies outside")

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_repeated_members(self):
        content = zipped([("x", b"1"), ("x", b"2")])
        refused(archive.members, content, "x.zip", match="'x' twice")

    def test_bombs_are_not_unpacked(self, monkeypatch):
        monkeypatch.setattr(archive, "FREE_BYTES", 1 << 20)
        content = zipped([("x", bytes(8 << 20))], zipfile.ZIP_DEFLATED)
        assert len(content) < 10_000
        refused(archive.members, content, "x.zip", match=r"to 8,388,608 bytes; the limit is")

    def test_encrypted_members_and_unknown_methods(self):
        plain = bytearray(zipped([("x", b"secret")]))
        central = plain.index(b"PK\x01\x02")
        encrypted = bytearray(plain)
        encrypted[6] |= 1
        encrypted[central + 8] |= 1
        refused(
            archive.members, bytes(encrypted), "x.zip", match="no intact zip archive.*encrypted"
        )
        plain[8] = plain[central + 10] = 77
        refused(archive.members, bytes(plain), "x.zip", match="no intact zip archive")


class TestHdf5:
    def attack(self, tmp_path, edit, match):
        path = tmp_path / "x.weights.h5"
        with h5py.File(path, "w") as file:
            file["layers/dense/vars/0"] = np.ones((3, 2), "float32")
            edit(file)
        refused(hdf5.count_weights, path, match=f"x.weights.h5: {match}")

    def test_links(self, tmp_path):
        def external(file):
            file["layers/dense/vars/1"] = h5py.ExternalLink("/etc/passwd", "x")

        def soft(file):
            file["soft"] = h5py.SoftLink("/layers")

        def second(file):
            file["second"] = file["layers/dense"]

        def loop(file):
            file["layers/up"] = file["/"]

        self.attack(tmp_path, external, "'/layers/dense/vars/1' is a link")
        self.attack(tmp_path, soft, "'/soft' is a link")
        self.attack(tmp_path, second, "'/.*' is a second link")
        self.attack(tmp_path, loop, "'/layers/up' is a second link")

    def test_data_in_other_files(self, tmp_path):
        def external(file):
            file.create_dataset("x", (3,), "f4", external=[("/etc/passwd", 0, 12)])

        def virtual(file):
            layout = h5py.VirtualLayout((3,), "f4")
            layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (3,))
            file.create_virtual_dataset("x", layout)

        self.attack(tmp_path, external, "array '/x' has its values in another file")
        self.attack(tmp_path, virtual, "array '/x' is virtual")

    def test_bombs(self, tmp_path):
        def compressed(file):
            file.create_dataset("x", (1 << 33,), "f4", chunks=(1 << 20,), compression="gzip")

        def not_stored(file):
            file.create_dataset("x", (1 << 33,), "f4")

        self.attack(tmp_path, compressed, "array '/x' declares 34,359,738,368 bytes")
        self.attack(tmp_path, not_stored, "array '/x' declares 34,359,738,368 bytes")

    def test_other_contents(self, tmp_path):
        edits = {
            "array '/x' must hold numbers": lambda file: file.update(x="text"),
            "array '/x' must hold number": lambda file: file.update(x=h5py.Empty("f4")),
            "'/x' is neither a group": lambda file: file.update(x=np.dtype("f4")),
            "array '/x' needs the HDF5 filters": lambda file: file.create_dataset(
                "x", (9,), "f4", compression="lzf"
            ),
            "its groups are nested": lambda file: file.create_group("/".join("x" * 80)),
        }
        for match, edit in edits.items():
            self.attack(tmp_path, edit, match)
        (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
        refused(hdf5.count_weights, tmp_path / "x.h5", match=r"x.h5 is no intact HDF5 file")

    def test_numbers_are_counted_without_those_of_the_optimizer(self, tmp_path):
        with h5py.File(tmp_path / "x.h5", "w") as file:
            file["layers/dense/vars/0"] = np.ones((3, 2))
            file["layers/dense/vars/1"] = np.float32(1)
            file["optimizer/vars/0"] = np.ones(100)
        assert hdf5.count_weights(tmp_path / "x.h5") == 7
