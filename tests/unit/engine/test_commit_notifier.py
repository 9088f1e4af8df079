"""Which answers to a group come before the next group is taken, and which while it is written."""

from __future__ import annotations

import asyncio

import pytest

from dwarf.engine.shard.commit_notifier import WORTH_HALVING, CommitNotifier
from dwarf.engine.shard.commit_requests import CallRequest, CommitResult
from dwarf.errors import StateConflict


def requests(count: int) -> list[CallRequest]:
    loop = asyncio.get_running_loop()
    return [CallRequest(lambda work: iter(()), loop.create_future()) for _ in range(count)]  # type: ignore[arg-type,return-value]


def answered(group: list[CallRequest]) -> int:
    """How many have an answer; they are the first ones."""
    done = [request.done.done() for request in group]
    assert done == sorted(done, reverse=True)
    return sum(done)


def gathered(answers: CommitNotifier, count: int) -> list[CallRequest]:
    group = requests(count)
    answers.gather(group, CommitResult(0, [(number, None) for number in range(count)]))
    return group


@pytest.mark.parametrize(
    ("size", "queued", "first"),
    [
        (WORTH_HALVING, 0, WORTH_HALVING // 2),
        (WORTH_HALVING, WORTH_HALVING // 2, WORTH_HALVING // 4),
        (WORTH_HALVING, WORTH_HALVING, 0),
        (WORTH_HALVING, 3 * WORTH_HALVING, 0),
        (WORTH_HALVING - 1, 0, WORTH_HALVING - 1),
        (2, 1, 2),
        (0, 0, 0),
    ],
)
async def test_the_groups_become_equally_large(size: int, queued: int, first: int) -> None:
    answers = CommitNotifier(in_halves=True)
    group = gathered(answers, size)
    assert answers.some(queued) is (first < size)
    assert answered(group) == first
    answers.rest()
    assert [await request.done for request in group] == list(range(size))
    assert answers.some(queued) is False


async def test_without_halves_all_are_answered_at_once() -> None:
    answers = CommitNotifier(in_halves=False)
    group = gathered(answers, 5 * WORTH_HALVING)
    assert answers.some(0) is False
    assert answered(group) == len(group)


async def test_a_single_answer_does_not_wait() -> None:
    answers = CommitNotifier(in_halves=True)
    late = gathered(answers, 2 * WORTH_HALVING)
    answers.some(0)
    assert answered(gathered(answers, 1)) == 1
    assert answered(late) == WORTH_HALVING


async def test_an_error_is_given_to_the_one_it_belongs_to() -> None:
    answers = CommitNotifier(in_halves=True)
    group = requests(2)
    answers.gather(group, CommitResult(0, [(None, StateConflict("no")), ("yes", None)]))
    answers.some(0)
    with pytest.raises(StateConflict, match="no"):
        await group[0].done
    assert await group[1].done == "yes"
