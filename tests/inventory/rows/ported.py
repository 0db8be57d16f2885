"""T: DeZero's own tests. Each of its 172 test methods has a counterpart of the same name.

The counterparts compare with closed forms in NumPy where the originals compare with Chainer. Where
the originals have two classes or methods of one name, so that one hides the other, the second has
a name of its own here.
"""

from tests.inventory.row import Row, row

Methods = dict[str, tuple[str, ...]]


def numbered(forward: int, backward: int, *others: str) -> tuple[str, ...]:
    """Return method names: test_forward1, ... test_backward1, ... and others."""
    names = [f"forward{i + 1}" for i in range(forward)]
    names += [f"backward{i + 1}" for i in range(backward)]
    return tuple(f"test_{name}" for name in (*others, *names))


METHODS: dict[str, Methods] = {
    "basic_math": {
        "TestAdd": numbered(1, 3, "datatype"),
        "TestMul": numbered(1, 3),
        "TestDiv": numbered(1, 3),
    },
    "batchnorm": {
        "TestFixedBatchNorm": numbered(4, 0, "type1"),
        "TestBatchNorm": numbered(6, 6, "type1"),
        "TestBatchNormLayer": numbered(2, 0),
    },
    "broadcast": {"TestBroadcast": ("test_shape_check",)},
    "conv2d": {"TestConv2d_simple": numbered(4, 3), "TestConv2d": numbered(4, 3)},
    "deconv2d": {"TestDeconv2d": numbered(2, 3)},
    "dropout": {"TestDropout": numbered(2, 3)},
    "getitem": {
        "TestGetitem": (
            *("test_forward1", "test_forward1a", "test_forward2", "test_forward3"),
            *("test_backward1", "test_backward2"),
        ),
    },
    "im2col": {"TestIm2col": numbered(1, 2), "TestCol2in": numbered(0, 2)},
    "linear": {"TestLinear": (*numbered(3, 2), "test_backward1_again")},
    "loss": {"TestMSE_simple": numbered(1, 2), "TestMSE": numbered(1, 2)},
    "matmul": {"TestMatmul": numbered(1, 2)},
    "max": {"TestMax": numbered(4, 5)},
    "pooling": {
        "TestPooling_simple": numbered(2, 1),
        "TestPooling": numbered(2, 1),
        "TestAveragePooling": numbered(2, 1),
    },
    "relu": {"TestRelu": numbered(1, 3), "TestLeakyRelu": numbered(2, 3)},
    "resnet": {"TestResnet152": numbered(2, 1)},
    "sigmoid": {"TestSigmoid": numbered(2, 3)},
    "softmax": {
        "TestSoftmaxSimple": numbered(3, 3),
        "TestSoftmax": numbered(3, 3),
        "TestSoftmaxAgain": numbered(3, 3),
        "TestLogSoftmax": numbered(1, 2),
    },
    "softmax_cross_entropy": {
        "TestSoftmaxCrossEntropy": numbered(1, 3),
        "TestSoftmaxCrossEntropy_simple": numbered(1, 3),
    },
    "sum": {"TestSum": numbered(3, 4, "datatype"), "TestSumTo": numbered(3, 4)},
    "transpose": {"TestTranspose": numbered(1, 4)},
    "vgg16": {"TestVGG16": numbered(2, 1)},
    "weight_decay": {"TestWeightDecay": ("test_compare1",)},
}


def counterparts(module: str) -> tuple[str, ...]:
    """Return the counterparts of the methods of one module."""
    return tuple(
        f"ported/test_{module}.py::{name}::{method}"
        for name, methods in METHODS[module].items()
        for method in methods
    )


def _row(module: str) -> Row:
    tests = counterparts(module)
    return row(f"T.{module}", f"DeZero's tests of {module}", f"{len(tests)} methods", *tests)


ROWS = tuple(map(_row, METHODS))
