import os
import random
import stat
import threading

import pytest

from symgraph.runtime import cache

CODE = bytes(range(256)) * 4


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("SYMGRAPH_CACHE_SIZE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def entry(directory):
    cache.store("key", "symbol", CODE)
    (file,) = directory.iterdir()
    return file


def misses(reason):
    return cache.stats().misses.get(reason, 0)


def test_what_was_stored_is_loaded(entry):
    assert cache.load("key") == cache.Entry("symbol", CODE)
    assert cache.load("another key") is None


def test_the_directory_and_its_files_are_private(entry):
    assert stat.S_IMODE(entry.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert [file.suffix for file in entry.parent.iterdir()] == [".kernel"]


def test_every_truncation_is_a_miss(entry):
    data = entry.read_bytes()
    for length in range(len(data)):
        entry.write_bytes(data[:length])
        assert cache.load("key") is None, length
    entry.write_bytes(data + b"\0")
    assert cache.load("key") is None


def test_every_bit_flip_is_a_miss(entry):
    data = entry.read_bytes()
    chooser = random.Random(1)
    for _ in range(2000):
        damaged = bytearray(data)
        damaged[chooser.randrange(len(data))] ^= 1 << chooser.randrange(8)
        entry.write_bytes(damaged)
        assert cache.load("key") is None


def test_a_damaged_entry_is_replaced(entry):
    before = misses("checksum")
    entry.write_bytes(entry.read_bytes()[:-1] + b"?")
    assert cache.load("key") is None
    assert misses("checksum") == before + 1
    cache.store("key", "symbol", CODE)
    assert cache.load("key") == cache.Entry("symbol", CODE)


def test_swapped_entries_are_misses(entry):
    cache.store("other", "symbol", CODE[::-1])
    (other,) = set(entry.parent.iterdir()) - {entry}
    first, second = entry.read_bytes(), other.read_bytes()
    entry.write_bytes(second)
    other.write_bytes(first)
    assert cache.load("key") is None
    assert cache.load("other") is None


def test_a_directory_in_the_place_of_an_entry_is_a_miss(entry):
    entry.unlink()
    entry.mkdir()
    assert cache.load("key") is None
    cache.store("key", "symbol", CODE)
    assert cache.load("key") == cache.Entry("symbol", CODE)


def test_a_symbolic_link_is_never_followed(entry, tmp_path):
    target = tmp_path / "planted"
    entry.rename(target)
    entry.symlink_to(target)
    assert cache.load("key") is None
    cache.store("key", "symbol", CODE)
    assert not entry.is_symlink()


def test_a_pipe_in_the_place_of_an_entry_does_not_block(entry):
    entry.unlink()
    os.mkfifo(entry)
    assert cache.load("key") is None


def test_a_linked_directory_is_not_trusted(directory, tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    directory.symlink_to(tmp_path / "real")
    with pytest.warns(RuntimeWarning, match="symbolic link"):
        cache.store("key", "symbol", CODE)
    assert cache.load("key") is None
    assert list((tmp_path / "real").iterdir()) == []


def test_a_file_in_the_place_of_the_directory_is_not_trusted(directory):
    directory.write_bytes(b"")
    with pytest.warns(RuntimeWarning, match="not a directory"):
        assert cache.load("key") is None


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_directory_that_others_may_write_is_not_trusted(directory, mode):
    cache.store("key", "symbol", CODE)
    directory.chmod(mode)
    with pytest.warns(RuntimeWarning, match="others may write"):
        assert cache.load("key") is None
    assert cache.load("key") is None  # warns once


def test_a_directory_of_another_user_is_not_trusted(entry, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.warns(RuntimeWarning, match="another user"):
        assert cache.load("key") is None


def test_a_directory_that_cannot_be_made_is_reported_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SYMGRAPH_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.warns(RuntimeWarning, match="not cached on disk"):
        cache.store("key", "symbol", CODE)
    assert cache.load("key") is None


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("code", ["ENOSPC", "EACCES", "EIO"])
def test_a_failing_disk_never_raises(entry, monkeypatch, call, code):
    import errno

    def fail(*_args, **_options):
        raise OSError(getattr(errno, code), "injected")

    monkeypatch.setattr(os, call, fail)
    before = misses(f"not stored: {code}")
    cache.store("key", "symbol", CODE[:8])
    monkeypatch.undo()
    assert misses(f"not stored: {code}") == before + 1
    assert [file.name for file in entry.parent.iterdir()] == [entry.name]


def test_the_size_is_bounded_and_the_oldest_go_first(directory, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_CACHE_SIZE", str(8 * 2000 / 2**20))
    for index in range(20):
        cache.store(f"bounded {index}", "symbol", bytes(1900))
        newest = max(directory.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        os.utime(newest, (1e9 + index, 1e9 + index))
    assert cache.stats().size <= 8 * 2000
    assert cache.load("bounded 19") is not None
    assert cache.load("bounded 0") is None


def test_use_refreshes_an_entry(entry):
    os.utime(entry, (1e9, 1e9))
    cache.load("key")
    assert entry.stat().st_mtime > 1e9 + 1


def test_clear_empties_the_directory(entry):
    cache.clear()
    assert list(entry.parent.iterdir()) == []
    assert cache.stats().entries == 0


def test_keys_depend_on_the_code_settings(entry, monkeypatch):
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert cache.load("key") is None


def test_it_can_be_switched_off(entry, monkeypatch):
    monkeypatch.setenv("SYMGRAPH_CACHE", "0")
    assert cache.load("key") is None
    cache.store("key", "other", CODE)
    monkeypatch.undo()
    assert entry.read_bytes().count(b"other") == 0


@pytest.mark.parametrize("name", ["XDG_CACHE_HOME", "HOME"])
def test_the_default_place(name, monkeypatch, tmp_path):
    monkeypatch.delenv("SYMGRAPH_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(name, str(tmp_path))
    base = tmp_path if name == "XDG_CACHE_HOME" else tmp_path / ".cache"
    assert cache.path() == str(base / "symgraph")


def test_threads_store_and_load_the_same_key(directory):
    wrong = []

    def hammer():
        for _ in range(50):
            cache.store("shared", "symbol", CODE)
            if cache.load("shared") != cache.Entry("symbol", CODE):
                wrong.append(1)

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
