"""The Malawi panel: transitions, what was known when, and columns that must not become features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from riskml.datasets import load_malawi
from riskml.features.dictionary import feature_dictionary
from riskml.features.outcomes import outcome_labels
from riskml.features.panel import cohort, feature_table
from riskml.findings import DataRefused
from riskml.tables.lines import welfare_records
from riskml.tables.monitoring import Monitoring

#: First days after the waves of 2010 and 2013.
AS_OF = ["2011-01-01", "2014-01-01"]
LATER = (
    *("eversplit", "split1013", "split1316", "consistent_mm"),
    *("sample1", "sample2", "sample3", "sample4", "sample5", "hh_diffcomm2010"),
)


@pytest.fixture(scope="module")
def folder(real_data) -> Path:
    return real_data / "malawi_ihps"


@pytest.fixture(scope="module")
def malawi(folder) -> Monitoring:
    return load_malawi(folder)


@pytest.fixture(scope="module")
def raw(folder) -> pd.DataFrame:
    return pd.read_parquet(folder / "malawi_ihps.parquet")


def reloaded(raw: pd.DataFrame, folder: Path) -> Monitoring:
    raw.to_parquet(folder / "malawi_ihps.parquet")
    return load_malawi(folder)


@pytest.mark.parametrize(("line", "n", "share"), [(42, 2_284, 0.314), (35, 2_986, 0.158)])
def test_the_transitions_are_those_counted_from_the_file(folder, line, n, share):
    data = load_malawi(folder, line=line)
    below = outcome_labels(data, cohort(data, AS_OF).index, horizon_months=36).dropna()
    assert (len(below), round(below.mean(), 3)) == (n, share)


def test_the_drought_of_2016_shows(malawi):
    below = outcome_labels(malawi, cohort(malawi, AS_OF).index, horizon_months=36)
    assert below.groupby("as_of_date").mean().round(2).tolist() == [0.23, 0.38]


def test_welfare_is_the_score_over_the_line_of_every_household_and_wave(malawi, raw):
    records = welfare_records(malawi)
    expected = raw.assign(household_id=raw["HHID"].astype(str)).sort_values(["household_id", "year"])
    assert records["household_id"].tolist() == expected["household_id"].tolist()
    np.testing.assert_allclose(records["welfare"], expected["FCS"] / 42)


def test_ids_are_text(malawi):
    assert all(isinstance(value, str) for value in malawi.household_ids)
    assert malawi.tables["households"]["area_id"].str.fullmatch(r"\d{9}").all()


def test_columns_made_from_later_waves_are_not_read(malawi, raw, tmp_path):
    shuffled = raw.assign(**{name: raw[name].sample(frac=1, random_state=0).to_numpy() for name in LATER})
    other = reloaded(shuffled, tmp_path)
    for name, table in malawi.tables.items():
        pd.testing.assert_frame_equal(table, other.tables[name])
    columns = set(feature_dictionary(malawi.features)["name"])
    assert not any(name in column for name in LATER for column in columns)


def test_the_survey_weight_is_no_feature(malawi):
    features = feature_table(malawi, AS_OF)
    weighted = malawi.tables["households"].assign(weight=1.0)
    unweighted = Monitoring(
        {**malawi.tables, "households": weighted}, welfare_months=1, max_age_months=1, features=malawi.features
    )
    pd.testing.assert_frame_equal(features, feature_table(unweighted, AS_OF))


def test_a_wave_is_known_on_the_last_day_of_its_year_never_before_its_date(malawi):
    for name, table in malawi.tables.items():
        if name != "lines":
            assert set(table["known_on"].dt.strftime("%Y-%m-%d")) <= {"2010-12-31", "2013-12-31", "2016-12-31"}
            assert (table["known_on"] >= table.get("date", table.get("start", table["known_on"]))).all()
    assert cohort(malawi, ["2013-12-31"]).empty
    assert len(cohort(malawi, ["2014-01-01"])) > 1_000


def test_what_a_wave_sees_does_not_change_with_the_later_wave(malawi, raw, tmp_path):
    base = AS_OF[1]
    X = feature_table(malawi, [base])
    pd.testing.assert_frame_equal(X, feature_table(malawi.known_by(base), [base]))
    pd.testing.assert_frame_equal(X, feature_table(reloaded(raw[raw["year"] < 2016], tmp_path), [base]))


def test_what_was_not_answered_is_missing_and_not_zero(malawi, raw):
    traits = malawi.tables["traits"]
    assert traits["land_managed_jointly"].isna().sum() == raw["lm1joint"].isna().sum()
    assert traits["livestock_value"].isna().sum() == raw["lvstkvalue_log"].isna().sum() == 3_835
    assert traits["remittances"].isna().sum() == 1_619
    with_remittances = raw["logremitt_MK_CPI2010"] > 0
    assert (traits["remittances"] > 0).sum() == with_remittances.sum()


def test_drought_and_flood_are_those_of_the_wave_and_the_year_before(malawi, raw):
    counts = malawi.tables["disasters"].groupby(["kind", "date"]).size()
    for year in (2010, 2013, 2016):
        wave = raw[raw["year"] == year]
        assert counts.get(("flood", pd.Timestamp(f"{year}-04-30")), 0) == (wave["flood"] == 1).sum()
        assert counts.get(("drought", pd.Timestamp(f"{year}-04-30")), 0) == (wave["drought"] == 1).sum()
        assert counts.get(("drought", pd.Timestamp(f"{year - 1}-04-30")), 0) == (wave["droughtlag"] == 1).sum()


def test_safety_nets_are_spells_from_the_first_wave_that_reports_them(malawi, raw):
    support = malawi.tables["assistance"]
    opened = support[support["end"].isna()].groupby(["measure", "known_on"]).size()
    for column, measure in {"ssn_freemaize": "free_maize", "ssn_childfeed": "child_feeding"}.items():
        for year in (2010, 2013, 2016):
            reported = ((raw["year"] == year) & (raw[column] == 1)).sum()
            assert opened.get((measure, pd.Timestamp(f"{year}-12-31")), 0) == reported


def test_a_file_without_a_column_is_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="malawi_ihps"):
        load_malawi(tmp_path)
    with pytest.raises(DataRefused, match="FCS") as refusal:
        reloaded(pd.DataFrame({"HHID": [1], "year": [2010.0]}), tmp_path)
    (finding,) = refusal.value.findings
    assert finding.rule == "missing_column"


@pytest.mark.parametrize("damage", [lambda content: content[:100], lambda content: b"HHID,year\n1,2010\n"])
def test_an_unreadable_file_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "malawi_ihps.parquet"
    pd.DataFrame({"HHID": range(1000)}).to_parquet(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataRefused, match="malawi_ihps") as refusal:
        load_malawi(tmp_path)
    assert refusal.value.findings[0].rule == "unreadable_file"
