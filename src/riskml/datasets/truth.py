"""What only the simulator knows: true risk, the shocks behind a return, outcomes under each measure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from riskml.causes import CAUSES
from riskml.datasets.law import BURN_IN, HAZARDS, MEASURES, SHARED, Event, Lanes, Rules, district_noise, draw_noise
from riskml.datasets.month import walk

Rule = Literal["at_horizon", "any"]

#: Causes whose shocks can be taken out of the world, in the order of all causes.
SHOCK_CAUSES = tuple(cause for cause in CAUSES if cause == "assistance" or cause in {h.cause for h in HAZARDS.values()})

#: The causes whose shocks are taken out together: each alone, then all.
_WORLDS = (*((cause,) for cause in SHOCK_CAUSES), SHOCK_CAUSES)
#: Months of welfare that are judged together.
_WELFARE_MONTHS = 12
#: Lanes lived at once: what fits a core's cache.
_LANES = 16_384


@dataclass(frozen=True, eq=False, repr=False)
class Truth:
    """The world behind simulated monitoring data.

    As-of dates are first days of recorded months. Every answer restarts the law (:func:`riskml.datasets.month.step`)
    from the true state on that day. *Below the line* is judged as :func:`riskml.outcome_labels` does, on true
    welfare: the mean of the last ``min(12, horizon_months)`` months before the horizon (``"at_horizon"``), or such
    a mean at any month-end of the horizon with at least half of these months behind it (``"any"``). Nothing here
    knows of entries: a true outcome exists where the label is missing, and the two can differ where an entry is
    missing or its correction came after the extract.

    Attributes
    ----------
    household_ids : Index
        The households, in the order of every array.
    first_day : Timestamp
        First day of the first recorded month.
    states : dict of ndarray
        The true state at the start of each month from the burn-in on, ``(12 + n_months + 1, ..., n_households)``.
    monthly_welfare : ndarray of shape (12 + n_months, n_households)
        True welfare of each month from the burn-in on, in lines.
    traits, rules, seed
        What the law needs to live a month again.
    event : Event or None
        What struck the district beside what its law brings; part of every world lived again.
    """

    household_ids: pd.Index
    first_day: pd.Timestamp
    states: Lanes
    monthly_welfare: NDArray[np.float32]
    traits: Lanes
    rules: Rules
    seed: int
    event: Event | None = None

    def __repr__(self) -> str:
        n_months = len(self.monthly_welfare) - BURN_IN
        return f"Truth({len(self.household_ids)} households, {n_months} months from {self.first_day:%Y-%m-%d})"

    def welfare(self, as_of_dates: Iterable[object]) -> pd.Series:
        """Return true welfare over the twelve months before each date, for every household.

        Returns
        -------
        Series of float64
            ``welfare`` in lines, indexed by ``(household_id, as_of_date)``, sorted.
        """
        days = _days(as_of_dates)
        values = [self.monthly_welfare[m - _WELFARE_MONTHS : m].mean(axis=0) for m in self._positions(days)]
        return self._series(days, np.array(values, dtype=np.float64).reshape(len(days), -1), "welfare")

    def risk(
        self,
        as_of_dates: Iterable[object],
        *,
        horizon_months: int = 12,
        rule: Rule = "at_horizon",
        n_draws: int = 200,
        net_of_assistance: bool = False,
    ) -> pd.DataFrame:
        """Return each household's true risk: the share of its possible futures that end below the line.

        From the true state on the date the law is run ``n_draws`` times with fresh random numbers, those of the area
        included. Futures hold the officers' future help, as the district's own does.

        Parameters
        ----------
        as_of_dates : iterable of dates
            First days of recorded months.
        horizon_months : int, default 12
            Months from the date to the outcome.
        rule : {"at_horizon", "any"}, default "at_horizon"
            What counts as a return.
        n_draws : int, default 200
            Futures a household.
        net_of_assistance : bool, default False
            Judge the same futures by welfare without public transfers: arithmetic, as in
            :func:`riskml.outcome_labels`, no world without them.

        Returns
        -------
        DataFrame
            Indexed by ``(household_id, as_of_date)``, sorted, for every household: ``risk``; ``standard_error`` of
            the Monte Carlo, ``sqrt(p (1 - p) / n_draws)`` with ``p = (returns + 1/2) / (n_draws + 1)``, never 0.

        Raises
        ------
        ValueError
            If a date is not the first day of a recorded month.

        Examples
        --------
        >>> from riskml.datasets import make_monitoring
        >>> truth = make_monitoring(60, n_months=24, random_state=0).truth
        >>> truth.risk(["2022-01-01"], n_draws=20).columns.tolist()
        ['risk', 'standard_error']
        """
        days = _days(as_of_dates)
        n = len(self.household_ids)
        counts = np.zeros((len(days), n))
        for i, position in enumerate(self._positions(days)):
            for first in range(0, n, max(1, _LANES // n_draws)):
                lanes = np.arange(first, min(first + max(1, _LANES // n_draws), n))
                rng = np.random.default_rng([self.seed, 1, position, first])
                welfare = self._futures(np.repeat(lanes, n_draws), position, horizon_months, rng, net=net_of_assistance)
                counts[i, lanes] = _below(welfare, rule).reshape(-1, n_draws).sum(axis=1)
        middle = (counts + 0.5) / (n_draws + 1)
        error = np.sqrt(middle * (1 - middle) / n_draws)
        return pd.concat(
            [self._series(days, counts / n_draws, "risk"), self._series(days, error, "standard_error")], axis=1
        )

    def returned(self, index: pd.MultiIndex, *, horizon_months: int = 12, rule: Rule = "at_horizon") -> pd.Series:
        """Return whether each household truly fell below the line.

        Parameters
        ----------
        index : MultiIndex
            ``(household_id, as_of_date)``.
        horizon_months : int, default 12
            Months from the date to the outcome.
        rule : {"at_horizon", "any"}, default "at_horizon"
            What counts as a return.

        Returns
        -------
        Series of float64
            1 or 0; NaN where the horizon reaches beyond the simulated months.
        """
        out = np.full(len(index), np.nan)
        for rows, lanes, position in self._groups(index):
            if position + horizon_months <= len(self.monthly_welfare):
                welfare = self.monthly_welfare[position : position + horizon_months, lanes]
                out[rows] = _below(welfare, rule)
        return pd.Series(out, index=index, name="returned")

    def shocks(
        self,
        index: pd.MultiIndex,
        *,
        horizon_months: int = 12,
        rule: Rule = "at_horizon",
        before_only: bool = False,
    ) -> pd.DataFrame:
        """Return, for households that returned, the causes without whose shocks they would not have.

        The months from twelve before the as-of date (or the first simulated one) to the horizon are lived again with
        the same random numbers, except that no shock of one cause happens in them: no event of its hazards
        (:data:`riskml.datasets.law.HAZARDS`); for ``schooling`` also no fees of stages 3 and 4; for ``assistance`` no
        support that runs ends. Officers respond to the other life as they would have. Shocks of one household can be
        needed together, so that several columns are 1; where any one of several would have sufficed, all can be 0.

        Parameters
        ----------
        index : MultiIndex
            ``(household_id, as_of_date)``.
        horizon_months : int, default 12
            Months from the date to the outcome.
        rule : {"at_horizon", "any"}, default "at_horizon"
            What counts as a return.
        before_only : bool, default False
            Take out only the shocks before the as-of date, which an office may have on record by then; those after it
            happen.

        Returns
        -------
        DataFrame of int8
            Rows of ``index`` that returned; one column a cause of :data:`SHOCK_CAUSES`, and ``income``: 1 where the
            household would have returned without any of these shocks (low income, or its ordinary ups and downs).

        Raises
        ------
        ValueError
            If a date is not the first day of a recorded month.
        """
        returned = index[(self.returned(index, horizon_months=horizon_months, rule=rule) == 1).to_numpy()]
        below = np.zeros((len(_WORLDS), len(returned)), dtype=bool)
        for rows, lanes, position in self._groups(returned):
            start = max(position - _WELFARE_MONTHS, 0)
            welfare = self._again(
                np.tile(lanes, len(_WORLDS)),
                start,
                position + horizon_months,
                without=_without(len(lanes)),
                until=position if before_only else None,
            )
            below[:, rows] = _below(welfare[position - start :], rule).reshape(len(_WORLDS), -1)
        return pd.DataFrame(_needed(below).T.astype(np.int8), index=returned, columns=[*SHOCK_CAUSES, "income"])

    def likely_shocks(
        self, index: pd.MultiIndex, *, horizon_months: int = 12, rule: Rule = "at_horizon", n_draws: int = 200
    ) -> pd.DataFrame:
        """Return how likely :meth:`shocks` will name each cause if the household returns, as known on the as-of date.

        From the true state on the date ``n_draws`` futures are drawn, as :meth:`risk` draws them. Those that end below
        the line are lived again, from twelve months before the date, without the shocks of each cause. Whoever knows
        this, knows all that can be known on the date: the law, every shock of the past and what it did, and of the
        future only its chances. What an explanation names cannot be better founded.

        Parameters
        ----------
        index : MultiIndex
            ``(household_id, as_of_date)``.
        horizon_months : int, default 12
            Months from the date to the outcome.
        rule : {"at_horizon", "any"}, default "at_horizon"
            What counts as a return.
        n_draws : int, default 200
            Futures a household.

        Returns
        -------
        DataFrame of float64
            Indexed as given, columns as :meth:`shocks` has them: the share of the futures that end below the line in
            which the cause is named. NaN where none of the futures does.

        Raises
        ------
        ValueError
            If a date is not the first day of a recorded month.

        Examples
        --------
        >>> from riskml.datasets import make_monitoring
        >>> truth = make_monitoring(60, n_months=24, random_state=0).truth
        >>> index = pd.MultiIndex.from_product([truth.household_ids[:2], [pd.Timestamp("2022-01-01")]])
        >>> truth.likely_shocks(index.set_names(["household_id", "as_of_date"]), n_draws=20).shape
        (2, 12)
        """
        named = np.full((len(index), len(_WORLDS)), np.nan)
        for rows, lanes, position in self._groups(index):
            for first in range(0, len(rows), max(1, _LANES // n_draws)):
                some = slice(first, first + max(1, _LANES // n_draws))
                futures = np.repeat(lanes[some], n_draws)
                rng = np.random.default_rng([self.seed, 2, position, first])
                ahead = [draw_noise(rng, len(futures)) for _ in range(horizon_months)]
                named[rows[some]] = self._named_ahead(futures, position, ahead, rule, n_draws)
        return pd.DataFrame(named, index=index, columns=[*SHOCK_CAUSES, "income"])

    def _named_ahead(
        self, futures: NDArray[np.int64], position: int, ahead: list[Lanes], rule: Rule, n_draws: int
    ) -> NDArray[np.float64]:
        """Return the share of each household's futures below the line that need a cause, ``(n, n_causes)``."""
        stop = position + len(ahead)
        met = self._live(futures, position, stop, lambda month: ahead[month + BURN_IN - position])
        chosen = np.flatnonzero(_below(met, rule))
        start = max(position - _WELFARE_MONTHS, 0)

        def noise(month: int) -> Lanes:
            if month + BURN_IN < position:
                return _taken(district_noise(self.seed, month, self.traits, self.rules), futures[chosen])
            return _taken(ahead[month + BURN_IN - position], chosen)

        below = np.zeros((len(_WORLDS), len(chosen)), dtype=bool)
        for i, world in enumerate(_WORLDS):
            without: dict[str, NDArray[np.bool_]] = {c: np.full(len(chosen), c in world) for c in SHOCK_CAUSES}
            welfare = self._live(futures[chosen], start, stop, noise, without=without)
            below[i] = _below(welfare[position - start :], rule)
        household = chosen // n_draws
        n_returns = np.bincount(household, minlength=len(futures) // n_draws)
        sums = [np.bincount(household, weights=cause, minlength=len(n_returns)) for cause in _needed(below)]
        with np.errstate(invalid="ignore"):
            return np.array(sums).T / n_returns[:, None]

    def outcome_under(
        self,
        index: pd.MultiIndex,
        measures: Sequence[str] = tuple(MEASURES),
        *,
        horizon_months: int = 12,
        rule: Rule = "at_horizon",
    ) -> pd.DataFrame:
        """Return the outcome had the household been given each measure on the as-of date, all else equal.

        The months from the date to the horizon are lived again with the same random numbers; the measure runs for
        its longest term (or longer, if it runs already). Giving a measure that does not fit changes nothing.

        Parameters
        ----------
        index : MultiIndex
            ``(household_id, as_of_date)``.
        measures : sequence of str
            Names of :data:`riskml.datasets.law.MEASURES`.
        horizon_months : int, default 12
            Months from the date to the outcome.
        rule : {"at_horizon", "any"}, default "at_horizon"
            What counts as a return.

        Returns
        -------
        DataFrame of float64
            Indexed as given, one column a measure: 1 would have returned, 0 not, NaN beyond the simulated months.
            Compare with :meth:`returned`.

        Raises
        ------
        ValueError
            If a measure is unknown or a date is not the first day of a recorded month.
        """
        unknown = sorted(set(measures) - set(MEASURES))
        if unknown:
            raise ValueError(f"unknown measures {unknown}; the simulator knows {', '.join(MEASURES)}")
        out = np.full((len(measures), len(index)), np.nan)
        for rows, lanes, position in self._groups(index):
            if position + horizon_months <= len(self.monthly_welfare):
                given = {name: np.repeat(np.array(measures) == name, len(lanes)) for name in measures}
                tiled = np.tile(lanes, len(measures))
                welfare = self._again(tiled, position, position + horizon_months, given=given)
                out[:, rows] = _below(welfare, rule).reshape(len(measures), -1)
        return pd.DataFrame(out.T, index=index, columns=list(measures))

    def returned_if(
        self,
        index: pd.MultiIndex,
        decided: pd.DataFrame,
        *,
        window_months: int = 1,
        horizon_months: int = 12,
        rule: Rule = "at_horizon",
        n_draws: int = 0,
    ) -> pd.Series:
        """Return the outcome had the officers decided otherwise about measures that start from the as-of date on.

        The month before the date, in which what starts on it is decided, and all to the horizon are lived again with
        the same random numbers. A measure that is to start does so on the as-of date if the household has the need it
        answers and it is not running, for the term that officers would have chosen; one that is not to start does not
        within ``window_months``. Afterwards officers help as they do, in this world as in any other.

        One life says little of an effect: two households with the same chances differ by luck. With ``n_draws`` the
        luck of the household from the as-of date on is drawn so often anew (that of its area stays what it was), the
        same for every decision about the same index, and the answer is the share of lives that end in a return.

        Parameters
        ----------
        index : MultiIndex
            ``(household_id, as_of_date)``.
        decided : DataFrame, shape (n_rows, n_measures)
            Rows as ``index``, columns names of :data:`riskml.datasets.law.MEASURES`: 1 starts on the as-of date, 0
            does not start in the window, NaN: as the officers decided.
        window_months : int, default 1
            Months from the as-of date on in which a measure decided against does not start.
        horizon_months : int, default 12
            Months from the date to the outcome.
        rule : {"at_horizon", "any"}, default "at_horizon"
            What counts as a return.
        n_draws : int, default 0
            Lives a household with luck drawn anew; 0: its own.

        Returns
        -------
        Series of float64
            1 would have returned, 0 not (or the share of lives with a return), NaN where the horizon reaches beyond
            the simulated months.

        Raises
        ------
        ValueError
            If a measure is unknown, the rows differ, or a date is not the first day of a recorded month.
        """
        names = [str(name) for name in decided]
        unknown = sorted(set(names) - set(MEASURES))
        if unknown:
            raise ValueError(f"unknown measures {unknown}; the simulator knows {', '.join(MEASURES)}")
        if len(decided) != len(index):
            raise ValueError(f"decided has {len(decided)} rows but index has {len(index)}")
        places = [list(MEASURES).index(name) for name in names]
        out = np.full(len(index), np.nan)
        for rows, lanes, position in self._groups(index):
            if position + horizon_months > len(self.monthly_welfare):
                continue
            copies = max(n_draws, 1)
            wanted = np.repeat(decided.to_numpy(dtype=np.float64)[rows].T, copies, axis=1)
            noise = self._decided(np.repeat(lanes, copies), position, places, wanted, window_months, n_draws > 0)
            welfare = self._live(np.repeat(lanes, copies), position - 1, position + horizon_months, noise)
            out[rows] = _below(welfare[1:], rule).reshape(-1, copies).mean(axis=1)
        return pd.Series(out, index=index, name="returned")

    def _futures(
        self, lanes: NDArray[np.int64], position: int, n_months: int, rng: np.random.Generator, *, net: bool = False
    ) -> NDArray[np.float32]:
        """Welfare of ``n_months`` months from a position on, with fresh random numbers, ``(n_months, n_lanes)``."""
        return self._live(lanes, position, position + n_months, lambda month: draw_noise(rng, len(lanes)), net=net)

    def _again(
        self,
        lanes: NDArray[np.int64],
        start: int,
        stop: int,
        *,
        without: dict[str, NDArray[np.bool_]] | None = None,
        given: dict[str, NDArray[np.bool_]] | None = None,
        until: int | None = None,
    ) -> NDArray[np.float32]:
        """Welfare from position ``start`` to ``stop`` with the district's own random numbers."""

        def noise(month: int) -> Lanes:
            return _taken(district_noise(self.seed, month, self.traits, self.rules), lanes)

        return self._live(lanes, start, stop, noise, without=without, given=given, until=until)

    def _decided(
        self,
        lanes: NDArray[np.int64],
        position: int,
        places: list[int],
        wanted: NDArray[np.float64],
        window_months: int,
        new_luck: bool,
    ) -> Callable[[int], Lanes]:
        """Random numbers of the district, or new ones beside its areas', in which decisions are as wanted."""
        first, rng = position - 1 - BURN_IN, np.random.default_rng([self.seed, 2, position])

        def noise(month: int) -> Lanes:
            drawn = _taken(district_noise(self.seed, month, self.traits, self.rules), lanes)
            if new_luck and month > first:
                drawn = draw_noise(rng, len(lanes)) | {name: drawn[name] for name in SHARED}
            give = drawn["give"]
            # Below any chance: it starts where there is a need. Above any: it does not.
            if month == first:
                give[places] = np.where(wanted == 1, -1, give[places])
            if first <= month < first + window_months:
                give[places] = np.where(wanted == 0, 2, give[places])
            return drawn

        return noise

    def _live(
        self,
        lanes: NDArray[np.int64],
        start: int,
        stop: int,
        noise: Callable[[int], Lanes],
        *,
        without: dict[str, NDArray[np.bool_]] | None = None,
        given: dict[str, NDArray[np.bool_]] | None = None,
        until: int | None = None,
        net: bool = False,
    ) -> NDArray[np.float32]:
        """Welfare from position ``start`` to ``stop``; shocks are taken out before position ``until`` (or all)."""
        state = {name: values[start][..., lanes] for name, values in self.states.items()}
        traits, welfare = _taken(self.traits, lanes), []
        until = stop if until is None else until
        ways: dict[str, Any] = {"given": given, "event": None if self.event is None else self.event.of(lanes)}
        for first, last, suppressed in ((start, until, without), (until, stop, None)):
            months = range(first - BURN_IN, last - BURN_IN)
            for after, seen in walk(state, traits, noise, months, self.rules, suppressed=suppressed, **ways):
                state = after
                welfare.append(seen["welfare"] - seen["transfers"] / seen["units"] if net else seen["welfare"])
        return np.stack(welfare)

    def _groups(self, index: pd.MultiIndex) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], int]]:
        """Yield rows, households and position of each as-of date of an index."""
        days = pd.DatetimeIndex(index.get_level_values("as_of_date"))
        lanes = self.household_ids.get_indexer(index.get_level_values("household_id"))
        if (lanes < 0).any():
            raise ValueError(f"household {index[int((lanes < 0).argmax())][0]!r} is not in the simulated district")
        unique = days.unique()
        for day, position in zip(unique, self._positions(unique), strict=True):
            rows = np.flatnonzero(days == day)
            yield rows, lanes[rows].astype(np.int64), position

    def _positions(self, days: pd.DatetimeIndex) -> list[int]:
        """Positions of as-of dates in ``states``."""
        after = (days.year - self.first_day.year) * 12 + days.month - self.first_day.month
        wrong = (days.day != 1) | (after < 0) | (after > len(self.monthly_welfare) - BURN_IN)
        if wrong.any():
            raise ValueError(
                f"truth is known on the first days of the months from {self.first_day:%Y-%m-%d} on, "
                f"{len(self.monthly_welfare) - BURN_IN} months; not on {days[wrong][0]:%Y-%m-%d}"
            )
        return (np.asarray(after) + BURN_IN).tolist()

    def _series(self, days: pd.DatetimeIndex, values: NDArray[np.float64], name: str) -> pd.Series:
        index = pd.MultiIndex.from_product([self.household_ids, days], names=["household_id", "as_of_date"])
        return pd.Series(values.T.ravel(), index=index, name=name)


def _without(n: int) -> dict[str, NDArray[np.bool_]]:
    """Return which shocks are taken out of each of ``n`` copies of every world."""
    grid = np.array([[cause in world for world in _WORLDS] for cause in SHOCK_CAUSES])
    return {cause: np.repeat(grid[i], n) for i, cause in enumerate(SHOCK_CAUSES)}


def _needed(below: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which causes a return needed, and whether it needed none, from the outcome in each world."""
    return np.concatenate([~below[:-1], below[-1:]])


def _below(welfare: NDArray[np.float32], rule: Rule) -> NDArray[np.bool_]:
    """Whether the months of a horizon, ``(horizon_months, n)``, mean a return."""
    if rule not in ("at_horizon", "any"):
        raise ValueError(f"rule must be 'at_horizon' or 'any', got {rule!r}")
    horizon = len(welfare)
    judged = min(_WELFARE_MONTHS, horizon)
    if rule == "at_horizon":
        return welfare[horizon - judged :].mean(axis=0) < 1
    total = np.concatenate([np.zeros_like(welfare[:1], dtype=np.float64), welfare.cumsum(axis=0, dtype=np.float64)])
    ends = np.arange(-(-judged // 2), horizon + 1)
    begins = np.maximum(ends - judged, 0)
    return ((total[ends] - total[begins]) / (ends - begins)[:, None] < 1).any(axis=0)


def _days(as_of_dates: Iterable[object]) -> pd.DatetimeIndex:
    given = [as_of_dates] if isinstance(as_of_dates, str | pd.Timestamp) else list(as_of_dates)
    days = pd.DatetimeIndex([pd.Timestamp(str(day)) for day in given]).unique().sort_values()
    return pd.DatetimeIndex(days.astype("datetime64[s]"))


def _taken(arrays: Lanes, lanes: NDArray[np.int64]) -> Lanes:
    return {name: values[..., lanes] for name, values in arrays.items()}
