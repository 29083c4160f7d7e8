"""Households and records of rows as whole numbers: the same as comparing the texts, only faster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import given
from hypothesis import strategies as st

import riskml as rk
from riskml.tables import keys
from riskml.tables.contract import TABLES

REGISTERED = ["", "a", "ab", "b", "户一", "户二"]
IDS = st.lists(st.sampled_from([*REGISTERED, "c", "户"]), max_size=30)
DAYS = st.integers(-25_567, 84_370)


@given(IDS)
def test_positions_are_those_of_the_ids_in_the_list(ids: list[str]) -> None:
    found = keys.household_positions(pd.Series(ids, dtype=str), pd.Index(REGISTERED, dtype=str))
    assert found.tolist() == [REGISTERED.index(name) if name in REGISTERED else -1 for name in ids]


def bills(rows: list[tuple[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["household_id", "record_id"], dtype=str)


@pytest.mark.parametrize("alike", [False, True], ids=["as they are", "all fingerprints alike"])
@pytest.mark.parametrize("seed", range(20))
def test_repeated_rows_are_those_whose_whole_key_is_repeated(
    seed: int, alike: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if alike:  # what shares a fingerprint is still compared in full
        monkeypatch.setattr(keys, "_fingerprints", lambda table, frame: np.zeros(len(frame), dtype=np.uint64))
    rng = np.random.default_rng(seed)
    frame = bills([(rng.choice(REGISTERED[1:]), f"r{rng.integers(8)}") for _ in range(rng.integers(40))])
    found = keys.row_keys(TABLES["medical"], frame, pd.Index(REGISTERED[1:], dtype=str))
    assert found.repeated.tolist() == np.flatnonzero(frame.duplicated(keep=False)).tolist()


def test_keys_that_join_to_the_same_text_are_two() -> None:
    frame = pd.DataFrame({"household_id": "", "area_id": ["5", "51"], "record_id": ["12", "2"]}, dtype=str)
    assert not len(keys.row_keys(TABLES["disasters"], frame, pd.Index(["a"], dtype=str)).repeated)


@given(st.lists(st.tuples(st.integers(0, 2**27 - 1), DAYS, DAYS), max_size=20))
def test_one_number_orders_as_household_and_both_days_do(rows: list[tuple[int, int, int]]) -> None:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    order = keys.row_order(*columns)
    assert [rows[i] for i in np.argsort(order, kind="stable")] == sorted(rows)
    assert len(set(order.tolist())) == len(set(rows))


@pytest.mark.skipif(pd.__version__ < "3", reason="pandas before 3 copies when a column is dropped")
def test_tables_in_order_are_not_copied() -> None:
    data = rk.Monitoring(worlds.random_tables(0))
    tables = {name: data.versions(name) for name in ("production", "medical")}
    tables = {name: frame.assign(record_id=[f"{i:03}" for i in range(len(frame))]) for name, frame in tables.items()}
    again = rk.Monitoring({**data.tables, **tables})
    for name, column in (("medical", "cost"), ("production", "loss")):
        assert np.shares_memory(again.tables[name][column].to_numpy(), again.versions(name)[column].to_numpy())


#: Feature tables of several worlds, in order and not, from frames and files; then the kernels compiled in two forms.
_COMPILED_TWICE = """
import sys, tempfile
from pathlib import Path
import riskml as rk, worlds
from numba.core.registry import CPUDispatcher
for seed in range(6):
    tables = worlds.random_tables(seed)
    if seed % 2:
        tables = {name: frame.sample(frac=1, random_state=seed) for name, frame in tables.items()}
    data = rk.Monitoring(tables)
    if seed % 3 == 0:
        with tempfile.TemporaryDirectory() as place:
            data = rk.read_monitoring(rk.write_monitoring(data, Path(place) / "county"))
    dates = ["2020-11-01", "2022-02-01"][: 1 + seed % 2]
    rk.outcome_labels(data, rk.feature_table(data, dates).index, horizon_months=6)
found = {k: v for m in list(sys.modules) if m.startswith("riskml.") for k, v in vars(sys.modules[m]).items()}
kernels = {k: len(v.signatures) for k, v in found.items() if isinstance(v, CPUDispatcher)}
assert sum(n == 1 for n in kernels.values()) >= 10, kernels
print([name for name, n in kernels.items() if n > 1])
"""


def test_each_kernel_is_compiled_once() -> None:
    # A second form of one takes half a second of the first call after an installation.
    command = [sys.executable, "-c", _COMPILED_TWICE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    assert done.stdout.strip() == "[]"
