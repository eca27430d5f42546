"""Autoencoders that know classes of examples. They stand alone: the exporter copies their source."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.autoencoder.modules import VariationalAutoencoder


class ClassSampler(nn.Module):
    """Normal noise to codes that end with a class, a 1 among 0s: each any, all alike, or the one that is chosen."""

    def __init__(self, classes: int, chosen: int | None = None) -> None:
        super().__init__()
        self.classes = classes
        self.chosen = chosen
        self.more_noise = 1 - classes

    def forward(self, noise: Tensor) -> Tensor:
        """Noise (N, latent + 1) to codes (N, latent + classes); its last number says which class each is of."""
        share = 0.5 + 0.5 * torch.erf(noise[:, -1:] * 0.5**0.5)
        bounds = torch.arange(1, self.classes, device=noise.device) / self.classes
        labels = (share > bounds).long().sum(1)
        if self.chosen is not None:
            labels = torch.full_like(labels, self.chosen)
        return torch.cat((noise[:, :-1], nn.functional.one_hot(labels, self.classes).to(noise.dtype)), dim=1)


class ConditionalAutoencoder(VariationalAutoencoder):
    """A variational autoencoder whose halves are told an example's class (Sohn et al. 2015).

    The encoder sees it as more channels of the example. A code ends with it, a 1 among 0s, so that codes alone are
    decoded. Where it is not told, it is guessed.
    """

    told = True

    def __init__(self, encoder: nn.Module, decoder: nn.Module, output: nn.Module, classes: int) -> None:
        super().__init__(encoder, decoder, output)
        self.classes = classes

    def tell(self, examples: Tensor, labels: Tensor) -> Tensor:
        """Examples (N, C, ...) with their classes (N,), as what the encoder takes, (N, C + classes, ...)."""
        planes = self.mark(labels).to(examples.dtype)
        planes = planes.reshape(planes.shape + (1,) * (examples.ndim - 2))
        return torch.cat((examples, planes.expand(-1, -1, *examples.shape[2:])), dim=1)

    def mark(self, labels: Tensor) -> Tensor:
        """Classes (N,) as a 1 among 0s each, (N, classes)."""
        return nn.functional.one_hot(labels, self.classes).float()

    def posterior(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the code without its class, (N, latent) each."""
        labels = self.guess_labels(images) if labels is None else labels
        mean, log_variance = self.encoder(self.tell(images, labels)).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) to the means of their codes (N, latent + classes)."""
        labels = self.guess_labels(images) if labels is None else labels
        return torch.cat((self.posterior(images, labels)[0], self.mark(labels)), dim=1)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to their reconstructions, as of their classes (N,)."""
        return self.decode(self.encode(images, labels))

    def guess_labels(self, images: Tensor, words: tuple[slice, ...] = ()) -> Tensor:
        """Examples (N, ...) to the classes (N,) of which their bound, at the mean of the code, is highest.

        Numbers are taken as normal, with the variance that is optimal for the example, and `words`, the places of each
        column of them in a vector, as categories. What is missing has no say.
        """
        bounds = []
        for label in range(self.classes):
            labels = torch.full_like(images.flatten(1)[:, 0], label, dtype=torch.long)
            mean, log_variance = self.posterior(images, labels)
            decoded = self.decode(torch.cat((mean, self.mark(labels)), dim=1))
            squares = (decoded - images).square()
            bound = -0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
            for columns in words:
                bound = bound + (decoded[:, columns].log_softmax(1) * images[:, columns]).nansum(1)
                squares[:, columns] = torch.nan
            squares = squares.flatten(1)
            known = (~squares.isnan()).sum(1)
            bounds.append(bound - 0.5 * known * (squares.nansum(1) / known.clamp(min=1) + 1e-6).log())
        return torch.stack(bounds, dim=1).argmax(1)

    def make_sampler(self, chosen: int | None = None) -> nn.Module:
        """What turns normal noise (N, latent + 1) into codes of the prior, of any class or of the one chosen."""
        return ClassSampler(self.classes, chosen)


class SemiSupervisedAutoencoder(ConditionalAutoencoder):
    """With a classifier, examples (N, ...) to logits (N, classes), which is asked for a class that is not told.

    Kingma et al. 2014, section 2, M2: an example is made of a class and of a code.
    """

    told = False

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, output: nn.Module, classes: int, classifier: nn.Module
    ) -> None:
        super().__init__(encoder, decoder, output, classes)
        self.classifier = classifier

    def guess_labels(self, images: Tensor, words: tuple[slice, ...] = ()) -> Tensor:
        """Examples (N, ...) to the classes (N,) that are the likeliest to the classifier."""
        labels: Tensor = self.classifier(images).argmax(1)
        return labels
