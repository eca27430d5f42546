"""Where data comes from: a file for each source, or for several alike, and a line of SOURCES beside its import."""

from __future__ import annotations

from nas.data.source import Source
from nas.data.sources import (
    csv_file,
    digits,
    folder,
    hugging_face,
    npy_file,
    npz_file,
    parquet,
    table,
    torchvision_sets,
    transformations,
    wav,
)

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        digits.SOURCE,
        *torchvision_sets.SOURCES,
        folder.SOURCE,
        csv_file.SOURCE,
        table.SOURCE,
        parquet.SOURCE,
        npz_file.SOURCE,
        npy_file.SOURCE,
        hugging_face.SOURCE,
        wav.SOURCE,
        *transformations.SOURCES,
    )
}
"""Every source by its name, in the order in which they are listed; catalogue, help and loading know them from here."""
