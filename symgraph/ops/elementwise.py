"""What all elementwise ops share: dtype rules taken from NumPy, sample inputs, and `cast`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, GraphError
from symgraph.node import Node, Operand
from symgraph.op import NO_GRADIENT, Attrs, Elementwise, Gradient, Op, Sample, _NoGradient
from symgraph.types import DTYPES, FLOATS, TensorType, broadcast_shapes, check_dtype

Array = np.ndarray[Any, Any]
DTypeKey = str | type[int] | type[float]
DTypeRule = Callable[[tuple[DTypeKey, ...]], tuple[str, ...]]
"""Maps operand dtypes (int and float stand for weak numbers) to loop dtypes, the result's last."""
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]

_SHAPES = (((3, 4), (4,), (3, 1)), ((5,), (5,), (5,)), ((), (2,), (2, 1)))


def dtype_key(entry: TensorType) -> DTypeKey:
    """Return what stands for this type in a dtype rule."""
    if not entry.weak:
        return entry.element
    return float if entry.element in FLOATS else int


@cache
def ufunc_dtypes(ufunc: np.ufunc, keys: tuple[DTypeKey, ...], operands: int) -> tuple[str, ...]:
    """Return the dtypes of the loop that the installed NumPy runs for these operands.

    Args:
        ufunc: the function.
        keys: dtype names, or int and float for Python numbers.
        operands: how many of `keys` are operands of the op; the others are fixed numbers.

    Returns:
        The dtype that each operand is cast to, then the dtype of the result.

    Raises:
        DTypeError: NumPy has no such loop, or one in a dtype that symgraph does not have.
    """
    weak = not all(isinstance(key, type) for key in keys)
    # Among themselves Python numbers are int64 and float64; NumPy's answer could be `object`.
    given = tuple(key if isinstance(key, type) and weak else np.dtype(key) for key in keys)
    try:
        loop = ufunc.resolve_dtypes((*given, None))
    except TypeError:
        raise DTypeError(
            f"np.{ufunc.__name__} does not take {_listed(keys[:operands])}; cast the operands "
            "first, for example with .astype('int32') or .astype('float32')"
        ) from None
    names = tuple(dtype.name for dtype in (*loop[:operands], loop[-1]))
    for name in names:
        if name not in DTYPES:
            raise DTypeError(
                f"NumPy computes np.{ufunc.__name__} of {_listed(keys[:operands])} in {name}, "
                "which is not supported; cast the operand first, for example with "
                ".astype('float32') or .astype('int64')"
            )
    return names


def _listed(keys: Sequence[DTypeKey]) -> str:
    names = [key if isinstance(key, str) else f"a Python {key.__name__}" for key in keys]
    return " and ".join(names)


def like(ufunc: np.ufunc, *numbers: type[int] | type[float]) -> DTypeRule:
    """Return the dtype rule of `ufunc`, with Python numbers as its further operands."""
    return lambda keys: ufunc_dtypes(ufunc, (*keys, *numbers), len(keys))


def promoting(keys: tuple[DTypeKey, ...]) -> tuple[str, ...]:
    """Give the dtype rule of ops that compute in the promoted dtype of their operands."""
    given = (key(0) if isinstance(key, type) else np.dtype(key) for key in keys)
    return (str(np.result_type(*given)),) * (len(keys) + 1)


def between(low: float, high: float, *, signed: bool = False) -> Draw:
    """Return a drawer of numbers in [low, high], half of them negated if `signed`."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        drawn = np.asarray(rng.uniform(low, high, shape))
        return drawn * rng.choice([-1.0, 1.0], shape) if signed else drawn

    return draw


def halves(offset: float) -> Draw:
    """Return a drawer of small integers plus `offset`: never near another offset's numbers."""
    return lambda rng, shape: np.asarray(rng.integers(-3, 4, shape) + offset)


def truths(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw bools."""
    return np.asarray(rng.integers(0, 2, shape) == 1)


def operand_dtypes(op: Op, types: Sequence[TensorType], attrs: Attrs) -> tuple[str, ...]:
    """Return the dtype that each operand of an elementwise op is cast to before it computes."""
    assert isinstance(op.kind, Elementwise), f"{op.name} is not elementwise"
    return op.kind.operand_dtypes(types, attrs)


def elementwise(
    name: str,
    *,
    numpy: Callable[..., Any],
    scalar: Callable[..., Any],
    grad: Gradient | _NoGradient,
    domain: Sequence[Draw],
    doc: str,
    dtypes: DTypeRule | None = None,
    differentiable: Sequence[int] | None = None,
    attrs: Sequence[Mapping[str, Any]] = ({},),
    flags: Callable[[tuple[str, ...]], tuple[str, ...]] = lambda dtypes: (),
) -> Op:
    """Define an elementwise op.

    Args:
        name: the op's name, NumPy's where NumPy has the function.
        numpy: the reference, given operands in their loop dtypes; a ufunc also gives the dtypes.
        scalar: the same in scalar code; bools, ints and floats arrive as the dtype rule says.
        grad: the gradient rule, see `Op`.
        domain: for each operand a drawer of values where the op is smooth.
        doc: what it computes.
        dtypes: the dtype rule, where `numpy` is no ufunc.
        differentiable: the operands that have a gradient; all, unless there is none.
        attrs: the attrs to test with.
        flags: the problems that `scalar` may report, for operands of given dtypes.

    Returns:
        The op, entered into the registry.
    """
    if dtypes is None:
        assert isinstance(numpy, np.ufunc), f"{name} needs a dtype rule"
        dtypes = like(numpy)
    rule = dtypes

    def loop_dtypes(types: Sequence[TensorType], _attrs: Attrs) -> tuple[str, ...]:
        return rule(tuple(dtype_key(entry) for entry in types))[:-1]

    def reference(*arrays: Array, **attrs: Any) -> Array:
        return np.asarray(numpy(*arrays, **attrs))

    positions = range(len(domain)) if differentiable is None else differentiable
    return Op(
        name=name,
        kind=Elementwise(scalar, loop_dtypes, flags),
        infer=_inference(rule, len(domain)),
        numpy=reference,
        grad=grad,
        samples=samples_of(domain, () if grad is NO_GRADIENT else tuple(positions), attrs),
        doc=doc,
    )


def _inference(rule: DTypeRule, count: int) -> Callable[[tuple[Any, ...], Attrs], TensorType]:
    """Return the type rule of an elementwise op, which remembers the types it has met."""

    @lru_cache(maxsize=1024)
    def inferred(types: tuple[TensorType, ...]) -> TensorType:
        if len(types) != count:
            raise GraphError(f"it takes {count} operands, not {len(types)}")
        result = rule(tuple(dtype_key(entry) for entry in types))[-1]
        weak = result != "bool" and all(entry.weak for entry in types)
        return TensorType(result, broadcast_shapes(entry.dims for entry in types), weak)

    def infer(types: tuple[Any, ...], _attrs: Attrs) -> TensorType:
        return inferred(types)

    return infer


def samples_of(
    domain: Sequence[Draw], differentiable: tuple[int, ...], attrs: Sequence[Mapping[str, Any]]
) -> tuple[Sample, ...]:
    """Return samples of operands that broadcast, that have one shape, and that are 0-d."""

    def sample(shapes: tuple[tuple[int, ...], ...], entry: Mapping[str, Any]) -> Sample:
        def make(rng: np.random.Generator) -> tuple[Array, ...]:
            return tuple(draw(rng, shape) for draw, shape in zip(domain, shapes, strict=False))

        return Sample(make, entry, differentiable)

    return tuple(sample(shapes, entry) for entry in attrs for shapes in _SHAPES)


def _cast_gradient(g: Node, y: Node, x: Node, dtype: str) -> tuple[Node | None]:
    if x.type.element not in FLOATS or dtype not in FLOATS:
        return (None,)
    return (CAST(g, dtype=x.type.element),)


CAST = Op(
    name="cast",
    kind=Elementwise(
        lambda s, x, dtype: s.convert(x, dtype),
        lambda types, attrs: (types[0].element,),
    ),
    infer=lambda types, attrs: TensorType(attrs["dtype"], types[0].dims),
    numpy=lambda x, dtype: x.astype(dtype),
    grad=_cast_gradient,
    samples=(
        *samples_of((between(-3, 3),), (0,), [{"dtype": "float64"}]),
        *samples_of((between(-3, 3),), (), [{"dtype": dtype} for dtype in DTYPES]),
    ),
    doc="Convert to `dtype`, element by element, as NumPy's astype.",
)


def cast(x: Operand, dtype: Any) -> Node:
    """Convert to another dtype, element by element, as NumPy's `astype`.

    Args:
        x: any shape and dtype.
        dtype: one of bool, int32, int64, float32, float64.

    Returns:
        A node of that dtype. The gradient flows between floats only.

    Raises:
        DTypeError: `dtype` is not supported.

    Example:
        >>> cast(Placeholder("x", shape=(3,), dtype="int32"), "float32")
        <cast: float32[3]>
    """
    return CAST(x, dtype=check_dtype(dtype))
