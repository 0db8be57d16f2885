"""What the functions of the examples return, beside closed forms and recorded training runs."""

import numpy as np
import pytest

from symgraph import compile, grad


def close(result, expected, rtol=1e-12):
    np.testing.assert_allclose(result, expected, rtol=rtol, atol=1e-14)


def test_differences_of_a_composition(load):
    example = load("gradient_check")
    close(example.differences(), (3.29810211785, 3.2974426293330694), rtol=5e-12)


def test_gradients_pass_the_check_and_wrong_ones_do_not(load):
    example = load("gradient_check")
    form, layer = example.quadratic_form(), example.layer()
    errors = [*example.check(*form).values(), *example.check(*layer).values()]
    assert len(errors) == 4
    assert max(errors) < 1e-9
    assert min(example.check(*form, factor=1.01).values()) > example.TOLERANCE
    assert min(example.check(*layer, factor=1.01).values()) > example.TOLERANCE


def test_the_gradients_of_the_check_are_those_of_the_closed_form(load):
    example = load("gradient_check")
    loss, feeds = example.quadratic_form()
    f = compile(loss)
    assert f(**feeds) == pytest.approx(-0.8016799373, abs=1e-10)
    slope = compile(grad(loss, f.inputs[0]))(**feeds)
    np.testing.assert_allclose(slope, [-1.13986457, 0.71996745, 1.39838445], atol=1e-8)
    loss, feeds = example.layer()
    f = compile(loss)
    w, b = (next(leaf for leaf in f.inputs if leaf.name == name) for name in "Wb")
    assert f(**feeds) == pytest.approx(4.5268997921, abs=1e-10)
    by_w, by_b = compile(grad(loss, [w, b]))(**feeds)
    np.testing.assert_allclose(by_w[0], [0.24821366, 0.462876, 0.42429754, 0.41927953], atol=1e-8)
    np.testing.assert_allclose(by_b, [0.28434534, 0.41532452, 0.43522158, 0.43319178], atol=1e-8)


def test_adjoints_of_a_composition(load):
    # y = b^2, b = e^a, a = x^2 at 0.5: 2 b, 2 b^2, 2 b^2 * 2 x.
    b = np.exp(0.25)
    close(load("chain_rule").by_hand(), [2 * b, 2 * b**2, 2 * b**2])


def test_sum_of_sigmoids(load):
    value, by_x, by_w = load("chain_rule").sum_of_sigmoids()
    assert value == pytest.approx(3.0431711555627645, rel=1e-12)
    np.testing.assert_allclose(by_x[0], [0.0395213678, 0.1491464521, -0.008939019], atol=1e-10)
    expected = [[0.3591336229, 0.463327583], [0, 0.0916183478], [-0.0441528667, 0.0348898689]]
    np.testing.assert_allclose(by_w, expected, atol=1e-10)


def test_gradients_of_tensor_expressions_are_those_of_finite_differences(load):
    example, gradient_check = load("tensors"), load("gradient_check")
    from symgraph import Placeholder

    x = Placeholder("x", (2, 3), "float64")
    for text, (value, gradient) in example.results().items():
        f = compile(example.expressions(x)[text].sum())
        numerical = gradient_check.numerical_gradient(f, {"x": example.X}, "x")
        np.testing.assert_allclose(gradient, numerical, rtol=1e-7, atol=1e-7, err_msg=text)
        assert f(x=example.X) == pytest.approx(value.sum())


def test_slices_of_images(load):
    from symgraph import Placeholder

    parts = load("ranks").parts(Placeholder("images", (60000, 28, 28), "float32"))
    shapes = [(90, 28, 28)] * 3 + [(60000, 14, 14)] * 2 + [(128, 28, 28), (60000, 784)]
    assert [part.shape for part in parts.values()] == shapes
    assert load("ranks").bytes_to_compile() < 1_000_000


def test_orders_of_tanh(load):
    expected = [0.7615941559557649, 0.41997434161402614, -0.6397000084492246]
    expected += [0.6216266807712962, 0.6650910447505024, -5.556893558473722]
    expected += [13.6240754413121, 12.2883678943204, -277.062135603031]
    close(load("tanh_graph").values(8), expected, rtol=1e-10)
    assert load("tanh_graph").operations(4) <= [1, 3, 6, 12, 25]


def test_orders_of_sine_are_exact(load):
    assert load("sine_orders").largest_difference(np.linspace(-7, 7, 200)) < 1e-15


def test_newton(load):
    expected = [2, 1.4545454545454546, 1.1510467893775467, 1.0253259289766978]
    expected += [1.0009084519430513, 1.0000012353089454, 1.000000000002289, 1]
    close(load("newton").newton(automatic=True), expected, rtol=1e-15)
    close(load("newton").newton(automatic=False), expected, rtol=1e-15)


def test_rosenbrock(load):
    first, points = load("rosenbrock").descend(10_000)
    close(first, (-2, 400))
    close(points[1], (0.002, 1.6))
    close(points[2], (0.0052759968, 1.2800008))
    close(points[999], (0.6834917840420289, 0.4656505999651413))
    close(points[10_000], (0.9944984368, 0.9890050527), rtol=1e-9)


def test_a_critic_with_a_penalty_on_its_slope(load):
    penalty, by_w = load("double_backprop").linear_critic()
    close(penalty, 16)
    close(by_w, [[4.8], [6.4]])
    apart, slopes = load("double_backprop").train_critic(200)
    # The clouds are 2 apart, so a critic with slope 1 scores them about 2 apart.
    assert apart[-1] == pytest.approx(2, abs=0.4)
    assert slopes[-1] == pytest.approx(1, abs=0.25)


def test_linear_regression(load):
    example = load("linear_regression")
    history = example.fit(*example.points(), steps=100)
    close(history[0], (42.296340129442335, 0.64433458, 1.29473389), rtol=1e-8)
    expected = (0.07908606512411756, 2.118073690511974, 5.466089050922982)
    close(history[99], expected, rtol=1e-10)


def test_a_network_by_hand(load):
    losses, _ = load("sine_network").train("by hand", 9001)
    expected = [0.8473695850, 0.2514286285, 0.2475948547, 0.2378612045, 0.2122223133]
    expected += [0.1674218112, 0.0968193262, 0.0784952829, 0.0774972955, 0.0772213240]
    close(losses[::1000], expected, rtol=1e-9)


@pytest.mark.parametrize("version", ["from layers", "from a model"])
def test_a_network_of_layers(load, version):
    losses, _ = load("sine_network").train(version, 9001)
    expected = [0.8165178479901, 0.2499028013421, 0.2460987369924, 0.2372158516317]
    expected += [0.2079321555216, 0.1231191887063, 0.0788816801079]
    close(losses[:6001:1000], expected, rtol=1e-6)
    # From here on training is unstable: the order of the rows alone moves the losses by 1e-3.
    close(losses[7000::1000], [0.0766607530, 0.0764336465, 0.0761937449], rtol=2e-3)


def test_softmax_of_an_untrained_network(load):
    results = load("softmax").classify()
    close(results["scores"][0], [-0.61505777, -0.42790161, 0.31733287], rtol=1e-6)
    expected = [[0.21068639, 0.25404893, 0.53526468], [0.19019916, 0.31806647, 0.49173437]]
    close(results["probabilities"][:2], expected, rtol=1e-6)
    close(results["loss"], 1.4967442461, rtol=1e-6)


def test_spirals_of_one_seed(load):
    history, _ = load("spiral").train(1984, 300)
    losses = history["train"][:, 0]
    expected = [1.126942, 1.046145, 0.950638, 0.790015, 0.693060, 0.427103, 0.177942, 0.129589]
    np.testing.assert_allclose(
        losses[[0, 1, 2, 9, 49, 99, 199, 299]], expected, rtol=1e-6, atol=1.1e-6
    )


def test_spirals_of_the_other_seed(load):
    history, _ = load("spiral").train(2020, 300)
    (loss, accuracy), (test_loss, test_accuracy) = history["train"][0], history["test"][0]
    results = [loss, accuracy, test_loss, test_accuracy]
    np.testing.assert_allclose(results, [1.0944, 0.4033, 1.0468, 0.3267], atol=5.1e-5)
    np.testing.assert_allclose(history["train"][99], [0.314564, 0.87], rtol=1e-4)
    np.testing.assert_allclose(history["train"][199], [0.144717, 0.95], rtol=1e-4)
    np.testing.assert_allclose(history["train"][299], [0.1082, 0.9667], atol=5.1e-5)
    np.testing.assert_allclose(history["test"][299], [0.1458, 0.9600], atol=5.1e-5)


def test_dropout_keeps_the_mean(load):
    averages = load("dropout").averages(50)
    np.testing.assert_allclose(averages, (1, 1), atol=0.02)
