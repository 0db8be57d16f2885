"""Scalar mathematics, run natively, against mpmath and NumPy."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from scalar_harness import NativeLoop

from symgraph.compiler.codegen.listing import list_function
from symgraph.scalar import arithmetic, exponential, logarithm, power, random_bits, trigonometry
from symgraph.scalar import inverse_trigonometry as inverse
from symgraph.scalar.error_function import erf
from symgraph.scalar.numpy_builder import ArrayValue, NumpyBuilder

mpmath = pytest.importorskip("mpmath")
LANES = {"float32": 16, "float64": 8, "int32": 16, "int64": 8}
FLOATS = ("float32", "float64")


def numpy_softplus(x):
    return np.logaddexp(x.dtype.type(0), x)


def numpy_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_erf(x):
    return pytest.importorskip("scipy.special").erf(x)


def exact_sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def exact_softplus(x):
    return mpmath.log1p(mpmath.exp(x))


# name: (function, exact function, NumPy's, promised ulp in float32 and float64)
UNARY = {
    "exp": (exponential.exp, mpmath.exp, np.exp, 1.0, 1.0),
    "expm1": (exponential.expm1, mpmath.expm1, np.expm1, 1.5, 1.9),
    "log": (logarithm.log, mpmath.log, np.log, 0.8, 0.8),
    "log1p": (logarithm.log1p, mpmath.log1p, np.log1p, 1.0, 1.0),
    "sin": (trigonometry.sin, mpmath.sin, np.sin, 0.8, 0.8),
    "cos": (trigonometry.cos, mpmath.cos, np.cos, 0.8, 0.8),
    "tan": (trigonometry.tan, mpmath.tan, np.tan, 1.0, 1.0),
    "arcsin": (inverse.arcsin, mpmath.asin, np.arcsin, 0.8, 0.8),
    "arccos": (inverse.arccos, mpmath.acos, np.arccos, 1.1, 1.1),
    "arctan": (inverse.arctan, mpmath.atan, np.arctan, 1.4, 1.5),
    "sinh": (exponential.sinh, mpmath.sinh, np.sinh, 1.7, 1.7),
    "cosh": (exponential.cosh, mpmath.cosh, np.cosh, 1.5, 1.5),
    "tanh": (exponential.tanh, mpmath.tanh, np.tanh, 1.7, 1.3),
    "sigmoid": (exponential.sigmoid, exact_sigmoid, numpy_sigmoid, 1.6, 1.6),
    "softplus": (logarithm.softplus, exact_softplus, numpy_softplus, 1.7, 1.6),
    "erf": (erf, mpmath.erf, numpy_erf, 1.0, 1.5),
}


@functools.cache
def native(fn, dtypes, lanes=0):
    return NativeLoop(fn, dtypes, lanes or LANES[dtypes[0]])


def special_values(dtype):
    limits = np.finfo(dtype)
    denormal = np.nextafter(limits.tiny, limits.dtype.type(0))
    positive = [np.inf, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, limits.smallest_subnormal, denormal]
    positive += [limits.tiny, limits.max, limits.eps, 709.0, 88.5, 1e5]
    values = np.array(positive, dtype)
    return np.concatenate([values, -values, np.array([np.nan], dtype)])


def random_bits_of(dtype, count, seed=1):
    """Floats of every magnitude, denormals included."""
    words = np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)
    values = words.view(np.float64)
    if dtype == "float32":
        values = (words >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return values[np.isfinite(values)]


def ordinary_values(dtype, count, seed=2):
    generator = np.random.default_rng(seed)
    magnitude = 10.0 ** generator.uniform(-3, 2, count)
    return (generator.standard_normal(count) * magnitude).astype(dtype)


def assert_same_values(actual, expected, ulp=0.0):
    """Equal in value and sign, NaN equal to NaN; finite nonzero values within `ulp`."""
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual)[number], np.signbit(expected)[number])
    near = number & np.isfinite(expected) & (expected != 0) & (ulp > 0)
    np.testing.assert_array_equal(actual[number & ~near], expected[number & ~near])
    if near.any():
        with np.errstate(over="ignore"):
            unit = np.spacing(np.abs(expected[near]))
        assert (np.abs(actual[near] - expected[near]) / unit).max() <= ulp


def largest_error(actual, expected, dtype):
    """The largest error in units in the last place of the exact results."""
    limits = np.finfo(dtype)
    worst = 0.0
    for value, exact in zip(actual.tolist(), expected, strict=True):
        if abs(exact) > mpmath.mpf(float(limits.max)):
            assert not abs(value) < float(limits.max)
        elif exact != 0:
            exponent = mpmath.frexp(abs(exact))[1] - 1
            unit = mpmath.ldexp(1, max(exponent, int(limits.minexp)) - int(limits.nmant))
            worst = max(worst, float(abs(value - exact) / unit))
    return worst


def exact_values(exact, *operands):
    # Enough bits that the largest float64 is reduced modulo pi without loss.
    with mpmath.workprec(1300 if exact in (mpmath.sin, mpmath.cos, mpmath.tan) else 200):
        rows = zip(*(operand.tolist() for operand in operands), strict=True)
        return [exact(*(mpmath.mpf(value) for value in row)) for row in rows]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", UNARY)
def test_unary_accuracy(name, dtype):
    fn, exact, reference, *promised = UNARY[name]
    x = np.concatenate([ordinary_values(dtype, 800), random_bits_of(dtype, 400)])
    with np.errstate(all="ignore"):
        x = x[np.isfinite(reference(x))]
    error = largest_error(native(fn, (dtype,))(x), exact_values(exact, x), dtype)
    assert error <= promised[FLOATS.index(dtype)]


@pytest.mark.parametrize("name", UNARY)
def test_unary_accuracy_over_all_float32(name):
    fn, _, reference, promised, _ = UNARY[name]
    x = np.arange(0, 2**32, 8191, dtype=np.uint64).astype(np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        expected = reference(x.astype(np.float64))
        rounded = expected.astype(np.float32)
        actual = native(fn, ("float32",))(x)
        finite = np.isfinite(rounded) & (np.abs(x) < (80 if name == "sigmoid" else np.inf))
        error = np.abs(actual - expected)[finite] / np.spacing(np.abs(rounded[finite]))
    assert error.max() <= promised


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", UNARY)
def test_unary_special_values(name, dtype):
    fn, _, reference, *_ = UNARY[name]
    x = special_values(dtype)
    with np.errstate(all="ignore"):
        expected = reference(x.astype(np.float64)).astype(dtype)
    assert_same_values(native(fn, (dtype,))(x), expected, ulp=3.0)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", UNARY)
def test_unary_bits_do_not_depend_on_the_vector_width(name, dtype):
    fn = UNARY[name][0]
    x = np.concatenate([ordinary_values(dtype, 2000), random_bits_of(dtype, 2001)])
    x = np.concatenate([x, special_values(dtype)])
    wide, narrow = native(fn, (dtype,))(x), native(fn, (dtype,), 1)(x)
    word = np.int32 if dtype == "float32" else np.int64
    number = ~np.isnan(wide)
    np.testing.assert_array_equal(number, ~np.isnan(narrow))
    np.testing.assert_array_equal(wide.view(word)[number], narrow.view(word)[number])


def pairs_of(values):
    x, y = np.meshgrid(values, values)
    return x.ravel(), y.ravel()


BINARY = {
    "power": (power.power, np.power, 3.0),
    "arctan2": (inverse.arctan2, np.arctan2, 3.0),
    "fmod": (arithmetic.fmod, np.fmod, 0.0),
    "mod": (arithmetic.mod, np.mod, 0.0),
    "floor_divide": (arithmetic.floor_divide, np.floor_divide, 0.0),
    "maximum": (arithmetic.maximum, np.maximum, 0.0),
    "minimum": (arithmetic.minimum, np.minimum, 0.0),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", BINARY)
def test_binary_special_values(name, dtype):
    fn, reference, ulp = BINARY[name]
    x, y = pairs_of(special_values(dtype))
    with np.errstate(all="ignore"):
        expected = reference(x, y)
    actual = native(fn, (dtype, dtype))(x, y)
    assert_same_values(actual, expected, ulp)
    assert_same_values(native(fn, (dtype, dtype), 1)(x, y), actual)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["fmod", "mod", "floor_divide"])
def test_float_division_is_numpys_to_the_last_bit(name, dtype):
    fn, reference, _ = BINARY[name]
    x = np.concatenate([ordinary_values(dtype, 3000), random_bits_of(dtype, 3000, 3)])
    y = np.concatenate([ordinary_values(dtype, 3000, 5), random_bits_of(dtype, 3000, 4)])
    count = min(x.size, y.size)
    x, y = x[:count], y[:count]
    with np.errstate(all="ignore"):
        expected = reference(x, y)
    assert_same_values(native(fn, (dtype, dtype))(x, y), expected)


@pytest.mark.parametrize("dtype", FLOATS)
def test_power_accuracy(dtype):
    generator = np.random.default_rng(0)
    x = np.exp(generator.uniform(-20, 20, 2000)).astype(dtype)
    y = (generator.uniform(-1, 1, 2000) * (4 if dtype == "float32" else 30)).astype(dtype)
    error = largest_error(
        native(power.power, (dtype, dtype))(x, y), exact_values(mpmath.power, x, y), dtype
    )
    assert error <= 1.1


@pytest.mark.parametrize("dtype", FLOATS)
def test_arctan2_accuracy(dtype):
    y, x = ordinary_values(dtype, 1500, 7), ordinary_values(dtype, 1500, 8)
    error = largest_error(
        native(inverse.arctan2, (dtype, dtype))(y, x), exact_values(mpmath.atan2, y, x), dtype
    )
    assert error <= 1.6


@pytest.mark.parametrize("fn", [trigonometry.sin, trigonometry.cos, trigonometry.tan])
def test_the_hardest_angles(fn):
    # The float64 and float32 numbers that lie closest to a multiple of pi/2.
    exact = {"sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan}[fn.__name__]
    wide = np.array([6381956970095103 * 2.0**797, 5.319372648326541e255, 2.0**1023, 2.0**29 + 1])
    narrow = np.array([16367173 * 2.0**72, 2.0**16 + 0.0078125, 3.4e38], np.float32)
    for x in (wide, narrow):
        dtype = x.dtype.name
        assert largest_error(native(fn, (dtype,))(x), exact_values(exact, x), dtype) <= 2.0


@pytest.mark.parametrize("dtype", ["int32", "int64"])
@pytest.mark.parametrize("name", ["mod", "floor_divide"])
def test_integer_division_is_numpys(name, dtype):
    fn, reference, _ = BINARY[name]
    limits = np.iinfo(dtype)
    edge = [0, 1, -1, 2, -2, 7, -7, limits.min, limits.min + 1, limits.max, limits.max - 1]
    x, y = pairs_of(np.array(edge, dtype))
    generator = np.random.default_rng(0)
    x = np.concatenate([x, generator.integers(-1000, 1000, 500).astype(dtype)])
    y = np.concatenate([y, generator.integers(-9, 9, 500).astype(dtype)])
    with np.errstate(all="ignore"):
        expected = reference(x, y)
    for lanes in (1, LANES[dtype]):
        np.testing.assert_array_equal(native(fn, (dtype, dtype), lanes)(x, y), expected)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integer_power_wraps_like_numpy(dtype):
    base, exponent = pairs_of(np.arange(-12, 60).astype(dtype))
    base, exponent = base[exponent >= 0], exponent[exponent >= 0]
    expected = np.power(base, exponent)
    for lanes in (1, LANES[dtype]):
        actual = native(power.power_int, (dtype, dtype), lanes)(base, exponent)
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", [*FLOATS, "int32", "int64"])
def test_sign(dtype):
    integers = np.array([0, 1, -1, 5, -7], dtype)
    x = special_values(dtype) if dtype in FLOATS else integers
    np.testing.assert_array_equal(native(arithmetic.sign, (dtype,))(x), np.sign(x))


@pytest.mark.parametrize("dtype", FLOATS)
def test_roots_and_rounding_are_exact(dtype):
    x = np.concatenate([special_values(dtype), ordinary_values(dtype, 500)])
    with np.errstate(all="ignore"):
        assert_same_values(native(arithmetic.rsqrt, (dtype,))(x), 1 / np.sqrt(x))
        assert_same_values(native(arithmetic.rint, (dtype,))(x), np.rint(x))


def convert_to(target):
    def fn(s, x):
        return arithmetic.cast(s, x, target)

    return fn


@pytest.mark.parametrize("source", ["bool", "int32", "int64", *FLOATS])
@pytest.mark.parametrize("target", ["bool", "int32", "int64", *FLOATS])
def test_conversions_are_numpys(source, target):
    if source in FLOATS:
        edge = [2.0**31, 2.0**31 - 0.5, -(2.0**31) - 0.5, 2.0**63, -(2.0**63), 1.9, -1.9]
        x = np.concatenate([special_values(source), np.array(edge, source)])
    elif source == "bool":
        x = np.arange(40) % 3 == 0
    else:
        limits = np.iinfo(source)
        x = np.array([0, 1, -1, limits.min, limits.max, 2**24 + 1, 12345], source)
    with np.errstate(all="ignore"):
        expected = x.astype(target)
    for lanes in (1, 16):
        np.testing.assert_array_equal(NativeLoop(convert_to(target), [source], lanes)(x), expected)


def threefry(s, key_0, key_1, counter_0, counter_1):
    return random_bits.threefry2x32(s, (key_0, key_1), (counter_0, counter_1))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((0, 0, 0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 4, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344, 0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_known_answers(words, expected):
    operands = [np.array([word], np.uint32).view(np.int32) for word in words]
    results = native(threefry, ("int32",) * 4)(*operands)
    assert tuple(int(result.view(np.uint32)[0]) for result in results) == expected


def random_words(count):
    counter, zero = np.arange(count, dtype=np.int32), np.zeros(count, np.int32)
    return native(threefry, ("int32",) * 4)(zero + 7, zero, counter, zero)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_uniform_and_normal_have_their_distributions(dtype):
    first, second = random_words(1 << 18)
    if dtype == "int64":
        joined = native(random_bits.join_words, ("int32", "int32"), 8)(first, second)
        first, second = joined, joined[::-1].copy()
    uniform = native(random_bits.uniform, (dtype,))(first).astype(np.float64)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.003
    assert abs(uniform.var() * 12 - 1) < 0.01
    normal = native(random_bits.normal, (dtype, dtype))(first, second).astype(np.float64)
    assert abs(normal.mean()) < 0.01
    assert abs(normal.var() - 1) < 0.02
    assert abs((np.abs(normal) > 3).mean() / 0.0026998 - 1) < 0.15


def test_extreme_words_give_finite_numbers_in_range():
    for dtype in ("int32", "int64"):
        limits = np.iinfo(dtype)
        words = np.array([0, 1, -1, limits.max, limits.min], dtype)
        uniform = native(random_bits.uniform, (dtype,))(words)
        assert uniform.min() >= 0 and uniform.max() < 1
        assert np.isfinite(native(random_bits.normal, (dtype, dtype))(words, words)).all()


@pytest.mark.parametrize("name", ["exp", "tanh", "sin", "erf"])
def test_numpy_evaluation_gives_the_same_bits(name):
    for dtype in FLOATS:
        x = np.concatenate([ordinary_values(dtype, 40), special_values(dtype)])
        fn = UNARY[name][0]
        with np.errstate(all="ignore"):
            evaluated = fn(NumpyBuilder(), ArrayValue(x)).array
        assert_same_values(evaluated, native(fn, (dtype,))(x))


def everything(s, x, y):
    rare = arithmetic.floor_divide(s, power.power(s, x, y), arithmetic.mod(s, x, y))
    return trigonometry.sin(s, rare), trigonometry.tan(s, x), logarithm.log1p(s, y)


@pytest.mark.parametrize("dtype", FLOATS)
def test_object_code_needs_no_library(tmp_path, dtype):
    for lanes in (1, LANES[dtype]):
        path = tmp_path / f"{dtype}_{lanes}.o"
        path.write_bytes(native(everything, (dtype, dtype), lanes).object_code())
        listed = subprocess.run(["nm", "-u", path], capture_output=True, text=True, check=True)
        assert listed.stdout == ""


def test_listing_is_readable():
    text = list_function(exponential.tanh, ("float32",))
    assert text.splitlines()[0] == "v0: float32 = argument 0"
    assert "fma(" in text and text.splitlines()[-1].startswith("return v")
    assert "repeat 13 times:" in list_function(arithmetic.fmod, ("float32", "float32"))
