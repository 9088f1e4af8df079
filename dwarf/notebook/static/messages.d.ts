// Made from messages.py by tests/notebook/write_messages.py: change it there.

/** The flow as a whole. ``now`` is the kernel's time, ``drift`` says what has been redefined since it began.

``word`` takes the place of the look's own where that says something else. */
export interface FlowState {
  state: number;
  began: number;
  ended: number;
  steps: number;
  error: string;
  now: number;
  word?: string;
  drift?: string[];
  regraph?: boolean;
}

/** A run that the same cell has begun before, and that still goes on; its id is the public part of its key. */
export interface EarlierState {
  state: number;
  began: number;
  ended: number;
  steps: number;
  error: string;
  now: number;
  word?: string;
  drift?: string[];
  regraph?: boolean;
  id: string;
  name: string;
}

/** One picture: its nodes, see ``wire.describe_node``, and a character for each edge: "1" where it was taken. */
export interface PlaneState {
  nodes: any[][];
  taken: string;
}

/** A display in small: a picture, or a few words. */
export interface ShownState {
  node: string;
  name: string;
  thumb: string;
  words: string;
  at: number;
}

/** What tasks say just now. A line is ``[node, source, level, text]``, a stream ``[node, name, text]``. */
export interface SaidState {
  lines: string[][];
  count: number;
  streams: string[][];
  shown: ShownState[];
}

/** A question. ``form`` and ``facts`` are made by prompts/forms.py and prompts/facts.py.

``key`` is public and tells questions apart, ``stop`` is there for a breakpoint: "before" or "after". */
export interface CardState {
  id: string;
  key: string;
  title: string;
  node: string;
  facts: Record<string, any>[];
  form: Record<string, any>;
  deadline: number;
  error: string;
  faults: number;
  closed: string;
  since?: number;
  stop?: string;
}

/** The inbox, and what the reader has narrowed it by; ``now`` is added when it is sent. */
export interface InboxState {
  title: string;
  empty: string;
  fault: string;
  workflows: string[];
  workflow: string;
  search: string;
  cards: CardState[];
  now?: number;
}

/** A flow in the dashboard; its id is the public part of its key.

``word`` stands in the place of the status where that would mislead: a flow at a breakpoint waits for no answer. */
export interface ListedFlow {
  id: string;
  status: string;
  word: string;
  workflow: string;
  name: string;
  tags: string[];
  node: string;
  created: number;
  ended: number;
  told: string;
}

/** The steps at which a flow can be forked; empty where nobody has asked. */
export interface ForkOffer {
  row?: string;
  name?: string;
  steps?: string[];
  chosen?: number;
}

/** The last flows, see lists/overtime.py. */
export interface OverTime {
  bars: any[][];
  statuses: string[];
  names: string[];
  rates: any[][];
  looked: number;
}

/** A lab in short; ``waiting`` are ``[workflow, title, key]``, ``stopped`` and ``running`` are ``[workflow, text]``.

``waits`` flows wait for an answer; those of ``stopped`` stand at a breakpoint and are not among them. */
export interface LabState {
  name: string;
  counts: any[][];
  waiting: string[][];
  waits: number;
  stopped: string[][];
  running: string[][];
  fault: string;
  now?: number;
}

/** The dashboard, and what the reader has narrowed it by; ``now`` is added when it is sent. */
export interface DashboardState {
  counts: any[][];
  total: number;
  capped: boolean;
  status: string;
  rows: ListedFlow[];
  page: number;
  more: boolean;
  workflows: string[];
  workflow: string;
  search: string;
  over: OverTime;
  notice: string;
  fault: string;
  empty: string;
  fork: ForkOffer;
  opened: string;
  now?: number;
}

/** How far a map has come; ``parts`` are the shares of its bar, ``[state, count]``, ``heat`` see Tally.heat. */
export interface MapState {
  parts: any[][];
  total: number;
  done: number;
  text: string;
  ended: boolean;
  now: number;
  heat: string;
}

/** Whether the flow stops before and after a node. */
export interface Stops {
  before: boolean;
  after: boolean;
}

/** One step in the list of a node's steps. */
export interface ListedStep {
  step: number;
  label: string;
  item: string;
  state: string;
  attempt: string;
  began: number;
  took: string;
  error: string;
}

/** A node with several steps, page by page, or with none. ``kinds`` are the states there are, to choose among. */
export interface NodeReply {
  title: string;
  about: string;
  state?: string;
  rows?: ListedStep[];
  page?: number;
  size?: number;
  total?: number;
  only?: string;
  kinds?: string[];
  stops?: Stops;
}

/** Where a step comes from; ``takes`` are ``[parameter, value, who wrote it]``.

Where the function has been redefined ``ran`` is its source as it ran, and ``change`` what is different now. */
export interface StepOrigin {
  source?: string;
  edited?: string;
  ran?: string;
  change?: Record<string, any>;
  doc?: string;
  takes?: string[][];
}

/** What a step has said and shown; a stream is ``[name, text]``, a display a view as of bundles.py.

``attempts`` are ``[number, when it ended, how long it took, what came of it]``. */
export interface Spoken {
  attempts?: any[][];
  output?: string[][];
  left_out?: number;
  streams?: string[][];
  displays?: Record<string, any>[];
}

/** One step in full. ``diff`` are ``[kind, field, before, after]``; ``whole``: the state can be edited whole. */
export interface StepState {
  title: string;
  step: number;
  state: string;
  attempt: string;
  again: number;
  created: number;
  began: number;
  finished: number;
  took: string;
  waited: string;
  asks: string;
  error: string;
  traceback: string;
  warnings: string[];
  url: string;
  code: string;
  cached: string;
  before: string;
  diff: string[][];
  input: string;
  result: string;
  whole: boolean;
  can_go_on: boolean;
  no_fork: string;
}

/** A step with its origin and output; ``of`` is how many steps its node has, 0 where it is the only one.

``curve`` are points of its progress, ``[seconds, how much was done]``. */
export interface StepReply {
  title: string;
  step: number;
  state: string;
  attempt: string;
  again: number;
  created: number;
  began: number;
  finished: number;
  took: string;
  waited: string;
  asks: string;
  error: string;
  traceback: string;
  warnings: string[];
  url: string;
  code: string;
  cached: string;
  before: string;
  diff: string[][];
  input: string;
  result: string;
  whole: boolean;
  can_go_on: boolean;
  no_fork: string;
  source?: string;
  edited?: string;
  ran?: string;
  change?: Record<string, any>;
  doc?: string;
  takes?: string[][];
  attempts?: any[][];
  output?: string[][];
  left_out?: number;
  streams?: string[][];
  displays?: Record<string, any>[];
  of: number;
  progress: string;
  curve?: number[][];
  nested?: string;
  stops?: Stops;
}

/** The state with which a flow goes on from a breakpoint; ``count`` branches have stopped there. */
export interface StopReply {
  input: string;
  whole: boolean;
  count: number;
}

/** What has come of an action: words, and the call that finds the new run. */
export interface ActionReply {
  said?: string;
  find?: string;
  stops?: Stops;
}

/** A request of the panel. The reply has the same number as ``ask``, and ``fault`` where it went wrong. */
export interface PanelRequest {
  type: "ask";
  ask: number;
  do: "node" | "step" | "fork" | "retry" | "regraph" | "cancel" | "stop" | "unfold" | "earlier" | "show" | "stopped" | "go";
  node?: string;
  step?: number;
  page?: number;
  only?: string;
  at?: string;
  text?: string;
  whole?: boolean;
  reason?: string;
  which?: string;
  act?: "show" | "cancel";
  card?: string;
  stepping?: boolean;
}

/** The kernel is there; see watching/pulse.py. */
export interface Beat {
  type: "beat";
  now: number;
}

/** The page is there, has been shown, is read, or is done with. */
export interface Sign {
  type: "here" | "ready" | "used" | "done";
  dark?: boolean;
}

/** The answer to a card. */
export interface CardAnswer {
  type: "answer";
  id: string;
  value?: any;
}

/** The panel of a view has been opened or shut. */
export interface PanelSwitch {
  type: "panel";
  open: boolean;
}

/** Whether a view of a list is in sight. */
export interface InSight {
  type: "seen";
  view: string;
  on: boolean;
}

/** The reader of a list narrows it. */
export interface ListFilter {
  type: "filter";
  search?: string;
  workflow?: string;
  status?: string;
}

/** Something is done to a row of the dashboard, to its pages, or to a map. */
export interface RowAction {
  type: "open" | "close" | "cancel" | "delete" | "retry" | "ask-fork" | "fork" | "close-fork" | "older" | "newer";
  row?: string;
  step?: number;
  changes?: string;
}

/** A message of, or to, the run that is opened beneath a list. */
export interface RunMessage {
  type: "run";
  message: any;
}
