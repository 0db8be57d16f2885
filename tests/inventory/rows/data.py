"""H: data sets; I: transforms; J: loaders."""

from tests.inventory.row import row

ROWS = (
    row(
        "H.Dataset",
        "data sets: train, transforms of data and targets, length, item; labels may be missing",
        "items by index",
    ),
    row(
        "H.Spiral",
        "three arms of 100 points",
        "seed 1984: (-.13981389, -.00721657), 1 1 2 0 1 2 0 0 1 2; 2020: (.13246453, .13620993)",
    ),
    row(
        "H.SinCurve",
        "pairs of a noisy sine; a clean cosine to test",
        "999 pairs of (1,); .00488135, .02780837, .02285496; cosine from 1 to 1",
    ),
    row(
        "H.MNIST",
        "images in IDX files",
        "2 images written here: (2, 1, 28, 28), pixel 28, labels [7, 3]; flat, float32, /255",
    ),
    row(
        "H.CIFAR10", "images in their binary files, without pickle", "(N, 3, 32, 32), Normalize(.5)"
    ),
    row("H.CIFAR100", "20 coarse and 100 fine labels", "both lists of names"),
    row("H.ImageNet", "names of 1000 classes, read without eval", "a dict"),
    row(
        "H.Shakespeare",
        "characters as ids in order of appearance",
        "hello: [0, 1, 2, 2], [1, 2, 2, 3], 2 is l",
    ),
    row("H.BigData", "a large set that is read lazily", "none when made, two files for one item"),
    row("H.cache_npz", "prepared arrays are kept in a file", "the second time nothing is parsed"),
    row("I.Compose", "Flatten, ToFloat, /255 in a row", "[[0, 51], [102, 255]]: [0, .2, .4, 1]"),
    row("I.Convert", "RGB and BGR", "pixel (0, 1, 2): (2, 1, 0)"),
    row("I.Resize", "resize", "(2, 3)"),
    row("I.CenterCrop", "center crop", "5x4 to 2: first pixel (18, 19, 20)"),
    row("I.ToArray", "an image as (C, H, W) float32", "(3, 4, 5)"),
    row("I.ToPIL", "an array as an image", "there and back"),
    row("I.RandomHorizontalFlip", "left and right are swapped at random", "half of the time"),
    row(
        "I.Normalize",
        "normalize by mean and deviation, also by one number for three channels",
        "(0, 255) of [0, 255]: [0, 1]; ([.5, .25], [.5, .25]) of ones: [1, 3]",
    ),
    row("I.Flatten", "flatten", "one axis"),
    row("I.AsType", "cast", "the dtype"),
    row(
        "I.ToFloat",
        "cast to float32",
        "float32",
        "symgraph/test_data_transforms.py::test_flatten_and_conversions",
    ),
    row("I.ToInt", "cast to int", "1.7 is 1"),
    row("I.Rotation", "pictures are turned by an angle, for augmentation", "NumPy's quarter turns"),
    row(
        "I.step49",
        "a transform halves the data; augmentation by turns and flips",
        "x / 2; turned and flipped arrays",
        "symgraph/test_data_sets.py::test_step_49_halves_the_spiral",
        "symgraph/test_data_transforms.py::test_flips",
        "symgraph/test_data_transforms.py::test_turned_images_are_turned_arrays",
    ),
    row(
        "J.DataLoader",
        "batches, shuffled or not; the last may be short; a broken-off pass starts over",
        "10 by 4: [8, 9] last; seed 0: [2, 8, 4, 9], [1, 6, 7, 3], [0, 5], then [3, 5, 1, 2]",
        "symgraph/test_data.py::test_shuffled_batches_are_those_of_the_books",
        "symgraph/test_data.py::test_a_pass_that_was_broken_off_starts_over",
        "symgraph/test_data.py::test_the_last_batch_is_short",
    ),
    row(
        "J.SeqDataLoader",
        "batches of sequences that go on",
        "10 by 3: [0, 3, 6], [1, 4, 7], [2, 5, 8], [3, 6, 9]; 999 by 30: 34 steps",
    ),
    row(
        "J.prefetch", "a thread prepares the next batches", "the same batches, errors come through"
    ),
    row(
        "J.batches",
        "one compilation for batches of any size",
        "a short last batch, a batch of 1, a grid of 4 million points: compile_count 1",
        "symgraph/test_models.py::test_one_compilation_serves_all_batches",
    ),
)
