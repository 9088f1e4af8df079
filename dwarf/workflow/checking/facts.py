"""What a task reads and writes, as far as its annotations and its code tell."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, Final, get_type_hints

from dwarf.workflow.binding import Binding
from dwarf.workflow.checking.records import Facts, Write, model_fields
from dwarf.workflow.checking.source import Tree, function_of, names_of, tree_of

__all__ = ["facts_of"]

_DEEPEST: Final = 3  # helper functions that are followed


def facts_of(task: Callable[..., Any] | None, graph_facts: Callable[[Any], Facts | None] | None = None) -> Facts:
    """What a task reads and writes; nothing is known of one that is not given. Never raises.

    ``graph_facts`` tells what a workflow that is given as a Graph writes.
    """
    if task is None:
        facts = Facts()
        facts.unknown()
        return facts
    try:
        return _TaskReader(task, graph_facts).read()
    except Exception:  # noqa: BLE001 - whatever is odd about a function, a check of the graph must not fail for it
        facts = Facts()
        facts.unknown()
        return facts


class _TaskReader:
    def __init__(self, task: Callable[..., Any], graph_facts: Callable[[Any], Facts | None] | None) -> None:
        self.task = task
        self.graph_facts = graph_facts
        self.facts = Facts()

    def read(self) -> Facts:
        binding = Binding(self.task, "?")
        flows: set[str] = set()
        for slot in binding.resolve():
            if slot.is_flow:
                flows.add(slot.name)
            elif slot.default is inspect.Parameter.empty and not _allows_none(slot.kind):
                self.facts.needs[slot.name] = slot.kind
            else:
                self.facts.takes[slot.name] = slot.kind
        if binding._others is not None:
            self.facts.all_reads = False
        function = function_of(self.task)
        tree = None if function is None else tree_of(function)
        returned = self._annotated(function)
        if function is None or tree is None:
            if returned is None or flows:
                self.facts.all_writes = False
            if flows:
                self.facts.all_reads = False
        else:
            parameters = {name for name in self.facts.reads if name not in flows}
            _FunctionWalk(
                self.facts,
                function,
                tree,
                flows=flows,
                parameters=parameters,
                graph_facts=self.graph_facts,
                result_known=returned is not None,
                depth=0,
            ).read()
        for name, kind in (returned or {}).items():
            if name not in self.facts.writes:
                self.facts.write(name, Write(kind))
        return self.facts

    def _annotated(self, function: FunctionType | None) -> dict[str, Any] | None:
        """The fields of the annotated result, with their types; None where the annotation does not tell."""
        if function is None:
            return None
        try:
            kind = get_type_hints(function, localns=names_of(function)).get("return", ...)
        except Exception:  # noqa: BLE001 - an annotation may hold any expression
            return None
        if kind is type(None):
            return {}
        found = None if kind is ... else model_fields(kind)
        return None if found is None else {name: described[0] for name, described in found.items()}


class _FunctionWalk:
    """The walk over one function's code."""

    def __init__(
        self,
        facts: Facts,
        function: FunctionType,
        tree: Tree,
        *,
        flows: set[str],
        parameters: set[str],
        graph_facts: Callable[[Any], Facts | None] | None,
        result_known: bool,
        depth: int,
    ) -> None:
        self.facts = facts
        self.function = function
        self.tree = tree
        self.flows = flows
        self.parameters = parameters  # which hold the fields of their names
        self.graph_facts = graph_facts
        self.result_known = result_known
        self.depth = depth
        self.names = names_of(function)
        self.body: list[ast.AST] = list(tree.body) if isinstance(tree.body, list) else [tree.body]
        self.own = list(_own_nodes(self.body))
        self.handled: set[int] = set()  # uses of the flow that are understood
        self.sure_lines = self._unconditional()
        self.guarded = {name for node in self.own for name in self._asked(node)}

    def read(self) -> None:
        every = [node for top in self.body for node in ast.walk(top)]
        rebound = {node.id for node in every if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        # a parameter that is assigned to need not hold its field any more
        self.parameters -= rebound
        if self.flows & rebound:
            self.facts.unknown()
        for node in every:
            self._use(node)
        for node in every:
            if isinstance(node, ast.Name) and node.id in self.flows and id(node) not in self.handled:
                self.facts.unknown()
        self._returns()

    # ------------------------------------------------------------------ uses of the flow

    def _is_flow(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self.flows

    def _unconditional(self) -> set[int]:
        """The statements, by identity, that run on every path unless the function returns before them."""
        sure: set[int] = set()
        for statement in self.body:
            if isinstance(statement, ast.With | ast.AsyncWith) or not isinstance(
                statement, ast.If | ast.For | ast.AsyncFor | ast.While | ast.Try | ast.Match
            ):
                sure.update(id(node) for node in ast.walk(statement))
            if any(isinstance(node, ast.Return) for node in ast.walk(statement)):
                break
        return sure

    def _asked(self, node: ast.AST) -> Iterator[str]:
        """Fields whose presence the function looks at."""
        if isinstance(node, ast.Compare) and any(isinstance(one, ast.In | ast.NotIn) for one in node.ops):
            if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
                yield node.left.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and self._is_flow(node.func.value):
            if node.func.attr in ("get", "setdefault", "pop") and node.args:
                yield from _text(node.args[0])
        elif isinstance(node, ast.Try):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Subscript) and self._is_flow(inner.value):
                    yield from _text(inner.slice)

    def _use(self, node: ast.AST) -> None:
        if isinstance(node, ast.Subscript) and self._is_flow(node.value):
            self.handled.add(id(node.value))
            self._subscript(node)
        elif isinstance(node, ast.Compare) and any(map(self._is_flow, node.comparators)):
            self.handled.update(id(one) for one in node.comparators if self._is_flow(one))
            for name in _text(node.left):
                self.facts.takes.setdefault(name, Any)
            if not list(_text(node.left)):
                self.facts.all_reads = False
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript) and self._is_flow(node.value.value):
            pass
        elif isinstance(node, ast.AugAssign) and self._is_flow(node.target) and isinstance(node.op, ast.BitOr):
            self.handled.add(id(node.target))
            self._written(node.value, node)
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.Attribute) and self._is_flow(node.value):
            if node.attr in _HARMLESS:
                self.handled.add(id(node.value))
            elif node.attr in ("changes", "baggage"):
                self.handled.add(id(node.value))
                self.facts.all_reads = self.facts.all_reads and node.attr == "baggage"

    def _subscript(self, node: ast.Subscript) -> None:
        names = list(_text(node.slice))
        if not names:
            if isinstance(node.ctx, ast.Load):
                self.facts.all_reads = False
            else:
                self.facts.unknown()
            return
        if isinstance(node.ctx, ast.Load):
            self._reads(names[0], Any)
        elif isinstance(node.ctx, ast.Store):
            value = next((one.value for one in self.own if isinstance(one, ast.Assign) and node in one.targets), None)
            augmented = any(isinstance(one, ast.AugAssign) and one.target is node for one in self.own)
            if augmented:
                self._reads(names[0], Any)
            self._wrote(names[0], value, node, derived=augmented)

    def _reads(self, name: str, kind: Any, *, needed: bool = True) -> None:
        if needed and name not in self.guarded and name not in self.facts.writes and not self._assigned(name):
            self.facts.needs.setdefault(name, kind)
        else:
            self.facts.takes.setdefault(name, kind)

    def _assigned(self, name: str) -> bool:
        """Whether the function itself assigns a field, so that reading it may mean its own value."""
        return any(
            isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and self._is_flow(node.value)
            and name in _text(node.slice)
            for node in self.own
        )

    def _wrote(
        self, name: str, value: ast.AST | None, at: ast.AST, *, derived: bool = False, overwrites: bool = False
    ) -> None:
        if isinstance(value, ast.Constant) and value.value is None:
            return  # a deletion
        self.facts.write(
            name,
            Write(
                _kind_of(value),
                sure=id(at) in self.sure_lines,
                derived=derived or (value is not None and self._is_derived(name, value)),
                constant=isinstance(value, ast.Constant),
                overwrites=overwrites,
            ),
        )

    def _is_old(self, name: str, node: ast.AST) -> bool:
        """Whether an expression is the field's old value."""
        if isinstance(node, ast.Name):
            return node.id == name and name in self.parameters
        if isinstance(node, ast.Subscript) and self._is_flow(node.value):
            return name in _text(node.slice)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and self._is_flow(node.func.value):
            return node.func.attr in ("get", "get_as") and bool(node.args) and name in _text(node.args[0])
        return False

    def _is_derived(self, name: str, value: ast.AST) -> bool:
        """Whether the written value is derived from the old value."""
        if isinstance(value, ast.BinOp):
            return any(self._is_old(name, side) or self._is_derived(name, side) for side in (value.left, value.right))
        if isinstance(value, ast.List | ast.Tuple):
            return any(isinstance(one, ast.Starred) and self._is_old(name, one.value) for one in value.elts)
        if isinstance(value, ast.Dict):
            return any(
                key is None and self._is_old(name, one) for key, one in zip(value.keys, value.values, strict=True)
            )
        if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice):
            return self._is_old(name, value.value)
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _REMAKING:
            return bool(value.args) and self._is_old(name, value.args[0])
        return False

    # ------------------------------------------------------------------ calls

    def _call(self, node: ast.Call) -> None:
        func = node.func
        if isinstance(func, ast.Attribute) and self._is_flow(func.value):
            self.handled.add(id(func.value))
            self._method(func.attr, node)
            return
        passed = [index for index, one in enumerate(node.args) if self._is_flow(one)]
        if not passed:
            return
        if isinstance(func, ast.Name) and func.id in (
            "isinstance",
            "repr",
            "str",
            "print",
            "len",
            "type",
            "id",
            "bool",
        ):
            self.handled.update(id(node.args[index]) for index in passed)
            return
        helper = self._resolve(func)
        if not isinstance(helper, FunctionType) or self.depth >= _DEEPEST or any(map(_is_starred, node.args)):
            return  # left unhandled: nothing is known any more
        tree = tree_of(helper)
        # what a decorator does with the flow is not in the function's own code
        if tree is None or hasattr(helper, "__wrapped__"):
            return
        parameters = [one.arg for one in (*tree.args.posonlyargs, *tree.args.args)]
        if passed[-1] >= len(parameters):
            return
        self.handled.update(id(node.args[index]) for index in passed)
        inner = Facts()
        flows = {parameters[index] for index in passed}
        _FunctionWalk(
            inner,
            helper,
            tree,
            flows=flows,
            parameters=set(),
            graph_facts=self.graph_facts,
            result_known=True,
            depth=self.depth + 1,
        ).read()
        for name, kind in inner.needs.items():
            self._reads(name, kind)
        for name, kind in inner.takes.items():
            self.facts.takes.setdefault(name, kind)
        for name, write in inner.writes.items():
            # never sure: the helper may be called under a condition
            self.facts.write(name, Write(write.kind, False, write.derived, write.constant, write.overwrites))
        self.facts.all_reads &= inner.all_reads
        self.facts.all_writes &= inner.all_writes

    def _method(self, method: str, node: ast.Call) -> None:
        first = list(_text(node.args[0])) if node.args else []
        if method in ("get", "get_as", "setdefault", "pop"):
            if not first:
                self.facts.all_reads = False
                if method in ("setdefault", "pop"):
                    self.facts.all_writes = False
                return
            needed = method == "get_as" and len(node.args) < 3 and not node.keywords
            kind = self._resolve(node.args[1]) if method == "get_as" and len(node.args) > 1 else Any
            self._reads(first[0], kind if isinstance(kind, type) else Any, needed=needed)
            if method == "setdefault":
                self._wrote(first[0], node.args[1] if len(node.args) > 1 else None, node)
        elif method == "overwrite":
            if first and len(node.args) > 1:
                self._wrote(first[0], node.args[1], node, overwrites=True)
            else:
                self.facts.all_writes = False
        elif method == "update":
            for one in node.args:
                self._written(one, node)
            for keyword in node.keywords:
                if keyword.arg is None:
                    self._written(keyword.value, node)
                else:
                    self._wrote(keyword.arg, keyword.value, node)
        elif method == "load":
            found = model_fields(self._resolve(node.args[0])) if node.args else None
            if found is None:
                self.facts.all_reads = False
            for name, (kind, required) in (found or {}).items():
                self._reads(name, kind, needed=required)
        elif method == "save":
            found = self._saved(node.args[0]) if node.args else None
            if found is None:
                self.facts.all_writes = False
            for name, (kind, _) in (found or {}).items():
                self.facts.write(name, Write(kind))
        elif method in ("snapshot", "keys", "values", "items", "to_json"):
            self.facts.all_reads = False
        elif method not in _HARMLESS:
            self.facts.unknown()

    def _saved(self, node: ast.AST) -> dict[str, tuple[Any, bool]] | None:
        """The fields of a saved object: a model that was loaded, or created in the function."""
        if isinstance(node, ast.Name):
            values = self._values_of(node.id)
            kinds = [self._model_made(value) for value in values]
            return kinds[0] if len(kinds) == 1 else None
        return self._model_made(node)

    def _model_made(self, value: ast.AST | None) -> dict[str, tuple[Any, bool]] | None:
        if not isinstance(value, ast.Call):
            return None
        if isinstance(value.func, ast.Attribute) and value.func.attr == "load" and self._is_flow(value.func.value):
            return model_fields(self._resolve(value.args[0])) if value.args else None
        return model_fields(self._resolve(value.func))

    def _values_of(self, name: str) -> list[ast.AST | None]:
        """The values assigned to a local name; None for a value that is unknown."""
        found: list[ast.AST | None] = []
        for node in self.own:
            if (
                isinstance(node, ast.Assign)
                and any(isinstance(one, ast.Name) and one.id == name for one in node.targets)
            ) or (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name):
                found.append(node.value)
            elif isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
                known = any(
                    (isinstance(one, ast.Assign) and node in one.targets) or getattr(one, "target", None) is node
                    for one in self.own
                    if isinstance(one, ast.Assign | ast.AnnAssign)
                )
                if not known:
                    found.append(None)
        return found

    def _resolve(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Name):
            return self.names.get(node.id, __builtins__.get(node.id) if isinstance(__builtins__, dict) else None)
        if isinstance(node, ast.Attribute):
            owner = self._resolve(node.value)
            return inspect.getattr_static(owner, node.attr, None) if owner is not None else None
        return None

    # ------------------------------------------------------------------ results

    def _returns(self) -> None:
        if isinstance(self.tree, ast.Lambda):
            self._written(self.tree.body, self.tree.body)
            return
        for node in self.own:
            if isinstance(node, ast.Return) and node.value is not None:
                self._written(node.value, node)

    def _written(self, value: ast.AST, at: ast.AST) -> None:
        """A mapping that is written to the state: returned, or given to ``update``."""
        if isinstance(value, ast.Constant) and value.value is None:
            return
        if self._is_flow(value):
            self.handled.add(id(value))
            return
        if isinstance(value, ast.Await):
            value = value.value
        if isinstance(value, ast.IfExp):
            self._written(value.body, value)
            self._written(value.orelse, value)
        elif isinstance(value, ast.Dict):
            for key, one in zip(value.keys, value.values, strict=True):
                names = [] if key is None else list(_text(key))
                if names:
                    self._wrote(names[0], one, at)
                elif key is None:
                    self._written(one, value)
                else:
                    self._unknown_result()
        elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
            self._written(value.left, value)
            self._written(value.right, value)
        elif isinstance(value, ast.Call):
            self._called(value, at)
        elif (isinstance(value, ast.Name) and not self._local(value.id)) or not isinstance(value, ast.Name):
            self._unknown_result()

    def _called(self, value: ast.Call, at: ast.AST) -> None:
        func = value.func
        if isinstance(func, ast.Name) and func.id == "dict" and not value.args:
            for keyword in value.keywords:
                if keyword.arg is None:
                    self._written(keyword.value, value)
                else:
                    self._wrote(keyword.arg, keyword.value, at)
            return
        if isinstance(func, ast.Attribute) and self._is_flow(func.value) and func.attr in _WITHOUT_RESULT:
            return
        if isinstance(func, ast.Attribute) and self._is_flow(func.value) and func.attr == "subgraph":
            workflow = self._resolve(value.args[0]) if value.args else None
            inner = None if self.graph_facts is None or workflow is None else self.graph_facts(workflow)
            if inner is None or not inner.all_writes:
                self._unknown_result()
            for name, write in (inner.writes if inner is not None else {}).items():
                self.facts.write(name, Write(write.kind))
            return
        target = self._resolve(func)
        found = model_fields(target)
        if found is None:
            found = self._result_of(target)
        if found is None:
            self._unknown_result()
            return
        for name, (kind, _) in found.items():
            self.facts.write(name, Write(kind))

    def _result_of(self, function: Any) -> dict[str, tuple[Any, bool]] | None:
        """What a function of the same process returns, where its annotation or its code tells."""
        if not isinstance(function, FunctionType) or self.depth >= _DEEPEST or hasattr(function, "__wrapped__"):
            return None
        try:
            kind = get_type_hints(function).get("return")
        except Exception:  # noqa: BLE001 - an annotation may hold any expression
            kind = None
        found = model_fields(kind)
        tree = tree_of(function) if found is None else None
        if tree is None:
            return found
        inner = Facts()
        _FunctionWalk(
            inner,
            function,
            tree,
            flows=set(),
            parameters=set(),
            graph_facts=self.graph_facts,
            result_known=False,
            depth=self.depth + 1,
        ).read()
        return {name: (write.kind, False) for name, write in inner.writes.items()} if inner.all_writes else None

    def _local(self, name: str) -> bool:
        """Note what a local dict holds that is written as a whole; whether that can be told."""
        values = self._values_of(name)
        if not values or any(value is None for value in values) or name in self.parameters:
            return False
        for value in values:
            if not isinstance(value, ast.Dict | ast.Call | ast.IfExp):
                return False
            self._written(value, value)
        for node in self.own:
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == name:
                names = list(_text(node.slice))
                if isinstance(node.ctx, ast.Store):
                    if not names:
                        return False
                    self._wrote(names[0], None, node.value)
            elif isinstance(node, ast.Call) and any(isinstance(one, ast.Name) and one.id == name for one in node.args):
                if not (isinstance(node.func, ast.Attribute) and self._is_flow(node.func.value)):
                    return False
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == name
                and node.attr not in ("get", "items", "keys", "values", "copy")
            ):
                return False
        return True

    def _unknown_result(self) -> None:
        if not self.result_known:
            self.facts.all_writes = False


def _own_nodes(body: list[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a function's own code, without those of functions and classes inside it."""
    todo = list(body)
    while todo:
        node = todo.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            todo[:0] = list(ast.iter_child_nodes(node))


def _text(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _is_starred(node: ast.AST) -> bool:
    return isinstance(node, ast.Starred)


def _kind_of(value: ast.AST | None) -> Any:
    """The type of an expression, if it is obvious."""
    if isinstance(value, ast.Constant):
        return type(value.value)
    if isinstance(value, ast.JoinedStr):
        return str
    if isinstance(value, ast.List | ast.ListComp):
        return list
    if isinstance(value, ast.Dict | ast.DictComp):
        return dict
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return _RESULTS.get(value.func.id, Any)
    if isinstance(value, ast.Compare) or (isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not)):
        return Any  # numpy's comparisons are no bools
    return Any


def _allows_none(kind: Any) -> bool:
    from dwarf.workflow.typeforms import allows_none

    return kind is not Any and allows_none(kind)


_RESULTS: Final[dict[str, Any]] = {"len": int, "str": str, "sorted": list, "repr": str}
_REMAKING: Final = frozenset({"sorted", "list", "set", "dict", "tuple", "reversed"})
_WITHOUT_RESULT: Final = frozenset(
    {"update", "goto", "delay", "retry", "progress", "display", "stream", "overwrite", "save"}
)
_HARMLESS: Final = frozenset(
    {"interrupt", "subgraph", "retry", "delay", "goto", "progress", "display", "stream", "key", "step_key", "node",
     "attempt", "created_at", "updated_at", "step_created_at", "scheduled_at", "baggage", "changes"}
)  # fmt: skip
