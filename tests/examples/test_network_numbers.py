"""What the examples' larger networks return: recorded runs, sizes, and how well they learn."""

import numpy as np
import pytest

import symgraph as sg


def count(leaves):
    return sum(leaf.size for leaf in leaves)


def test_spirals_with_normalised_values(load):
    history, _ = load("spiral").train(2020, 100, batch_norm=True)
    expected = [0.984860, 0.702347, 0.542924, 0.409002, 0.552750]
    expected += [0.361298, 0.253333, 0.327087, 0.141835, 0.233214]
    np.testing.assert_allclose(history["last"][::10], expected, atol=2e-6)
    assert history["test"][-1, 1] == pytest.approx(0.9533, abs=5e-5)


def test_taylor_series_and_its_slope(load):
    f = load("taylor_sine").compiled()
    expected = {
        1e-4: (0.7071064695751781, 0.7071032148228457, 4),
        1e-150: (0.7071067811865475, 0.7071067811865475, 47),
    }
    for threshold, values in expected.items():
        np.testing.assert_allclose(f(x=np.pi / 4, threshold=threshold), values, rtol=1e-15)
    assert f.compile_count == 1


def test_truncated_backpropagation(load):
    x = np.array([[1.0], [2.0]])
    example = load("truncated_bptt")
    h, by_wx, by_wh = example.whole(x)
    np.testing.assert_allclose(h, [[0.84288610332] * 2], atol=1e-11)
    np.testing.assert_allclose(by_wx, [[0.69294126] * 2], atol=1e-8)
    np.testing.assert_allclose(by_wh, [[0.1338027958] * 2] * 2, atol=1e-10)
    h, by_wx, by_wh = example.in_pieces(x[:1], x[1:])
    np.testing.assert_allclose(h, [[0.84288610332] * 2], atol=1e-11)
    np.testing.assert_allclose(by_wx, [[0.57908603] * 2], atol=1e-8)
    np.testing.assert_allclose(by_wh, [[0.1338027958] * 2] * 2, atol=1e-10)


def test_a_recurrent_network_learns_the_sine(load):
    losses, predict = load("rnn_sine").train(30)
    expected = [0.290637800, 0.018004624, 0.053686403, 0.023269721, 0.006176824, 0.004154823]
    np.testing.assert_allclose(losses[:6], expected, rtol=1e-6)
    # DeZero in float64; much later the loss depends on the last bits of the weights.
    np.testing.assert_allclose(
        [losses[9], losses[19], losses[29]], [0.0023535615, 0.0042548900, 0.0044096238], rtol=1e-5
    )
    cosine = np.cos(np.linspace(0, 4 * np.pi, 1000))[:, None]
    assert np.mean((predict(x=cosine)[:-1] - cosine[1:]) ** 2) < 0.02


def test_an_lstm_learns_the_sine(load):
    losses, predict = load("lstm_sine").train(100, whole=False)
    expected = [0.483028, 0.383103, 0.296698, 0.223509, 0.163311, 0.115795]
    np.testing.assert_allclose(losses[:6], expected, rtol=1e-5)
    assert losses[99] == pytest.approx(0.008289, abs=1e-6)
    cosine = np.cos(np.linspace(0, 4 * np.pi, 1000))[:, None]
    predicted = predict(x=cosine[:, None].astype("float32"))
    error = np.mean((predicted[:-1] - cosine[1:]) ** 2)
    assert error == pytest.approx(0.00088, abs=5e-6)


def test_the_recurrent_networks_have_the_sizes_of_the_source(load):
    rng = np.random.RandomState(0)
    assert count(load("lstm_sine").Network(rng).parameters()) == 40_901
    assert count(load("rnn_sine").RNN(rng).parameters()) == 10_301


def test_trees_of_any_shape_run_through_one_function(load):
    example = load("tree_lstm")
    tree = ("or", ("xor", True, ("and", True, False)), False)
    arrays = example.as_arrays(tree)
    np.testing.assert_array_equal(arrays["symbol"], [1, 1, 0, 2, 4, 0, 3])
    np.testing.assert_array_equal(arrays["left"], [0, 0, 0, 2, 1, 0, 5])
    np.testing.assert_array_equal(arrays["right"], [0, 0, 0, 3, 4, 0, 6])
    np.testing.assert_array_equal(arrays["truth"], [True, True, False, False, True, False, True])
    rng = np.random.default_rng(0)
    step, predict = example.build()
    for leaves in rng.integers(1, 9, 1000):
        step(**example.as_arrays(example.random_tree(rng, int(leaves))))
    assert example.accuracy(predict, rng, leaves=16, trees=100) >= 0.97
    assert (step.compile_count, predict.compile_count) == (1, 1)


def test_convolutions(load):
    numbers = load("convolution").numbers()
    np.testing.assert_array_equal(numbers["convolution"], [[259, 295], [403, 439]])
    assert numbers["with pad 1, no offset"].sum() == 3390
    expected = [[10, 14, 18], [26, 30, 34], [42, 46, 50]]
    np.testing.assert_array_equal(numbers["gradient by the filter"], expected)
    np.testing.assert_array_equal(numbers["largest of 2 x 2"], [[5, 7], [13, 15]])
    np.testing.assert_array_equal(numbers["mean of 2 x 2"], [[2.5, 4.5], [10.5, 12.5]])
    assert list(load("convolution").output_sizes().values()) == [2, 4, 3, 112, 14]


def test_a_convolutional_network_reads_98_percent_of_unseen_digits(load):
    losses, accuracies, *_ = load("cnn_digits").train(12)
    assert accuracies[-1] >= 0.98
    assert losses[-1] < 0.05


def test_the_autoencoder_has_the_size_of_the_source(load):
    model = load("vae").VAE(28)
    model(sg.Placeholder("x", ("N", 1, 28, 28), "float32"))
    assert count(model.parameters()) == 564_965


def test_divergence_from_the_standard_normal_distribution(load):
    mean, log_variance = (sg.Placeholder(name, ("N", 2), "float64") for name in ("m", "v"))
    f = sg.compile(load("vae").divergence(mean, log_variance))
    zeros, ones = np.zeros((3, 2)), np.ones((3, 2))
    assert f(m=zeros, v=zeros) == 0
    assert f(m=ones, v=zeros) == pytest.approx(1.0)


def test_the_autoencoder_learns(load):
    losses, _, _ = load("vae").train(3)
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 30


def test_the_competitors_have_the_sizes_of_the_source(load):
    generator, critic = load("gan").networks(28)
    x = generator(sg.Placeholder("z", ("N", 62), "float32"))
    assert [str(extent) for extent in x.shape] == ["N", "1", "28", "28"]
    assert critic(x).ndim == 2
    assert count(generator.parameters()) == 6_640_193
    assert count(generator.states()) == 14_720
    assert count(critic.parameters()) == 6_559_169
    assert count(critic.states()) == 2_304


def test_the_generator_learns_what_digits_look_like(load):
    example = load("gan")
    losses, invent = example.train(8)
    assert np.isfinite(losses).all()
    noise = np.random.default_rng(0).standard_normal((200, example.NOISE), "float32")
    assert example.likeness(invent(noise=noise)) > 0.8


def test_the_heat_lies_on_the_digit(load):
    _, right, inside = load("grad_cam").train(3)
    assert right > 0.7
    assert inside > 0.85


def test_texture_and_smoothness_of_pictures(load):
    example = load("style_transfer")
    maps = np.arange(8.0).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(example.gram(maps), [[14, 38], [38, 126]])
    x = sg.Placeholder("x", (1, 1, 3, 3), "float64")
    variation = example.total_variation(x)
    value, slope = sg.compile([variation, sg.grad(variation, x)])(
        x=np.arange(9.0).reshape(1, 1, 3, 3)
    )
    assert value == 40
    np.testing.assert_array_equal(slope[0, 0], [[-8, -6, 2], [-2, 0, 2], [6, 6, 0]])


def test_a_picture_takes_on_a_style(load):
    example = load("style_transfer")
    content, style = (
        sg.models.VGG16.preprocess(picture, size=None)[None] for picture in example.pictures(32)
    )
    step, changed = example.build(content, style, None)
    losses = [float(step()) for _ in range(20)]
    assert losses[-1] < 0.7 * losses[0]
    assert example.as_bytes(changed.value).shape == (32, 32, 3)


def test_a_perceptron_learns_digits_of_mnists_form(load):
    options = ["--images", "1500", "--epochs", "3", "--hidden", "200"]
    assert load("mnist").main(options) > 0.6
