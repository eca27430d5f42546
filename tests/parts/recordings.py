"""Recordings as files."""

import wave
from pathlib import Path

import numpy as np


def write_recording(target, samples, rate=8000):
    """Write samples (C, T) in [-1, 1) as PCM of 16 bits, to a path or a file that is open."""
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        target = str(target)
    with wave.open(target, "wb") as file:
        file.setparams((len(samples), 2, rate, 0, "NONE", ""))
        file.writeframes(np.rint(np.asarray(samples).T * 2**15).astype("<i2").tobytes())
