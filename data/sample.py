"""Thins four monthly spans of flights to about 1,000 rows each, for tests and first tries.

A row is kept by a hash of its key, so that every day, airline and airport stays in its proportion and the same rows
are chosen on every machine.

    spanwise data sample             or            python data/sample.py --to data/sample
"""

from __future__ import annotations

import hashlib

import flights
import pyarrow as pa

SPANS = flights.SPANS[4:8]
KEEP_ONE_IN = 28


def main() -> None:
    """Write the spans that are not there yet, and say what is where."""
    flights.lay_out("sample", SPANS, thin, __doc__ or "")


def thin(table: pa.Table) -> pa.Table:
    """The rows of `table` whose key's hash says so."""
    keys = zip(*(table[name].to_pylist() for name in ("date", "carrier", "flight", "origin")), strict=True)
    return table.filter(pa.array([_hash(key) % KEEP_ONE_IN == 0 for key in keys]))


def _hash(key: tuple[object, ...]) -> int:
    return int.from_bytes(hashlib.sha256("|".join(map(str, key)).encode()).digest()[:8], "big")


if __name__ == "__main__":
    main()
