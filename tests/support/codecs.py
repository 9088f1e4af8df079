"""Codecs for tests."""

from __future__ import annotations

import zlib


class Xor:
    """Compressed, and unreadable without the key. It notices a wrong key, as encryption does."""

    def __init__(self, key: int = 0x5A) -> None:
        self._key = key
        self.encoded = 0
        self.decoded = 0

    def encode(self, data: bytes) -> bytes:
        self.encoded += 1
        return self._turned(zlib.compress(data, 1))

    def decode(self, data: bytes) -> bytes:
        self.decoded += 1
        return zlib.decompress(self._turned(data))

    def _turned(self, data: bytes) -> bytes:
        return bytes(byte ^ self._key for byte in data)


class Plain:
    """Leaves everything as it is."""

    def encode(self, data: bytes) -> bytes:
        return data

    def decode(self, data: bytes) -> bytes:
        return data


class Broken:
    """Fails, in words that hold what it was given."""

    def __init__(self, *, encodes: bool = False) -> None:
        self._encodes = encodes
        self.failing = False

    def encode(self, data: bytes) -> bytes:
        if self.failing and not self._encodes:
            raise ValueError(f"cannot take {data!r}")
        return data

    def decode(self, data: bytes) -> bytes:
        if self.failing:
            raise ValueError(f"cannot read {data!r}")
        return data
