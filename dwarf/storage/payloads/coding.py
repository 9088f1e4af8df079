"""The codec: the stored form of a payload's text."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from dwarf.errors import StorageError
from dwarf.storage.payloads.layouts import PayloadLayout
from dwarf.storage.sql.errors import classify
from dwarf.storage.sql.script import Params, Row

__all__ = ["SIGN", "Codec", "Coder"]

SIGN: Final = "dwarf+codec:"
"""The prefix of the stored form of an encoded text. Base64 of the codec's bytes follows."""


class Codec(Protocol):
    """Transforms stored payloads and back: encryption, compression. Called from several threads.

    Example::

        class Encrypted:
            def __init__(self, key: bytes) -> None:
                self._box = Fernet(key)

            def encode(self, data: bytes) -> bytes:
                return self._box.encrypt(data)

            def decode(self, data: bytes) -> bytes:
                return self._box.decrypt(data)


        engine = Engine(host, url, codec=Encrypted(key))
    """

    def encode(self, data: bytes) -> bytes:
        """The stored bytes for ``data``."""
        ...

    def decode(self, data: bytes) -> bytes:
        """The inverse of ``encode``."""
        ...


class Coder:
    """Encodes and decodes payloads with a codec. Empty texts stay empty, since statements compare with them.

    StorageError if the codec fails. It names the column and the statement, and never their content, not even through
    its cause.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def encoded_row(self, name: str, layout: PayloadLayout, row: Params) -> Mapping[str, Any]:
        """The parameters of a statement as they are sent."""
        given = dict(row)
        for param in layout.params:
            if given[param]:
                given[param] = self.encoded(given[param], param.removeprefix("new_"), name)
        return given

    def decoded_rows(self, name: str, layout: PayloadLayout, rows: Sequence[Row]) -> list[Row]:
        """The rows of a statement, decoded."""
        decoded: list[Row] = []
        for row in rows:
            values = list(row)
            for position, column in layout.columns:
                if values[position]:
                    values[position] = self.decoded(values[position], column, name)
            decoded.append(tuple(values))
        return decoded

    def encoded(self, text: str, column: str, statement: str) -> str:
        """The stored form of a text."""
        try:
            data = text.encode()
        except UnicodeError as error:
            raise classify(error, "sqlite", statement) from error
        try:
            return SIGN + b64encode(self._codec.encode(data)).decode()
        except Exception as error:  # noqa: BLE001 - the codec is the user's
            raise _failure("encode", column, statement, error) from None

    def decoded(self, stored: str, column: str, statement: str) -> str:
        """The text of a stored form."""
        if not stored.startswith(SIGN):
            raise StorageError(f"the column {column} ({statement}) was stored without a codec")
        try:
            return bytes(self._codec.decode(b64decode(stored[len(SIGN) :], validate=True))).decode()
        except Exception as error:  # noqa: BLE001 - as above
            raise _failure("decode", column, statement, error) from None


def _failure(what: str, column: str, statement: str, error: Exception) -> StorageError:
    return StorageError(f"the codec could not {what} the column {column} ({statement}): {type(error).__name__}")
