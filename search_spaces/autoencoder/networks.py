"""The networks of autoencoders, for each kind of example: what is decided, and in what words."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.core.space import Shape
from search_spaces.cells.encodings import ENCODINGS
from search_spaces.choices import Asker
from search_spaces.operations.names import (
    ACTIVATIONS,
    DOWN_SAMPLINGS,
    LAYER_ACTIVATIONS,
    UP_SAMPLINGS,
    VECTOR_NORMALISATIONS,
)

# powers of two, and the sizes of MNIST's and CIFAR's images: an exactly complete code
LATENT = (2, 4, 8, 16, 32, 64, 128, 256, 512, 784, 1024, 2048, 3072, 4096)
STAGES = (1, 2, 3, 4)
WIDTHS = (8, 16, 24, 32, 48, 64)
HIDDEN_WIDTHS = (64, 128, 256, 512, 1024)
PUBLISHED_LATENT = 50
"""Of Burda et al. 2016, as are layers of 200: so that their models are points of the space."""
_PUBLISHED_WIDTH = 200
STATE_WIDTHS = (16, 32, 64, 128, 256)
FRAMES = (1, 2, 4, 8, 16)
_USUAL_LATENT = 32
_USUAL_COMPRESSION = 4  # values of an example for one of its usual code

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Network:
    """How the networks for one kind of example are decided.

    Attributes:
        decide: asks for the decisions as a version of the space does; the last argument are the operations that cells
            may hold besides the usual ones.
        describe: says in a few phrases what was decided.
        bounded: values lie in [0, 1], so that reconstructions may be probabilities.
    """

    decide: Callable[[Asker, int, tuple[str, ...]], None]
    describe: Callable[[Content], list[str]]
    bounded: bool


def list_latents(shape: Shape | None, version: int) -> tuple[int, ...]:
    """The sizes of codes: from 1 to twice the values of an example, half an octave apart, its number among them.

    So under-, exactly and overcomplete ones are always there. Of examples whose shape is not known, and before version
    4 of the space, they are those of `LATENT`. Since version 6 there is that of a paper as well.
    """
    published = {PUBLISHED_LATENT} if version >= 6 else set()
    if shape is None or version < 4:
        return tuple(sorted({*LATENT, *published}))
    values = math.prod(shape)
    powers = [2**power for power in range(values.bit_length() + 1)]
    grid = {1, values, 2 * values, *powers, *(3 * power // 2 for power in powers[1:]), *published}
    return tuple(sorted(size for size in grid if size <= 2 * values))


def choose_usual_latent(latents: tuple[int, ...], shape: Shape | None) -> int:
    """The largest usual size of a code that compresses an example by 4 and more, and is 32 at most."""
    most = _USUAL_LATENT if shape is None else min(_USUAL_LATENT, max(1, math.prod(shape) // _USUAL_COMPRESSION))
    return max((size for size in latents if size <= most), default=latents[0])


def _decide_images(ask: Asker, version: int, more_operations: tuple[str, ...]) -> None:
    network = ask.structure("network", ("convolutional", "fully_connected"), usual="convolutional")
    ask.structure("stages", STAGES, ordered=True, usual=2)
    _decide_activation(ask, version, layers=network == "fully_connected")
    mirrored = ask.structure("decoder", ("mirrored", "searched"), usual="mirrored") == "mirrored"
    if network == "fully_connected":
        _decide_layers(ask, version, mirrored)
    else:
        _decide_stages(ask, version, mirrored, more_operations)


def _decide_activation(ask: Asker, version: int, layers: bool) -> None:
    """Ask for normalisation and activation; that of fully connected layers is a decision of its own, with more values.

    A site has the same values wherever it arises.
    """
    ask.structure("normalisation", VECTOR_NORMALISATIONS, usual="batch")
    if layers and version >= 6:
        ask.structure("hidden_activation", tuple(LAYER_ACTIVATIONS), usual="silu")
    else:
        ask.structure("activation", ACTIVATIONS, usual="silu")


def _list_widths(version: int) -> tuple[int, ...]:
    return HIDDEN_WIDTHS if version < 6 else tuple(sorted((*HIDDEN_WIDTHS, _PUBLISHED_WIDTH)))


def _decide_layers(ask: Asker, version: int, mirrored: bool) -> None:
    widths = _list_widths(version)
    ask.structure("hidden_width", widths, ordered=True, usual=512)
    if not mirrored:
        ask.structure("decoder_hidden_width", widths, ordered=True, usual=512)
        ask.structure("decoder_stages", STAGES, ordered=True, usual=2)


def _decide_stages(ask: Asker, version: int, mirrored: bool, more_operations: tuple[str, ...]) -> None:
    width = 32 if version < 4 else 24
    ask.structure("width", WIDTHS, ordered=True, usual=width)
    ask.structure("width_growth", (1.0, 1.5, 2.0), ordered=True, usual=2.0)
    ask.structure("down_sampling", DOWN_SAMPLINGS, usual="strided_convolution")
    ask.structure("up_sampling", UP_SAMPLINGS, usual="transposed_convolution")
    ask.structure("head", ("direct", "convolution"), usual="direct" if version < 4 else "convolution")
    cells = ENCODINGS[ask.structure("cells", tuple(ENCODINGS), usual="edge")]
    cells.decide(ask.within("encoder_cell"), more_operations)
    if not mirrored:
        ask.structure("decoder_width", WIDTHS, ordered=True, usual=width)
        cells.decide(ask.within("decoder_cell"), more_operations)


def _describe_images(content: Content) -> list[str]:
    return (_describe_layers if content["network"] == "fully_connected" else _describe_stages)(content)


def _describe_stages(content: Content) -> list[str]:
    growth = f" x{content['width_growth']:g} a stage" if content["width_growth"] != 1 else ""
    parts = [f"{content['stages']} stages of width {content['width']}{growth}"]
    parts.append(f"{content['down_sampling']} down, {content['up_sampling']} up".replace("_", " "))
    describe_cell = ENCODINGS[content["cells"]].describe
    encoding = "" if content["cells"] == "edge" else f"{content['cells']} "
    parts.append(f"{encoding}cell {describe_cell(content, 'encoder_cell')}")
    if content["decoder"] == "searched":
        cell = describe_cell(content, "decoder_cell")
        parts.append(f"decoder of width {content['decoder_width']}, cell {cell}")
    return parts


def _decide_vectors(ask: Asker, version: int, more_operations: tuple[str, ...]) -> None:
    """Ask for fully connected layers, plain, residual or gated; without any the autoencoder is linear."""
    widths = (16, 32, *_list_widths(version))
    stages = ask.structure("stages", (0, *STAGES), ordered=True, usual=2)
    mirrored = ask.structure("decoder", ("mirrored", "searched"), usual="mirrored") == "mirrored"
    layers = stages
    if not mirrored:
        layers += ask.structure("decoder_stages", (0, *STAGES), ordered=True, usual=2)
    if not layers:
        return
    ask.structure("network", ("fully_connected", "residual", "gated"), usual="residual")
    _decide_activation(ask, version, layers=True)
    ask.structure("hidden_width", widths, ordered=True, usual=512)
    ask.hyperparameter("dropout", (0.0, 0.05, 0.1, 0.2, 0.4), ordered=True, usual=0.0)
    if not mirrored:
        ask.structure("decoder_hidden_width", widths, ordered=True, usual=512)


def _decide_sequences(ask: Asker, version: int, more_operations: tuple[str, ...], steps: int) -> None:
    """Ask for what images have, of one dimension, or for recurrent layers."""
    kinds = ("convolutional", "recurrent", "fully_connected")
    network = ask.structure("network", kinds, usual="convolutional")
    mirrored = ask.structure("decoder", ("mirrored", "searched"), usual="mirrored") == "mirrored"
    if network == "recurrent":
        frames = tuple(size for size in FRAMES if size == 1 or size <= steps // 4)
        ask.structure("recurrent_layer", ("gru", "lstm"), usual="gru")
        ask.structure("frame", frames, ordered=True, usual=min(8, frames[-1]))
        for prefix in ("",) if mirrored else ("", "decoder_"):
            ask.structure(f"{prefix}layers", (1, 2, 3), ordered=True, usual=1)
            ask.structure(f"{prefix}state_width", STATE_WIDTHS, ordered=True, usual=64)
        return
    ask.structure("stages", STAGES, ordered=True, usual=3)
    _decide_activation(ask, version, layers=network == "fully_connected")
    if network == "fully_connected":
        _decide_layers(ask, version, mirrored)
    else:
        _decide_stages(ask, version, mirrored, more_operations)


def _describe_sequences(content: Content) -> list[str]:
    if content["network"] != "recurrent":
        return _describe_images(content)

    def describe_half(prefix: str) -> str:
        layers = content[f"{prefix}layers"]
        return f"{layers} layer{'s' if layers > 1 else ''} of {content[f'{prefix}state_width']}"

    frame = content["frame"]
    parts = [f"{content['recurrent_layer'].upper()}, {describe_half('')}"]
    parts.append(f"{frame} step{'s' if frame > 1 else ''} a frame")
    return parts if content["decoder"] == "mirrored" else [*parts, f"decoder {describe_half('decoder_')}"]


def _describe_layers(content: Content) -> list[str]:
    stages = content["stages"]
    parts = [f"{stages} hidden layers of {content['hidden_width']}" if stages else "no hidden layer"]
    if content["decoder"] == "searched":
        decoder = content["decoder_stages"]
        parts.append(f"decoder {decoder} of {content['decoder_hidden_width']}" if decoder else "decoder linear")
    return parts


def _describe_vectors(content: Content) -> list[str]:
    if "network" not in content:
        return ["linear"]
    dropout = content["dropout"]
    return _describe_layers(content) + ([f"dropout {dropout:g}"] if dropout else [])


IMAGES = Network(_decide_images, _describe_images, bounded=True)
_BY_DIMENSIONS = {1: Network(_decide_vectors, _describe_vectors, bounded=False), 3: IMAGES}


def find_network(shape: Shape | None) -> Network:
    """Find the networks for examples of a shape; of images where it is not known."""
    if shape is not None and len(shape) == 2:
        decide = functools.partial(_decide_sequences, steps=shape[1])
        return Network(decide, _describe_sequences, bounded=False)
    return IMAGES if shape is None else _BY_DIMENSIONS[len(shape)]


def name_activation(content: Content) -> str:
    """Name the activation of a network's layers, however it was asked for; there must be one."""
    return str(content.get("hidden_activation") or content["activation"])


def describe_completeness(latent: int, shape: Shape) -> str:
    """What a code of this size is to an example of this shape."""
    values = math.prod(shape)
    if latent == values:
        return "exactly complete"
    return "undercomplete" if latent < values else "overcomplete"
