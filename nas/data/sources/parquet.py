"""Tables in Parquet, by pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nas.core.errors import UserError
from nas.data.source import Request, Source, UnsplitData

if TYPE_CHECKING:
    from nas.data.tables import RawColumn


def load_parquet(request: Request) -> UnsplitData:
    """The rows of a file, or of a folder of files, as vectors; see nas.data.tables.make_vectors for what is taken how.

    Raises:
        UserError: pyarrow is not installed, the file cannot be read or has no rows, or its columns cannot be used.
    """
    from nas.data.tables import RawTable, choose_columns, make_vectors

    path = request.find_path()
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise UserError("--dataset", request.name, "pip install pyarrow", why="needs pyarrow") from error
    try:
        file = pyarrow.parquet.ParquetDataset(path)
        names = file.schema.names
        wanted = choose_columns(request.name, names, request.reading)
        table = file.read(columns=[name for name in names if name in wanted])
    except (OSError, pyarrow.ArrowException) as error:
        why = " ".join(str(error).split())[:120]
        raise UserError("--dataset", request.name, "a Parquet file that can be read", why=why) from None
    if not len(table):
        raise UserError("--dataset", request.name, "a table with rows", why="holds no row")
    columns = [read_column(name, table.column(name)) for name in table.column_names]
    return make_vectors(RawTable(request.name, columns, range(1, len(table) + 1)), request.reading)


SOURCE = Source(
    "parquet",
    "a table in Parquet",
    load_parquet,
    argument="PATH",
    takes=("label", "drop", "columns", "group", "factors"),
    details="A file, or a folder of files with the same columns; read by pyarrow. Columns become numbers, and are left "
    "out, as those of table:PATH; nulls are missing values, and booleans are words.",
)


def read_column(name: str, column: Any) -> RawColumn:
    """A pyarrow.ChunkedArray by its type: numbers, texts, booleans or what is no column of a vector."""
    from pyarrow import bool_, float64, large_string, types

    from nas.data.tables import Numbers, Unusable, make_words

    kind = column.type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        numbers = column.cast(float64(), safe=False).to_numpy()
        return Numbers(name, np.array(numbers, dtype=np.float64))
    if types.is_temporal(kind):
        return Unusable(name, "it holds dates or times")
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or kind == bool_()):
        return Unusable(name, f"it holds values of the type {kind}")
    coded = column.cast(large_string()).combine_chunks().dictionary_encode()
    return make_words(name, coded.indices.fill_null(-1).to_numpy(), coded.dictionary.to_pylist())
