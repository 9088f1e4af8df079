"""Arrays, series and frames come back equal and of the same type, or are refused at once."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dwarf import Flow, StateError
from dwarf.workflow.conditions import parse
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.values import from_json, to_json
from dwarf.workflow.values.items import items_of
from dwarf.workflow.values.meaning import behind

FRAMES = {
    "plain": pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [1.5, float("nan")]}),
    "empty": pd.DataFrame({"a": pd.Series([], dtype="int64")}),
    "typed": pd.DataFrame(
        {
            "when": pd.to_datetime(["2026-01-01", "2026-06-01"]).tz_localize("Europe/Berlin"),
            "kind": pd.Categorical(["x", "y"], categories=["y", "x"], ordered=True),
            "whole": pd.array([1, None], dtype="Int64"),
            "span": pd.to_timedelta([1, 2], unit="s"),
        }
    ),
    "indexed": pd.DataFrame({"v": [1.0, 2.0]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", "n"])),
    "numbered": pd.DataFrame([[1, 2], [3, 4]]),
}
ARRAYS = {
    "ints": np.arange(6, dtype=np.int16).reshape(2, 3),
    "complex": np.array([1 + 2j]),
    "bools": np.zeros((0, 3), dtype=bool),
    "fortran": np.asfortranarray(np.arange(4.0).reshape(2, 2)),
    "scalar": np.array(5),
    "texts": np.array(["a", "bcd"]),
    "nan": np.array([np.nan, np.inf]),
}


def kept(value: Any) -> Any:
    return from_json(loads(dumps(to_json(value))))


@pytest.mark.parametrize("name", FRAMES)
def test_frames(name: str) -> None:
    pd.testing.assert_frame_equal(kept(FRAMES[name]), FRAMES[name], check_freq=False)


@pytest.mark.parametrize("label", [None, "s", 3])
def test_series(label: object) -> None:
    series = pd.Series([1, 2, 3], index=["x", "y", "z"], name=label)
    pd.testing.assert_series_equal(kept(series), series)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name: str) -> None:
    back = kept(ARRAYS[name])
    assert (back.dtype, back.shape) == (ARRAYS[name].dtype, ARRAYS[name].shape)
    np.testing.assert_array_equal(back, ARRAYS[name])


def test_inside_of_other_values() -> None:
    flow = Flow({})
    flow["result"] = {"table": FRAMES["plain"], "parts": [np.arange(3)]}
    pd.testing.assert_frame_equal(flow["result"]["table"], FRAMES["plain"])
    assert flow["result"]["parts"][0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "value",
    [
        pd.DataFrame({"mixed": [1, "x", object()]}),
        np.array([object()]),
        np.ma.masked_array([1, 2], mask=[True, False]),
    ],
    ids=["objects", "array of objects", "masked"],
)
def test_what_would_not_come_back_is_refused_by_name(value: Any) -> None:
    flow = Flow({})
    with pytest.raises(StateError, match="'x"):
        flow["x"] = value
    assert "x" not in flow


IST = dt.timezone(dt.timedelta(hours=5.5), "IST")
ODD_FRAMES = {
    "lists": pd.DataFrame({"l": [[1, 2], [], None]}),
    "mappings": pd.DataFrame({"l": [{"a": 1}, {"b": "x", "c": [dt.date(2026, 1, 1)]}]}),
    "mixed": pd.DataFrame({"m": [1, "a", None, 2.5, float("nan")]}, dtype=object),
    "times": pd.DataFrame({"m": [dt.time(1), None]}),
    "sets": pd.DataFrame({"m": [{1}, (2,)]}),
    "sparse": pd.DataFrame({"s": pd.arrays.SparseArray([0, 0, 1]), "t": pd.arrays.SparseArray([np.nan, 1.0, np.nan])}),
    "names twice": pd.DataFrame([[1, "x", 2.5]], columns=["a", "a", "b"]),
    "names of two types": pd.DataFrame([[1, 2]], columns=[0, "a"]),
    "names that are dates": pd.DataFrame([[1, 2]], columns=pd.Index([dt.date(2026, 1, 1), "x"], name="day")),
    "moments for names": pd.DataFrame([[1, 2]], columns=pd.to_datetime(["2026-01-01", "2026-01-02"])),
    "two levels of names": pd.DataFrame(
        np.arange(4).reshape(2, 2), columns=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["l", None])
    ),
    "frequency": pd.DataFrame({"v": [1, 2, 3]}, index=pd.date_range("2026-01-01", periods=3, freq="ME")),
    "zoned frequency": pd.DataFrame({"v": [1, 2, 3]}, index=pd.date_range("2026-03-28", periods=3, tz="Europe/Berlin")),
    "frequency of durations": pd.DataFrame({"v": [1, 2]}, index=pd.timedelta_range("1h", periods=2, freq="h")),
    "named zone": pd.DataFrame({"t": pd.to_datetime(["2026-01-01", None]).tz_localize(IST), "n": [1, 2]}),
    "named zone of the index": pd.DataFrame({"v": [1]}, index=pd.to_datetime(["2026-01-01"]).tz_localize(IST)),
    "periods": pd.DataFrame(
        {"p": pd.period_range("2026-01", periods=2, freq="M")}, index=pd.period_range("2026-01", periods=2, freq="M")
    ),
    "nothing": pd.DataFrame(),
    "no columns": pd.DataFrame(index=[1, 2]),
    "two odd ones": pd.DataFrame([[[1], {"a": 1}]], columns=["x", "x"]),
}


def test_arrays_in_a_column_keep_their_dimensions() -> None:
    arrays = [np.array([1]), np.array([1, 2]), np.array([[1.5]]), np.array(3), np.array([])]
    for back in (from_json(to_json(pd.DataFrame({"a": arrays})))["a"], from_json(to_json(pd.Series(arrays)))):
        assert [(each.shape, each.dtype, each.tolist()) for each in back] == [
            (each.shape, each.dtype, each.tolist()) for each in arrays
        ]


@pytest.mark.parametrize("name", ODD_FRAMES)
def test_odd_frames_come_back_equal(name: str) -> None:
    frame = ODD_FRAMES[name]
    before = frame.copy()
    back = kept(frame)
    pd.testing.assert_frame_equal(back, frame, check_freq=True)
    pd.testing.assert_frame_equal(frame, before)
    assert list(map(str, back.dtypes)) == list(map(str, frame.dtypes))
    if "zone" in name and isinstance(frame.index, pd.DatetimeIndex):
        assert str(back.index.tz) == str(frame.index.tz)
    for column in range(frame.shape[1]):
        if frame.iloc[:, column].dtype == object:
            assert [type(item) for item in back.iloc[:, column]] == [type(item) for item in frame.iloc[:, column]]


def test_odd_series_come_back_equal() -> None:
    for series in (
        pd.Series([[1], {"a": 2}], name=("a", 1)),
        pd.Series([1, 2], index=pd.date_range("2026-01-01", periods=2), name=dt.date(2026, 1, 1)),
        pd.Series(pd.arrays.SparseArray([0, 1]), name=3),
    ):
        back = kept(series)
        pd.testing.assert_series_equal(back, series, check_freq=True)
        assert type(back.name) is type(series.name)


def test_complex_columns_are_refused_with_advice() -> None:
    with pytest.raises(StateError, match=r"complex.*\.real and \.imag"):
        to_json(pd.DataFrame({"c": [1 + 2j]}))
    with pytest.raises(StateError, match=r"'x\[\"?'?m'?\"?\]\[1\]"):
        to_json(pd.DataFrame({"m": [1, object()]}), field="x")


def _npy(header: str) -> dict[str, Any]:
    text = header.encode().ljust(117) + b"\n"
    return {"$dwarf": "array", "v": base64.b64encode(b"\x93NUMPY\x01\x00\x76\x00" + text).decode()}


@pytest.mark.parametrize(
    "tag",
    [
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000,), }"),
        _npy("{'descr': '|V0', 'fortran_order': False, 'shape': (100000000000,), }"),
        _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"),
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"),
        _npy("{'descr': '<f8', 'fortran_order': False, 'shape': (0, -1), }"),
        _npy("(((((((("),
        _npy("{'descr': "),
        {"$dwarf": "array", "v": base64.b64encode(b"PK\x03\x04" + b"\0" * 40).decode()},
        {"$dwarf": "array", "v": base64.b64encode(b"\x93NUMPY").decode()},
        {"$dwarf": "array", "v": ""},
        {"$dwarf": "array", "v": "no base64"},
        {"$dwarf": "array"},
        {"$dwarf": "array", "v": 5},
        {"$dwarf": "frame", "v": base64.b64encode(b"ARROW1\0\0" + b"\xff" * 64 + b"ARROW1").decode()},
        {"$dwarf": "frame", "v": ""},
        {"$dwarf": "frame", "how": {"json": ["7"]}},
        {"$dwarf": "series", "v": None, "name": 5},
        {"$dwarf": "dataclass", "type": 5, "v": []},
        {"$dwarf": "dataclass"},
        {"$dwarf": "model", "type": "a:b", "v": 3},
        {"$dwarf": "enum", "type": "a:b", "v": {}},
        {"$dwarf": "numpy", "type": "datetime64[999999999999999s]", "v": 10**30},
        {"$dwarf": "numpy", "type": "int8", "v": 10**30},
        {"$dwarf": "decimal", "v": "x"},
        {"$dwarf": "float", "v": "1.5"},
        {"$dwarf": "timedelta", "v": 10**40},
        {"$dwarf": "pandas_timedelta", "v": 10**40},
        {"$dwarf": "pandas_timestamp", "v": "yesterday"},
        {"$dwarf": "pandas_timestamp", "v": "2026-01-01T00:00:00", "unit": "weeks"},
        {"$dwarf": "datetime", "v": "2026-01-01T00:00:00+01:00", "zone": {"a": 1}, "x": 1},
        {"$dwarf": "set", "v": 3},
        {"$dwarf": ["set"], "v": []},
    ],
    ids=lambda tag: dumps(tag)[:60],
)
def test_what_is_broken_comes_back_as_it_is(tag: Any) -> None:
    back = from_json(tag)
    assert back == tag or not isinstance(back, dict)
    assert from_json({"a": [tag]})["a"][0] == tag or not isinstance(back, dict)
    behind(tag)
    assert items_of(tag) is None or isinstance(items_of(tag), list)


def test_a_frame_that_would_become_much_more_than_its_bytes_is_not_read() -> None:
    zeros = pa.table({"x": np.zeros(4_000_000)})
    views = pa.table({"x": pa.array(["x" * 1000] * 2).cast(pa.string_view())})
    encoded = pa.table({"x": pa.RunEndEncodedArray.from_arrays(pa.array([2_000_000_000]), pa.array([1]))})
    inner = pa.FixedSizeListArray.from_arrays(pa.nulls(2_000_000), 2)
    for table, options in (
        (zeros, pa.ipc.IpcWriteOptions(compression="zstd")),
        (zeros.select(["x"]).combine_chunks(), pa.ipc.IpcWriteOptions(compression="lz4")),
        (pa.table({"x": pa.array(["a"] * 9000).dictionary_encode()}), pa.ipc.IpcWriteOptions(compression="zstd")),
        (views, None),
        (encoded, None),
        (pa.table({"x": inner}), None),
    ):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        tag = {"$dwarf": "frame", "v": base64.b64encode(sink.getvalue().to_pybytes()).decode()}
        before = pa.total_allocated_bytes()
        assert from_json(tag) == tag
        assert pa.total_allocated_bytes() - before < 1_000_000


def test_an_array_without_dimensions_is_a_number_to_conditions() -> None:
    for value, meant in ((np.array(0.75), 0.75), (np.array(3), 3), (np.array(True), True), (np.array("x"), "x")):
        assert behind(to_json(value)) == meant
        assert kept(value).shape == ()
        assert parse("v == want").evaluate({"v": to_json(value), "want": meant})


def test_a_truncated_or_changed_frame_never_raises() -> None:
    whole = to_json(FRAMES["typed"])
    data = base64.b64decode(whole["v"])
    for cut in range(0, len(data), 97):
        from_json({**whole, "v": base64.b64encode(data[:cut]).decode()})
        changed = bytearray(data)
        changed[cut] ^= 0xFF
        from_json({**whole, "v": base64.b64encode(bytes(changed)).decode()})


def test_a_frame_is_given_as_it_is_stored_where_pandas_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    form = to_json(FRAMES["plain"])
    monkeypatch.setattr("dwarf.workflow.values.tables.find_spec", lambda name: None)
    assert from_json(form) == form
