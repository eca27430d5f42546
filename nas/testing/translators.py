"""The laws of spaces of translators between two domains."""

from __future__ import annotations

from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.core.space import Shape
from nas.testing.spaces import SpaceContract


class TranslatorSpaceContract(SpaceContract):
    """As SpaceContract, for spaces between two domains.

    A model has the children ``a_to_b`` and ``b_to_a``, which translate, and ``discriminator_a`` and
    ``discriminator_b``, which judge the images of a domain, patch by patch.
    """

    images = 2

    def test_the_space_says_that_it_needs_two_domains(self) -> None:
        space = self.make()
        assert space.data_kinds == ("image_pair",)

    def check(self, model: nn.Module, shape: Shape, whole: bool = True) -> None:
        """Two steps reach every parameter; translations have the data's shape and range."""
        halves: dict[str, nn.Module] = dict(model.named_children())
        assert set(halves) == {"a_to_b", "b_to_a", "discriminator_a", "discriminator_b"}
        translators = [halves["a_to_b"], halves["b_to_a"]]
        discriminators = [halves["discriminator_a"], halves["discriminator_b"]]
        optimisers = [
            torch.optim.Adam(chain(*(part.parameters() for part in parts)), 1e-4)
            for parts in (translators, discriminators)
        ]
        images = torch.rand(2, self.images, *shape)
        for _ in range(2):
            fakes = [halves["b_to_a"](images[1]), halves["a_to_b"](images[0])]
            loss = torch.zeros(())
            for fake, real, judge, back in zip(fakes, images, discriminators, translators, strict=True):
                assert fake.shape == real.shape
                loss = loss + F.softplus(-self._logits(judge, fake)).mean() + (back(fake) - real).abs().mean()
            self._step(translators, optimisers[0], loss, whole)
            loss = torch.zeros(())
            for fake, real, judge in zip(fakes, images, discriminators, strict=True):
                found = F.softplus(-self._logits(judge, real)).mean()
                loss = loss + found + F.softplus(self._logits(judge, fake.detach())).mean()
            self._step(discriminators, optimisers[1], loss, whole)
        model.eval()
        with torch.no_grad():
            for translator in translators:
                translated = translator(images[0])
                assert translated.shape == images[0].shape
                assert translated.isfinite().all()
                assert translated.min() >= 0
                assert translated.max() <= 1

    def _logits(self, discriminator: nn.Module, images: Tensor) -> Tensor:
        logits: Tensor = discriminator(images)
        assert logits.ndim == 2
        assert len(logits) == len(images)
        return logits

    def _step(self, parts: list[nn.Module], optimiser: torch.optim.Optimizer, loss: Tensor, whole: bool) -> None:
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for part in parts:
            for name, parameter in part.named_parameters():
                assert not whole or parameter.grad is not None, f"{name} has no part in the loss"
                assert parameter.grad is None or parameter.grad.isfinite().all(), f"{name}'s gradient is not finite"
        optimiser.step()
