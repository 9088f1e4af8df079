"""The engine's settings, which are checked at its creation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from dwarf.core.liveness import HELD_LEASES
from dwarf.core.plan import label_sets
from dwarf.errors import ConfigError, GraphError, InvalidRequest
from dwarf.storage.operations.hooks import EVENTS
from dwarf.storage.payloads.coding import Codec as Codec
from dwarf.surroundings import without_password
from dwarf.workflow.durations import Seconds, to_ms
from dwarf.workflow.graph import Graph
from dwarf.workflow.parts import as_labels
from dwarf.workflow.status import Status

Durability: TypeAlias = Literal["full", "relaxed"]

DEFAULT_WORKERS = 512
DEFAULT_TIME_BUDGET_S = 120
DEFAULT_MAX_CRASHES = 20
DEFAULT_MAX_DEPTH = 10_000  # stops endless loops; useful loops with 1,000 laps have been seen
MAX_INT32 = 2**31 - 1


@dataclass(frozen=True)
class Shard:
    """One database of the fleet. Keys name it by ``index`` (1 or more), so an index must always mean the same database.

    A cordoned shard gets no new threads; everything on it goes on.

    Example::

        shards = [Shard(1, "postgresql://one/dwarf"), Shard(2, "postgresql://two/dwarf")]
        engine = Engine(host, shards=shards)
    """

    index: int
    url: str
    virtual_cpus: int = field(default=2, kw_only=True)
    cordoned: bool = field(default=False, kw_only=True)

    def __repr__(self) -> str:
        more = f", virtual_cpus={self.virtual_cpus}" if self.virtual_cpus != 2 else ""
        return f"Shard({self.index}, {without_password(self.url)!r}{more}{', cordoned=True' if self.cordoned else ''})"

    def __post_init__(self) -> None:
        if not _is_int(self.index) or self.index < 1:
            raise ConfigError(f"a shard's index is a whole number from 1 up, not {self.index!r}")
        if not isinstance(self.url, str) or not self.url:
            raise ConfigError("a shard needs the url of its database")
        if not _is_int(self.virtual_cpus) or self.virtual_cpus < 0:
            raise ConfigError("a shard's virtual_cpus is a whole number, 0 or more")


@dataclass(frozen=True)
class ShardInfo:
    """The state of one shard. ``error`` is empty if it answered; ``latency_ms`` is that of a trivial query.

    ``waiting`` has the tasks that due steps wait for and no living engine knows, each with an explanation.

    Example::

        for shard in await engine.shards():
            print(shard.index, shard.error or f"{shard.latency_ms:.1f} ms", shard.replicas)
    """

    index: int
    error: str = ""
    latency_ms: float = 0.0
    cordoned: bool = False
    flows: Mapping[Status, int] = field(default_factory=dict)
    steps: Mapping[Status, int] = field(default_factory=dict)
    replicas: int = 0
    waiting: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Timing:
    """Cadences, for tests and experts. Durations are seconds or timedelta.

    ``lease`` is how long a replica on a database server lives without a heartbeat: after that, others take its steps
    over. It raises a counter every 2 seconds, or seven times in a lease if that is less. ``lease_margin`` is added to a
    step's time budget: a lease that is held longer, plus a grace of four leases while its replica lives, is taken back
    in any case. ``recovery`` is the interval between such checks, ``reap`` the interval between removals of deleted
    flows; ``retry_ladder`` holds the pauses between tries to write an outcome while the database is away.

    Example::

        engine = Engine(host, url, timing=Timing(lease=60))  # a network that is away for half a minute at times
    """

    lease: Seconds = field(default=15, kw_only=True)
    lease_margin: Seconds = field(default=30, kw_only=True)
    recovery: Seconds = field(default=5, kw_only=True)
    reap: Seconds = field(default=60, kw_only=True)
    retry_ladder: Sequence[Seconds] = field(default=(1, 2, 4), kw_only=True)

    def __post_init__(self) -> None:
        for name in ("lease", "lease_margin", "recovery", "reap"):
            if _milliseconds(getattr(self, name), name) < 1:
                raise ConfigError(f"{name} must be positive")
        try:
            object.__setattr__(self, "retry_ladder", tuple(self.retry_ladder))
        except TypeError:
            raise ConfigError(f"retry_ladder is a sequence of pauses, not {self.retry_ladder!r}") from None
        for pause in self.retry_ladder:
            _milliseconds(pause, "retry_ladder")


@dataclass
class Settings:
    """The checked arguments of ``Engine``. ``time_budget_ms`` and ``default_priority`` may be tuned while it runs."""

    shards: tuple[Shard, ...]
    workers: int
    time_budget_ms: int
    default_priority: int
    engine_id: int | None
    durability: Durability
    max_crashes: int | None
    timing: Timing
    retention: Mapping[Status, int] = field(default_factory=dict)  # in milliseconds
    max_connections: int | None = None
    max_depth: int | None = None
    label_sets: Sequence[str] = ()  # sets of labels of the steps that this engine may run
    capture_output: bool = False

    @property
    def quarantine_at(self) -> int:
        """How often a step may crash its process before it is run apart from other such steps."""
        return DEFAULT_MAX_CRASHES // 2 if self.max_crashes is None else max(1, self.max_crashes // 2)

    @property
    def margin_ms(self) -> int:
        """How much longer a lease is than the time budget."""
        return to_ms(self.timing.lease_margin, "lease_margin")

    @property
    def lease_ms(self) -> int:
        """How long an engine counts as living without a heartbeat."""
        return to_ms(self.timing.lease, "lease")

    @property
    def grace_ms(self) -> int:
        """How long other engines respect an expired lease of a living owner."""
        return HELD_LEASES * self.lease_ms

    @property
    def pauses(self) -> list[float]:
        """Pauses between tries of a write, in seconds."""
        return [to_ms(pause, "retry_ladder") / 1000 for pause in self.timing.retry_ladder]


def read_settings(
    url: str | None,
    shards: Iterable[Shard] | None,
    *,
    workers: int | None,
    time_budget: Seconds,
    default_priority: int,
    engine_id: int | None,
    durability: str,
    max_crashes: int | None,
    timing: Timing | None,
    retention: Mapping[Any, Seconds] | None = None,
    max_connections: int | None = None,
    max_depth: int | None = None,
    capture_output: bool = False,
) -> Settings:
    """Check the engine's arguments. ConfigError names a wrong one."""
    if workers is not None and (not _is_int(workers) or not 0 <= workers <= MAX_INT32):
        raise ConfigError(f"workers is a whole number from 0 to {MAX_INT32}, not {workers!r}")
    if timing is not None and not isinstance(timing, Timing):
        raise ConfigError(f"timing is a Timing, not {type(timing).__name__}")
    if engine_id is not None and (not _is_int(engine_id) or not 1 <= engine_id < 2**63):
        raise ConfigError(f"engine_id is a positive 63-bit number, not {engine_id!r}")
    if max_connections is not None and (not _is_int(max_connections) or not 1 <= max_connections <= MAX_INT32):
        raise ConfigError(f"max_connections is a whole number from 1 to {MAX_INT32}, not {max_connections!r}")
    if max_depth is not None and (not _is_int(max_depth) or not 1 <= max_depth <= MAX_INT32):
        raise ConfigError(f"max_depth is a whole number from 1 to {MAX_INT32}, or None for no limit, not {max_depth!r}")
    if durability not in ("full", "relaxed"):
        raise ConfigError(f"durability is 'full' or 'relaxed', not {durability!r}")
    if max_crashes is not None and (not _is_int(max_crashes) or not 1 <= max_crashes <= MAX_INT32):
        raise ConfigError(f"max_crashes is a whole number from 1 to {MAX_INT32}, or None, not {max_crashes!r}")
    if not isinstance(capture_output, bool):
        raise ConfigError(f"capture_output is True or False, not {capture_output!r}")
    try:
        budget = check_time_budget(time_budget)
        priority = check_default_priority(default_priority)
    except InvalidRequest as error:
        raise ConfigError(str(error)) from None
    return Settings(
        shards=_read_shards(url, shards),
        workers=DEFAULT_WORKERS if workers is None else workers,
        time_budget_ms=budget,
        default_priority=priority,
        engine_id=engine_id,
        durability="relaxed" if durability == "relaxed" else "full",
        max_crashes=max_crashes,
        timing=timing or Timing(),
        retention=_read_retention(retention),
        max_connections=max_connections,
        max_depth=max_depth,
        capture_output=capture_output,
    )


def check_time_budget(value: Seconds) -> int:
    """A time budget in milliseconds, 1 or more. InvalidRequest."""
    milliseconds = to_ms(value, "time_budget")
    if milliseconds < 1 or milliseconds > MAX_INT32 or _below_a_millisecond(value):
        raise InvalidRequest("time_budget must be at least a millisecond and at most 24 days")
    return milliseconds


def check_labels(labels: object) -> list[str]:
    """The sets of task labels that an engine with these labels runs. ConfigError."""
    try:
        return label_sets(as_labels(labels, "the labels of an engine"))
    except (GraphError, TypeError) as error:
        raise ConfigError(str(error)) from None


def check_hooks(hooks: object) -> dict[str, str | Graph] | None:
    """The workflow that is created at each event. ConfigError."""
    if hooks is None:
        return None
    if not isinstance(hooks, Mapping):
        raise ConfigError(f"hooks are a mapping from events to workflows, not {type(hooks).__name__}")
    for event, workflow in hooks.items():
        if event not in EVENTS:
            raise ConfigError(f"there is no event {event!r} for a hook: it is one of {', '.join(EVENTS)}")
        if not isinstance(workflow, (str, Graph)) or not workflow:
            raise ConfigError(f"the hook for {event!r} is a Graph or the name of one, not {workflow!r}")
    return dict(hooks)


def check_codec(codec: Codec | None) -> Codec | None:
    """A codec, or none. ConfigError."""
    if codec is not None and not all(callable(getattr(codec, name, None)) for name in ("encode", "decode")):
        raise ConfigError(f"a codec has the methods encode and decode, which {type(codec).__name__} has not")
    return codec


def check_default_priority(value: object) -> int:
    """A default priority: 1 to 2**31 - 1. InvalidRequest."""
    if not _is_int(value) or not 1 <= value <= MAX_INT32:  # type: ignore[operator]
        raise InvalidRequest(f"default_priority is a whole number from 1 to {MAX_INT32}, not {value!r}")
    return int(value)  # type: ignore[call-overload,no-any-return]


def _read_retention(retention: object) -> Mapping[Status, int]:
    if retention is None:
        return {}
    if not isinstance(retention, Mapping):
        raise ConfigError(f"retention is a mapping from status to age, not {type(retention).__name__}")
    known: dict[Status, int] = {}
    for name, age in retention.items():
        try:
            status = Status(name)
        except ValueError:
            raise ConfigError(f"retention has no status {name!r}: it is one of {', '.join(Status)}") from None
        if not status.stopped:
            raise ConfigError(
                f"retention cannot be for flows that are {status}: only those that have stopped are deleted"
            )
        known[status] = _milliseconds(age, f"retention[{status.value!r}]")
    return known


def _read_shards(url: str | None, shards: Iterable[Shard] | None) -> tuple[Shard, ...]:
    if url is not None and (not isinstance(url, str) or not url.strip()):
        raise ConfigError(
            f"the url of a database is a text such as 'sqlite:///flows.db' or 'postgresql://localhost/flows', "
            f"not {url!r}; leave it out for a database in memory"
        )
    if shards is None:
        return (Shard(1, url or "sqlite://"),)
    if url is not None:
        raise ConfigError("give either one url or shards, not both")
    if not isinstance(shards, Iterable):
        raise ConfigError(f"shards is a list of Shard, not {type(shards).__name__}")
    known = tuple(shards)
    odd = next((shard for shard in known if not isinstance(shard, Shard)), None)
    if odd is not None:
        raise ConfigError(f"shards is a list of Shard, not of {type(odd).__name__}")
    if not known:
        raise ConfigError("shards is empty: give at least one Shard")
    for what in ("index", "url"):
        values = [getattr(shard, what) for shard in known]
        if len(set(values)) < len(values):
            raise ConfigError(f"two shards have the same {what}")
    return tuple(sorted(known, key=lambda shard: shard.index))


def _milliseconds(value: Seconds, what: str) -> int:
    try:
        return to_ms(value, what)
    except InvalidRequest as error:
        raise ConfigError(str(error)) from None


def _below_a_millisecond(value: Seconds) -> bool:
    return isinstance(value, (int, float)) and value < 0.001


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
