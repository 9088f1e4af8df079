"""Arrays, series and frames come back equal and of the same type, or are refused at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dwarf import Flow, StateError
from dwarf.workflow.jsontext import dumps, loads
from dwarf.workflow.values import from_json, to_json

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
        pd.DataFrame({"mixed": [1, "x"]}),
        pd.Series([1], name=("a", "b")),
        np.array([object()]),
        np.ma.masked_array([1, 2], mask=[True, False]),
    ],
    ids=["objects", "mixed", "named by a tuple", "array of objects", "masked"],
)
def test_what_would_not_come_back_is_refused_by_name(value: Any) -> None:
    flow = Flow({})
    with pytest.raises(StateError, match="'x'"):
        flow["x"] = value
    assert "x" not in flow
