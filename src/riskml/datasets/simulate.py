"""A simulated district whose truth is known: monitoring tables, and the world behind them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from riskml.datasets.entries import make_tables
from riskml.datasets.law import BURN_IN, Event, Lanes, Rules, district_noise
from riskml.datasets.month import step
from riskml.datasets.office import Book
from riskml.datasets.population import draw_traits, first_state
from riskml.datasets.truth import Truth
from riskml.tables.monitoring import Monitoring

Scenario = Literal["quiet", "disaster", "policy"]

#: Streams of random numbers drawn from the seed beside those of the months: people, office.
_PEOPLE, _OFFICE = 2**32 - 1, 2**32 - 2


def make_monitoring(
    n_households: int = 2000,
    *,
    n_months: int = 48,
    random_state: int | np.random.Generator | None = None,
    start: object = "2021-01-01",
    scenario: Scenario = "quiet",
) -> Monitoring:
    """Return the monitoring tables of a simulated district, with its truth.

    Households of a made-up province live month by month under a written law: income by source as a persistent
    process, shocks (illness, disability, accidents, loss of a working member, school costs, lost jobs, failed
    production and prices, disasters of whole areas, unsafe houses and water), costs that eat savings and then
    productive capital, officers who give help to those they take to be in need. The office enters what it sees:
    late, sometimes wrong, sometimes never. Of the households that are not below the line, 4 to 6 % are twelve months
    later. ``docs/simulator.md`` holds the equations and constants.

    Parameters
    ----------
    n_households : int, default 2000
        Households, about 50 a village, 6 villages a township, 5 townships a county.
    n_months : int, default 48
        Recorded months, at least 1.
    random_state : int, Generator or None, default None
        Seed. The same seed gives the same tables; another number of households or months gives another district.
    start : date, default "2021-01-01"
        First day of the first recorded month.
    scenario : {"quiet", "disaster", "policy"}, default "quiet"
        ``"disaster"``: a severe disaster strikes every second township two thirds through. The law does not foresee
        it: true risk before it is that of a quiet world. ``"policy"``: public-service posts end two thirds through, and
        none is given after that; the law, and so the true risk, holds it from the start.

    Returns
    -------
    Monitoring
        All tables of the contract but ``welfare`` and ``traits``; ``extract_on`` a month after the last recorded one;
        ``truth`` a :class:`riskml.datasets.truth.Truth`.

    Raises
    ------
    ValueError
        If a number is not positive, ``start`` is not the first day of a month, or the scenario is unknown.

    Notes
    -----
    The simulator is for tests and teaching. Its constants are chosen, not estimated: nothing about any real place
    follows from it. It has no births, marriages or moves within the district, no prices but those of three
    products, no quota on help, and households act on each other only through the shocks of their area.

    Examples
    --------
    >>> data = make_monitoring(50, n_months=18, random_state=1)
    >>> data.tables["incomes"]["household_id"].nunique()
    50
    >>> data.truth
    Truth(50 households, 18 months from 2021-01-01)
    """
    first_day = pd.Timestamp(str(start))
    if n_households < 1 or n_months < 1:
        raise ValueError(f"n_households and n_months must be at least 1, got {n_households} and {n_months}")
    if first_day != first_day.normalize().replace(day=1):
        raise ValueError(f"start must be the first day of a month, got {start}")
    rules = _rules(scenario, first_day, n_months)
    seed = int(np.random.default_rng(random_state).integers(2**62))
    return _monitored(*_lived(n_households, n_months, rules, seed, first_day))


def monitoring_under(truth: Truth, event: Event) -> Monitoring:
    """Return the monitoring tables of a simulated district in the world in which an event struck it.

    All months are lived again with the district's own random numbers: before the event the two worlds are the same,
    after it they differ by the event and what follows from it. The office enters the other world with random
    delays and mistakes of its own.

    Parameters
    ----------
    truth : Truth
        Of the district, as :func:`make_monitoring` gives it.
    event : Event
        What strikes it, with one entry a household of ``truth.household_ids``.

    Returns
    -------
    Monitoring
        As :func:`make_monitoring`; its ``truth`` holds the event in every future of it.

    Raises
    ------
    ValueError
        If the event's month was not recorded.

    Examples
    --------
    >>> before = make_monitoring(50, n_months=18, random_state=1).truth
    >>> no_jobs = Event(month=15, jobs_end=np.ones((2, 50), dtype=bool))
    >>> (monitoring_under(before, no_jobs).truth.states["job"][15 + 12 + 1] > 0).sum()
    np.int64(0)
    """
    n_months = len(truth.monthly_welfare) - BURN_IN
    if not 0 <= event.month < n_months:
        raise ValueError(f"event.month must be one of the {n_months} recorded months from 0 on, got {event.month}")
    return _monitored(
        *_lived(len(truth.household_ids), n_months, truth.rules, truth.seed, truth.first_day, event=event)
    )


def _monitored(truth: Truth, seen: Lanes) -> Monitoring:
    book = _opened_book(truth, seen)
    return Monitoring(make_tables(book), extract_on=pd.Timestamp(book.extract_on), truth=truth)


def _rules(scenario: str, first_day: pd.Timestamp, n_months: int) -> Rules:
    change = 2 * n_months // 3
    changes: dict[str, dict[str, int]] = {
        "quiet": {},
        "disaster": {"strike": change},
        "policy": {"posts_close": change},
    }
    if scenario not in changes:
        raise ValueError(f"scenario must be one of {', '.join(changes)}, got {scenario!r}")
    return Rules(first_day.month, **changes[scenario])


def _lived(
    n: int, n_months: int, rules: Rules, seed: int, first_day: pd.Timestamp, *, event: Event | None = None
) -> tuple[Truth, Lanes]:
    """Live all months; return the truth and what happened in each month, ``(months, ..., n)``."""
    rng = np.random.default_rng([seed, _PEOPLE])
    traits = draw_traits(rng, n)
    state = first_state(rng, traits)
    states, happened = [state], []
    for month in range(-BURN_IN, n_months):
        state, seen = step(state, traits, district_noise(seed, month, traits, rules), month, rules, event=event)
        states.append(state)
        happened.append({name: values for name, values in seen.items() if name not in ("support", "guarantee")})
    history = {name: np.stack([one[name] for one in states]) for name in state}
    record = {name: np.stack([_small(one[name]) for one in happened]) for name in happened[0]}
    ids = pd.Index(np.array([f"H{i + 1:06d}" for i in range(n)]), dtype=str, name="household_id")
    return Truth(ids, first_day, history, record["welfare"], traits, rules, seed, event), record


def _small(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) if values.dtype.kind == "f" else values.astype(np.int8)


def _opened_book(truth: Truth, seen: Lanes) -> Book:
    """Return the office's book: 3 % of the households are registered in the first year, 1 % a year move away."""
    rng = np.random.default_rng([truth.seed, _OFFICE])
    n, n_all = len(truth.household_ids), len(truth.monthly_welfare)
    first_month = np.datetime64(f"{truth.first_day:%Y-%m}", "M") - BURN_IN
    first_days = (first_month + np.arange(n_all + 1)).astype("datetime64[D]")
    first = first_days[BURN_IN]
    later = rng.random(n) < 0.03
    registered = first - np.where(later, -rng.integers(20, 365, n), rng.integers(5, 40, n)).astype("timedelta64[D]")
    years = rng.exponential(100, n)
    left = first + (365 * np.minimum(years, 200)).astype("timedelta64[D]")
    left = np.where((left < first_days[-1]) & (left > registered), left, np.datetime64("NaT"))
    extract_on = first_days[-1] + np.timedelta64(30, "D")
    return Book(
        truth.traits,
        truth.states,
        seen,
        first_days,
        truth.household_ids.to_numpy(dtype=object),
        registered,
        left,
        extract_on,
        rng,
    )
