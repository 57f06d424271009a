"""Spoils March as a broken upstream would, to see it refused: the whole month, two faults.

1. LaGuardia's wind gauge is out: `wind_speed` is missing in all of its flights, 30 % of the rows.
2. Someone switched units: `temp` is in degrees Celsius, not Fahrenheit.

    spanwise data spoiled            or            python data/spoiled.py --to data/spoiled
"""

from __future__ import annotations

import flights
import pyarrow as pa
import pyarrow.compute as pc


def main() -> None:
    """Write the span unless it is there, and say where."""
    flights.lay_out("spoiled", ["2013-03"], spoil, __doc__ or "")


def spoil(table: pa.Table) -> pa.Table:
    """`table` with both faults."""
    without = pc.if_else(pc.equal(table["origin"], "LGA"), None, table["wind_speed"])
    celsius = pc.round(pc.divide(pc.multiply(pc.subtract(table["temp"], 32.0), 5.0), 9.0), 2)
    for name, values in {"wind_speed": without, "temp": celsius}.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table


if __name__ == "__main__":
    main()
