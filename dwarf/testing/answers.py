"""Answering the prompts of a flow by script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dwarf.engine import FlowHandle
from dwarf.errors import PromptNeedsHuman, StateConflict
from dwarf.workflow.results import Outcome, Step
from dwarf.workflow.status import Status

DEFAULT = "default"


class ScriptedAnswers:
    """Answers by the node that asks, or by the title of its payload.

    A value is the answer, and a callable is called with the payload to make it. The entry ``"*"`` serves every prompt
    without one of its own; the value ``"default"`` there means the payload's own ``default``.

    Example::

        answers = ScriptedAnswers({"Approve": True, "How many?": lambda payload: payload["most"], "*": "default"})
        outcome = await answers.drive(await engine.create(graph))
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = dict(answers)

    def __repr__(self) -> str:
        return f"<ScriptedAnswers: {', '.join(map(repr, self._answers)) or 'none'}>"

    def _answer_for(self, step: Step) -> Any:
        """The answer to the prompt of a step. PromptNeedsHuman where the script has none."""
        payload = step.interrupt_payload or {}
        title = payload.get("title")
        for name in (step.node, title):
            if isinstance(name, str) and name in self._answers:
                return _made(self._answers[name], payload)
        if "*" in self._answers:
            value = self._answers["*"]
            if value != DEFAULT:
                return _made(value, payload)
            if "default" in payload:
                return payload["default"]
        raise PromptNeedsHuman(f"the script has no answer for the prompt of {step.node!r} (title: {title!r})")

    async def drive(self, flow: FlowHandle) -> Outcome:
        """Wait for a flow and answer its prompts until it has ended. Its last outcome."""
        while True:
            outcome = await flow.outcome()
            if outcome.status is not Status.INTERRUPTED:
                return outcome
            for step in await flow.interrupts():
                try:
                    await flow.resume(self._answer_for(step), step=step)
                except StateConflict:
                    continue  # somebody else was faster


def _made(answer: Any, payload: Mapping[str, Any]) -> Any:
    return answer(payload) if isinstance(answer, Callable) else answer  # type: ignore[arg-type]
