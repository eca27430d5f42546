"""Pictures of images with any number of channels."""

import io

import pytest
import torch
from PIL import Image

from evaluators.pictures import draw_rows, render_gif


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "RGB"), (3, "RGB"), (4, "RGBA"), (6, "RGB")])
def test_any_number_of_channels_is_drawn(channels, mode):
    images = torch.rand(3, channels, 32, 32)
    picture = draw_rows([images, images])
    assert (picture.mode, picture.size) == (mode, (3 * 34, 2 * 34))
    shown = images[0, : min(channels, 4 if channels == 4 else 3), 5, 7]
    found = picture.getpixel((8, 6))
    found = found if isinstance(found, tuple) else (found,)
    assert found == (*(shown * 255).round().int().tolist(), *([0] if channels == 2 else []))


def test_a_film_of_transparent_pictures_stands_on_white():
    frames = [
        draw_rows([torch.tensor([1.0, 0, 0, alpha]).view(1, 4, 1, 1).expand(1, 4, 32, 32)]) for alpha in (1.0, 0.0)
    ]
    with Image.open(io.BytesIO(render_gif(frames))) as film:
        colours = []
        for number in range(2):
            film.seek(number)
            colours.append(film.convert("RGB").getpixel((16, 16)))
    assert colours == [(255, 0, 0), (255, 255, 255)]
