"""Data for the tutorial: 600 pictures of coloured shapes, and a table of 2,000 patients, both invented.

python examples/tutorial_data.py
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

from PIL import Image, ImageDraw


def draw_pictures(folder: Path, draw: random.Random) -> None:
    """Draw 300 circles and 300 squares of 32 x 32 pixels, in a folder for each kind."""
    for kind in ("circle", "square"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(300):
            picture = Image.new("RGB", (32, 32), (draw.randrange(60), draw.randrange(60), draw.randrange(60)))
            size, colour = draw.randint(8, 16), (draw.randint(100, 255), draw.randint(100, 255), draw.randint(100, 255))
            left, top = draw.randint(0, 31 - size), draw.randint(0, 31 - size)
            canvas = ImageDraw.Draw(picture)
            shape = canvas.ellipse if kind == "circle" else canvas.rectangle
            shape((left, top, left + size, top + size), fill=colour)
            picture.save(folder / kind / f"{number:03}.png")


def write_patients(path: Path, draw: random.Random) -> None:
    """Write rows whose columns depend on each other; some weights are missing."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "age", "height", "weight", "pressure", "smoker", "diagnosis"])
        for number in range(2000):
            age, height = draw.randint(18, 90), draw.gauss(170, 10)
            weight, smoker = 0.9 * (height - 100) + draw.gauss(0, 8), draw.random() < 0.3
            pressure = 90 + 0.4 * age + 0.3 * (weight - 60) + 8 * smoker + draw.gauss(0, 5)
            told = round(weight, 1) if draw.random() > 0.02 else ""
            words = ("yes" if smoker else "no", "high" if pressure > 130 else "normal")
            table.writerow([number, age, round(height), told, round(pressure), *words])


if __name__ == "__main__":
    draw_pictures(Path("pictures"), random.Random(0))  # noqa: S311
    write_patients(Path("patients.csv"), random.Random(0))  # noqa: S311
