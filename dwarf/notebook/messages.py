"""What do Python and the page say to each other? Every message and every whole state, with its fields.

The functions that make them return these types, so that mypy checks this side. ``static/messages.d.ts`` is made from
this file (``python -m tests.notebook.write_messages``), and the scripts name its types, so that tsc checks the other.
Times are seconds since 1970, and 0 where there is none; states are numbers in the order of the looks, or their keys.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

# ------------------------------------------------------------------ whole states of the live view


class FlowState(TypedDict):
    """The flow as a whole. ``now`` is the kernel's time, ``drift`` says what has been redefined since it began.

    ``word`` takes the place of the look's own where that says something else.
    """

    state: int
    began: float
    ended: float
    steps: int
    error: str
    now: float
    word: NotRequired[str]
    drift: NotRequired[list[str]]
    regraph: NotRequired[bool]


class EarlierState(FlowState):
    """A run that the same cell has begun before, and that still goes on; its id is the public part of its key."""

    id: str
    name: str


class PlaneState(TypedDict):
    """One picture: its nodes, see ``wire.describe_node``, and a character for each edge: "1" where it was taken."""

    nodes: list[list[Any]]
    taken: str


class ShownState(TypedDict):
    """A display in small: a picture, or a few words."""

    node: str
    name: str
    thumb: str
    words: str
    at: float


class SaidState(TypedDict):
    """What tasks say just now. A line is ``[node, source, level, text]``, a stream ``[node, name, text]``."""

    lines: list[list[str]]
    count: int
    streams: list[list[str]]
    shown: list[ShownState]


class CardState(TypedDict):
    """A question. ``form`` and ``facts`` are made by prompts/forms.py and prompts/facts.py.

    ``key`` is public and tells questions apart, ``stop`` is there for a breakpoint: "before" or "after".
    """

    id: str
    key: str
    title: str
    node: str
    facts: list[dict[str, Any]]
    form: dict[str, Any]
    deadline: float
    error: str
    faults: int
    closed: str
    since: NotRequired[float]
    stop: NotRequired[str]


# ------------------------------------------------------------------ whole states of lists and maps


class InboxState(TypedDict):
    """The inbox, and what the reader has narrowed it by; ``now`` is added when it is sent."""

    title: str
    empty: str
    fault: str
    workflows: list[str]
    workflow: str
    search: str
    cards: list[CardState]
    now: NotRequired[float]


class ListedFlow(TypedDict):
    """A flow in the dashboard; its id is the public part of its key.

    ``word`` stands in the place of the status where that would mislead: a flow at a breakpoint waits for no answer.
    """

    id: str
    status: str
    word: str
    workflow: str
    name: str
    tags: list[str]
    node: str
    created: float
    ended: float
    told: str


class ForkOffer(TypedDict, total=False):
    """The steps at which a flow can be forked; empty where nobody has asked."""

    row: str
    name: str
    steps: list[str]
    chosen: int


class OverTime(TypedDict):
    """The last flows, see lists/overtime.py."""

    bars: list[list[Any]]
    statuses: list[str]
    names: list[str]
    rates: list[list[Any]]
    looked: int


class LabState(TypedDict):
    """A lab in short; ``waiting`` are ``[workflow, title, key]``, ``stopped`` and ``running`` are ``[workflow, text]``.

    ``waits`` flows wait for an answer; those of ``stopped`` stand at a breakpoint and are not among them.
    """

    name: str
    counts: list[list[Any]]
    waiting: list[list[str]]
    waits: int
    stopped: list[list[str]]
    running: list[list[str]]
    fault: str
    now: NotRequired[float]


class DashboardState(TypedDict):
    """The dashboard, and what the reader has narrowed it by; ``now`` is added when it is sent."""

    counts: list[list[Any]]
    total: int
    capped: bool
    status: str
    rows: list[ListedFlow]
    page: int
    more: bool
    workflows: list[str]
    workflow: str
    search: str
    over: OverTime
    notice: str
    fault: str
    empty: str
    fork: ForkOffer
    opened: str
    now: NotRequired[float]


class MapState(TypedDict):
    """How far a map has come; ``parts`` are the shares of its bar, ``[state, count]``, ``heat`` see Tally.heat."""

    parts: list[list[Any]]
    total: int
    done: int
    text: str
    ended: bool
    now: float
    heat: str


# ------------------------------------------------------------------ the panel: requests and replies


class Stops(TypedDict):
    """Whether the flow stops before and after a node."""

    before: bool
    after: bool


class ListedStep(TypedDict):
    """One step in the list of a node's steps."""

    step: int
    label: str
    item: str
    state: str
    attempt: str
    began: float
    took: str
    error: str


class NodeReply(TypedDict):
    """A node with several steps, page by page, or with none. ``kinds`` are the states there are, to choose among."""

    title: str
    about: str
    state: NotRequired[str]
    rows: NotRequired[list[ListedStep]]
    page: NotRequired[int]
    size: NotRequired[int]
    total: NotRequired[int]
    only: NotRequired[str]
    kinds: NotRequired[list[str]]
    stops: NotRequired[Stops]


class StepOrigin(TypedDict, total=False):
    """Where a step comes from; ``takes`` are ``[parameter, value, who wrote it]``.

    Where the function has been redefined ``ran`` is its source as it ran, and ``change`` what is different now.
    """

    source: str
    edited: str
    ran: str
    change: dict[str, Any]
    doc: str
    takes: list[list[str]]


class Spoken(TypedDict, total=False):
    """What a step has said and shown; a stream is ``[name, text]``, a display a view as of bundles.py.

    ``attempts`` are ``[number, when it ended, how long it took, what came of it]``.
    """

    attempts: list[list[Any]]
    output: list[list[str]]
    left_out: int
    streams: list[list[str]]
    displays: list[dict[str, Any]]


class StepState(TypedDict):
    """One step in full. ``diff`` are ``[kind, field, before, after]``; ``whole``: the state can be edited whole."""

    title: str
    step: int
    state: str
    attempt: str
    again: float
    created: float
    began: float
    finished: float
    took: str
    waited: str
    asks: str
    error: str
    traceback: str
    warnings: list[str]
    url: str
    code: str
    cached: str
    before: str
    diff: list[list[str]]
    input: str
    result: str
    whole: bool
    can_go_on: bool
    no_fork: str


class StepReply(StepState, StepOrigin, Spoken):
    """A step with its origin and output; ``of`` is how many steps its node has, 0 where it is the only one.

    ``curve`` are points of its progress, ``[seconds, how much was done]``.
    """

    of: int
    progress: str
    curve: NotRequired[list[list[float]]]
    nested: NotRequired[str]
    stops: NotRequired[Stops]


class StopReply(TypedDict):
    """The state with which a flow goes on from a breakpoint; ``count`` branches have stopped there."""

    input: str
    whole: bool
    count: int


class ActionReply(TypedDict, total=False):
    """What has come of an action: words, and the call that finds the new run."""

    said: str
    find: str
    stops: Stops


class PanelRequest(TypedDict):
    """A request of the panel. The reply has the same number as ``ask``, and ``fault`` where it went wrong."""

    type: Literal["ask"]
    ask: int
    do: Literal[
        "node",
        "step",
        "fork",
        "retry",
        "regraph",
        "cancel",
        "stop",
        "unfold",
        "earlier",
        "show",
        "stopped",
        "go",
    ]
    node: NotRequired[str]
    step: NotRequired[int]
    page: NotRequired[int]
    only: NotRequired[str]
    at: NotRequired[str]
    text: NotRequired[str]
    whole: NotRequired[bool]
    reason: NotRequired[str]
    which: NotRequired[str]
    act: NotRequired[Literal["show", "cancel"]]
    card: NotRequired[str]
    stepping: NotRequired[bool]


# ------------------------------------------------------------------ other messages


class Beat(TypedDict):
    """The kernel is there; see watching/pulse.py."""

    type: Literal["beat"]
    now: float


class Sign(TypedDict):
    """The page is there, has been shown, is read, or is done with."""

    type: Literal["here", "ready", "used", "done"]
    dark: NotRequired[bool]


class CardAnswer(TypedDict):
    """The answer to a card."""

    type: Literal["answer"]
    id: str
    value: NotRequired[Any]


class PanelSwitch(TypedDict):
    """The panel of a view has been opened or shut."""

    type: Literal["panel"]
    open: bool


class InSight(TypedDict):
    """Whether a view of a list is in sight."""

    type: Literal["seen"]
    view: str
    on: bool


class ListFilter(TypedDict):
    """The reader of a list narrows it."""

    type: Literal["filter"]
    search: NotRequired[str]
    workflow: NotRequired[str]
    status: NotRequired[str]


class RowAction(TypedDict):
    """Something is done to a row of the dashboard, to its pages, or to a map."""

    type: Literal["open", "close", "cancel", "delete", "retry", "ask-fork", "fork", "close-fork", "older", "newer"]
    row: NotRequired[str]
    step: NotRequired[int]
    changes: NotRequired[str]


class RunMessage(TypedDict):
    """A message of, or to, the run that is opened beneath a list."""

    type: Literal["run"]
    message: Any
