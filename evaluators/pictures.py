"""Pictures of tensors, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def picture_of_rows(rows: Sequence[Tensor], least_side: int = 32) -> bytes:
    """A PNG whose rows are batches of images, (M, C, H, W) in [0, 1] each and all of the same shape.

    Small images are enlarged by a whole factor until their smaller side is at least `least_side` pixels.
    """
    images = torch.stack([row.detach().cpu().float().clamp(0, 1) for row in rows])
    factor = max(1, -(-least_side // min(images.shape[-2:])))
    lines = [
        F.pad(row.repeat_interleave(factor, 2).repeat_interleave(factor, 3), (1, 1, 1, 1), value=0.5) for row in images
    ]
    sheet = torch.cat([torch.cat(list(line), dim=2) for line in lines], dim=1)
    pixels = (sheet * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
