"""E: layers; F: models."""

from tests.inventory.row import row

LAYERS = "symgraph/test_layers.py"
MODELS = "symgraph/test_models.py"

ROWS = (
    row(
        "E1",
        "the base of layers: parameters and layers are found, nested names, saving",
        "{p2, l1/p1, p3} under flat names in a deterministic order",
        f"{LAYERS}::test_parameters_are_found_in_the_order_of_definition",
        f"{LAYERS}::test_nested_layers_are_named_by_their_path",
    ),
    row(
        "E2",
        "Linear: W (in, out) normal times sqrt(1/in), b zero, in taken from the first node",
        "seed 0, 3 to 2: W row 0 [1.0184761228, .2310308748]; the shape is known when built",
        f"{LAYERS}::test_the_first_weights_are_normal_numbers_over_the_root_of_the_inputs",
        f"{LAYERS}::test_the_input_size_is_taken_from_the_first_node",
    ),
    row(
        "E3",
        "Conv2d, Deconv2d: weights scaled by sqrt(1/(C KH KW)), channels taken from the input",
        "(1, 5, 15, 15), 8 filters k3 p1: (1, 8, 15, 15), slope (1, 5, 15, 15); 20 x (3, 5, 5)",
    ),
    row(
        "E4",
        "BatchNorm: gamma, beta are trained, running statistics are saved but not trained",
        "as B.BatchNorm; a gradient in test mode",
    ),
    row("E5", "embedding layer: W normal (in, out)", "as B.EmbedId"),
    row(
        "E6",
        "RNN: tanh(x Wx + b + h Wh), reset_state, truncated backpropagation",
        "h .46211715726, .84288610332; slopes .69294126 in full, .57908603 cut, Wh .1338027958",
    ),
    row(
        "E7",
        "LSTM",
        "h .17426972, c .28764914; h .48651755, c .78904392; slopes .41900877, .00405037",
    ),
    row("E8", "dropout as a function; Dense with an activation by name", "relu, softmax, see P"),
    row(
        "E.GRU",
        "GRU, LayerNorm, Dropout layers",
        "closed forms; gradients checked",
    ),
    row(
        "E.step59",
        "RNN of 100 on the sine curve, Adam, truncated after 30",
        "10 301 parameters, 34 updates an epoch: .290638, .018005, .053686 ... .001874; cosine "
        ".00190",
        "examples/test_network_numbers.py::test_a_recurrent_network_learns_the_sine",
    ),
    row(
        "E.step60",
        "LSTM of 100 with the sequential loader",
        "40 901 parameters, 34 steps, 1 update an epoch: .483028, .383103 ... .008289; cosine "
        ".00088",
        "examples/test_network_numbers.py::test_an_lstm_learns_the_sine",
    ),
    row(
        "F.MLP",
        "MLP",
        "784-1000-10: 795 010 parameters",
        f"{MODELS}::test_an_mlp_has_the_parameters_that_it_should",
    ),
    row(
        "F.Sequential",
        "layers and plain functions in a row",
        "Linear 3, relu, Linear 2 on (1, 4): (1, 2), 4 parameters",
        f"{MODELS}::test_an_mlp_has_the_parameters_that_it_should",
        f"{MODELS}::test_models_nest",
    ),
    row(
        "F.VGG16",
        "VGG16 and its preprocessing",
        "138 357 544 parameters at 224, 14 714 688 in convolutions; 32x32: (1, 1000), 37 694 248, "
        "32 arrays; float32 stays float32; BGR minus (103.939, 116.779, 123.68)",
    ),
    row(
        "F.ResNet",
        "ResNet 50, 101, 152",
        "25 557 096, 44 549 224, 60 192 872 trained, 53 120, 105 344, 151 424 running; 268 arrays; "
        "64x64: (1, 1000); another depth is refused",
    ),
    row(
        "F.BuildingBlock",
        "residual blocks: projection, stride, identity",
        "(1, 64, 8, 8) to (1, 256, 8, 8) to (1, 512, 4, 4)",
    ),
    row("F.SqueezeNet", "SqueezeNet v1.0", "1 248 424 parameters"),
    row(
        "F.step58",
        "a pretrained network is read from a file",
        "from an npz and a safetensors file written here; the same logits",
        "symgraph/test_serialise.py::test_a_fresh_vgg16_takes_the_weights_of_a_small_one",
        "symgraph/test_serialise.py::test_a_fresh_model_is_loaded_before_its_first_call",
    ),
)
