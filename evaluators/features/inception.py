"""torchvision's Inception v3 as a feature extractor for photographs."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.errors import UserError

_SIDE = 299
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


class InceptionFeatures(nn.Module):
    """Maps images of any size in [0, 1] to the 2,048 features before the last layer.

    They are grey, colour, or colour with alpha, which is laid on white; two channels are red and green.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to features (N, 2048)."""
        channels = images.shape[1]
        if channels == 4:
            images = images[:, :3] * images[:, 3:] + (1 - images[:, 3:])
        elif channels == 2:
            images = F.pad(images, (0, 0, 0, 0, 0, 1))
        size = (_SIDE, _SIDE)
        large = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        features: Tensor = self.network((large.expand(-1, 3, -1, -1) - self.mean) / self.deviation)
        return features


def load_inception() -> InceptionFeatures:
    """Load the network in evaluation mode, with weights from torch hub's cache, or download them into it.

    Raises:
        UserError: the weights are not cached and cannot be downloaded, or the file is damaged.
    """
    from torchvision.models import Inception_V3_Weights, inception_v3

    weights = Inception_V3_Weights.IMAGENET1K_V1
    file = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]
    with torch.random.fork_rng(devices=[]):
        network = inception_v3(weights=None, init_weights=False, aux_logits=True, transform_input=False)
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
        network.load_state_dict(state)
    except Exception as error:  # a damaged file raises whatever its bytes happen to mean
        why = f"its weights cannot be downloaded or read ({' '.join(str(error).split())[:120] or type(error).__name__})"
        allowed = f"auto, classifier, self_supervised; or put {file.name} in {file.parent}"
        raise UserError("--features", "inception", allowed, why=why) from error
    network.fc = nn.Identity()
    network.AuxLogits = None
    return InceptionFeatures(network).eval().requires_grad_(False)
