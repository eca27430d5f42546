"""Operations that cells are not offered by default: one that is there, and one of one's own.

python examples/own_operation.py
nas search --space examples.own_operation:WideAutoencoders --restrict network=convolutional --trials 10
"""

from __future__ import annotations

import nas
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.operations.names import OPERATIONS, Operation

OPERATIONS["conv_7x7"] = Operation("convolution", 7)


class WideAutoencoders(AutoencoderSpace):
    """Autoencoders whose cells may look further; the space has a name of its own, as it has other genotypes."""

    name = "wide-autoencoders"
    more_operations = ("conv_7x7", "separable_7x7")


if __name__ == "__main__":
    pins = {"network": "convolutional", "cells": "edge", "encoder_cell.node1.operation0": "conv_7x7"}
    run = nas.search(space=WideAutoencoders, trials=3, epochs=1, pin=pins)
    print(run.best.description)
