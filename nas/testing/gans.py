"""The laws of spaces of generative adversarial networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.core.space import Condition, Shape
from nas.testing.spaces import SpaceContract


class GanSpaceContract(SpaceContract):
    """As SpaceContract, for spaces of pairs; `condition` is what `make` has conditioned its space on.

    A model has the children ``generator`` and ``discriminator``, the number ``latent`` of its noise's values, and
    ``condition``, what both are told: ``none``, ``label`` or ``vector``.
    """

    images = 5
    condition: Condition | None = None

    def told(self, model: nn.Module) -> tuple[Tensor, ...]:
        """Conditions for the images, as arguments of both halves; none if the model takes none."""
        if model.condition == "none":
            return ()
        assert self.condition is not None
        assert model.condition == self.condition.kind
        if self.condition.kind == "label":
            return (torch.randint(self.condition.size, (self.images,)),)
        return (torch.randn(self.images, self.condition.size),)

    def check(self, model: nn.Module, shape: Shape, whole: bool = True) -> None:
        """Two steps of the non-saturating game reach every parameter; samples have the data's shape and range."""
        generator, discriminator = model.generator, model.discriminator
        assert isinstance(generator, nn.Module)
        assert isinstance(discriminator, nn.Module)
        latent, told = int(model.latent), self.told(model)  # type: ignore[arg-type]
        halves = [torch.optim.Adam(half.parameters(), 1e-4) for half in (discriminator, generator)]
        images = torch.rand(self.images, *shape)
        for _ in range(2):
            samples = generator(torch.randn(self.images, latent), *told)
            assert samples.shape == images.shape
            real, fake = discriminator(images, *told), discriminator(samples.detach(), *told)
            assert real.shape == fake.shape == (self.images,)
            self._step(discriminator, halves[0], F.softplus(-real).mean() + F.softplus(fake).mean(), whole)
            logits = discriminator(generator(torch.randn(self.images, latent), *told), *told)
            self._step(generator, halves[1], F.softplus(-logits).mean(), whole)
        with torch.no_grad():
            samples = model.eval()(torch.randn(self.images, latent), *told)
        assert samples.shape == images.shape
        assert samples.isfinite().all()
        assert samples.min() >= 0
        assert samples.max() <= 1

    def _step(self, half: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, whole: bool) -> None:
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for name, parameter in half.named_parameters():
            assert not whole or parameter.grad is not None, f"{name} has no part in the loss"
            assert parameter.grad is None or parameter.grad.isfinite().all(), f"{name}'s gradient is not finite"
        optimiser.step()
