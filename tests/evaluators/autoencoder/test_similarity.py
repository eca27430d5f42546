"""A VAE-GAN: who learns what, and that features have no scale."""

import pytest
import torch
from torch import nn

from evaluators.autoencoder.bounds import as_autoencoder, remove_critic
from evaluators.autoencoder.families import training_loss
from search_spaces.autoencoder.assembly import build_image_critic
from search_spaces.autoencoder.modules import CriticAutoencoder, VariationalAutoencoder

SHAPE = (2, 9, 6)
CHOSEN = {"family": "vae_gan", "beta": 1.0, "kl_warm_up": 0.0, "critic_weight": 3.0}
IMAGES = torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(0))


def make_model(seed=0):
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(108, 6))
    decoder = nn.Sequential(nn.Linear(3, 108), nn.Unflatten(1, SHAPE))
    return CriticAutoencoder(encoder, decoder, nn.Sigmoid(), build_image_critic(SHAPE))


def gradients(model, **chosen):
    draw = torch.Generator().manual_seed(1)
    model.zero_grad()
    training_loss(as_autoencoder(model), IMAGES, {**CHOSEN, **chosen}, 0.5, draw).backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (4, 3, 3), SHAPE])
def test_a_critic_takes_images_of_any_size(shape):
    features, logits = build_image_critic(shape)(torch.rand(5, *shape))
    assert features.shape[:2] == (5, 64)
    assert logits.shape == (5, 1)


def test_the_encoder_learns_nothing_of_the_game_and_the_critic_nothing_else():
    model = make_model()
    one, more, dear = gradients(model), gradients(model, critic_weight=30.0), gradients(model, beta=5.0)
    for name in one:
        half = name.split(".")[0]
        assert torch.allclose(one[name], more[name]) == (half != "decoder"), name
        assert torch.allclose(one[name], dear[name]) == (half != "encoder"), name


def test_the_critic_learns_to_tell_images_from_reconstructions_and_samples():
    model, draw = make_model(), torch.Generator().manual_seed(1)
    found = gradients(model)
    with torch.no_grad():
        code, _ = as_autoencoder(model).infer(IMAGES).draw(draw)
        made = model.decode(torch.cat((code, torch.randn(code.shape, generator=draw))))
    real, fake = model.critic(IMAGES)[1].sigmoid(), model.critic(made)[1].sigmoid()
    model.zero_grad()
    # equation 6, with images twice, as there are two of what is not one
    (-2 * real.log().mean() - (1 - fake[:16]).log().mean() - (1 - fake[16:]).log().mean()).backward()
    for name, weight in model.critic.named_parameters():
        torch.testing.assert_close(found[f"critic.{name}"], weight.grad, rtol=1e-3, atol=1e-6)


def test_features_have_no_scale():
    """A critic whose features are 10 times as large, and which judges them alike, teaches the same."""
    model = make_model()
    before = gradients(model)
    with torch.no_grad():
        for parameter in model.critic.features[-1].parameters():
            parameter.mul_(10)
        model.critic.judge[1].weight.div_(10)
    after = gradients(model)
    for name in before:
        if not name.startswith("critic"):
            torch.testing.assert_close(before[name], after[name], rtol=1e-3, atol=1e-4)


def test_what_is_like_the_example_in_its_features_costs_less():
    model = make_model()

    def cost():
        loss = training_loss(
            as_autoencoder(model), IMAGES, {**CHOSEN, "critic_weight": 0.0}, 0.5, torch.Generator().manual_seed(1)
        )
        return loss.item()

    before, optimiser = cost(), torch.optim.Adam([*model.encoder.parameters(), *model.decoder.parameters()], 0.003)
    draw = torch.Generator().manual_seed(2)
    for _ in range(100):
        optimiser.zero_grad()
        training_loss(as_autoencoder(model), IMAGES, {**CHOSEN, "critic_weight": 0.0}, 0.5, draw).backward()
        optimiser.step()
    assert cost() < before - 10  # nats
    with torch.no_grad():
        wanted, given = model.critic(IMAGES)[0], model.critic(model(IMAGES))[0]
        other = model.critic(model(IMAGES.roll(1, 0)))[0]
    assert (wanted - given).square().mean() < (wanted - other).square().mean()


def test_what_is_delivered_has_no_critic():
    given = remove_critic(make_model())
    assert type(given) is VariationalAutoencoder
    assert "critic" not in dict(given.named_children())
