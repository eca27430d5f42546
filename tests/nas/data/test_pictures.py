"""Picture files as they are shown: upright, at the depth they use, and on the ground that lies under them."""

import io

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nas.core.errors import UserError
from nas.core.picture_rule import PictureRule
from nas.data.loading import load_data
from nas.data.pictures import read_header, read_pixels
from nas.data.values import count_bits
from tests.parts.data import one_line

ORIENTATION = 0x0112


def save_turned(path, pixels, orientation, kind="PNG"):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, kind, exif=exif)


def everything(data):
    return torch.cat([data.train.examples, data.validation.examples, data.test.examples])


TURNS = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose,
    6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).T, 8: np.rot90,
}  # fmt: skip


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_a_picture_is_read_upright(orientation, kind, tmp_path):
    pixels = np.zeros((8, 12), np.uint8)
    pixels[:4, :4] = 200
    for i in range(11):
        save_turned(tmp_path / f"{i}.{kind.lower()}", pixels, orientation, kind)
    data = load_data(f"folder:{tmp_path}")
    upright = TURNS[orientation](pixels)
    assert data.shape == (1, *upright.shape)
    assert data.notes == ()  # of one size, so nothing is cropped
    assert np.abs(data.train.examples[0, 0].numpy().astype(int) - upright).max() <= 20  # JPEG is not exact


def test_pictures_that_lie_and_that_stand_are_of_one_size_when_they_are_upright(tmp_path):
    lying, standing = np.zeros((6, 9), np.uint8), np.zeros((9, 6), np.uint8)
    for i in range(6):
        save_turned(tmp_path / f"lying{i}.png", lying, 6)
        Image.fromarray(standing).save(tmp_path / f"standing{i}.png")
    assert load_data(f"folder:{tmp_path}").shape == (1, 9, 6)


@pytest.mark.parametrize(
    ("largest", "bits"),
    [
        (1, 8),
        (255, 8),
        (256, 10),
        (1023, 10),
        (1024, 12),
        (4095, 12),
        (16383, 14),
        (16384, 16),
        (65535, 16),
        (2**20, 21),
    ],
)
def test_the_bits_that_a_value_needs(largest, bits):
    assert count_bits(largest) == bits


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_pictures_are_scaled_by_the_bits_that_the_whole_set_uses(bits, tmp_path):
    for i in range(11):  # only the last one comes near to what the bits can hold
        value = 2**bits - 1 if i == 10 else i * 2 ** (bits - 5)
        Image.fromarray(np.full((6, 6), value, np.uint16)).save(tmp_path / f"{i:02}.png")
    data = load_data(f"folder:{tmp_path}")
    assert everything(data).unique().tolist() == [8 * i for i in range(10)] + [255]
    assert data.notes == (f"deep pictures hold values up to {2**bits - 1}: read as {bits} bits, the upper 8 are kept",)
    assert data.pictures.bits == bits


def test_pictures_of_zeros_and_ones_are_black_and_white(tmp_path):
    for i in range(11):
        Image.fromarray(np.eye(6, dtype=np.uint8) * (i % 2)).save(tmp_path / f"{i}.png")
    data = load_data(f"folder:{tmp_path}")
    assert everything(data).unique().tolist() == [0, 255]
    assert data.notes == ("pictures hold only 0 and 1: read as black and white",)
    assert data.pictures.binary


@pytest.fixture
def cut_out(tmp_path):
    """Red over a hidden green, half of it seen through."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4] = (200, 0, 0, 255)
    pixels[4:] = (0, 90, 0, 0)
    pixels[3] = (200, 0, 0, 51)
    for i in range(11):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return f"folder:{tmp_path}"


@pytest.mark.parametrize(
    ("background", "ground"), [("white", (255, 255, 255)), ("black", (0, 0, 0)), ("#0a141e", (10, 20, 30))]
)
def test_what_is_transparent_shows_the_background(cut_out, background, ground):
    data = load_data(cut_out, background=background)
    image = data.train.examples[0]
    assert image[:, 0, 0].tolist() == [200, 0, 0]
    assert image[:, 7, 7].tolist() == list(ground)
    assert image[0, 3, 0] == pytest.approx(0.2 * 200 + 0.8 * ground[0], abs=1)
    said = f"laid on {background} (--background is another, --channels RGBA keeps them)"
    assert data.notes == (f"11 pictures have transparent parts, {said}",)
    assert data.pictures == PictureRule(ground)


def test_alpha_is_kept_where_it_is_asked_for_and_hides_what_is_under_it(cut_out):
    data = load_data(cut_out, channels="RGBA")
    image = data.train.examples[0]
    assert (data.shape, data.notes) == ((4, 8, 8), ())
    assert image[:, 3, 0].tolist() == [200, 0, 0, 51]
    assert image[:, 7, 7].tolist() == [255, 255, 255, 0]  # not the green
    small = load_data(cut_out, channels="RGBA", image_size=4)
    assert small.train.examples[0, :3, 3].flatten(1).unique(dim=1).tolist() == [[255], [255], [255]]


def test_channels_are_those_that_are_asked_for(cut_out):
    assert load_data(cut_out, channels="L").shape == (1, 8, 8)
    assert load_data(cut_out, channels="RGB").shape == (3, 8, 8)
    digits = load_data("digits", channels="RGBA")
    assert digits.shape == (4, 8, 8)
    assert digits.train.examples[:, 3].unique().tolist() == [255]
    assert digits.notes == ("images have 4 channels instead of 1",)


def test_grey_pictures_take_the_colour_of_their_background(tmp_path):
    for i in range(11):
        Image.fromarray(np.full((6, 6, 2), (50, 0), np.uint8), "LA").save(tmp_path / f"{i}.png")
    name = f"folder:{tmp_path}"
    assert load_data(name).shape == (1, 6, 6)
    assert load_data(name, background="#ff0000").train.examples[0, :, 0, 0].tolist() == [255, 0, 0]


def test_opaque_pictures_with_alpha_are_not_said_to_be_transparent(tmp_path):
    for i in range(11):
        Image.new("RGBA", (6, 6), (1, 2, 3, 255)).save(tmp_path / f"{i}.png")
    assert load_data(f"folder:{tmp_path}").notes == ()


@pytest.mark.parametrize(("size", "shape"), [("4x10", (4, 10)), ((10, 4), (10, 4)), (512, (512, 512)), ("6x6", (6, 6))])
def test_pictures_are_sized_to_any_rectangle(size, shape, tmp_path):
    pixels = np.zeros((20, 20), np.uint8)
    pixels[9:11, 9:11] = 255  # the centre stays in the centre
    for i in range(11):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    data = load_data(f"folder:{tmp_path}", image_size=size)
    assert data.shape == (1, *shape)
    image = data.train.examples[0, 0].float()
    assert torch.allclose(image, image.flip(0, 1), atol=2)
    assert image.max() == image[shape[0] // 2, shape[1] // 2] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": "8x"}, "--image-size '8x'.*allowed: a side from 4 to 1024, or HEIGHTxWIDTH"),
        ({"image_size": 2000}, "--image-size 2000"),
        ({"image_size": "8x3"}, "--image-size '8x3'"),
        ({"background": "mauve"}, "--background 'mauve'.*allowed: white, black or #rrggbb"),
        ({"channels": "CMYK"}, "--channels 'CMYK'.*allowed: auto, L, RGB, RGBA"),
        ({"image_shape": "28x28"}, "--image-shape '28x28': digits holds no images in rows.*csv:PATH"),
        ({"label": "last"}, "--label 'last': digits is no table; allowed: tables.*or rows of pixels in csv:PATH"),
    ],
)
def test_options_of_reading_are_refused_in_one_line(options, message):
    with pytest.raises(UserError, match=message) as error:
        load_data("digits", **options)
    one_line(error)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"]),
    wanted=st.sampled_from(["L", "RGB", "RGBA"]),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    orientation=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_any_picture_has_the_channels_and_the_size_that_its_header_says(
    tmp_path, mode, wanted, height, width, orientation, seed
):
    generator = np.random.default_rng(seed)
    if mode == "F":
        picture = Image.fromarray(generator.random((height, width), dtype=np.float32))
    elif mode.startswith("I"):
        picture = Image.fromarray(
            generator.integers(0, 65536, (height, width)).astype({"I": np.int32}.get(mode, np.uint16))
        )
    else:
        picture = Image.fromarray(generator.integers(0, 256, (height, width, 4), dtype=np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture.save(tmp_path / "x.tif", exif=exif)
    header = read_header(tmp_path / "x.tif", 64)
    pixels, transparent = read_pixels(tmp_path / "x.tif", wanted, PictureRule(), None)
    assert header.size == ((width, height) if 5 <= orientation <= 8 else (height, width))
    assert pixels.shape == ({"L": 1, "RGB": 3, "RGBA": 4}[wanted], *header.size)
    assert pixels.dtype == np.uint8
    assert header.alpha or not transparent


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow says that it is damaged
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 200), value=st.integers(0, 255), kind=st.sampled_from(["PNG", "JPEG", "TIFF"]))
def test_damaged_exif_is_read_or_counted_and_never_raises(tmp_path, place, value, kind):
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[0x010E] = "described"
    Image.fromarray(np.zeros((5, 9), np.uint8)).save(buffer, kind, exif=exif)
    content = bytearray(buffer.getvalue())
    content[place % len(content)] = value
    path = tmp_path / f"x.{kind.lower()}"
    path.write_bytes(bytes(content))
    header = read_header(path, 64)
    read = read_pixels(path, "L", PictureRule(), (8, 8))
    assert header is None or header.size[0] > 0
    assert read is None or read[0].shape == (1, 8, 8)
