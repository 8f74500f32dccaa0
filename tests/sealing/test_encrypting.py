"""Encrypted files: every way to tamper with one is found, nothing half-written stands under its name."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import hauberk.sealing.encrypting as encrypting
from hauberk.core.errors import MeasurementError, UsageError
from hauberk.crypto.key_wrapping import Passphrase, SecretKey
from hauberk.crypto.sealed_files import SealedFile, is_sealed
from hauberk.crypto.sealed_layout import FIXED_BYTES, HEADER_BYTES, SLOT_BYTES, TAG_BYTES, Altered, derived
from hauberk.sealing.decrypting import decrypt_file
from hauberk.sealing.encrypting import encrypt_file, partial_of, rewrap

SEGMENT = 1024
WHOLE = SEGMENT + TAG_BYTES
KEY = SecretKey(bytes(range(32)), "file")
OTHER = SecretKey(bytes(32), "file")
WORDS = Passphrase("correct horse", memory=64, passes=1, lanes=1)
SIZES = (0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 5 * SEGMENT, 5 * SEGMENT + 7)


def plain(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    (tmp_path / "data.bin").write_bytes(plain(4 * SEGMENT + 100))
    return encrypt_file(tmp_path / "data.bin", tmp_path / "data.bin.sealed", [KEY], segment=SEGMENT).path


def opened(path: Path, key=KEY) -> bytes:
    with SealedFile(path, [key]) as file:
        return file.read() or b""


def _opens(path: Path, key) -> bool:
    try:
        return opened(path, key) == plain(4 * SEGMENT + 100)
    except UsageError:
        return False


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("size", SIZES)
def test_what_goes_in_comes_out(tmp_path, size):
    (tmp_path / "a").write_bytes(plain(size))
    done = encrypt_file(tmp_path / "a", tmp_path / "a.sealed", [KEY], segment=SEGMENT)
    assert done.size == size
    assert decrypt_file(done.path, tmp_path / "b", [KEY]).size == size
    assert (tmp_path / "b").read_bytes() == plain(size)
    assert (tmp_path / "b").stat().st_mode & 0o077 == 0
    assert left(tmp_path) == {"a", "a.sealed", "b"}


def test_the_layout_is_the_published_construction(sealed):
    """Decrypted by hand: HKDF key, nonce of prefix, number and last mark, AES-256-GCM."""
    with SealedFile(sealed, [KEY]) as file:
        key, fixed = file.unlocked.key, file.unlocked.fixed
    raw = sealed.read_bytes()[HEADER_BYTES:]
    cipher, text = AESGCM(derived(key, fixed, "segments")), b""
    for index in range(5):
        nonce = fixed.prefix + index.to_bytes(4, "big") + bytes([index == 4])
        text += cipher.decrypt(nonce, raw[index * WHOLE : (index + 1) * WHOLE], None)
    assert text == plain(4 * SEGMENT + 100)


def test_the_same_text_is_never_encrypted_the_same_way_twice(tmp_path, sealed):
    again = encrypt_file(tmp_path / "data.bin", tmp_path / "again", [KEY], segment=SEGMENT).path
    assert again.read_bytes()[HEADER_BYTES:] != sealed.read_bytes()[HEADER_BYTES:]
    assert again.read_bytes()[:FIXED_BYTES] != sealed.read_bytes()[:FIXED_BYTES]


def test_any_part_is_read_in_place(sealed):
    whole = plain(4 * SEGMENT + 100)
    with SealedFile(sealed, [KEY]) as file:
        for start, size in ((0, 10), (SEGMENT - 5, 10), (4 * SEGMENT, 1000), (len(whole), 5), (3 * SEGMENT + 7, 2000)):
            file.seek(start)
            parts = []
            while left_over := size - sum(map(len, parts)):
                if not (part := file.read(left_over)):
                    break
                parts.append(part)
            assert b"".join(parts) == whole[start : start + size]
        file.seek(-50, io.SEEK_END)
        assert file.read() == whole[-50:]


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_a_bit_flip_in_any_segment_is_found(sealed, place):
    raw = bytearray(sealed.read_bytes())
    raw[HEADER_BYTES + place * WHOLE + 3] ^= 1
    sealed.write_bytes(raw)
    with pytest.raises(Altered, match=f"segment {place} is not what was written"):
        opened(sealed)


def test_a_bit_flip_anywhere_in_the_header_is_found(sealed):
    raw = sealed.read_bytes()
    used = len(raw[FIXED_BYTES : FIXED_BYTES + SLOT_BYTES].rstrip(b"\0"))
    for place in (*range(40), FIXED_BYTES - 1, *range(FIXED_BYTES, FIXED_BYTES + used, 7)):
        changed = bytearray(raw)
        changed[place] ^= 1
        sealed.write_bytes(changed)
        with pytest.raises((Altered, UsageError)):
            opened(sealed)
    sealed.write_bytes(raw)
    assert len(opened(sealed)) == 4 * SEGMENT + 100


@pytest.mark.parametrize("cut", [1, TAG_BYTES, 100 + TAG_BYTES, 100 + TAG_BYTES + 1, 100 + TAG_BYTES + WHOLE])
def test_a_file_that_was_cut_off_does_not_open(sealed, cut):
    sealed.write_bytes(sealed.read_bytes()[:-cut])
    with pytest.raises(Altered):
        opened(sealed)


def test_a_cut_between_segments_is_called_one(sealed):
    sealed.write_bytes(sealed.read_bytes()[: HEADER_BYTES + 2 * WHOLE])
    with pytest.raises(Altered, match="cut off after segment 1"):
        opened(sealed)


def test_bytes_at_the_end_are_found(sealed):
    sealed.write_bytes(sealed.read_bytes() + bytes(WHOLE))
    with pytest.raises(Altered):
        opened(sealed)


@pytest.mark.parametrize(("one", "two"), [(0, 1), (1, 3), (2, 3)])
def test_segments_that_changed_places_are_found(sealed, one, two):
    raw = bytearray(sealed.read_bytes())
    a, b = (slice(HEADER_BYTES + place * WHOLE, HEADER_BYTES + (place + 1) * WHOLE) for place in (one, two))
    raw[a], raw[b] = raw[b], raw[a]
    sealed.write_bytes(raw)
    with pytest.raises(Altered, match=f"segment {one}"):
        opened(sealed)


def test_a_segment_twice_and_a_segment_left_out_are_found(sealed):
    raw = sealed.read_bytes()
    second = HEADER_BYTES + WHOLE
    for changed in (raw[: second + WHOLE] + raw[second:], raw[:second] + raw[second + WHOLE :]):
        sealed.write_bytes(changed)
        with pytest.raises(Altered):
            opened(sealed)


def test_a_segment_of_another_file_under_the_same_key_is_found(tmp_path, sealed):
    other = encrypt_file(tmp_path / "data.bin", tmp_path / "other", [KEY], segment=SEGMENT).path.read_bytes()
    raw = bytearray(sealed.read_bytes())
    raw[HEADER_BYTES : HEADER_BYTES + WHOLE] = other[HEADER_BYTES : HEADER_BYTES + WHOLE]
    sealed.write_bytes(raw)
    with pytest.raises(Altered, match="segment 0"):
        opened(sealed)


def test_the_keys_of_another_file_do_not_fit(tmp_path, sealed):
    other = encrypt_file(tmp_path / "data.bin", tmp_path / "other", [KEY], segment=SEGMENT).path.read_bytes()
    sealed.write_bytes(
        sealed.read_bytes()[:FIXED_BYTES] + other[FIXED_BYTES:HEADER_BYTES] + sealed.read_bytes()[HEADER_BYTES:]
    )
    with pytest.raises(UsageError):
        opened(sealed)


def test_a_wrong_key_and_a_wrong_passphrase_say_so_and_leave_nothing(tmp_path, sealed):
    for key in (OTHER, WORDS, Passphrase("x", memory=64, passes=1, lanes=1)):
        with pytest.raises(UsageError, match="none of the keys opens it; it is locked with file"):
            decrypt_file(sealed, tmp_path / "out", [key])
    assert left(tmp_path) == {"data.bin", "data.bin.sealed"}


def test_an_altered_file_leaves_no_plain_text(tmp_path, sealed):
    raw = bytearray(sealed.read_bytes())
    raw[HEADER_BYTES + 3 * WHOLE] ^= 1
    sealed.write_bytes(raw)
    with pytest.raises(Altered):
        decrypt_file(sealed, tmp_path / "out", [KEY])
    assert left(tmp_path) == {"data.bin", "data.bin.sealed"}


def test_a_file_is_never_replaced_by_plain_text(tmp_path, sealed):
    with pytest.raises(UsageError, match="there is a file"):
        decrypt_file(sealed, tmp_path / "data.bin", [KEY])


class Full:
    """A disk that takes so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.room -= amount
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_nothing_behind(tmp_path, sealed):
    with pytest.raises(MeasurementError, match="No space left"):
        encrypt_file(tmp_path / "data.bin", tmp_path / "new.sealed", [KEY], segment=SEGMENT, step=Full(2 * SEGMENT))
    with pytest.raises(MeasurementError, match="No space left"):
        decrypt_file(sealed, tmp_path / "new", [KEY], step=Full(2 * SEGMENT))
    assert left(tmp_path) == {"data.bin", "data.bin.sealed"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_device_that_is_truly_full_is_an_error_not_a_file(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(plain(64 * SEGMENT))
    real = os.open
    monkeypatch.setattr(
        encrypting.os, "open", lambda path, *rest: real("/dev/full" if ".part" in str(path) else path, *rest)
    )
    with pytest.raises((MeasurementError, UsageError)):
        encrypt_file(tmp_path / "a", tmp_path / "a.sealed", [KEY], segment=SEGMENT)
    assert not (tmp_path / "a.sealed").exists()


class Stopped:
    """Ctrl-C after so many bytes."""

    def __init__(self, after: int) -> None:
        self.after = after

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.after -= amount
        if self.after <= 0:
            raise KeyboardInterrupt


def stopped(source: Path, target: Path, after: int) -> Path:
    with pytest.raises(KeyboardInterrupt):
        encrypt_file(source, target, [KEY], segment=SEGMENT, step=Stopped(after))
    assert not target.exists()
    return partial_of(target)


def test_what_was_stopped_goes_on_and_gives_a_whole_file(tmp_path):
    source, target = tmp_path / "a", tmp_path / "a.sealed"
    source.write_bytes(plain(9 * SEGMENT))
    partial = stopped(source, target, 4 * SEGMENT)
    head = partial.read_bytes()[: HEADER_BYTES + 3 * WHOLE]
    done = encrypt_file(source, target, [KEY], segment=SEGMENT)
    assert done.resumed == 4 * SEGMENT
    assert target.read_bytes().startswith(head)
    assert opened(target) == plain(9 * SEGMENT)
    assert left(tmp_path) == {"a", "a.sealed"}


@pytest.mark.parametrize("torn", [1, TAG_BYTES, SEGMENT // 2])
def test_a_torn_segment_is_written_again(tmp_path, torn):
    source, target = tmp_path / "a", tmp_path / "a.sealed"
    source.write_bytes(plain(9 * SEGMENT))
    partial = stopped(source, target, 4 * SEGMENT)
    partial.write_bytes(partial.read_bytes()[:-torn])
    assert encrypt_file(source, target, [KEY], segment=SEGMENT).resumed == 3 * SEGMENT
    assert opened(target) == plain(9 * SEGMENT)


def test_a_source_that_changed_meanwhile_gets_a_new_key(tmp_path):
    source, target = tmp_path / "a", tmp_path / "a.sealed"
    source.write_bytes(plain(9 * SEGMENT))
    partial = stopped(source, target, 4 * SEGMENT)
    fixed = partial.read_bytes()[:FIXED_BYTES]
    source.write_bytes(bytes(9 * SEGMENT))
    done = encrypt_file(source, target, [KEY], segment=SEGMENT)
    assert done.resumed == 0
    assert target.read_bytes()[:FIXED_BYTES] != fixed
    assert opened(target) == bytes(9 * SEGMENT)


@pytest.mark.parametrize("junk", [b"", b"x", b"HBKSEAL1", bytes(HEADER_BYTES)])
def test_junk_under_the_unfinished_files_name_is_thrown_away(tmp_path, junk):
    source, target = tmp_path / "a", tmp_path / "a.sealed"
    source.write_bytes(plain(100))
    partial_of(target).write_bytes(junk)
    encrypt_file(source, target, [KEY], segment=SEGMENT)
    assert opened(target) == plain(100)


def test_another_keys_unfinished_file_is_not_gone_on_with(tmp_path):
    source, target = tmp_path / "a", tmp_path / "a.sealed"
    source.write_bytes(plain(9 * SEGMENT))
    stopped(source, target, 4 * SEGMENT)
    assert encrypt_file(source, target, [OTHER], segment=SEGMENT).resumed == 0
    assert opened(target, OTHER) == plain(9 * SEGMENT)


def test_two_at_once_do_not_meet(tmp_path):
    source, target = tmp_path / "a", tmp_path / "a.sealed"
    source.write_bytes(plain(100))
    with encrypting._locked(partial_of(target)), pytest.raises(UsageError, match="another process"):
        encrypt_file(source, target, [KEY], segment=SEGMENT)
    assert partial_of(target).exists()


def test_a_rotation_changes_the_keys_and_not_the_data(sealed):
    data = sealed.read_bytes()[HEADER_BYTES:]
    assert rewrap(sealed, [KEY], [OTHER, WORDS]) == 2 * SLOT_BYTES
    assert sealed.read_bytes()[HEADER_BYTES:] == data
    assert opened(sealed, OTHER) == opened(sealed, WORDS) == plain(4 * SEGMENT + 100)
    with pytest.raises(UsageError):
        opened(sealed, KEY)
    rewrap(sealed, [WORDS], [KEY])
    assert opened(sealed, KEY) == plain(4 * SEGMENT + 100)


def test_a_rotation_that_power_ended_leaves_a_file_that_opens(sealed, monkeypatch):
    before = sealed.read_bytes()
    rewrap(sealed, [KEY], [OTHER])
    after = sealed.read_bytes()
    second = slice(FIXED_BYTES + SLOT_BYTES, HEADER_BYTES)
    for cut in range(0, SLOT_BYTES, 97):  # the new slot half written, the old one still whole
        torn = bytearray(before)
        torn[second] = after[second][:cut] + before[second][cut:]
        sealed.write_bytes(torn)
        opens = [key for key in (KEY, OTHER) if _opens(sealed, key)]
        assert KEY in opens
    both = bytearray(before)
    both[second] = after[second]
    sealed.write_bytes(both)
    assert opened(sealed, OTHER) == plain(4 * SEGMENT + 100)


def test_a_header_that_asks_for_too_much_memory_is_refused_at_once(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    greedy = Passphrase("correct horse", memory=8 << 20, passes=1, lanes=1)
    path = tmp_path / "a.sealed"
    encrypting_wrap = greedy.__class__.wrap
    try:
        greedy.__class__.wrap = lambda self, key, fixed: encrypting_wrap(WORDS, key, fixed).__class__(
            "passphrase", "", bytes(12), bytes(48), bytes(16), 8 << 20, 1, 1
        )
        encrypt_file(tmp_path / "a", path, [greedy], segment=SEGMENT)
    finally:
        greedy.__class__.wrap = encrypting_wrap
    with pytest.raises(UsageError, match="passphrase"):
        opened(path, greedy)


def test_more_keys_than_a_header_holds_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(UsageError, match="no room"):
        encrypt_file(tmp_path / "a", tmp_path / "b", [KEY] * 40, segment=SEGMENT)
    with pytest.raises(UsageError, match="no key"):
        encrypt_file(tmp_path / "a", tmp_path / "b", [], segment=SEGMENT)
    assert left(tmp_path) == {"a"}


def test_other_files_are_not_taken_for_encrypted_ones(tmp_path):
    (tmp_path / "a").write_bytes(b"plain")
    assert not is_sealed(tmp_path / "a")
    with pytest.raises(UsageError, match="not an encrypted file"):
        opened(tmp_path / "a")
