"""The tutorial's data are read as the tutorial says."""

import random

from examples.tutorial_data import draw_pictures, write_patients
from nas.data.loading import load_data


def test_pictures_and_table_are_read(tmp_path):
    draw_pictures(tmp_path / "pictures", random.Random(0))
    write_patients(tmp_path / "patients.csv", random.Random(0))
    pictures = load_data(f"folder:{tmp_path / 'pictures'}")
    assert (pictures.shape, len(pictures.train), len(pictures.test)) == ((3, 32, 32), 408, 120)
    table = load_data(f"csv:{tmp_path / 'patients.csv'}", label="diagnosis")
    assert (table.shape, len(table.train), len(table.test)) == ((6,), 1360, 400)
    assert table.test.labels.unique().tolist() == [0, 1]
