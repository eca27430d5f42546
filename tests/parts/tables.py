"""Tables as files, of rows of cells."""

import csv
import gzip


def write_table(path, names, rows, separator=",", **how):
    """Write a table by the csv module, and give the name of the data set that it is."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, **how)
        writer.writerow(names)
        writer.writerows(rows)
    return f"table:{path}"
