"""How the weights of a network are set anew, and the spectral normalisation that begins with them."""

from __future__ import annotations

from torch import nn

from search_spaces.operations.modules import SpectralNorm


def initialise_weights(module: nn.Module, name: str) -> None:
    """Set weights anew, in place: ``dcgan``, ``orthogonal``, ``xavier``, or as torch has made them, ``default``.

    ``dcgan`` is Radford et al. 2016, section 4: all weights N(0, 0.02), and as in their code scales of normalisations
    N(1, 0.02). Layers with a start of their own, a mapping network's or a condition's, keep it.
    """
    if name == "default":
        return
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            match name:
                case "dcgan":
                    nn.init.normal_(layer.weight, 0.0, 0.02)
                case "orthogonal":
                    nn.init.orthogonal_(layer.weight)
                case "xavier":
                    nn.init.xavier_uniform_(layer.weight)
                case _:
                    raise KeyError(name)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif name == "dcgan" and isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)


def apply_spectral_norm(module: nn.Module) -> nn.Module:
    """The module with spectral normalisation around each convolution, linear layer and embedding, as SN-GAN has it."""
    if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
        return SpectralNorm(module)
    for name, child in module.named_children():
        setattr(module, name, apply_spectral_norm(child))
    return module
