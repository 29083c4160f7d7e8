"""Tables overwritten in place: refused about the past, or taken as known on a day that somebody stated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st

import riskml as rk
from riskml.cli import main
from riskml.findings import DataRefused
from riskml.model.card import card_text, model_card
from riskml.model.classifier import RiskClassifier
from riskml.tables.reading import read_monitoring, write_monitoring

EXTRACT, DAY_AFTER = pd.Timestamp("2022-12-31"), pd.Timestamp("2023-01-01")
DAYS = [pd.Timestamp("2021-03-31"), pd.Timestamp("2022-02-01"), DAY_AFTER]
LAG = 20
Tables = dict[str, pd.DataFrame]


def county(n_months: int = 36) -> Tables:
    """Return raw tables of two households: monthly incomes, a bill, a job that ended, and who lives there."""
    ends = pd.date_range("2020-01-31", periods=n_months, freq="ME")
    incomes = pd.DataFrame({"household_id": np.repeat(["1", "2"], n_months), "date": [*ends, *ends]})
    known_on = (incomes["date"] + pd.Timedelta(days=5)).clip(upper=EXTRACT)
    bill = {"household_id": ["1"], "record_id": ["a"], "date": ["2021-01-10"], "known_on": ["2021-01-12"]}
    job = {"household_id": ["1"], "member_id": ["a"], "start": ["2020-06-01"], "end": ["2022-05-31"], "wage": [300.0]}
    return {
        "households": pd.DataFrame({"household_id": ["1", "2"], "area_id": "52", "known_on": "2019-06-01"}),
        "members": pd.DataFrame({"household_id": ["1", "1", "2"], "member_id": ["a", "b", "a"], "start": "2019-01-01"}),
        "incomes": incomes.assign(known_on=known_on, months=1, wage=1500.0, units=2.0),
        "medical": pd.DataFrame({**bill, "out_of_pocket": [400.0]}),
        "employment": pd.DataFrame({**job, "known_on": ["2020-06-11"], "end_known_on": ["2022-06-10"]}),
        "lines": pd.DataFrame({"area_id": [""], "valid_from": ["2019-01-01"], "amount": 4000.0, "unit": "person_year"}),
    }


def county_entered() -> Tables:
    """Return the county with the day on which its members were entered."""
    tables = county()
    tables["members"]["known_on"] = "2019-06-01"
    return tables


def overwritten(*names: str, **settings: object) -> rk.Monitoring:
    """Return the county with the members (and further tables) overwritten in place, without days of entry."""
    tables = county()
    for name in names:
        tables[name] = tables[name].drop(columns=["known_on", "end_known_on"], errors="ignore")
    names = ("members", *names)
    return rk.Monitoring(tables, extract_on=EXTRACT, overwritten=names, **settings)  # type: ignore[arg-type]


def rules(refusal: pytest.ExceptionInfo[DataRefused]) -> list[tuple[str, str]]:
    return [(finding.rule, finding.table) for finding in refusal.value.findings]


ASKED: dict[str, Callable[[rk.Monitoring, object], object]] = {
    "who is at risk": lambda data, day: rk.cohort(data, [day]),
    "features": lambda data, day: rk.feature_table(data, [DAY_AFTER, day]),
    "a training set": lambda data, day: rk.training_set(data, [day], horizon_months=3),
    "labels": lambda data, day: rk.outcome_labels(
        data, pd.MultiIndex.from_product([["1"], [day]], names=["household_id", "as_of_date"]), horizon_months=3
    ),
    "the data as they were": lambda data, day: data.known_by(day),
    "a backtest": lambda data, day: rk.backtest_sets(data, test_from=day, horizon_months=3),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("day", [pd.Timestamp("2021-06-01"), EXTRACT])
def test_a_day_up_to_the_extract_is_refused_whatever_is_asked(asked: str, day: pd.Timestamp) -> None:
    with pytest.raises(DataRefused) as refusal:
        ASKED[asked](overwritten("medical"), day)
    assert rules(refusal) == [("no_history", "members"), ("no_history", "medical")]
    found = refusal.value.findings[0]
    assert (found.first, found.count) == (f"{day:%Y-%m-%d}", 1)
    for text in (found.en, found.zh):
        assert all(
            word in text for word in ("members", f"{day:%Y-%m-%d}", "2022-12-31", "2023-01-01", "assume_known_on")
        )


@pytest.mark.parametrize("names", [(), ("medical",), ("incomes",), ("households", "lines", "employment")])
def test_the_day_after_the_extract_sees_the_rows_as_entered_on_the_extract(names: tuple[str, ...]) -> None:
    X = rk.feature_table(overwritten(*names), [DAY_AFTER])
    entered = county_entered()
    for name in {"incomes", "medical", "employment"} & set(names):
        entered[name]["known_on"] = EXTRACT
    pd.testing.assert_frame_equal(X, rk.feature_table(rk.Monitoring(entered), [DAY_AFTER]), check_exact=True)
    assert len(X) == 2


def test_with_its_history_the_same_table_answers_about_the_past() -> None:
    assert len(rk.feature_table(rk.Monitoring(county_entered(), extract_on=EXTRACT), DAYS)) == 6


def test_amounts_known_earlier_are_shared_by_the_people_the_extract_shows() -> None:
    data = overwritten()
    data = rk.Monitoring(
        {**data.tables, "incomes": data.tables["incomes"].drop(columns="units")},
        extract_on=EXTRACT,
        overwritten=("members",),
    )
    welfare = rk.feature_table(data, [DAY_AFTER])["welfare"]
    assert welfare.tolist() == pytest.approx([1500 * 12 / (2 * 4000), 1500 * 12 / (1 * 4000)])


def test_the_day_of_the_extract_must_be_given() -> None:
    with pytest.raises(DataRefused, match="extract_on is needed") as refusal:
        rk.Monitoring(county(), overwritten=("members",), assume_known_on={"employment": ("start", 3)})
    assert rules(refusal) == [("no_extract_day", "members"), ("no_extract_day", "employment")]


def test_a_day_of_entry_in_an_overwritten_table_is_neither_believed_nor_dropped_in_silence() -> None:
    tables = county()
    with pytest.raises(DataRefused, match=r"medical.known_on .*1 rows, first: household_id '1'") as refusal:
        rk.Monitoring(tables, extract_on=EXTRACT, overwritten=("medical",))
    assert ("known_on_overwritten", "medical") in rules(refusal)
    assert ("missing_column", "members") in rules(refusal)  # whatever else is wrong is said too
    tables["members"]["known_on"] = "2019-06-01"
    accepted = rk.Monitoring(
        tables, extract_on=EXTRACT, overwritten=("medical",), assume_known_on={"medical": ("known_on", 0)}
    )
    assert accepted.tables["medical"]["known_on"].tolist() == [pd.Timestamp("2021-01-12")]
    assert accepted.overwritten == ()
    assert "overwrites rows in place" in accepted.assumptions[0][0]


WRONG = {
    "a column that is not there": ("no_assumed_column", {"medical": ("registered", 0)}),
    "a second day of entry": ("known_on_twice", {"medical": ("date", 3)}),
    "a column that holds no dates": ("not_a_date", {"members": ("member_id", 0)}),
    "a column with gaps": ("missing_date", {"members": ("came", 0)}),
    "a day before it happened": ("known_before_date", {"production": ("told", 0)}),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_assumption_that_cannot_be_is_refused(case: str) -> None:
    rule, assumed = WRONG[case]
    tables = county()
    tables["members"]["came"] = ["2019-01-01", None, "2019-01-01"]
    loss = {"household_id": ["1"], "record_id": ["p"], "date": ["2021-05-01"], "told": ["2021-04-01"], "loss": [10.0]}
    tables["production"] = pd.DataFrame(loss)
    assumed = {"members": ("start", 9), "production": ("date", 9), **assumed}
    with pytest.raises(DataRefused) as refusal:
        rk.Monitoring(tables, extract_on=EXTRACT, assume_known_on=assumed)
    assert [found for found, _ in rules(refusal)] == [rule]


@pytest.mark.parametrize(
    "settings", [{"overwritten": ("membres",)}, {"assume_known_on": {"members": ("start", -1)}}], ids=["name", "days"]
)
def test_a_declaration_of_a_table_that_is_not_there_or_of_less_than_no_days_is_a_mistake(settings: dict) -> None:
    with pytest.raises(ValueError, match=r"membres|whole number"):
        rk.Monitoring(county(), extract_on=EXTRACT, **settings)


def test_rows_are_assumed_known_some_days_after_their_date_but_never_after_the_extract() -> None:
    data = overwritten("incomes", assume_known_on={"members": ("start", 30), "incomes": ("date", 40)})
    members, incomes = data.tables["members"], data.tables["incomes"]
    assert members["known_on"].tolist() == [pd.Timestamp("2019-01-31")] * 3
    assert incomes["known_on"].iloc[0] == pd.Timestamp("2020-03-11")  # 31 January and 40 days
    assert incomes["known_on"].iloc[34:36].tolist() == [EXTRACT, EXTRACT]  # 30 November and 40 days is next year


def test_an_end_is_assumed_known_as_many_days_after_it() -> None:
    data = overwritten("employment", assume_known_on={"members": ("start", 0), "employment": ("start", 10)})
    jobs = data.tables["employment"]
    assert jobs[["known_on", "end_known_on"]].iloc[0].tolist() == [
        pd.Timestamp("2020-06-11"),
        pd.Timestamp("2022-06-10"),
    ]
    ended = rk.Spell("employment", stats=("ended",), months=(12,), name="jobs")
    X = rk.feature_table(data, ["2022-06-10", "2022-06-11"], features=(ended,)).loc["1", "jobs_ended_12m"]
    assert X.tolist() == [0, 1]


def test_a_registry_row_becomes_a_version_for_every_day_on_which_it_was_filled_in() -> None:
    tables = county()
    tables["households"] = pd.DataFrame(
        {
            "household_id": ["1", "2"],
            "area_id": "52",
            "registered": ["2015-03-01", "2019-06-01"],
            "lifted_on": ["2018-12-31", None],
            "left_on": ["2022-01-31", None],
        }
    )
    tables["members"]["known_on"] = "2019-06-01"
    assumed = {"households": ("registered", 10)}
    data = rk.Monitoring(tables, extract_on=EXTRACT, overwritten=("households",), assume_known_on=assumed)
    known = data.tables["households"].set_index("household_id")[["known_on", "lifted_on", "left_on"]]
    nothing = pd.NaT
    day = pd.Timestamp
    assert (
        known.loc["1"].to_numpy().tolist()
        == pd.DataFrame(
            [
                (day("2015-03-11"), nothing, nothing),
                (day("2019-01-10"), day("2018-12-31"), nothing),
                (day("2022-02-10"), day("2018-12-31"), day("2022-01-31")),
            ]
        )
        .to_numpy()
        .tolist()
    )
    assert known.loc[["2"], "known_on"].tolist() == [day("2019-06-11")]
    assert not [note for note in data.notes if "registered" in note]
    at_risk = rk.cohort(data, ["2022-02-10", "2022-02-11"]).index
    assert [household for household, on in at_risk if on == day("2022-02-11")] == ["2"]
    assert len(at_risk) == 3


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 100_000))
def test_a_true_assumption_gives_the_features_of_the_true_history_bit_for_bit(seed: int) -> None:
    history = worlds.entered_after(LAG, worlds.random_tables(seed, n_households=6, n_worlds=20), EXTRACT)
    names = [name for name in history if name not in ("lines", "households")]
    kept = {
        name: frame.drop(columns=["known_on", "end_known_on"], errors="ignore") if name in names else frame
        for name, frame in history.items()
    }
    assumed = {name: ("date" if "date" in history[name] else "start", LAG) for name in names}
    data = rk.Monitoring(kept, extract_on=EXTRACT, overwritten=tuple(names), assume_known_on=assumed)
    X = rk.feature_table(rk.Monitoring(history, extract_on=EXTRACT), DAYS)
    pd.testing.assert_frame_equal(rk.feature_table(data, DAYS), X, check_exact=True)
    assert len(X)


def test_the_declaration_goes_with_the_data_into_what_is_known_and_into_files(tmp_path: Path) -> None:
    data = overwritten("medical", assume_known_on={"medical": ("date", 15)})
    again = rk.Monitoring(data.tables, extract_on=EXTRACT, overwritten=data.overwritten, assumptions=data.assumptions)
    back = read_monitoring(write_monitoring(data, tmp_path / "county"))
    for other in (again, back, data.known_by("2023-02-01")):
        assert (other.overwritten, other.assumptions) == (("members",), data.assumptions)
        pd.testing.assert_frame_equal(other.tables["members"], data.tables["members"])
    assert len(data.assumptions) == 1


SETTINGS = """
extract_on = 2022-12-31
[tables.members]
overwritten = true
{members}
[tables.medical]
overwritten = true
columns = {{ date = "就诊日期", out_of_pocket = "自付" }}
dates = {{ date = "%Y年%m月%d日", "登记" = "%Y%m%d" }}
assume_known_on = {{ column = "登记", days = 2 }}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes the county as CSV files with a declaration about the members."""

    def written(members: str) -> Path:
        tables = county()
        bill = {"household_id": ["1"], "record_id": ["a"], "就诊日期": ["2021年01月10日"], "登记": ["20210113"]}
        tables["medical"] = pd.DataFrame({**bill, "自付": [400.0]})
        for name, frame in tables.items():
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        (tmp_path / "monitoring.toml").write_text(SETTINGS.format(members=members), encoding="utf-8")
        return tmp_path

    return written


def test_the_command_refuses_with_exit_code_3_and_check_says_what_is_declared(
    folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where = str(folder(""))
    assert main(["train", where, "--horizon-months", "3", "--out", where + "/models"]) == 3
    assert "members is overwritten in place and shows only what it held on 2022-12-31" in capsys.readouterr().err
    assert not (Path(where) / "models").exists()
    assert main(["check", where, "--json"]) == 0
    findings = {found["rule"]: found for found in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["no_history"]["table"] == "members"
    assert "于“登记”所载日期之后 2 天得知" in findings["assumption"]["message_zh"]
    monkeypatch.setenv("RISKML_LANG", "zh")
    assert main(["check", where]) == 0
    assert "members 的行会被就地覆盖" in capsys.readouterr().out


def test_with_an_assumption_the_command_goes_on_and_the_card_says_so(
    folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = read_monitoring(folder('assume_known_on = { column = "start" }'))
    assert data.tables["medical"]["known_on"].tolist() == [pd.Timestamp("2021-01-15")]
    X, y = rk.training_set(data, [DAYS[0]], horizon_months=3)
    assert len(X) == 2
    model = RiskClassifier(n_estimators=2).fit(pd.concat([X] * 2), pd.concat([y, y + 1]))
    card = model_card(model, data=data)
    assert [each["en"].partition(":")[0] for each in card["data"]["assumptions"]] == ["members", "medical"]
    text = card_text(card)
    assert "## Assumptions" in text
    assert "is assumed known on the day in 'start', and end likewise" in text
    assert "假定各行以 2022-12-31 的内容,于“start”所载日期得知,end 亦同" in text
    assert "## Assumptions" not in card_text(model_card(model, data=rk.Monitoring(county_entered())))


@pytest.mark.parametrize(
    "line",
    [
        'overwritten = "yes"',
        'assume_known_on = "start"',
        "assume_known_on = { days = 3 }",
        'assume_known_on = { column = "start", days = -3 }',
        'assume_known_on = { column = "start", days = 1.5 }',
        'assume_known_on = { column = "start", after = 3 }',
    ],
)
def test_a_wrong_declaration_in_the_settings_is_named(folder: Callable[[str], Path], line: str) -> None:
    where = folder("")
    text = (where / "monitoring.toml").read_text(encoding="utf-8")
    (where / "monitoring.toml").write_text(text.replace("overwritten = true\n", line + "\n", 1), encoding="utf-8")
    with pytest.raises(DataRefused, match=r"tables\.members") as refusal:
        read_monitoring(where)
    assert {found for found, _ in rules(refusal)} <= {"wrong_setting", "unknown_setting"}
