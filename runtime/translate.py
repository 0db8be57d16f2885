"""Translates the Python of `native_code` into LLVM IR.

numba itself takes 2.4 s for those dozen functions, most of it type inference, and a first compile
must not cost that much. Since every value there is an int64, a walk over the syntax tree does:
names become stack slots (LLVM turns them into registers), and the rest is one instruction each.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from llvmlite import ir

from symgraph.runtime.primitives import EMITTERS, WORD

_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and_"}
_COMPARISONS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


class UntranslatableError(Exception):
    """Says that native code uses Python beyond the translated part of the language."""


def translate(source: str, names: Mapping[str, object], entry: str, module: Any) -> Any:
    """Adds a function, and all that it calls, to an LLVM module.

    Args:
        source: text of a Python module.
        names: what its global names hold; integers, and modules which hold integers.
        entry: the function wanted.
        module: an llvmlite ir.Module.

    Returns:
        The ir.Function.
    """
    definitions = {
        node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)
    }
    functions: dict[str, Any] = {}

    def function(name: str) -> Any:
        if name not in functions:
            definition = definitions[name]
            kind = ir.FunctionType(WORD, [WORD] * len(definition.args.args))
            functions[name] = ir.Function(module, kind, f"symgraph.{name}")
            functions[name].linkage = "internal"
            _FunctionTranslator(definition, names, functions[name], function).emit()
        return functions[name]

    return function(entry)


class _FunctionTranslator:
    """Emits one function."""

    def __init__(
        self, definition: ast.FunctionDef, names: Mapping[str, object], target: Any, find: Any
    ) -> None:
        self.definition = definition
        self.names = names
        self.target = target
        self.find = find
        self.builder = ir.IRBuilder(target.append_basic_block("entry"))
        self.slots: dict[str, Any] = {}
        self.loops: list[tuple[Any, Any]] = []

    def emit(self) -> None:
        """Emits the whole function."""
        for argument, value in zip(self.definition.args.args, self.target.args, strict=True):
            self._assign(argument.arg, value)
        for node in ast.walk(self.definition):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self._slot(node.id)
        self._block(self.definition.body)
        if not self.builder.block.is_terminated:
            self.builder.ret(WORD(0))

    def _slot(self, name: str) -> Any:
        if name not in self.slots:
            self.slots[name] = self.builder.alloca(WORD, name=name)
        return self.slots[name]

    def _assign(self, name: str, value: Any) -> None:
        self.builder.store(value, self._slot(name))

    def _block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            handler = getattr(self, "_do_" + type(statement).__name__.lower(), None)
            if handler is None:
                raise UntranslatableError(ast.unparse(statement))
            handler(statement)
            if self.builder.block.is_terminated:
                return

    def _do_assign(self, node: ast.Assign) -> None:
        (target,) = node.targets
        assert isinstance(target, ast.Name), ast.unparse(node)
        self._assign(target.id, self._value(node.value))

    def _do_augassign(self, node: ast.AugAssign) -> None:
        assert isinstance(node.target, ast.Name), ast.unparse(node)
        left = self.builder.load(self.slots[node.target.id])
        self._assign(node.target.id, self._binary(node.op, left, self._value(node.value)))

    def _do_expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self._value(node.value)

    def _do_return(self, node: ast.Return) -> None:
        self.builder.ret(WORD(0) if node.value is None else self._value(node.value))

    def _do_break(self, _node: ast.Break) -> None:
        self.builder.branch(self.loops[-1][1])

    def _do_continue(self, _node: ast.Continue) -> None:
        self.builder.branch(self.loops[-1][0])

    def _do_if(self, node: ast.If) -> None:
        yes, no, done = self._new_blocks("then", "else", "endif")
        self._branch(node.test, yes, no)
        for block, body in ((yes, node.body), (no, node.orelse)):
            self.builder.position_at_end(block)
            self._block(body)
            if not self.builder.block.is_terminated:
                self.builder.branch(done)
        self.builder.position_at_end(done)

    def _do_while(self, node: ast.While) -> None:
        head, body, done = self._new_blocks("while", "do", "done")
        self.builder.branch(head)
        self.builder.position_at_end(head)
        self._branch(node.test, body, done)
        self.builder.position_at_end(body)
        self.loops.append((head, done))
        self._block(node.body)
        self.loops.pop()
        if not self.builder.block.is_terminated:
            self.builder.branch(head)
        self.builder.position_at_end(done)

    def _do_for(self, node: ast.For) -> None:
        # for name in range(limit), without break or continue: a while loop.
        assert isinstance(node.target, ast.Name), ast.unparse(node)
        assert isinstance(node.iter, ast.Call), ast.unparse(node)
        name, limit = node.target.id, ast.unparse(node.iter.args[0])
        self._assign(name, WORD(0))
        loop = ast.parse(f"while {name} < {limit}:\n    {name} += 1").body[0]
        assert isinstance(loop, ast.While)
        loop.body[:0] = node.body
        self._do_while(loop)

    def _new_blocks(self, *names: str) -> list[Any]:
        return [self.target.append_basic_block(name) for name in names]

    def _branch(self, test: ast.expr, yes: Any, no: Any) -> None:
        """Branches on a condition; `and` evaluates its right side only when needed."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            for part in test.values[:-1]:
                (following,) = self._new_blocks("and")
                self._branch(part, following, no)
                self.builder.position_at_end(following)
            self._branch(test.values[-1], yes, no)
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            self._branch(test.operand, no, yes)
        else:
            value = self._value(test)
            self.builder.cbranch(self.builder.icmp_signed("!=", value, WORD(0)), yes, no)

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=int() as value):
                return WORD(int(value))
            case ast.Name(id=name) if name in self.slots:
                return self.builder.load(self.slots[name])
            case ast.Name(id=name):
                return self._global(self.names[name], node)
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                return self._global(getattr(self.names[owner], name), node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.builder.neg(self._value(operand))
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self._value(left), self._value(right))
            case ast.Compare():
                return self._compare(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                condition = self.builder.icmp_signed("!=", self._value(test), WORD(0))
                return self.builder.select(condition, self._value(body), self._value(orelse))
            case ast.Call(func=ast.Name(id=name), args=args):
                values = [self._value(argument) for argument in args]
                if name in EMITTERS:
                    return EMITTERS[name](self.builder, *values)
                return self.builder.call(self.find(name), values)
        raise UntranslatableError(ast.unparse(node))

    def _global(self, value: object, node: ast.expr) -> Any:
        if not isinstance(value, int):
            raise UntranslatableError(ast.unparse(node))
        return WORD(value)

    def _binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        return getattr(self.builder, _BINARY[type(op)])(left, right)

    def _compare(self, node: ast.Compare) -> Any:
        values = [self._value(part) for part in (node.left, *node.comparators)]
        result = None
        for op, left, right in zip(node.ops, values, values[1:], strict=False):
            holds = self.builder.icmp_signed(_COMPARISONS[type(op)], left, right)
            result = holds if result is None else self.builder.and_(result, holds)
        return self.builder.zext(result, WORD)
