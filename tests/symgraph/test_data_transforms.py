"""Transforms of arrays and of pictures, one by one and in batches."""

import subprocess
import sys

import numpy as np
import pytest

import symgraph as sg
from symgraph.data import ArrayDataset
from symgraph.data.transforms import (
    AsType,
    CenterCrop,
    Compose,
    Convert,
    Elementwise,
    Flatten,
    Normalize,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    ToArray,
    ToFloat,
    ToInt,
    ToPIL,
)

Image = pytest.importorskip("PIL.Image")

# Row I: arrays.


@pytest.mark.inventory("I.Normalize")
def test_normalize():
    np.testing.assert_array_equal(Normalize(0, 255)(np.array([0, 255])), [0, 1])
    result = Normalize([0.5, 0.25], [0.5, 0.25])(np.ones((2, 1, 1)))
    np.testing.assert_array_equal(result, [[[1.0]], [[3.0]]])


@pytest.mark.inventory("I.Normalize")
def test_one_number_in_a_list_counts_for_all_channels():
    result = Normalize([1.0], [2.0])(np.ones((3, 2, 2)) * 5)
    np.testing.assert_array_equal(result, np.full((3, 2, 2), 2.0))


@pytest.mark.parametrize(
    ("given", "expected"), [("float32", "float32"), ("float64", "float64"), ("uint8", "float32")]
)
def test_normalize_keeps_floats(given, expected):
    x = np.array([1, 2], given)
    assert Normalize(0.5, [2.0])(x).dtype == expected
    assert x.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "a standard deviation is 0"),
        ((0, [1, 0]), "a standard deviation is 0"),
        ((np.nan, 1), "mean is a number, or one for each channel"),
        (("x", 1), "mean is a number, or one for each channel"),
        ((0, np.inf), "std is a number, or one for each channel"),
        (([], 1), "mean is a number, or one for each channel"),
        (([[1]], 1), "mean is a number, or one for each channel"),
    ],
)
def test_statistics_that_make_no_sense(arguments, message):
    with pytest.raises(sg.DataError, match=message):
        Normalize(*arguments)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1,), ()])
def test_statistics_for_other_channels(shape):
    with pytest.raises(sg.DataError, match="there are 2 numbers for the channels of a sample of"):
        Normalize([1, 2], 1)(np.zeros(shape))


@pytest.mark.inventory("I.Compose")
def test_compose():
    scaled = Compose([Flatten(), ToFloat(), Normalize(0.0, 255.0)])
    result = scaled([[0, 51], [102, 255]])
    np.testing.assert_allclose(result, [0, 0.2, 0.4, 1], rtol=1e-7)
    assert result.dtype == np.float32
    assert Compose()("anything") == Compose(None)("anything") == "anything"


def test_compose_takes_functions():
    with pytest.raises(sg.DataError, match="a transform is a function of one sample, not 3"):
        Compose([Flatten(), 3])


@pytest.mark.inventory("I.Flatten", "I.AsType")
def test_flatten_and_conversions():
    assert Flatten()(np.zeros((2, 3, 4))).shape == (24,)
    assert Flatten()(np.float64(3)).shape == (1,)
    assert AsType()(np.array([1, 2])).dtype == np.float32
    assert AsType("bool")(np.array([0, 2])).tolist() == [False, True]
    assert ToFloat()(3).dtype == np.float32
    assert ToFloat("float64")(3).dtype == np.float64


@pytest.mark.inventory("I.ToInt")
def test_to_int_cuts_off():
    assert ToInt()(1.7) == 1
    assert ToInt()(np.array([-1.7, 2.9])).tolist() == [-1, 2]
    assert ToInt()(1.7).dtype == np.int64
    with pytest.raises(sg.DataError, match="some samples of float64 are no int64"):
        ToInt()(np.nan)
    with pytest.raises(sg.DataError, match="there is no dtype 'colour'"):
        AsType("colour")


# Row I: pictures.


@pytest.fixture
def image():
    return Image.fromarray(np.arange(60, dtype="uint8").reshape(4, 5, 3))


@pytest.mark.inventory("I.CenterCrop")
def test_center_crop(image):
    cropped = CenterCrop(2)(image)
    assert cropped.size == (2, 2)
    assert cropped.getpixel((0, 0)) == (18, 19, 20)
    assert CenterCrop((5, 3))(image).size == (5, 3)


@pytest.mark.inventory("I.Resize")
def test_resize(image):
    assert Resize((2, 3))(image).size == (2, 3)
    assert Resize(7)(image).size == (7, 7)
    flat = Image.new("L", (6, 6), 100)
    assert np.asarray(Resize(3, "nearest")(flat)).tolist() == [[100] * 3] * 3


@pytest.mark.inventory("I.ToArray")
def test_to_array(image):
    array = ToArray()(image)
    assert (array.shape, array.dtype) == ((3, 4, 5), np.float32)
    assert array.flags.c_contiguous
    np.testing.assert_array_equal(array[:, 1, 1], [18, 19, 20])
    assert ToArray()(image.convert("L")).shape == (1, 4, 5)
    assert ToArray()(array) is array
    assert ToArray("uint8")(image).dtype == np.uint8


@pytest.mark.inventory("I.ToPIL")
def test_an_image_goes_there_and_back(image):
    for mode in ("RGB", "L", "RGBA"):
        converted = Convert(mode)(image)
        for dtype in ("float32", "uint8"):
            back = ToPIL()(ToArray(dtype)(converted))
            assert back.mode == mode
            np.testing.assert_array_equal(np.asarray(back), np.asarray(converted))


@pytest.mark.inventory("I.Convert")
def test_bgr_exchanges_red_and_blue(image):
    assert image.getpixel((0, 0)) == (0, 1, 2)
    assert Convert("BGR")(image).getpixel((0, 0)) == (2, 1, 0)
    assert Convert()(image.convert("L")).mode == "RGB"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda image: CenterCrop(6)(image), "6 x 6 pixels cannot be cut out of 5 x 4"),
        (lambda image: CenterCrop(0), "a size is a positive int, or two"),
        (lambda image: Resize((1, 2, 3)), "a size is a positive int, or two"),
        (lambda image: Resize(2.0), "a size is a positive int, or two"),
        (lambda image: Resize(2, "smooth"), "there is no mode 'smooth' of scaling"),
        (lambda image: Convert("XYZ")(image), "RGB cannot be made XYZ"),
        (lambda image: Convert(3), "a mode is a name"),
        (lambda image: Convert()(np.zeros(3)), "an image of Pillow's is needed, not ndarray"),
        (lambda image: Resize(2)(None), "an image of Pillow's is needed, not NoneType"),
        (lambda image: ToArray()("x"), "an image of Pillow's is needed, not str"),
        (lambda image: ToPIL()(np.zeros((2, 3, 3))), "an image has shape"),
        (lambda image: ToPIL()(np.zeros((3, 0, 3))), "an image has shape"),
        (lambda image: ToPIL()(np.full((1, 2, 2), 256)), "between 0 and 255"),
        (lambda image: ToPIL()(np.full((1, 2, 2), np.nan)), "between 0 and 255"),
    ],
)
def test_pictures_that_make_no_sense(image, make, message):
    with pytest.raises(sg.DataError, match=message):
        make(image)


def test_without_pillow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(sg.MissingPackageError, match=r"pip install 'symgraph\[examples\]'"):
        ToPIL()(np.zeros((1, 2, 2)))


def test_pillow_is_loaded_with_the_first_picture():
    code = """
import sys, numpy as np, symgraph as sg
flip = sg.data.transforms.RandomHorizontalFlip(rng=0)
flip(np.zeros((3, 4, 4))), sg.data.transforms.Resize(3), sg.data.MNIST
print([name for name in ("PIL", "tqdm", "urllib.request", "matplotlib") if name in sys.modules])
"""
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "[]"


# Row I: augmentation.

PICTURES = np.arange(40 * 3 * 4 * 5, dtype="float32").reshape(40, 3, 4, 5)


@pytest.mark.inventory("I.RandomHorizontalFlip")
@pytest.mark.parametrize(("make", "axis"), [(RandomHorizontalFlip, -1), (RandomVerticalFlip, -2)])
def test_flips(make, axis):
    np.testing.assert_array_equal(make(1.0)(PICTURES[0]), np.flip(PICTURES[0], axis))
    np.testing.assert_array_equal(make(0.0)(PICTURES[0]), PICTURES[0])
    results = make(0.5, rng=3).batch(PICTURES)
    flipped = np.array([not np.array_equal(a, b) for a, b in zip(results, PICTURES, strict=True)])
    assert 10 < flipped.sum() < 30
    np.testing.assert_array_equal(results[flipped], np.flip(PICTURES[flipped], axis))
    np.testing.assert_array_equal(make(0.5, rng=3).batch(PICTURES), results)


@pytest.mark.parametrize("transpose", [(RandomHorizontalFlip, 0), (RandomVerticalFlip, 1)])
def test_flips_of_images_are_those_of_arrays(image, transpose):
    make, method = transpose
    expected = np.asarray(image.transpose(Image.Transpose(method)))
    np.testing.assert_array_equal(np.asarray(make(1.0)(image)), expected)
    array = make(1.0)(ToArray("uint8")(image))
    np.testing.assert_array_equal(array.transpose(1, 2, 0), expected)
    assert make(0.0)(image) is image
    decisions = [make(0.5, rng=7) for _ in range(2)]
    for _ in range(20):
        picture = np.asarray(decisions[0](image)).transpose(2, 0, 1)
        np.testing.assert_array_equal(picture, decisions[1](ToArray("uint8")(image)))


@pytest.mark.inventory("I.Rotation")
@pytest.mark.parametrize("quarters", [0, 1, 2, 3, -1])
def test_quarter_turns_go_to_the_left(quarters):
    square = PICTURES[:, :, :, :4]
    turned = RandomRotation((90 * quarters, 90 * quarters)).batch(square)
    np.testing.assert_array_equal(turned, np.rot90(square, quarters, axes=(2, 3)))


def test_a_turned_ramp_is_a_ramp():
    rows, columns = np.mgrid[-10.0:11.0, -10.0:11.0]
    (turned,) = RandomRotation((30, 30), fill=-9.0)((columns + 2 * rows)[None])
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    expected = (cos * columns - sin * rows) + 2 * (sin * columns + cos * rows)
    inside = rows**2 + columns**2 < 100
    np.testing.assert_allclose(turned[inside], expected[inside], atol=1e-12)
    assert turned[0, 0] == -9.0


def test_turned_images_are_turned_arrays():
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype="uint8"))
    turned = np.asarray(RandomRotation((20, 20))(image)).transpose(2, 0, 1).astype(int)
    array = RandomRotation((20, 20))(ToArray("uint8")(image))
    assert array.dtype == np.uint8
    assert np.abs(array.astype(int) - turned)[:, 10:30, 10:30].max() <= 2
    assert RandomRotation(5)(image.convert("L")).mode == "L"


def test_each_picture_has_its_own_angle():
    turned = RandomRotation(45, rng=0).batch(np.repeat(PICTURES[:1], 10, axis=0))
    assert len({picture.tobytes() for picture in turned}) == 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomHorizontalFlip(1.5), "p is a probability between 0 and 1, not 1.5"),
        (lambda: RandomHorizontalFlip(np.nan), "p is a probability"),
        (lambda: RandomVerticalFlip("x"), "p is a probability"),
        (lambda: RandomHorizontalFlip(rng=-1), "a seed is a non-negative int"),
        (lambda: RandomHorizontalFlip()(np.zeros(3)), r"at least the axes \(height, width\)"),
        (lambda: RandomRotation(-5), r"degrees is a number, or \(lowest, highest\)"),
        (lambda: RandomRotation((3, 1)), r"degrees is a number, or \(lowest, highest\)"),
        (lambda: RandomRotation("x"), r"degrees is a number, or \(lowest, highest\)"),
        (lambda: RandomRotation((1, 2, 3)), r"degrees is a number, or \(lowest, highest\)"),
        (lambda: RandomRotation(5)(np.zeros(3)), r"at least the axes \(height, width\)"),
    ],
)
def test_augmentation_that_makes_no_sense(make, message):
    with pytest.raises(sg.DataError, match=message):
        make()


# Batches are what single samples are.

TRANSFORMS = {
    "normalize": lambda: Normalize([1.0, 2.0, 3.0], 7.0),
    "flatten": lambda: Flatten(),
    "float": lambda: ToFloat("float64"),
    "int": lambda: ToInt(),
    "flip": lambda: RandomHorizontalFlip(rng=1),
    "vertical": lambda: RandomVerticalFlip(rng=1),
    "rotation": lambda: RandomRotation(30, rng=1),
    "elementwise": lambda: Elementwise(np.sqrt),
    "function": lambda: lambda x: x[:, 1:] * 2,
    "compose": lambda: Compose(
        [RandomHorizontalFlip(rng=1), lambda x: x + 1, RandomRotation(9, rng=2), Flatten()]
    ),
    "through images": lambda: Compose(
        [lambda x: x / 10, ToPIL(), Resize(3), ToArray(), Normalize(0.0, 255.0)]
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_batch_has_the_samples_one_by_one(name):
    singly = ArrayDataset(PICTURES, transform=TRANSFORMS[name]())
    together = ArrayDataset(PICTURES, transform=TRANSFORMS[name]())
    expected = np.stack([x for x, _ in singly])
    (result, _) = together[:]
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == expected.dtype


def test_a_function_that_is_not_elementwise():
    with pytest.raises(sg.DataError, match=r"said to be elementwise, but it makes \(\) of \(40,"):
        Elementwise(np.sum).batch(PICTURES)
