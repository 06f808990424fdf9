"""Which web addresses are accepted, and which redirects."""

import pytest

from zoo import addresses
from zoo.hub import download

ACCEPTED = [
    "https://example.com",
    "https://example.com/x/y_z~1/%20",
    "https://example.com:8443/x",
    "HTTPS://Example.COM/x",
    "https://xn--bcher-kva.example/x",
    "https://192.0.2.1/x",
    "https://[2001:db8::1]:443/x",
    "https://example.com/ünïcode",
    "http://localhost/x",
    "http://LOCALHOST:8000/x",
    "http://127.0.0.1:80/x",
    "http://127.8.9.10/x",
    "http://[::1]:8000/x",
]
NOT_ENCRYPTED = [
    "http://example.com/x",
    "http://127.0.0.1.example.com/x",
    "http://127.example.com/x",
    "http://localhost.example.com/x",
    "http://0.0.0.0/x",
    "http://2130706433/x",
    "http://0x7f000001/x",
    "http://[::ffff:127.0.0.1]/x",
    "http://10.0.0.1/x",
    "http://169.254.169.254/latest",
    "ftp://127.0.0.1/x",
    "file:///etc/passwd",
]
MALFORMED = [
    "http://evil\\@127.0.0.1/",
    "http://evil.com\\@127.0.0.1/",
    "http://127.0.0.1\\.evil.com/",
    "https://user@example.com/x",
    "https://user:word@example.com/x",
    "http://127.0.0.1@evil.com/",
    "http://127.0.0.1:80@evil.com/",
    "https://example.com@/x",
    "https://example.com /x",
    " https://example.com/x",
    "https://example.com/x\n",
    "https://example.com/x\r\nHost: evil",
    "https://example.com/\x00",
    "https://example.com/\x1b[31m",
    "https://example.com/\u202egpj",
    "https://example.com\t/x",
    "https://example.com:/x",
    "https://example.com:0/x",
    "https://example.com:65536/x",
    "https://example.com:99999999/x",
    "https://example.com:+80/x",
    "https://example.com:-1/x",
    "https://example.com:8o/x",
    "https://example.com:\uff18\uff10/x",
    "https://example.com:80:80/x",
    "https://ex\u0430mple.com/x",
    "https://\u24d4xample.com/x",
    "https://example\u3002com/x",
    "http://\u24db\u24de\u24d2alhost/x",
    "https://example..com/x",
    "https://-example.com/x",
    "http://localhost.:80/x",
    "https://example.com./x/../..#y",
    "https://example.com/x#y",
    "https:///x",
    "https://",
    "https:/example.com/x",
    "https:example.com",
    "https://[::1/x",
    "https://[::1]evil.com/x",
    "https://[v1.x]/x",
    "https://example.com/" + "x" * 5000,
    "",
    "//example.com/x",
    "/x",
]


@pytest.mark.parametrize("url", ACCEPTED)
def test_accepted(url):
    assert addresses.require_accepted(f"{url}/") == url


@pytest.mark.parametrize("url", NOT_ENCRYPTED)
def test_not_encrypted(url):
    with pytest.raises(ValueError, match=r"is not encrypted; use https://\.$"):
        addresses.require_accepted(url)


@pytest.mark.parametrize("url", MALFORMED)
def test_malformed(url):
    with pytest.raises(ValueError, match=r"is not a valid address: it must be https:") as failure:
        addresses.require_accepted(url)
    assert str(failure.value).isprintable() and len(str(failure.value)) < 500


@pytest.mark.parametrize("url", [*ACCEPTED, *NOT_ENCRYPTED, *MALFORMED])
def test_no_other_parser_reads_another_host(url):
    """An accepted address is asked by `requests`, and has the same host for Python's own parser."""
    from urllib.parse import urlsplit

    from requests import Request
    from urllib3.util import parse_url

    try:
        accepted = addresses.require_accepted(url)
    except ValueError:
        return
    host = addresses.parse(accepted).host
    assert parse_url(Request("GET", accepted).prepare().url).host == host
    assert urlsplit(accepted).hostname == host.strip("[]")


def test_folders_have_no_query():
    with pytest.raises(ValueError, match="must be the address of a folder, without"):
        addresses.require_accepted("https://example.com/x?y=1")


@pytest.mark.parametrize(
    ("previous", "target", "message"),
    [
        ("https://a.example/x", "https://b.example/x?signature=1&time=2", None),
        ("http://127.0.0.1:1/x", "http://localhost:2/x", None),
        ("http://127.0.0.1:1/x", "https://b.example/x", None),
        ("http://127.0.0.1:1/x", "http://b.example/x", "which is not encrypted"),
        ("https://a.example/x", "http://a.example/x", "which is not encrypted"),
        ("https://a.example/x", "http://127.0.0.1/x", "which is on this machine"),
        ("https://a.example/x", "https://localhost/x", "which is on this machine"),
        ("https://a.example/x", "https://[::1]/x", "which is on this machine"),
        ("https://a.example/x", "file:///etc/passwd", "which is not encrypted"),
        ("https://a.example/x", "https://user@a.example/x", "which is not a valid address"),
    ],
)
def test_redirects(previous, target, message):
    if message is None:
        addresses.require_accepted_redirect(previous, target)
        return
    with pytest.raises(ValueError, match=message):
        addresses.require_accepted_redirect(previous, target)


@pytest.mark.parametrize(
    "source",
    [
        "hf://user",
        "hf://user/",
        "hf:///repo",
        "hf://user/../repo",
        "hf://user/repo/../../other",
        "hf://user/repo@",
        "hf://user/repo@../../x",
        "hf://user/repo@a@b",
        "hf://us er/repo",
        "hf://user\\repo/x",
        "hf://user/repo?x",
        "hf://user/repo#x",
        "hf://üser/repo",
        "hf://user/repo\n",
    ],
)
def test_hugging_face_addresses(source):
    with pytest.raises(ValueError, match="must be hf://user/repo or hf://user/repo@revision"):
        download.folder_at(source)


def test_addresses_are_known_in_any_case():
    assert all(map(download.is_address, ("HTTPS://a.example", "Hf://a/b", "http://a.example")))
    assert not any(map(download.is_address, ("runs/https", "ftp://a.example", "half-cheetah")))
