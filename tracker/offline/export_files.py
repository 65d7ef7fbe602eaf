"""Writes the rows of a table as JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import json
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TextIO

from tracker.offline.exporting import BOOL, DATE, INT, JSON, TEXT, TIME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tracker.offline.exporting import Row

JSONL, CSV, PARQUET = "jsonl", "csv", "parquet"
FORMATS = (JSONL, CSV, PARQUET)
NO_PARQUET = (
    "writing Parquet needs pyarrow: install swarmlog[parquet], or choose --format csv or jsonl"
)
_MOST = 2**63 - 1
"""The largest number in a Parquet file, because SQL has no use for differences without a sign. No
real number of bytes is larger."""
_GROUP = 100_000  # rows of a group in a Parquet file, which are in memory together


class ExportError(Exception):
    """The rows cannot be written; the text says why and what to do."""


def write_text(out: TextIO, form: str, columns: dict[str, str], rows: Iterable[Row]) -> None:
    """Writes rows as JSON lines or CSV. Raises `OSError`."""
    if form == JSONL:
        out.writelines(f"{_json(dict(zip(columns, row, strict=True)))}\n" for row in rows)
        return
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    kinds = tuple(columns.values())
    writer.writerows(
        [_csv(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in rows
    )


def _csv(value: Any, kind: str) -> Any:
    """Returns a value as CSV has it; "" = none."""
    if value is None:
        return ""
    if kind == BOOL:
        return "true" if value else "false"
    return _json(value) if kind == JSON else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def need_parquet() -> None:
    """Raises `ExportError` where pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401  # only whether it is there
    except ImportError:
        raise ExportError(NO_PARQUET) from None


def write_parquet(path: Path, columns: dict[str, str], rows: Iterable[Row]) -> None:
    """Writes rows into a new Parquet file. Times are timestamps in microseconds, UTC.

    Raises `OSError`.
    """
    import pyarrow as pa
    from pyarrow import parquet

    types = {
        INT: pa.int64(), BOOL: pa.bool_(), TEXT: pa.string(),
        TIME: pa.timestamp("us", tz="UTC"), DATE: pa.date32(), JSON: pa.string(),
    }  # fmt: skip
    kinds = tuple(columns.values())
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in _groups(iter(rows)):
            by_column = zip(*group, strict=True)
            arrays = [
                _array(pa, values, kind, types[kind])
                for values, kind in zip(by_column, kinds, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _groups(rows: Iterator[Row]) -> Iterator[list[Row]]:
    for first in rows:
        yield list(chain((first,), islice(rows, _GROUP - 1)))


def _array(pa: Any, values: tuple[Any, ...], kind: str, to: Any) -> Any:
    if kind in (TIME, DATE):
        return pa.array(values, pa.string()).cast(to)
    if kind == JSON:
        values = tuple(_json(each) for each in values)
    elif kind == INT:
        values = tuple(None if each is None else min(each, _MOST) for each in values)
    return pa.array(values, to)
