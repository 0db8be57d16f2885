"""Models: what they compute, their parameters and their names."""

import numpy as np
import pytest

import symgraph as sg
from symgraph.layers import Linear
from symgraph.models import MLP, Sequential


def _input(*shape, dtype="float64", name="x"):
    return sg.Placeholder(name, shape=shape, dtype=dtype)


def _count(model):
    return sum(parameter.size for parameter in model.parameters())


def test_an_mlp_has_the_parameters_that_it_should():
    assert _count(MLP((1000, 10), in_size=784)) == 795_010
    model = Sequential(Linear(3), sg.relu, Linear(2))
    assert model(_input(1, 4)).shape == (1, 2)
    assert list(model.named_parameters()) == ["l0/W", "l0/b", "l1/W", "l1/b"]
    assert [p.name for p in model.parameters()] == ["l0/W", "l0/b", "l1/W", "l1/b"]


def test_an_activation_more_or_less_does_not_rename_parameters():
    plain, other = MLP((3, 2), in_size=4), Sequential(Linear(3, 4), Linear(2, 3), sg.tanh)
    assert list(plain.named_parameters()) == list(other.named_parameters())


def test_a_named_model_puts_its_name_first():
    model = MLP((3, 2), in_size=4, name="critic")
    paths = ["critic/l0/W", "critic/l0/b", "critic/l1/W", "critic/l1/b"]
    assert list(model.named_parameters()) == [p.name for p in model.parameters()] == paths


def test_models_nest():
    model = Sequential(MLP((3,)), lambda x: 2 * x, Sequential(Linear(2, bias=False)))
    model(_input("N", 4))
    assert [p.name for p in model.parameters()] == ["l0/l0/W", "l0/l0/b", "l1/l0/W"]


def test_layers_of_one_seed_start_from_different_numbers():
    one, two = MLP((4, 4), in_size=4, seed=0), MLP((4, 4), in_size=4, seed=0)
    first, second = one.named_parameters()["l0/W"].value, one.named_parameters()["l1/W"].value
    assert (first != second).all()
    np.testing.assert_array_equal(second, two.named_parameters()["l1/W"].value)


def test_layers_get_the_same_numbers_whatever_is_built_first():
    one, two = MLP((4, 4), seed=0), MLP((4, 4), seed=0)
    one(_input("N", 4))
    two.l1.prepare()
    two(_input("N", 4))
    for left, right in zip(one.parameters(), two.parameters(), strict=True):
        np.testing.assert_array_equal(left.value, right.value)


def test_one_compilation_serves_all_batches():
    model = MLP((5, 2), seed=0)
    f = sg.compile(model(_input("N", 3, dtype="float32")))
    for rows in (1, 7, 8, 64, 0):
        assert f(x=np.ones((rows, 3), "float32")).shape == (rows, 2)
    assert f.compile_count == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequential(), r"at least one step\n.*test_models"),
        (lambda: Sequential(3), "a step is a layer or a function, not 3"),
        (lambda: Sequential(Linear), "a step is a layer or a function, not <class"),
        (lambda: Sequential(sg.Constant(1)), "a step is a layer or a function, not <constant"),
        (lambda: MLP(10), r"output sizes, such as \(32, 10\), not 10"),
        (lambda: MLP(()), r"output sizes, such as \(32, 10\), not \(\)"),
        (lambda: MLP("34"), r"output sizes, such as \(32, 10\), not '34'"),
        (lambda: MLP((3, 0)), "out_size is a positive int, not 0"),
        (lambda: MLP((3, 2), activation="relu"), "the activation is a function, not 'relu'"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(sg.GraphError, match=message):
        make()


def test_a_model_without_a_known_input_names_the_layer():
    with pytest.raises(sg.ShapeError, match="<Linear 'l0'> does not know its input size"):
        MLP((3, 2)).parameters()


# Pictures.


@pytest.mark.inventory("K.dot")
def test_a_model_draws_what_it_built_last(tmp_path):
    model = Sequential(Linear(3, seed=0), sg.relu)
    with pytest.raises(sg.GraphError, match=r"was not called yet, so there is nothing to draw"):
        model.plot(tmp_path / "none.dot")
    model(_input("N", 4, name="points"))
    drawing = model.plot(tmp_path / "model.dot")
    text = (tmp_path / "model.dot").read_text()
    assert text == drawing.to_string()
    for label in ("points", "relu", "linear", "l0/W", "float64[N, 4]"):
        assert label in text
    other = model.plot(None, _input(7, 4, name="others"), verbose=False).to_string()
    assert "others" in other
    assert "points" not in other
    assert "float64[7, 4]" not in other
