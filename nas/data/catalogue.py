"""Which data sets there are. Nothing heavy is imported, so that listing them is quick."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nas.core.errors import unknown_name

SIZE_RULE = (
    "Size: images keep their size unless --image-size S is given, the pictures of a folder differ in size or have "
    "a side above 64 (then S is 64), or the set is celeba (64). A picture is then scaled by one factor, bilinear "
    "and antialiased, so that it covers S x S, and cropped at its centre."
)
SPLIT_RULE = (
    "Split, once and by the run's seed: the test part is the set's own, else a fifth of the images (at most "
    "10,000); validation is 15% of the rest (at most 5,000, and at most a quarter of --train-size); training is "
    "what remains, or --train-size of it. The search never sees the test part."
)


@dataclass(frozen=True)
class Entry:
    """A data set of torchvision: its class there, and where its files belong when there is no network."""

    name: str
    about: str
    torchvision: str
    files: str


TORCHVISION = {
    entry.name: entry
    for entry in (
        Entry("mnist", "70,000 handwritten digits, 28x28 grey, 10 classes", "MNIST",
              "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
              "t10k-labels-idx1-ubyte.gz into MNIST/raw"),
        Entry("fashion-mnist", "70,000 pictures of clothes, 28x28 grey, 10 classes", "FashionMNIST",
              "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
              "t10k-labels-idx1-ubyte.gz into FashionMNIST/raw"),
        Entry("kmnist", "70,000 Japanese cursive letters, 28x28 grey, 10 classes", "KMNIST",
              "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
              "t10k-labels-idx1-ubyte.gz into KMNIST/raw"),
        Entry("cifar10", "60,000 photographs, 32x32 colour, 10 classes", "CIFAR10", "cifar-10-python.tar.gz"),
        Entry("cifar100", "60,000 photographs, 32x32 colour, 100 classes", "CIFAR100", "cifar-100-python.tar.gz"),
        Entry("svhn", "99,289 house numbers, 32x32 colour, 10 classes", "SVHN",
              "train_32x32.mat and test_32x32.mat"),
        Entry("stl10", "13,000 labelled photographs, 96x96 colour, 10 classes", "STL10", "stl10_binary.tar.gz"),
        Entry("celeba", "202,599 faces, resized to 64x64 colour, no classes", "CelebA",
              "img_align_celeba.zip, list_attr_celeba.txt, identity_CelebA.txt, list_bbox_celeba.txt, "
              "list_landmarks_align_celeba.txt and list_eval_partition.txt into celeba"),
    )
}  # fmt: skip

TRANSFORMED = {
    "inverted": "what is dark is bright",
    "rotated": "turned counter-clockwise by 90 degrees",
    "edges": "the edges alone, by Sobel's filter",
}
"""What a data set becomes with this word before its name, for spaces that translate between two sets."""

_OWN = {
    "digits": "1,797 handwritten digits, 8x8 grey, 10 classes, shipped with scikit-learn: needs no download",
    "folder:PATH": "pictures in a folder, with or without a subfolder for each class",
    "csv:PATH": "a row an image, label first and then its pixels, as MNIST is spread in CSV",
    "npz:PATH": "a NumPy archive with x_train and, if you have them, y_train, x_test, y_test",
    **{f"{word}:NAME": f"another data set, {about}" for word, about in TRANSFORMED.items()},
}
_DETAILS = {
    "folder:PATH": "Reads png, jpg, jpeg, bmp, gif, webp, tif, tiff, ppm and pgm, in the order of their paths. If "
    "every picture lies in a subfolder, the subfolders are the classes. Grey if every picture is grey, else RGB; "
    "transparency is laid on black. A corrupt picture is skipped and counted, or refused with --strict.",
    "csv:PATH": "A first line of names is passed over. Labels are whole numbers or words. The pixels are all in "
    "[0, 255] or all in [0, 1]; there are n*n of them (grey), or 3*n*n (colour; row by row, each pixel's red, "
    "green and blue together).",
    "npz:PATH": "x_train and x_test are (N, H, W) or (N, H, W, C) with C 1 or 3: uint8, or floats in [0, 1]; "
    "y_train and y_test are N whole numbers. Nothing in the file is unpickled.",
} | dict.fromkeys(
    (f"{word}:NAME" for word in TRANSFORMED),
    "A domain to translate to: --space cyclegan --dataset NAME --dataset-b edges:NAME. Images are sized first. Where "
    "both domains are made of one set, A has every second image and B the others, so that no image is in both.",
)


def data_set_names() -> dict[str, str]:
    """Every data set or pattern of one, with a line that says what it is."""
    return {"digits": _OWN["digits"]} | {e.name: e.about for e in TORCHVISION.values()} | _OWN


def describe_data_set(name: str) -> str:
    """A paragraph about one data set.

    Raises:
        UserError: there is none of this name.
    """
    known = data_set_names()
    kind = name.partition(":")[0]
    key = next((k for k in known if k == name or (":" in k and k.partition(":")[0] == kind)), None)
    if key is None:
        raise unknown_name("NAME", name, known)
    lines = [f"{key}: {known[key]}."]
    if key in TORCHVISION:
        lines.append(
            f"Downloaded by torchvision, once, into {data_directory(None)} (--data-dir or NAS_DATA_DIR changes "
            f"that). Without a network, put {TORCHVISION[key].files} there."
        )
    elif key in _DETAILS:
        lines.append(_DETAILS[key])
    return "\n".join([*lines, SPLIT_RULE, SIZE_RULE])


def without_transformation(name: str) -> str:
    """What a data set is made of: ``digits`` for ``inverted:digits``."""
    word, _, rest = name.partition(":")
    return without_transformation(rest) if word in TRANSFORMED else name


def shown_name(name: str) -> str:
    """A data set's name for a reader: of a path its last part alone."""
    kind, colon, rest = name.partition(":")
    if kind in TRANSFORMED:
        return f"{kind}:{shown_name(rest)}"
    return f"{kind}:{Path(rest).name}" if colon else kind


def absolute_name(name: str) -> str:
    """A data set's name, with a path that holds from everywhere."""
    kind, colon, rest = name.partition(":")
    if kind in TRANSFORMED:
        return f"{kind}:{absolute_name(rest)}"
    return f"{kind}:{Path(rest).expanduser().absolute()}" if colon and kind in ("folder", "csv", "npz") else name


def data_directory(given: Path | None) -> Path:
    """Where downloads are kept: as given, else NAS_DATA_DIR, else the user's cache."""
    if given is not None:
        return given
    if own := os.environ.get("NAS_DATA_DIR"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas" / "data"
