"""The layers of pairs against their definitions, their papers' formulas, and torch's own where it has them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from nas.core.space import Condition
from search_spaces.gan.conditioning import EMBEDDING, Conditioning
from search_spaces.gan.discriminator_modules import (
    Discriminator,
    Maxout,
    MinibatchDiscrimination,
    MinibatchStandardDeviation,
    Projection,
)
from search_spaces.gan.layers import build_doubling, build_styled_normalisation
from search_spaces.gan.modules import ConditionalScale, Layers, UpCell, UpCells
from search_spaces.gan.style import (
    AdaptiveInstanceNorm,
    EqualisedLinear,
    MappingNetwork,
    Noise,
    StyleBlock,
    StyleGenerator,
)
from search_spaces.operations.initialisation import apply_spectral_norm, initialise_weights
from search_spaces.operations.modules import SpectralNorm


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


# -- spectral normalisation

LAYERS = {
    "linear": (lambda: nn.Linear(6, 4), (5, 6)),
    "convolution": (lambda: nn.Conv2d(3, 8, 4, 2, 1), (5, 3, 8, 8)),
    "depthwise": (lambda: nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=6, bias=False), (2, 6, 8, 8)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_spectral_normalisation_is_torchs(kind):
    make, shape = LAYERS[kind]
    layer = make()
    reference = make()
    reference.load_state_dict(layer.state_dict())
    reference = spectral_norm(reference, dim=0)
    ours = SpectralNorm(layer)
    vectors = reference.parametrizations.weight[0]
    ours.left.copy_(vectors._u)
    ours.right.copy_(vectors._v)
    for step in range(3):
        x = torch.randn(shape)
        made, expected = ours.train()(x), reference.train()(x)
        assert torch.allclose(made, expected, atol=1e-6)
        for model, output in ((ours, made), (reference, expected)):
            model.zero_grad()
            output.square().sum().backward()
        assert torch.allclose(layer.weight.grad, reference.parametrizations.weight.original.grad, atol=1e-4), step
    with torch.no_grad():
        assert torch.allclose(ours.eval()(x), reference.eval()(x), atol=1e-6)


def test_spectral_normalisation_divides_by_the_largest_singular_value_at_once():
    for layer in (nn.Linear(12, 7), nn.Embedding(10, 4)):
        with torch.no_grad():
            layer.weight.mul_(5)
        wrapped = SpectralNorm(layer).eval()
        inputs = torch.eye(12) if isinstance(layer, nn.Linear) else torch.arange(10)
        bias = layer.bias if isinstance(layer, nn.Linear) else 0
        assert torch.linalg.matrix_norm(wrapped(inputs) - bias, 2).item() == pytest.approx(1, abs=0.02)


def test_spectral_normalisation_iterates_in_training_alone():
    layer = SpectralNorm(nn.Linear(9, 9))
    with torch.no_grad():
        layer.layer.weight.copy_(torch.randn(9, 9))  # the vectors are those of other weights now
    before = layer.left.clone()
    layer.eval()(torch.rand(1, 9))
    assert torch.equal(layer.left, before)
    layer.train()(torch.rand(1, 9))
    assert not torch.equal(layer.left, before)


def test_every_layer_with_weights_is_spectrally_normalised():
    condition = Condition("label", 10)
    for way in ("none", "concatenation", "one_hot_maxout", "projection"):
        head = Conditioning(way, None if way == "none" else condition).build_head(12)
        body = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten())
        model = apply_spectral_norm(Discriminator(body, head))
        inside = {id(m.layer) for m in model.modules() if isinstance(m, SpectralNorm)}
        weighted = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
        assert {id(m) for m in weighted} == inside


# -- layers across a batch


@pytest.mark.parametrize("images", [4, 8, 12])
@pytest.mark.parametrize("shape", [(3,), (3, 5, 2)])
def test_minibatch_standard_deviation_is_that_of_groups_of_four(images, shape):
    """The formula of Karras et al. 2018's program, in NumPy."""
    x = torch.randn(images, *shape)
    made = MinibatchStandardDeviation()(x)
    grouped = x.numpy().reshape(4, images // 4, *shape)
    expected = np.sqrt(grouped.var(0) + 1e-8).reshape(images // 4, -1).mean(1)
    assert torch.equal(made[:, :3], x)
    assert np.allclose(made[:, 3].numpy().reshape(images, -1), np.tile(expected, 4)[:, None], atol=1e-6)


@pytest.mark.parametrize("images", [1, 2, 3, 5, 7])
def test_minibatch_standard_deviation_takes_any_batch(images):
    x = torch.randn(images, 6, 2, 2)
    made = MinibatchStandardDeviation()(x)
    filled = torch.cat([x] * 4)[: 4 * -(-images // 4)]  # the first images again
    assert torch.allclose(made, MinibatchStandardDeviation()(filled)[:images], atol=1e-6)
    same = MinibatchStandardDeviation()(x[:1].expand(images, -1, -1, -1))
    assert same[:, 6].max() < 1e-3


def test_minibatch_discrimination_is_the_papers_sum():
    layer = MinibatchDiscrimination(6, 3, 2)
    x = torch.randn(4, 6)
    made = layer(x)
    rows = (x @ layer.weight).reshape(4, 3, 2)
    assert torch.equal(made[:, :6], x)
    for i in range(4):
        for kernel in range(3):
            near = sum(torch.exp(-(rows[i, kernel] - rows[j, kernel]).abs().sum()) for j in range(4))
            assert made[i, 6 + kernel].item() == pytest.approx(near.item(), rel=1e-5)
    assert torch.allclose(layer(x[:1].expand(5, -1))[:, 6:], torch.full((5, 3), 5.0))


def test_maxout_is_the_largest_of_its_pieces():
    x = torch.tensor([[1.0, 4.0, 2.0, -3.0, -1.0, -2.0]])
    assert Maxout(3)(x).tolist() == [[4.0, -1.0]]
    assert Maxout(2)(x).tolist() == [[4.0, 2.0, -1.0]]


# -- conditioning


def test_the_projection_is_an_inner_product_with_the_embedded_condition():
    head = Projection(nn.Linear(5, 1), nn.Embedding(3, 5))
    features, labels = torch.randn(4, 5), torch.tensor([0, 2, 1, 2])
    expected = features @ head.linear.weight[0] + head.linear.bias
    expected = expected + torch.stack([f @ head.embedding.weight[y] for f, y in zip(features, labels, strict=True)])
    assert torch.allclose(head(features, labels).squeeze(1), expected, atol=1e-6)


def test_a_vector_takes_the_place_of_a_label_wherever_one_enters():
    for way in ("concatenation", "one_hot_maxout", "projection"):
        label, vector = (Conditioning(way, Condition(kind, 7)) for kind in ("label", "vector"))
        for told, condition in ((label, torch.tensor([3, 1])), (vector, torch.randn(2, 7))):
            assert told.build_head(6)(torch.randn(2, 6), condition).shape == (2, 1)
            code, width = told.build_code(5)
            if code is not None:
                assert code(torch.randn(2, 5), condition).shape == (2, width)
            style, width = told.build_style()
            assert (style is None) == (way != "projection")
            if style is not None:
                assert style(condition).shape == (2, width)


def test_image_and_concatenated_condition_meet_before_the_logit():
    """A sum of a term of the image and one of the condition could tell neither whether they fit."""
    for way in ("concatenation", "one_hot_maxout", "projection"):
        head = Conditioning(way, Condition("label", 5)).build_head(6)
        one, other = torch.randn(2, 6).unbind()
        logits = head(torch.stack([one, one, other, other]), torch.tensor([0, 1, 0, 1])).flatten().tolist()
        assert abs((logits[0] - logits[1]) - (logits[2] - logits[3])) > 1e-4


def test_conditional_batch_normalisation_scales_as_the_condition_says():
    layers = Layers(build_styled_normalisation("batch", 4, EMBEDDING)).train()
    norm, scale = layers.layers
    assert not norm.affine
    assert isinstance(scale, ConditionalScale)
    x, style = torch.randn(8, 4, 3, 3), torch.randn(8, EMBEDDING)
    gamma, beta = scale.change(style).chunk(2, dim=1)
    expected = nn.BatchNorm2d(4, affine=False)(x) * (1 + gamma[:, :, None, None]) + beta[:, :, None, None]
    assert torch.allclose(layers(x, style), expected, atol=1e-6)


# -- style


def test_adaptive_instance_normalisation_has_the_moments_that_the_style_says():
    norm = AdaptiveInstanceNorm(6, 16)
    x, w = 3 + 5 * torch.randn(4, 6, 16, 16), torch.randn(4, 16)
    scale, shift = norm.style(w).chunk(2, dim=1)
    made = norm(x, w)
    assert torch.allclose(made.mean((2, 3)), shift, atol=1e-5)
    assert torch.allclose(made.std((2, 3), correction=0), (1 + scale).abs(), atol=1e-4)
    assert torch.allclose(norm(7 * x - 2, w), made, atol=1e-3)  # nothing else of the input's moments is left


def test_equalised_layers_keep_the_variance_and_learn_slowly():
    layer = EqualisedLinear(256, 256, rate=0.01)
    assert layer(torch.randn(500, 256)).var().item() == pytest.approx(1, rel=0.1)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.05)
    mapping = MappingNetwork(64, 128, 8)
    w = mapping(torch.randn(200, 64))
    assert 0.1 < w.std(0).mean() < 3  # eight layers later noise has not died away
    assert torch.allclose(mapping(5 * torch.ones(1, 64)), mapping(torch.ones(1, 64)), atol=1e-5)


def style_generator(mixing=0.0, blocks=4):
    def block():
        return StyleBlock(nn.Conv2d(4, 4, 3, padding=1), Noise(4, 4, 4), nn.LeakyReLU(0.2), AdaptiveInstanceNorm(4, 8))

    end = nn.Sequential(nn.Conv2d(4, 1, 1), nn.Sigmoid())
    generator = StyleGenerator(MappingNetwork(6, 8, 2), [block() for _ in range(blocks)], end, 4, 4, 4, mixing)
    for module in generator.modules():
        if isinstance(module, Noise):
            nn.init.constant_(module.strength, 0.5)
    return generator


def test_noise_is_new_in_training_and_fixed_in_evaluation():
    generator, z = style_generator(), torch.randn(2, 6)
    with torch.no_grad():
        assert not torch.equal(generator.train()(z), generator(z))
        assert torch.equal(generator.eval()(z), generator(z))
        made = generator(z.flip(0)).flip(0)
        assert torch.allclose(made, generator(z), atol=1e-6)  # an image follows from its latent alone
    noise = Noise(3, 40, 40).eval()
    nn.init.constant_(noise.strength, 2.0)
    added = noise(torch.zeros(1, 3, 40, 40))
    assert added.std().item() == pytest.approx(2, rel=0.1)
    assert torch.equal(added[:, 0], added[:, 1])


def test_truncation_draws_towards_the_average_that_training_keeps():
    generator, z = style_generator(), torch.randn(16, 6)
    with torch.no_grad():
        w = generator.mapping(z)
        for _ in range(2):
            generator.train()(z)
        assert torch.allclose(generator.average, (1 - 0.995**2) * w.mean(0), atol=1e-6)
        for _ in range(3):
            generator.eval()(z)
        assert torch.allclose(generator.average, (1 - 0.995**2) * w.mean(0), atol=1e-6)
        images = {}
        for truncation in (1.0, 0.5, 0.0):
            generator.truncation = truncation
            images[truncation] = generator(z)
    assert images[0.0].std(0).max() < 1e-6
    assert 0 < images[0.5].std(0).mean() < images[1.0].std(0).mean()


def test_mixed_styles_are_of_one_image_and_then_of_another():
    generator, z = style_generator(mixing=1.0, blocks=6), torch.randn(64, 6)
    w = generator.intermediate(z, None)
    other = w.roll(1, 0)
    own = torch.stack([(style == w).all(1) for style in generator.mixed(w, z, None)])  # (blocks, images)
    theirs = torch.stack([torch.isclose(style, other, atol=1e-4).all(1) for style in generator.mixed(w, z, None)])
    assert own[0].all()
    assert theirs[-1].all()
    assert (own[1:].int() <= own[:-1].int()).all()  # once mixed, always
    assert set(own.sum(0).tolist()) == {1, 2, 3, 4, 5}
    generator.mixing = 0.5
    share = torch.stack([(generator.mixed(w, z, None)[-1] != w).any(1).float().mean() for _ in range(30)]).mean()
    assert share.item() == pytest.approx(0.5, abs=0.05)


# -- cells


def test_features_handed_on_are_not_overwritten():
    """AutoGAN's own program adds in place to the feature that it hands on to later cells."""

    def cell(sources):
        return UpCell(Layers([]), Layers([]), nn.Identity(), sources, [nn.Identity() for _ in sources])

    cells = [cell(()), cell((0,)), cell((0, 1))]
    x = torch.rand(1, 2, 3, 3)
    kept, features, outputs = x.clone(), [], x
    for each in cells:
        feature, outputs = each(outputs, features, None)
        features.append(feature)
    # x | in 2x, out 2x + (2x + x) = 5x | in 5x, out 5x + (5x + x + 2x) = 13x
    assert torch.allclose(outputs, 13 * kept)
    assert torch.equal(x, kept)
    assert [torch.allclose(f, n * kept) for f, n in zip(features, (1, 2, 5), strict=True)] == [True] * 3
    assert torch.allclose(UpCells(nn.Identity(), cells, nn.Identity())(kept), 13 * kept)


@pytest.mark.parametrize("name", ["transposed_convolution", "nearest", "bilinear", "pixel_shuffle"])
def test_doubling_goes_to_any_size_that_halving_leaves(name):
    for before, after in (((4, 4), (8, 8)), ((4, 3), (7, 5)), ((2, 2), (2, 2))):
        assert nn.Sequential(*build_doubling(name, 8, before, after))(torch.rand(1, 8, *before)).shape == (1, 8, *after)


def test_initialisations_are_what_they_are_called():
    model = nn.Sequential(nn.Conv2d(64, 64, 3), nn.BatchNorm2d(64), nn.Linear(64, 32), EqualisedLinear(64, 64))
    own = model[3].weight.clone()
    initialise_weights(model, "dcgan")
    assert model[0].weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert model[1].weight.mean().item() == pytest.approx(1, abs=0.01)
    assert model[0].bias.abs().max() == 0
    initialise_weights(model, "orthogonal")
    assert torch.allclose(model[2].weight @ model[2].weight.T, torch.eye(32), atol=1e-5)
    before = model[0].weight.clone()
    initialise_weights(model, "default")
    assert torch.equal(model[0].weight, before)
    assert torch.equal(model[3].weight, own)
