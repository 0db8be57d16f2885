"""Fetching files: once, whole or not at all, and never from beyond this machine."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest

import symgraph as sg
from symgraph.data import cache_dir, download, get_file, show_progress
from tests.symgraph.file_server import serving

CONTENTS = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENTS).hexdigest()
MD5 = hashlib.md5(CONTENTS, usedforsecurity=False).hexdigest()


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_DATA_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("no_proxy", "*")
    with serving() as server:
        server.files["/folder/corpus.txt"] = CONTENTS
        yield server


def _kept():
    return [path for path in cache_dir().rglob("*") if path.is_file()]


def _corpus(server):
    return server.url + "/folder/corpus.txt"


@pytest.mark.inventory("K.get_file")
@pytest.mark.parametrize("digest", [None, SHA256, SHA256.upper(), MD5])
def test_a_file_is_fetched_once(server, digest):
    path = get_file(_corpus(server), digest=digest)
    assert path.name == "corpus.txt"
    assert path.read_bytes() == CONTENTS
    assert get_file(_corpus(server), digest=digest) == path
    assert server.requests == ["/folder/corpus.txt"]
    assert _kept() == [path]


@pytest.mark.inventory("K.cache_dir")
def test_the_folder_of_files(monkeypatch, tmp_path):
    monkeypatch.setenv("SYMGRAPH_DATA_DIR", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("SYMGRAPH_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "symgraph-data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "symgraph-data"


def test_a_name_and_a_folder_may_be_chosen(server, tmp_path):
    path = get_file(_corpus(server), "other.txt", folder=tmp_path / "mine")
    assert path == tmp_path / "mine" / "other.txt"
    server.files["/folder/corpus%20two.txt?raw=1"] = b"two"
    assert get_file(server.url + "/folder/corpus%20two.txt?raw=1").name == "corpus two.txt"


def test_equal_names_of_two_addresses_do_not_clash(server):
    server.files["/else/corpus.txt"] = b"else"
    first, second = get_file(_corpus(server)), get_file(server.url + "/else/corpus.txt")
    assert (first.read_bytes(), second.read_bytes()) == (CONTENTS, b"else")


def test_a_damaged_file_is_fetched_again(server):
    path = get_file(_corpus(server), digest=SHA256)
    path.write_bytes(CONTENTS[:-1])
    assert get_file(_corpus(server), digest=SHA256).read_bytes() == CONTENTS
    assert len(server.requests) == 2


def test_an_empty_file_and_one_of_unknown_length(server):
    def chunked(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENTS)

    server.files.update({"/empty": b"", "/chunked": chunked})
    assert get_file(server.url + "/empty").read_bytes() == b""
    assert get_file(server.url + "/chunked", digest=MD5).read_bytes() == CONTENTS


# What fails leaves nothing behind.


def _broken_off(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENTS)))
    handler.end_headers()
    handler.wfile.write(CONTENTS[:300_000])


def _nonsense(handler):
    handler.wfile.write(b"nonsense\r\n\r\n")


def _hung_up(handler):
    handler.connection.close()


@pytest.mark.inventory("K.get_file")
@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, r"could not be fetched: the server answered 404 Not Found. Without a network, put"),
        (_broken_off, "broke off after 300000 of 1024000 bytes"),
        (_nonsense, "could not be fetched: nonsense"),
        (_hung_up, "could not be fetched: Remote end closed connection"),
        (CONTENTS[:-1], f"has the sha256 .*, but {SHA256} was expected: it is damaged"),
    ],
)
def test_a_failure_leaves_nothing(server, answer, message):
    server.files["/folder/corpus.txt"] = answer
    with pytest.raises(
        sg.DownloadError, match=rf"http://127.0.0.1:\d+/folder/corpus.txt {message}"
    ):
        get_file(_corpus(server), digest=SHA256)
    assert _kept() == []
    server.files["/folder/corpus.txt"] = CONTENTS
    assert get_file(_corpus(server), digest=SHA256).read_bytes() == CONTENTS


def test_a_failure_keeps_the_older_file(server):
    path = get_file(_corpus(server))
    path.write_bytes(b"older")
    server.files.clear()
    with pytest.raises(sg.DownloadError, match="404"):
        get_file(_corpus(server), digest=SHA256)
    assert path.read_bytes() == b"older"
    assert _kept() == [path]


def test_without_a_network_the_error_says_what_to_do(server):
    with serving() as other:
        gone = other.url + "/a.gz"
    with pytest.raises(
        sg.DownloadError, match=r"refused. Without a network, put the file at .*a.gz"
    ):
        get_file(gone)
    with pytest.raises(sg.DownloadError, match=r"no-such-host.invalid/a.gz could not be fetched"):
        get_file("http://no-such-host.invalid/a.gz")
    assert _kept() == []


def test_a_server_that_falls_silent(server, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.1)
    server.files["/slow"] = lambda handler: time.sleep(0.6)
    with pytest.raises(sg.DownloadError, match="slow could not be fetched: timed out"):
        get_file(server.url + "/slow")
    assert _kept() == []


def test_a_full_disk_is_no_bad_network(server, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        get_file(_corpus(server))
    assert not isinstance(caught.value, sg.SymGraphError)
    assert _kept() == []


@pytest.mark.inventory("K.get_file")
def test_ctrl_c_leaves_nothing(server, tmp_path):
    def endless(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000000")
        handler.end_headers()
        for _ in range(2000):
            handler.wfile.write(CONTENTS[:10_000])
            time.sleep(0.01)

    server.files["/endless"] = endless
    code = "import sys, symgraph as sg; sg.data.get_file(sys.argv[1])"
    child = subprocess.Popen(
        [sys.executable, "-c", code, server.url + "/endless"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not any(path.stat().st_size for path in _kept()) and time.monotonic() < deadline:
        time.sleep(0.02)
    (temporary,) = _kept()
    assert temporary.name.endswith(".tmp")
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    assert _kept() == []


# Arguments.


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "data://x"])
def test_other_kinds_of_addresses(url):
    with pytest.raises(sg.DataError, match="is neither a path nor an address with http:// or"):
        get_file(url)


@pytest.mark.parametrize("url", ["folder/file", "", None, 3])
def test_no_address(url):
    with pytest.raises(sg.DataError, match="an address with http:// or https:// is needed, not"):
        get_file(url)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\\b", "a\0b"])
def test_names_that_lead_elsewhere(name):
    with pytest.raises(sg.DataError, match="is no name for a file; give one for 'http://x/"):
        get_file("http://x/a.txt", name)


@pytest.mark.parametrize("path", ["", "/", "/%2e%2e", "/folder/", "/a%2fb%5cc", "/a%00"])
def test_addresses_without_a_name(path):
    with pytest.raises(sg.DataError, match="is no name for a file; give one for 'http://x"):
        get_file("http://x" + path)


@pytest.mark.parametrize("digest", ["", "abc", "z" * 64, "0" * 40, 3])
def test_digests_that_are_none(digest):
    with pytest.raises(sg.DataError, match=r"64 \(SHA-256\) or 32 \(MD5\) hexadecimal digits"):
        get_file("http://x/a.txt", digest=digest)


# The bar.


@pytest.mark.inventory("K.show_progress")
def test_the_progress_bar(server, capsys):
    get_file(_corpus(server), progress=True)
    printed = capsys.readouterr().err
    assert "corpus.txt: 100%" in printed
    assert "1.00k/1.00kB" not in printed and "0.98M/0.98M" in printed.replace("1000k", "0.98M")


@pytest.mark.inventory("K.show_progress")
def test_a_bar_without_a_total(capsys):
    with show_progress("corpus.txt", None, True) as bar:
        bar.update(2048)
    assert "corpus.txt: 2.00kB" in capsys.readouterr().err


def test_no_bar_where_nobody_looks(server, capsys):
    get_file(_corpus(server))
    with show_progress("x", 10, False) as bar:
        bar.update(5)
    assert capsys.readouterr().err == ""
