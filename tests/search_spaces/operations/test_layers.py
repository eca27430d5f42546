"""Layers are what their names say: they keep, halve or double the size, print as source and are inherited."""

import pytest
import torch

from evaluators.inheritance.transfer import inherit_weights
from nas.export.python_source import print_source
from search_spaces.cells.modules import Cell, Node
from search_spaces.operations.layers import (
    build_activation,
    build_down_sampling,
    build_normalisation,
    build_operation,
    build_pool,
    build_up_sampling,
    compute_sizes,
)
from search_spaces.operations.names import ACTIVATIONS, DOWN_SAMPLINGS, OPERATIONS, UP_SAMPLINGS


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("norm", ["none", "batch", "group", "layer"])
def test_operations_keep_channels_and_size(operation, norm):
    x = torch.rand(2, 12, 5, 7)
    assert build_operation(operation, 12, norm, "relu")(x).shape == x.shape


@pytest.mark.parametrize("name", DOWN_SAMPLINGS)
def test_down_sampling_halves_rounded_up(name):
    assert build_down_sampling(name, 3, 8, "batch", "relu")(torch.rand(2, 3, 9, 6)).shape == (2, 8, 5, 3)


@pytest.mark.parametrize(("name", "pooled"), [("average", 3.0), ("max", 6.0)])
def test_pooling_is_what_it_is_called(name, pooled):
    pool, *_ = build_down_sampling(name, 1, 8, "none", "relu")
    assert pool(torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])).item() == pooled


@pytest.mark.parametrize("name", UP_SAMPLINGS)
def test_up_sampling_doubles(name):
    x = torch.nn.Sequential(*build_up_sampling(name, 8, 3, (5, 3), (10, 6), bias=True))(torch.rand(2, 8, 5, 3))
    assert x.shape == (2, 3, 10, 6)


def test_dilated_convolutions_are_dilated_and_separable_ones_separable():
    dilated = next(
        m for m in build_operation("dilated_3x3", 8, "none", "relu").modules() if isinstance(m, torch.nn.Conv2d)
    )
    assert dilated.dilation == (2, 2)
    depthwise, pointwise = (
        m for m in build_operation("separable_5x5", 8, "none", "relu").modules() if isinstance(m, torch.nn.Conv2d)
    )
    assert (depthwise.groups, depthwise.kernel_size) == (8, (5, 5))
    assert (pointwise.groups, pointwise.kernel_size) == (1, (1, 1))


def test_a_name_that_is_not_in_a_list_is_refused():
    for build in (
        lambda: build_operation("conv_9x9", 8, "none", "relu"),
        lambda: build_activation("softsign"),
        lambda: build_normalisation("spectral", 8),
        lambda: build_normalisation("instance", 8, dimensions=0),
        lambda: build_pool("strided_convolution"),
        lambda: build_up_sampling("cubic", 8, 8, (4, 4), (8, 8), bias=True),
    ):
        with pytest.raises(KeyError):
            build()


def test_where_the_size_stays_up_sampling_is_a_convolution_and_what_rounding_added_is_cropped():
    for name in UP_SAMPLINGS:
        same = build_up_sampling(name, 8, 3, (5, 3), (5, 3), bias=False)
        assert [(type(layer), layer.bias) for layer in same] == [(torch.nn.Conv2d, None)]
        odd = torch.nn.Sequential(*build_up_sampling(name, 8, 3, (5, 3), (9, 6), bias=True))
        assert odd(torch.rand(2, 8, 5, 3)).shape == (2, 3, 9, 6)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_what_its_name_says_and_prints_as_source_that_builds_it(name):
    operation = OPERATIONS[name]
    torch.manual_seed(0)
    model = torch.nn.Sequential(build_operation(name, 8, "batch", "relu"))
    windows = [m for m in model.modules() if hasattr(m, "kernel_size")]
    if operation.kind != "skip":
        sides = [m.kernel_size if isinstance(m.kernel_size, int) else m.kernel_size[0] for m in windows]
        assert f"{sides[0]}x{sides[0]}" == f"{operation.kernel}x{operation.kernel}" == name.rsplit("_", 1)[1]
    assert operation.pools == any(isinstance(m, (torch.nn.AvgPool2d, torch.nn.MaxPool2d)) for m in windows)
    names = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional, "Tensor": torch.Tensor, "__name__": "printed"}
    exec(compile("from __future__ import annotations\n" + print_source(model), "model.py", "exec"), names)
    again = names["build"]()
    again.load_state_dict(model.state_dict())
    x = torch.rand(2, 8, 6, 5)
    with torch.no_grad():
        assert torch.equal(again.eval()(x), model.eval()(x))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_inherited_by_a_child_that_has_it(name):
    def make(seed):
        torch.manual_seed(seed)
        return Cell([Node((0,), [build_operation(name, 8, "batch", "relu")])], (1,)).eval()

    child, parent = make(1), make(2)
    x = torch.rand(2, 8, 6, 5)
    with torch.no_grad():
        inherit_weights(child, parent, lambda model: model(x))
        assert torch.equal(child(x), parent(x))


def test_sizes_stop_halving_at_two():
    assert compute_sizes((1, 28, 28), 4) == [(28, 28), (14, 14), (7, 7), (4, 4), (2, 2)]
    assert compute_sizes((1, 8, 8), 4) == [(8, 8), (4, 4), (2, 2), (2, 2), (2, 2)]
    assert compute_sizes((1, 5, 64), 2) == [(5, 64), (3, 32), (3, 32)]


def test_every_activation_is_a_new_layer():
    assert len({type(build_activation(name)) for name in ACTIVATIONS}) == len(ACTIVATIONS)
