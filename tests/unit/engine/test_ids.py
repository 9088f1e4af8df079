"""Ids from reserved blocks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dwarf.engine.shard.ids import FIRST_BLOCK, IdsExhausted, IdSource, new_token

FORKED = """
import os
from dwarf.engine.shard.ids import new_token
new_token()
child = os.fork()
os.write(1, f"{new_token()}\\n".encode())
if child:
    os.waitpid(child, 0)
"""


def source(*blocks: tuple[int, int]) -> IdSource:
    made = IdSource("step")
    for first, count in blocks:
        made.add(first, count)
    return made


def test_ids_come_in_order_over_blocks() -> None:
    ids = source((5, 2), (100, 3))
    assert [ids.take(), *ids.take_many(3), ids.take()] == [5, 6, 100, 101, 102]
    with pytest.raises(IdsExhausted):
        ids.take()


def test_too_few_for_many_uses_none_up() -> None:
    ids = source((1, 3))
    with pytest.raises(IdsExhausted):
        ids.take_many(4)
    assert ids.take_many(3) == [1, 2, 3]
    assert ids.take_many(0) == []


def test_what_is_wanted_is_enough() -> None:
    assert source().wanted() == FIRST_BLOCK
    assert source().wanted(1000) == 1000
    assert source((1, 64)).wanted(10) == 0
    assert source((1, 64)).wanted(65) >= 1


def test_tokens_are_sixteen_digits_and_never_the_same() -> None:
    tokens = [new_token() for _ in range(2000)]
    assert len(set(tokens)) == len(tokens)
    assert all(len(token) == 16 and int(token, 16) >= 0 for token in tokens)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_draws_tokens_of_its_own() -> None:
    said = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True).stdout.split()
    assert len(said) == len(set(said)) == 2
