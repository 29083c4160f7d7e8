"""A store: the same numbers from buckets as from all households at once, whatever moves, breaks off or is damaged."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import riskml as rk
from riskml.buckets import clustering, importing, scoring
from riskml.buckets import store as stores
from riskml.buckets.importing import append_tables, import_tables
from riskml.buckets.scoring import score_store
from riskml.buckets.sources import open_source
from riskml.buckets.store import open_store, read_bucket
from riskml.buckets.training import (
    sampled,
    sampled_training_set,
    sampled_with_net,
    training_dates_of,
    training_set_with_net,
)
from riskml.cli import main
from riskml.features.assistance import training_labels
from riskml.features.panel import cohort
from riskml.files import read_table
from riskml.findings import DataRefused
from riskml.tables import reading
from riskml.tables.reading import read_monitoring

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "example"
N_EXAMPLES = int(os.environ.get("RISKML_BUCKET_EXAMPLES", "5"))
N_KILLS = int(os.environ.get("RISKML_KILLS", "2"))
AS_OF = "2022-06-01"
pytestmark = pytest.mark.usefixtures("few_trees")


def moving_world(seed: int, n_households: int = 12) -> dict[str, pd.DataFrame]:
    """Return random tables in which half of the moves go to any village, and disasters come and go meanwhile."""
    rng = np.random.default_rng(seed)
    tables = worlds.random_tables(seed, n_households=n_households)
    households = tables["households"]
    moved = households["household_id"].duplicated().to_numpy() & (rng.random(len(households)) < 0.5)
    villages = rng.choice(["520", "521", "530", "531"], len(households))
    households["area_id"] = np.where(moved, villages, households["area_id"])
    return tables


def written(tables: dict[str, pd.DataFrame], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def imported(tables: dict[str, pd.DataFrame], place: Path, bucket_households: int) -> stores.Store:
    """Return a new store of tables."""
    shutil.rmtree(place, ignore_errors=True)
    source = written(tables, place / "tables")
    return import_tables(open_source(str(source)), place / "store", bucket_households=bucket_households)


def assert_bucketwise_equal(store: stores.Store, data: rk.Monitoring) -> None:
    """Check that the buckets together give every household and date once, with the same bits as all at once."""
    parts = []
    for bucket in range(store.n_buckets):
        held = read_bucket(store, bucket)
        X = rk.feature_table(held, worlds.ASKED)
        parts.append(X[store.bucket_of(cohort(held, worlds.ASKED)["area_id"]) == bucket])
    found = pd.concat(parts)
    assert found.index.is_unique
    pd.testing.assert_frame_equal(found.sort_index(), rk.feature_table(data, worlds.ASKED), check_exact=True)


@settings(max_examples=N_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6), bucket_households=st.integers(1, 8))
def test_features_from_a_bucket_equal_those_with_all_households_bit_for_bit(tmp_path, seed, bucket_households):
    tables = moving_world(seed)
    store = imported(tables, tmp_path, bucket_households)
    data = rk.Monitoring(tables)
    assert_bucketwise_equal(store, data)
    assert store.manifest["extract_on"] == f"{data.extract_on:%Y-%m-%d}"


def holds_only_where_they_live_now(database, first_areas, store=None):
    """Plant a fault: a bucket holds the households that live there now, not those that ever did."""
    honest_join(database, first_areas, store)
    database.execute(
        "DELETE FROM members_of WHERE (household_id, bucket) NOT IN (SELECT household_id, bucket FROM (SELECT "
        "household_id, arg_max(area_id, known_on) AS area_id FROM households GROUP BY household_id) AS now "
        "ASOF JOIN buckets ON now.area_id >= buckets.first_area)"
    )


def keeps_disasters_of_its_own_areas(disasters, areas):
    """Plant a fault: a bucket has the disasters of the areas most of its households live in, not of former homes."""
    return honest_areas(disasters, pd.Series(areas).mode()[:1])


honest_join, honest_areas = clustering.join_buckets, stores._of_areas


@pytest.mark.parametrize(
    ("seed", "module", "name", "fault"),
    [
        (0, importing, "join_buckets", holds_only_where_they_live_now),
        (1, stores, "_of_areas", keeps_disasters_of_its_own_areas),
    ],
)
def test_a_planted_fault_is_caught(tmp_path, monkeypatch, seed, module, name, fault):
    monkeypatch.setattr(module, name, fault)
    tables = moving_world(seed)
    store = imported(tables, tmp_path, 3)
    with pytest.raises(AssertionError):
        assert_bucketwise_equal(store, rk.Monitoring(tables))


def test_a_bucket_that_answers_for_newest_areas_is_caught(tmp_path, monkeypatch):
    honest = cohort

    def newest(data, dates):
        rows = honest(data, dates)
        return rows.assign(area_id=data.area_of(rows.index.get_level_values(0)))

    monkeypatch.setitem(globals(), "cohort", newest)
    tables = moving_world(0)
    store = imported(tables, tmp_path, 3)
    with pytest.raises(AssertionError):
        assert_bucketwise_equal(store, rk.Monitoring(tables))


def test_no_bucket_splits_an_area_and_sizes_are_near_what_was_asked(county):
    households = read_monitoring(county / "tables").tables["households"]
    store = open_store(county / "store")
    areas = households["area_id"].unique()
    assert sorted(set(store.bucket_of(areas))) == list(range(store.n_buckets))
    assert store.manifest["first_areas"] == sorted(store.manifest["first_areas"])
    per_bucket = [read_bucket(store, bucket).tables["households"] for bucket in range(store.n_buckets)]
    for bucket, held in enumerate(per_bucket):
        lived = households[store.bucket_of(households["area_id"]) == bucket]["household_id"]
        assert set(held["household_id"]) == set(lived)
        assert set(households[households["household_id"].isin(lived)]["known_on"]) == set(held["known_on"])


# Appending


def halves(tables: dict[str, pd.DataFrame], day: pd.Timestamp) -> tuple[dict[str, pd.DataFrame], ...]:
    """Return what was known by a day, and what became known later."""
    before, after = {}, {}
    for name, table in tables.items():
        known_on = table["known_on"].fillna(table["valid_from"]) if name == "lines" else table["known_on"]
        before[name], after[name] = table[known_on <= day], table[known_on > day]
    return before, after


@settings(max_examples=N_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6), bucket_households=st.integers(1, 8), n_days=st.integers(300, 900))
def test_appended_months_give_the_same_as_everything_at_once(tmp_path, seed, bucket_households, n_days):
    tables = moving_world(seed)
    for name in ("members", "employment", "assistance"):
        tables[name] = tables[name].drop(columns="end_known_on", errors="ignore")
    days = [worlds.FIRST + pd.Timedelta(days=n_days), worlds.FIRST + pd.Timedelta(days=n_days + 70)]
    first, rest = halves(tables, days[0])
    households = first["households"]
    kept = households.loc[households["withdrawn"] != 1, "household_id"]
    known = {
        name: first[name]["household_id"].isin(kept) | (first[name]["household_id"] == "")
        for name in first
        if name != "lines"
    }
    if not all(known[name].all() for name in known):
        return  # a record entered before its household: such an extract is refused
    store = imported(first, tmp_path, bucket_households)
    was = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*.parquet")}
    for number, part in enumerate(halves(rest, days[1])):
        if not any(len(table) for table in part.values()):
            continue
        news = written({name: table for name, table in part.items() if len(table)}, tmp_path / f"news{number}")
        store = append_tables(open_source(str(news)), tmp_path / "store")
    assert {path: path.read_bytes() for path in was} == was
    assert_bucketwise_equal(store, rk.Monitoring(tables))


# Scoring


def with_moves(tables: dict[str, pd.DataFrame], seed: int) -> dict[str, pd.DataFrame]:
    """Let one household in six move to any village of the county, and some move back."""
    rng = np.random.default_rng(seed)
    households = tables["households"]
    first = households.drop_duplicates("household_id").sample(frac=1 / 6, random_state=seed)
    moves = []
    for _ in range(2):
        days = pd.to_datetime(rng.choice(pd.date_range("2021-06-01", "2022-09-01").to_numpy(), len(first)))
        moves.append(first.assign(known_on=days, area_id=rng.choice(households["area_id"].unique(), len(first))))
    later = pd.concat([households, *moves]).drop_duplicates(["household_id", "known_on"])
    return {**tables, "households": later.reset_index(drop=True)}


@pytest.fixture(scope="module")
def county(tmp_path_factory) -> Path:
    """Return a folder with a simulated county with moves, a store of it in small buckets, and a model."""
    place = tmp_path_factory.mktemp("县 county")
    data = rk.datasets.make_monitoring(250, n_months=24, random_state=3)
    data = rk.Monitoring(with_moves(dict(data.tables), 0), extract_on=data.extract_on)
    rk.write_monitoring(data, place / "tables")
    assert main(["train", str(place / "tables"), "--horizon-months", "6", "--out", str(place / "models")]) == 0
    said = ["import", str(place / "tables"), str(place / "store"), "--bucket-households", "130", "--memory", "500"]
    assert main([*said, "--quiet"]) == 0
    assert open_store(place / "store").n_buckets == 3
    return place


def score(county: Path, data: str, out: Path, *more: str) -> int:
    return main(
        ["score", str(county / data), "--model", str(county / "models"), "--as-of", AS_OF, "--out", str(out), *more]
    )


@pytest.mark.parametrize(
    "asked",
    [
        [],
        ["--top", "25"],
        ["--top", "25", "--explain", "top"],
        ["--top", "5000", "--explain", "none"],
        ["--explain", "none", "--jobs", "2"],
    ],
    ids=" ".join,
)
def test_the_list_of_a_store_is_that_of_the_folder_byte_for_byte(county, tmp_path, monkeypatch, capsys, asked):
    monkeypatch.setattr(scoring, "_MERGED_AT_ONCE", 40)
    monkeypatch.setattr(scoring, "_GROUP_ROWS", 7)
    folder_asked = asked[: asked.index("--jobs")] if "--jobs" in asked else asked
    cliffs = [tmp_path / f"{name}-cliff.csv" for name in ("folder", "store")]
    assert score(county, "tables", tmp_path / "folder.csv", *folder_asked, "--json", "--cliff", str(cliffs[0])) == 0
    of_folder = capsys.readouterr().out.replace("folder.csv", "x")
    assert score(county, "store", tmp_path / "store.csv", *asked, "--json", "--cliff", str(cliffs[1])) == 0
    assert capsys.readouterr().out.replace("store.csv", "x") == of_folder
    assert (tmp_path / "store.csv").read_bytes() == (tmp_path / "folder.csv").read_bytes()
    listed = read_table(tmp_path / "store.csv")
    assert listed["risk_net"].notna().all()
    assert (listed["on_file"] != "").any() == ("none" not in asked)
    # Of everybody, on the list or not, whatever was asked.
    assert cliffs[0].read_bytes() == cliffs[1].read_bytes()
    assert len(read_table(cliffs[0])) == json.loads(of_folder)["n_support_ends"] > 25
    assert not list(tmp_path.glob("*.parts"))


def test_the_list_as_parquet_is_that_of_the_folder_too(county, tmp_path):
    for name in ("tables", "store"):
        assert score(county, name, tmp_path / f"{name}.parquet", "--top", "60", "--explain", "top") == 0
    listed = [read_table(tmp_path / f"{name}.parquet") for name in ("store", "tables")]
    pd.testing.assert_frame_equal(*listed, check_exact=True)


def test_equal_risks_are_ordered_by_household_across_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "_MERGED_AT_ONCE", 7)
    monkeypatch.setattr(scoring, "_GROUP_ROWS", 3)
    rng = np.random.default_rng(0)
    whole = pd.DataFrame({"household_id": rng.permutation(100).astype(str), "risk": rng.integers(0, 6, 100) / 6})
    whole = whole.assign(as_of_date=pd.Timestamp(AS_OF), area_id="1").reindex(
        columns=[name for name in scoring.WATCHLIST_COLUMNS if name != "rank"]
    )
    texts = [name for name in whole if name.startswith(("cause_", "reason_"))]
    whole[texts] = "why"
    whole["support_ends_on"] = pd.NaT
    order = ["risk", "household_id"]
    paths = []
    for number in range(4):
        part = whole[number::4].sort_values(order, ascending=[False, True])
        paths.append(tmp_path / f"{number}.parquet")
        table = scoring.pa.Table.from_pandas(part, schema=scoring.part_schema(), preserve_index=False)
        scoring.pq.write_table(table, paths[-1], row_group_size=3)
    for n_listed in (1, 7, 30, 100, None):
        merged = pd.concat(scoring._in_rank_order(paths, n_listed, 20), ignore_index=True)
        expected = whole.sort_values(order, ascending=[False, True])[:n_listed]
        assert merged["household_id"].tolist() == expected["household_id"].tolist()
        assert merged["rank"].tolist() == list(range(1, len(expected) + 1))
        assert (merged["reason_en"] == "why").tolist() == [rank <= 20 for rank in merged["rank"]]


def command(county: Path, out: Path) -> list[str]:
    asked = ["score", str(county / "store"), "--model", str(county / "models"), "--as-of", AS_OF, "--out", str(out)]
    return [sys.executable, "-m", "riskml", *asked]


def test_a_run_killed_at_any_moment_and_run_again_gives_the_same_bytes(county, tmp_path):
    whole, out = tmp_path / "whole.parquet", tmp_path / "list.parquet"
    began = time.monotonic()
    subprocess.run(command(county, whole), check=True, capture_output=True)
    lasted = time.monotonic() - began
    chance = random.Random(int(os.environ.get("RISKML_KILL_SEED", "1")))
    n_killed = n_with_parts = 0
    while n_killed < N_KILLS:
        run = subprocess.Popen(
            command(county, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            run.wait(chance.uniform(0.3, 1.05) * lasted)
            assert out.read_bytes() == whole.read_bytes()
            out.unlink()
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            n_killed += 1
            n_with_parts += any(out.with_name("list.parquet.parts").rglob("bucket-*.parquet"))
        run.communicate()
    subprocess.run(command(county, out), check=True, capture_output=True)
    assert out.read_bytes() == whole.read_bytes()
    assert read_table(out)["household_id"].is_unique
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.parquet", "whole.parquet"]
    assert n_with_parts or N_KILLS < 10


def test_finished_buckets_are_not_repeated(county, tmp_path, monkeypatch):
    store, model = open_store(county / "store"), rk.load_model(county / "models")
    honest, scored = scoring.score_bucket, []

    def breaks_off(store, bucket, model, **asked):
        if len(scored) == 2:
            raise OSError("the disk is full")
        scored.append(bucket)
        return honest(store, bucket, model, **asked)

    monkeypatch.setattr(scoring, "score_bucket", breaks_off)
    with pytest.raises(OSError, match="the disk is full"):
        score_store(store, model, AS_OF, tmp_path / "list.csv")
    assert scored == [0, 1]
    assert not (tmp_path / "list.csv").exists()
    done = scored.copy()
    scored.clear()
    monkeypatch.setattr(
        scoring, "score_bucket", lambda *given, **asked: scored.append(given[1]) or honest(*given, **asked)
    )
    score_store(store, model, AS_OF, tmp_path / "list.csv")
    assert scored == [bucket for bucket in range(store.n_buckets) if bucket not in done]


def test_parts_of_another_date_or_question_are_never_used(county, tmp_path, monkeypatch):
    store, model = open_store(county / "store"), rk.load_model(county / "models")
    monkeypatch.setattr(scoring, "write_pieces", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        score_store(store, model, "2022-03-01", tmp_path / "list.csv")
    monkeypatch.undo()
    asked = {"n_listed": 5, "n_explained": 5}
    score_store(store, model, AS_OF, tmp_path / "list.csv", **asked)
    score_store(store, model, AS_OF, tmp_path / "fresh.csv", **asked)
    assert (tmp_path / "list.csv").read_bytes() == (tmp_path / "fresh.csv").read_bytes()


def test_a_day_with_nobody_at_risk_in_a_store_ends_with_1(county, tmp_path, capsys):
    asked = ["score", str(county / "store"), "--model", str(county / "models"), "--as-of", "1990-01-01"]
    assert main([*asked, "--out", str(tmp_path / "x.csv")]) == 1
    assert "no household is at risk" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_store_without_a_table_of_the_model_ends_with_4_and_leaves_nothing(county, tmp_path, capsys):
    (tmp_path / "tables").mkdir()
    for path in (county / "tables").iterdir():
        if path.stem != "medical":
            shutil.copy(path, tmp_path / "tables")
    assert main(["import", str(tmp_path / "tables"), str(tmp_path / "store")]) == 0
    asked = ["score", str(tmp_path / "store"), "--model", str(county / "models"), "--as-of", AS_OF, "--jobs", "2"]
    assert main([*asked, "--out", str(tmp_path / "x.csv")]) == 4
    assert "medical" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "tables"]


def test_commands_that_cannot_take_a_store_say_so(county, capsys):
    assert main(["check", str(county / "store")]) == 1
    assert "is a store" in capsys.readouterr().err


# Training


def test_a_training_set_from_a_store_is_that_of_the_folder_in_single_precision(county):
    store, data = open_store(county / "store"), read_monitoring(county / "tables")
    dates = rk.training_dates(data, horizon_months=6)
    assert training_dates_of(store, horizon_months=6) == dates
    expected, y = rk.training_set(data, dates, horizon_months=6)
    X, returned, weight = sampled_training_set(store, dates, horizon_months=6)
    pd.testing.assert_frame_equal(X, expected.astype(np.float32), check_exact=True)
    pd.testing.assert_series_equal(returned, y)
    assert set(weight) == {1.0}


def test_both_outcomes_of_a_store_are_those_of_the_folder(county):
    store, data = open_store(county / "store"), read_monitoring(county / "tables")
    dates = rk.training_dates(data, horizon_months=6)
    whole, y = rk.training_set(data, dates, horizon_months=6)
    kept, expected = sampled_with_net(training_labels(data, y, horizon_months=6), 0.3)
    X, labels = training_set_with_net(store, dates, horizon_months=6, keep_nonreturns=0.3)
    pd.testing.assert_frame_equal(X, whole[kept].astype(np.float32), check_exact=True)
    pd.testing.assert_frame_equal(labels, expected)
    # Each outcome keeps what it would keep alone; who returned without transfers only is there for the second.
    assert X.index[labels["weight"] > 0].equals(y.index[sampled(y, 0.3)[0]])
    assert ((labels["weight"] == 0) & (labels["weight_net"] == 1)).any()


def test_a_training_set_of_a_past_day_holds_only_what_was_known(county):
    store, data = open_store(county / "store"), read_monitoring(county / "tables").known_by("2022-07-01")
    dates = [day for day in rk.training_dates(data, horizon_months=6) if day <= pd.Timestamp("2022-01-01")]
    assert training_dates_of(store, horizon_months=6, known_by="2022-07-01") == dates
    expected, _ = rk.training_set(data, dates, horizon_months=6)
    X, _, _ = sampled_training_set(store, dates, horizon_months=6, known_by="2022-07-01", n_jobs=2)
    pd.testing.assert_frame_equal(X, expected.astype(np.float32), check_exact=True)


def test_a_sample_keeps_every_return_and_its_weights_stand_for_the_others(county, tmp_path):
    store, data = open_store(county / "store"), read_monitoring(county / "tables")
    dates = rk.training_dates(data, horizon_months=6)
    whole, y = rk.training_set(data, dates, horizon_months=6)
    X, returned, weight = sampled_training_set(store, dates, horizon_months=6, keep_nonreturns=0.3)
    assert returned.sum() == y.sum()
    assert X.index.isin(whole.index).all()
    n_stayed = (y == 0).sum()
    spread = 4 * np.sqrt(n_stayed * 0.7 / 0.3)  # four standard deviations of a count of kept rows, times 1 / 0.3
    assert weight[returned == 0].sum() == pytest.approx(n_stayed, abs=spread)
    assert set(weight[returned == 1]) == {1.0}
    other = import_tables(open_source(str(county / "tables")), tmp_path / "store", bucket_households=200)
    again, _, _ = sampled_training_set(other, dates, horizon_months=6, keep_nonreturns=0.3)
    pd.testing.assert_frame_equal(again, X, check_exact=True)
    kept, _ = sampled(y, 0.3)
    assert whole.index[kept].equals(X.index)


def test_a_model_learned_from_a_store_scores_it_and_says_what_it_learned_from(county, tmp_path, capsys):
    asked = ["train", str(county / "store"), "--horizon-months", "6", "--keep-nonreturns", "0.5", "--json"]
    assert main([*asked, "--out", str(tmp_path / "models"), "--test-from", "2022-07-01"]) == 0
    assert '"keep_nonreturns": 0.5' in capsys.readouterr().out
    card = rk.load_model(tmp_path / "models").card_
    data = read_monitoring(county / "tables")
    assert card["data"]["households"] == len(data.household_ids)
    assert card["data"]["tables"] == {name: len(table) for name, table in data.tables.items()}
    score = ["score", str(county / "store"), "--model", str(tmp_path / "models"), "--as-of", AS_OF, "--top", "5"]
    assert main([*score, "--out", str(tmp_path / "x.csv")]) == 0


@pytest.mark.parametrize("share", ["0", "1.5", "half", "-1", ""])
def test_a_share_that_is_none_is_a_matter_of_usage(county, capsys, share):
    asked = ["train", str(county / "store"), "--out", "x", f"--keep-nonreturns={share}"]
    assert main(asked) == 2
    assert "share" in capsys.readouterr().err


# What is refused


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "manifest"])
def test_a_damaged_store_is_refused_by_name(county, tmp_path, capsys, damage):
    shutil.copytree(county / "store", tmp_path / "store")
    path = tmp_path / "store" / ("manifest.json" if damage == "manifest" else "000/bucket-00002/incomes.parquet")
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "manifest":
        path.write_bytes(content.replace(b'"extract_on": "2023', b'"extract_on": "2022'))
        assert path.read_bytes() != content
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "flip" else content[:-9])
    asked = ["score", str(tmp_path / "store"), "--model", str(county / "models"), "--as-of", AS_OF]
    assert main([*asked, "--explain", "none", "--out", str(tmp_path / "x.csv")]) == 3
    said = capsys.readouterr().err
    assert path.relative_to(tmp_path / "store").as_posix() in said
    assert "not what was written" in said
    assert not (tmp_path / "x.csv").exists()


def spoiled(tables: dict[str, pd.DataFrame], what: str) -> None:
    """Spoil tables in one way, in many places."""
    incomes = tables["incomes"]
    if what == "not_a_number":
        tables["incomes"] = incomes.assign(wage=incomes["wage"].astype(object).where(incomes.index % 2 == 0, "much"))
    elif what == "unknown_household":
        tables["incomes"] = incomes.assign(household_id=incomes["household_id"].where(incomes.index % 2 == 0, "nobody"))
    elif what == "duplicate_key":
        tables["incomes"] = pd.concat([incomes, incomes[::3]])
    elif what == "id_is_number":
        tables["households"] = tables["households"].assign(
            household_id=tables["households"]["household_id"].astype(int)
        )
    elif what == "missing_line":
        tables["lines"] = tables["lines"].query("area_id == '521'")
    elif what == "missing_table":
        del tables["lines"]
    elif what == "missing_column":
        tables["incomes"] = incomes.drop(columns="months")
    elif what == "empty_table":
        for name in tables:
            tables[name] = tables[name][:0] if name != "lines" else tables[name]


@pytest.mark.parametrize(
    "what",
    [
        *("not_a_number", "unknown_household", "duplicate_key", "id_is_number"),
        *("missing_line", "missing_table", "missing_column", "empty_table"),
    ],
)
def test_what_a_folder_is_refused_for_a_store_is_refused_for_with_the_same_count(tmp_path, monkeypatch, what):
    monkeypatch.setattr(reading, "_BATCH_BYTES", 2000)
    tables = moving_world(1, n_households=6)
    spoiled(tables, what)
    folder = tmp_path / "tables"
    folder.mkdir()
    for name, table in tables.items():
        if what == "id_is_number":
            table.to_parquet(folder / f"{name}.parquet", index=False)
        else:
            table.to_csv(folder / f"{name}.csv", index=False)
    with pytest.raises(DataRefused) as refused:
        read_monitoring(folder)
    with pytest.raises(DataRefused) as of_store:
        import_tables(open_source(str(folder)), tmp_path / "store", bucket_households=3)
    expected = {(found.rule, found.table, found.count) for found in refused.value.findings if found.rule == what}
    assert expected
    assert expected <= {(found.rule, found.table, found.count) for found in of_store.value.findings}
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]


@pytest.mark.parametrize(("place", "key"), [((), "opinions"), (("tables", "incomes"), "history")])
def test_a_setting_a_store_does_not_follow_is_refused_by_name(tmp_path, place, key):
    source = open_source(str(written(moving_world(0), tmp_path / "tables")))
    level = source.settings
    for name in place:
        level = level.setdefault(name, {})
    level[key] = ["something a later version understands"]
    with pytest.raises(DataRefused, match=key):
        import_tables(source, tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["tables"]


@pytest.fixture(scope="module")
def first_and_news(tmp_path_factory) -> tuple[Path, dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Return a store of what was known by a day, the tables it was made of, and what became known later."""
    place = tmp_path_factory.mktemp("first")
    tables = moving_world(2)
    tables["employment"] = tables["employment"].drop(columns="end_known_on")
    tables["assistance"] = tables["assistance"].drop(columns="end_known_on")
    day = pd.Timestamp("2021-06-30")
    first, news = halves(tables, day)
    ids = set(first["households"].query("withdrawn != 1")["household_id"])
    first = {
        n: t[t["household_id"].isin(ids) | (t["household_id"] == "")] if n != "lines" else t for n, t in first.items()
    }
    first["households"] = first["households"][first["households"]["household_id"].isin(ids)]
    return imported(first, place, 3).folder, first, news


def appended(prepared, tmp_path: Path, change) -> pytest.ExceptionInfo:
    """Return the refusal of an append after ``change`` of what is new; the store must be as it was."""
    store, first, news = prepared
    shutil.copytree(store, tmp_path / "store")
    was = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()}
    source = written(change(news, first), tmp_path / "news")
    with pytest.raises(DataRefused) as refused:
        append_tables(open_source(str(source)), tmp_path / "store")
    assert {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()} == was
    return refused


@pytest.mark.parametrize(
    ("change", "rule", "table"),
    [
        (lambda news, first: {"incomes": first["incomes"]}, "not_new", "incomes"),
        (lambda news, first: {"incomes": news["incomes"].drop(columns="wage")}, "other_columns", "incomes"),
        (lambda news, first: {"incomes": news["incomes"].assign(luck=1.0)}, "other_columns", "incomes"),
        (lambda news, first: {"visits": news["incomes"][["household_id", "date", "known_on"]]}, "new_table", "visits"),
        (lambda news, first: {"housing": news["housing"].assign(household_id="x")}, "unknown_household", "housing"),
        (lambda news, first: {"medical": pd.concat([news["medical"]] * 2)}, "duplicate_key", "medical"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_appended_is_refused_and_the_store_is_as_it_was(first_and_news, tmp_path, change, rule, table):
    refused = appended(first_and_news, tmp_path, change)
    assert (rule, table) in {(found.rule, found.table) for found in refused.value.findings}


def test_a_store_is_not_overwritten(county, capsys):
    assert main(["import", str(county / "tables"), str(county / "store")]) == 1
    assert "--append" in capsys.readouterr().err


# Sources


def test_a_store_of_the_mapped_example_holds_what_its_folder_holds(tmp_path):
    data = read_monitoring(EXAMPLE)
    store = import_tables(open_source(str(EXAMPLE)), tmp_path / "store")
    assert store.n_buckets == 1
    held = read_bucket(store, 0)
    assert list(held.tables) == list(data.tables)
    for name, table in data.tables.items():
        order = list(table.columns)
        pd.testing.assert_frame_equal(
            held.tables[name].sort_values(order, ignore_index=True), table.sort_values(order, ignore_index=True)
        )
    assert (held.welfare_months, held.max_age_months) == (data.welfare_months, data.max_age_months)
    assert (held.extract_on, held.features, held.notes) == (data.extract_on, data.features, data.notes)


def test_the_same_tables_in_another_order_give_the_same_store(tmp_path):
    tables = moving_world(5)
    first = imported(tables, tmp_path / "a", 3)
    shuffled = {name: table.sample(frac=1, random_state=1) for name, table in tables.items()}
    assert imported(shuffled, tmp_path / "b", 3).identity == first.identity
