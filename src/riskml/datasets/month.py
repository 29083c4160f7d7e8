"""One month of the simulated households, as a pure function.

:func:`step` turns ``(state, traits, noise, month)`` into ``(next state, what happened)``. It works on *lanes*, one
column an imagined household, so the same few lines run the district itself, its possible futures, and worlds in
which a shock did not happen or a measure was given. The numbers stand in :mod:`riskml.datasets.law`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from riskml.datasets.law import (
    ADULTS,
    CHILDREN,
    CONSTANTS,
    ELDERS,
    HAZARDS,
    MEASURE_NAMES,
    MEASURES,
    NEED_WEIGHTS,
    STATE,
    UNWATCHED_RATE,
    Event,
    Lanes,
    Rules,
)

_C = {name: value for name, (value, _) in CONSTANTS.items()}


def step(
    state: Lanes,
    traits: Lanes,
    noise: Lanes,
    month: int,
    rules: Rules,
    *,
    suppressed: Mapping[str, NDArray[np.bool_]] | None = None,
    given: Mapping[str, NDArray[np.bool_]] | None = None,
    event: Event | None = None,
) -> tuple[Lanes, Lanes]:
    """Live one month.

    Parameters
    ----------
    state : dict of ndarray
        As in :data:`STATE`, arrays of shape ``(n,)`` or ``(places, n)``; not changed.
    traits : dict of ndarray
        What does not change, as :func:`riskml.datasets.population.draw_traits` gives it.
    noise : dict of ndarray
        Random numbers of this month, as :func:`draw_noise` gives them. The step draws none itself.
    month : int
        Months since the first recorded one; negative during the burn-in.
    rules : Rules
        What holds for the whole district.
    suppressed : mapping of str to ndarray of bool, optional
        Cause -> lanes in which no shock of that cause happens this month. ``"assistance"``: no support ends.
    given : mapping of str to ndarray of bool, optional
        Measure -> lanes to which it is given at the start of the month, for its longest term.
    event : Event, optional
        What strikes the lanes beside what the law brings, in its month or from then on.

    Returns
    -------
    state : dict of ndarray
        The state at the start of the next month.
    seen : dict of ndarray
        What happened: incomes by source, ``units``, ``welfare``, bills, losses, fees, supports started.
    """
    now = _Month(
        {name: values.copy() for name, values in state.items()},
        traits,
        noise,
        month,
        (rules.first_calendar_month - 1 + month) % 12 + 1,
        suppressed or {},
        event,
        {"cost": np.zeros(len(traits["ability"]), np.float32)},
    )
    for name, lanes in (given or {}).items():
        _start(now, name, lanes, np.int8(MEASURES[name].months[1]))
    _members(now)
    _health(now)
    _school(now)
    _dwelling(now)
    _disasters(now)
    _production(now)
    _jobs(now)
    _incomes(now)
    _savings(now)
    closed = _closed(rules, event, month)
    _end_support(now, closed)
    _officers(now, closed)
    return {name: now.state[name].astype(dtype, copy=False) for name, (_, dtype) in STATE.items()}, now.seen


def walk(
    state: Lanes,
    traits: Lanes,
    noise: Callable[[int], Lanes],
    months: range,
    rules: Rules,
    *,
    suppressed: Mapping[str, NDArray[np.bool_]] | None = None,
    given: Mapping[str, NDArray[np.bool_]] | None = None,
    event: Event | None = None,
) -> Iterator[tuple[Lanes, Lanes]]:
    """Yield the state after each month and what happened in it; measures are given in the first month."""
    for month in months:
        ways: dict[str, Any] = {"suppressed": suppressed, "given": given, "event": event}
        state, seen = step(state, traits, noise(month), month, rules, **ways)
        given = None
        yield state, seen


def labour(state: Lanes, traits: Lanes, month: int) -> NDArray[np.float32]:
    """Return the labour each adult can give this month, 0 to 1, shape ``(2, n)``."""
    able = traits["labour"] * np.float32(0.5) * state["present"][ADULTS]
    able = able * np.where(_age(traits, month)[ADULTS] >= 62, np.float32(0.6), np.float32(1))
    able = able * np.where(state["sick"] > 0, np.float32(_C["sick_capacity"]), np.float32(1))
    able = able * np.where(state["disabled"] > 0, np.float32(_C["disabled_capacity"]), np.float32(1))
    busy = np.where((state["care"] > 0) | (state["rebuilding"] > 0), np.float32(_C["carer_capacity"]), np.float32(1))
    busy = np.where(state["accompanying"] > 0, np.float32(_C["accompanying_capacity"]), busy)
    return able * np.where(_carer(state), busy, np.float32(1))


def offered_pay(traits: Lanes, away: NDArray[np.bool_], normal: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the yearly pay of a new job of each adult, in person-lines, shape ``(2, n)``."""
    skill = 0.06 * (traits["education"] - 3) + 0.5 * traits["ability"]
    return np.where(away, _C["away_pay"], _C["local_pay"]) * np.exp(skill + 0.2 * normal)


def stage(years: NDArray) -> NDArray[np.int8]:
    """Return the school stage of an age in years: 0 pre-school, 1 and 2 compulsory, 3 upper secondary, 4 higher."""
    return np.digitize(years, (6, 12, 15, 18)).astype(np.int8)


def needs(state: Lanes, traits: Lanes, month: int) -> dict[str, NDArray[np.bool_]]:
    """Return, for each measure, whether a household has the need it answers."""
    able = labour(state, traits, month)
    idle = ((able > 0.4) & (state["job"] == 0) & (traits["farmer"] == 0)).any(axis=0)
    pupil = ((state["school"] == 1) & (stage(_age(traits, month)[CHILDREN]) >= 3)).any(axis=0)
    poor = state["average"] < 1.25
    return {
        "minimum_income_guarantee": poor,
        "public_service_post": (state["average"] < 1.5) & (able.sum(axis=0) < 1.2) & (able.sum(axis=0) > 0.15),
        "production_grant": (traits["land"] > 0.5) & ((state["failed"] > 0.2) | (state["average"] < 1.4)),
        "job_placement": idle,
        "health_assistance": (state["sick"] > 0).any(axis=0) | (state["care"] > 0),
        "education_grant": pupil,
        "disaster_relief": state["struck"] > 0,
        "housing_repair": state["housing"] >= 3,
        "water_works": state["water"] >= 3,
    }


def _members(now: _Month) -> None:
    """Adults die or leave (a shock); elders die (not a shock). The last member stays."""
    s, age = now.state, _age(now.traits, now.month)
    leaves = now.happens("departure", old=age[ADULTS] >= 55, young=age[ADULTS] < 35) & (s["present"][ADULTS] > 0)
    leaves[0] &= ~leaves[1]
    dies = now.happens("elder_death", old=age[ELDERS] >= 80) & (s["present"][ELDERS] > 0)
    others = s["present"].sum(axis=0) > leaves.sum(axis=0) + dies.sum(axis=0)
    s["present"][ADULTS] *= ~(leaves & others)
    s["present"][ELDERS] *= ~(dies & others)
    for name in ("job", "sick", "disabled"):
        s[name] = s[name] * s["present"][ADULTS]


def _health(now: _Month) -> None:
    """Serious illness, disability, accidents: labour lost for months or for good, and bills."""
    s, u, traits = now.state, now.noise, now.traits
    here = s["present"][ADULTS] > 0
    elders = s["present"][ELDERS].sum(axis=0)
    ill = now.happens("illness", chronic=s["chronic"], elders=elders, poor_water=s["water"] >= 3)
    size = u["illness_size"]
    is_adult = np.stack([u["illness_who"] < 0.35, (u["illness_who"] >= 0.35) & (u["illness_who"] < 0.6)]) & here & ill
    other = ill & ~is_adult.any(axis=0)
    away, old = s["job"] == 2, _age(traits, now.month)[ADULTS] >= 50
    hurt = now.happens("accident", away=away.any(axis=0), exposed=traits["exposed"])
    fire = hurt & (u["accident_kind"] < 0.25)
    is_hurt = np.stack([hurt & ~fire & (u["accident_kind"] < 0.65), hurt & (u["accident_kind"] >= 0.65)]) & here
    disabled = now.happens("disability", away=away, old=old) & here & (s["disabled"] == 0)
    # Assistance halves the time of recovery: two months of it pass in one.
    pace = 1 + (now.helped("health_assistance") & (now.month % 2 == 0))
    s["sick"] = np.maximum(np.maximum(s["sick"] - pace, 0), is_adult * (4 + 12 * size).astype(np.int8))
    s["sick"] = np.maximum(s["sick"], is_hurt * (3 + 9 * u["accident_size"]).astype(np.int8))
    s["care"] = np.maximum(np.maximum(s["care"] - pace, 0), other * (3 + 7 * size).astype(np.int8))
    s["disabled"] |= disabled
    s["chronic"] |= ill & (size > 0.6)
    bill = ill * (0.3 + 2.5 * size**2) + is_hurt.any(axis=0) * (0.2 + u["accident_size"])
    bill += disabled.any(axis=0) * 0.6 + 0.05 * ((s["sick"] > 0).sum(axis=0) + (s["care"] > 0))
    bill = bill * now.imposed("bills", 1.0, lasting=True)
    paid = bill * np.where(now.helped("health_assistance"), 0.4, 1.0)
    burnt = fire * (0.3 + 1.5 * u["accident_size"])
    now.seen["cost"] += paid + burnt
    s["capital"] -= 0.5 * burnt
    patient = np.where(is_adult[0] | is_hurt[0], 1, np.where(is_adult[1] | is_hurt[1], 2, 3 * other))
    now.seen |= {"bill": bill, "paid": paid, "patient": patient, "ill": ill, "burnt": burnt}
    now.seen["accident"] = np.where(fire, 1, hurt * np.where(away.any(axis=0), 2, 3))


def _school(now: _Month) -> None:
    """Pupils enter, go on or leave in September; fees of stages 3 and 4; an adult may give up work to accompany one."""
    s, u, traits = now.state, now.noise, now.traits
    years = _age(traits, now.month)[CHILDREN]
    at, there = stage(years), s["present"][CHILDREN] > 0
    autumn = now.calendar == 9
    if autumn:
        s["school"][there & (s["school"] == 0) & (at >= 1) & (at <= 2)] = 1
        goes_on = u["continue"] < np.where(at == 3, 0.72, 0.5) + 0.03 * traits["education"].max(axis=0)
        ends = ((years == 15) | (years == 18)) & ~goes_on | (years >= 22)
        s["school"][(s["school"] == 1) & ends] = 3
    near = s["average"] < 1.25
    drops = now.happens("drop_out", near_line=near) & (s["school"] == 1) & (at == 2)
    s["school"][drops] = 2
    pupil = s["school"] == 1
    helped = now.helped("education_grant")
    upper = pupil & (at == 3)
    enters = (upper & (years == 15)).any(axis=0) if autumn else np.zeros_like(near)
    accompanies = enters & now.happens("accompany", granted=helped)
    s["accompanying"] = ((s["accompanying"] > 0) | accompanies) & upper.any(axis=0)
    s["job"] = np.where(_carer(s) & accompanies, 0, s["job"])
    fee = np.zeros(years.shape, np.float32)
    if now.calendar in (3, 9):
        fee = pupil * np.select([at == 4, at == 3, at >= 1], [0.70, 0.25, 0.02], 0.01) * np.where(helped, 0.3, 1.0)
        shock = (fee * (at >= 3)).sum(axis=0)
        now.seen["cost"] += np.where(now.suppressed.get("schooling", False), 0, shock)
    now.seen |= {"fee": fee, "stage": at}


def _dwelling(now: _Month) -> None:
    """Houses and water become unsafe; rebuilding costs money and the carer's time; works make them safe again."""
    s, u, traits = now.state, now.noise, now.traits
    damaged = now.happens("house_damage", weak_house=s["housing"] >= 2, exposed=traits["exposed"])
    fails = now.happens("water_failure", exposed=traits["exposed"], dry=now.calendar in (1, 2, 3, 12))
    helped = now.helped("housing_repair")
    safe_again = (now.support("housing_repair") == 1) | ((s["rebuilding"] == 1) & ~damaged)
    s["rebuilding"] = np.maximum(s["rebuilding"] - 1, 0)
    s["housing"] = np.where(safe_again, 1, s["housing"])
    s["housing"] = np.where(damaged, np.maximum(s["housing"], 3 + (u["house_size"] > 0.7)), s["housing"])
    s["rebuilding"] = np.where(damaged, 8, s["rebuilding"])
    s["water"] = np.where(now.support("water_works") == 1, 1, s["water"])
    s["water"] = np.where(fails, np.maximum(s["water"], 3 + (u["house_size"] > 0.6)), s["water"])
    cost = damaged * (0.6 + 1.6 * u["house_size"]) * np.where(helped, 0.4, 1.0)
    now.seen["cost"] += cost
    s["capital"] -= 0.12 * damaged + 0.10 * fails
    now.seen |= {"housing_checked": damaged | safe_again, "water_checked": fails | (now.support("water_works") == 1)}


def _disasters(now: _Month) -> None:
    """Strike whole villages and townships; about two thirds of their households suffer losses."""
    s, u, traits = now.state, now.noise, now.traits
    rainy = now.calendar in (5, 6, 7, 8, 9)
    village = now.happens("village_disaster", rainy=rainy) * _severity(u["village_severity"])
    township = now.happens("township_disaster", rainy=rainy) * _severity(u["township_severity"])
    severity = np.maximum(village, township)
    hit = (severity > 0) & (u["hit"] < 0.4 + 0.15 * severity + 0.15 * traits["exposed"])
    township = np.maximum(township, now.imposed("severity", np.int8(0)))
    severity, hit = np.maximum(severity, township), hit | now.imposed("hit", False)
    loss = hit * (0.12 + 0.22 * severity).astype(np.float32)
    s["failed"] = np.maximum(s["failed"], loss)
    s["capital"] -= np.float32(0.27) * loss
    s["housing"] = np.where(hit & (u["hit"] < 0.06 * severity), np.maximum(s["housing"], 3), s["housing"])
    s["struck"] = np.where(hit, 5, np.maximum(s["struck"] - 1, 0))
    now.seen["cost"] += loss
    now.seen |= {"village_severity": village, "township_severity": township, "disaster_loss": loss}


def _production(now: _Month) -> None:
    """Own production fails; prices of a county's product fall and recover."""
    s, u, traits = now.state, now.noise, now.traits
    growing = now.calendar in (4, 5, 6, 7, 8)
    fails = now.happens("failure", growing=growing) & (traits["land"] > 0.3)
    lost = fails * (0.3 + 0.6 * u["failure_size"])
    falls = now.happens("price_fall")
    s["failed"] = np.maximum(s["failed"] * np.float32(_C["loss_decay"]), lost)
    s["price"] = s["price"] * np.float32(_C["price_decay"]) + np.float32(0.02) * u["price"]
    s["price"] -= falls * (0.35 + 0.35 * u["price_size"])
    fall = now.imposed("price_fall", 0.0)
    s["price"] -= fall
    falls = falls | (np.asarray(fall) > 0)
    s["capital"] += np.float32(0.015) * (0.25 * now.helped("production_grant") - s["capital"])
    s["capital"] = np.clip(s["capital"], -2.0, 0.5)
    now.seen |= {"lost": lost, "price_fell": falls, "price": s["price"]}


def _jobs(now: _Month) -> None:
    """Jobs are lost and found; an adult who is sick for long or lives with a pupil comes home."""
    s, u, traits = now.state, now.noise, now.traits
    old = _age(traits, now.month)[ADULTS] >= 50
    s["slump"] = np.where(now.happens("slump"), 1, s["slump"] * ~now.happens("slump_end"))
    able = labour(s, traits, now.month)
    employed = s["job"] > 0
    lost = now.happens("job_end", informal=s["informal"], slump=s["slump"], old=old)
    lost = lost | now.imposed("jobs_end", False)
    bound = _carer(s) & ((s["care"] > 2) | (s["rebuilding"] > 4))
    home = ((s["job"] == 2) & ((s["sick"] > 2) | (s["disabled"] > 0) | bound)) | (able < 0.2)
    found = ~employed & ~home & (able > 0.4) & (s["accompanying"] == 0)
    placed = now.helped("job_placement")
    found &= now.happens("job_found", farmer=traits["farmer"], old=old, placed=placed, slump=s["slump"])
    away = u["job_kind"] < np.where(old | (s["care"] > 0), 0.2, 0.6)
    kind = np.where(away, 2, 1)
    s["job"] = np.where(employed & (lost | home), 0, np.where(found, kind, s["job"]))
    s["pay"] = np.where(found, offered_pay(traits, away, u["pay"]), s["pay"])
    s["informal"] = np.where(found, u["job_informal"] < 0.7 - 0.08 * traits["education"], s["informal"])
    now.seen |= {"job": s["job"], "pay": s["pay"], "informal": s["informal"]}


def _incomes(now: _Month) -> None:
    """Annualised net income by source, and welfare."""
    s, u, traits = now.state, now.noise, now.traits
    s["productivity"] = np.float32(_C["productivity_persistence"]) * s["productivity"]
    s["productivity"] += np.float32(_C["productivity_sd"]) * u["productivity"]
    able = labour(s, traits, now.month)
    employed = s["job"] > 0
    wage = (s["pay"] * able * employed).sum(axis=0) * np.exp(0.6 * s["productivity"] + 0.06 * u["wage_noise"])
    wage += MEASURES["public_service_post"].value * (now.helped("public_service_post") & (able.sum(axis=0) > 0.15))
    elders = s["present"][ELDERS].sum(axis=0)
    hands = (able * np.where(s["job"] == 2, 0.1, np.where(employed, 0.35, 1.0))).sum(axis=0) + 0.25 * elders
    usual = _C["farm_yield"] * traits["land"] * np.exp(traits["ability"] + s["capital"]) * np.sqrt(hands)
    season = 1.6 if now.calendar in (9, 10, 11) else 0.8
    output = usual * (1 - s["failed"]) * np.where(s["water"] >= 3, _C["water_yield"], 1.0)
    business = output * season * np.exp(s["price"] + s["productivity"] + 0.12 * u["business_noise"])
    age = _age(traits, now.month)
    grown = ((s["school"] >= 2) & (age[CHILDREN] >= 17) & (s["present"][CHILDREN] > 0)).sum(axis=0)
    private = traits["remittance"] * elders * np.exp(1.5 * s["productivity"] + 0.15 * u["private_noise"]) + 0.7 * grown
    transfers = _C["pension"] * ((age >= 60) & (s["present"] > 0)).sum(axis=0)
    transfers = transfers + _C["disability_subsidy"] * s["disabled"].sum(axis=0)
    transfers += s["guarantee"] * now.helped("minimum_income_guarantee")
    for name, measure in MEASURES.items():
        if measure.income:
            transfers += measure.value * now.helped(name)
    sources = {"wage": wage, "business": business, "property": 0.08 * traits["land"], "transfers": transfers}
    now.seen |= {**sources, "private": private, "expenses": _C["cost_share"] * usual}
    units = s["present"].sum(axis=0)
    net = sum(sources.values()) + private - now.seen["expenses"]
    now.seen |= {"units": units, "welfare": (net / units).astype(np.float32)}
    s["average"] += _C["average_weight"] * (now.seen["welfare"] - s["average"])


def _savings(now: _Month) -> None:
    """Costs are paid from savings; what savings do not cover is paid by selling productive capital."""
    s, units = now.state, now.seen["units"]
    welfare = now.seen["welfare"]
    balance = s["savings"] + units * np.maximum(0.15 * (welfare - 0.9), 0) / 12 - now.seen["cost"]
    short = np.maximum(-balance, 0)
    s["savings"] = np.clip(balance, 0, units)
    s["capital"] -= _C["fire_sale"] * np.minimum(short / units, 2.0)
    s["sold"] = np.where(short > 0.05, 6, np.maximum(s["sold"] - 1, 0))
    now.seen |= {"spent": now.seen["cost"] > 0.3 * s["savings"] + 0.05, "short": short}


def _closed(rules: Rules, event: Event | None, month: int) -> dict[str, bool]:
    """Return the measures no longer given, and whether those that run end this month."""
    closed = {}
    if rules.posts_close is not None and month >= rules.posts_close:
        closed["public_service_post"] = month == rules.posts_close
    if event is not None and month >= event.month:
        closed |= dict.fromkeys(event.ended, month == event.month)
    return closed


def _end_support(now: _Month, closed: Mapping[str, bool]) -> None:
    """Supports run out; a guarantee is renewed while the household is poor and the officer agrees."""
    s = now.state
    for name in (name for name, ends in closed.items() if ends):
        place = MEASURE_NAMES.index(name)
        s["support"][place] = np.minimum(s["support"][place], 1)
    place = MEASURE_NAMES.index("minimum_income_guarantee")
    renewed = (s["support"][place] == 1) & (s["average"] < 1.2) & (now.noise["give"][place] < 0.7)
    renewed &= "minimum_income_guarantee" not in closed
    s["support"][place] = np.where(renewed, MEASURES["minimum_income_guarantee"].months[1] + 1, s["support"][place])
    kept = (s["support"] == 1) & now.suppressed.get("assistance", False)
    s["support"] = np.where(kept, 1, np.maximum(s["support"] - 1, 0))


def _officers(now: _Month, closed: Mapping[str, bool]) -> None:
    """Officers judge need with error, watch households, and give help to those they think need it."""
    s, u, traits = now.state, now.noise, now.traits
    has = needs(s, traits, now.month)
    seen_need = sum(has[name] * weight for name, weight in NEED_WEIGHTS.items())
    need = 2.5 * (1.45 - s["average"]) + seen_need + traits["leniency"] + 0.5 * u["need"]
    s["calm"] = np.where((s["average"] > 1.3) & (need < 0.6), np.minimum(s["calm"] + 1, 100), 0)
    chance = 0.25 / (1 + np.exp(-3 * (need - 2.0)))
    identified = (s["watched"] == 0) & (u["identify"] < chance)
    category = np.where(s["average"] > 1.6, 3, np.where(traits["lifted"] > 0, 1, 2))
    s["watched"] = np.where(identified, category, np.where(s["calm"] >= 6, 0, s["watched"]))
    for place, (name, measure) in enumerate(MEASURES.items()):
        if name in closed:
            continue
        rate = np.where(s["watched"] > 0, 0.22, UNWATCHED_RATE.get(name, 0.0)) * np.exp(0.4 * traits["leniency"])
        gets = has[name] & (s["support"][place] == 0) & (u["give"][place] < rate)
        low, high = measure.months
        _start(now, name, gets, np.floor(low + (high - low + 1) * u["term"]).astype(np.int8))
    now.seen |= {"need": need, "watched": s["watched"], "support": s["support"], "guarantee": s["guarantee"]}


def _start(now: _Month, name: str, lanes: NDArray[np.bool_], months: NDArray[np.int8] | np.int8) -> None:
    """Begin or extend a measure, with what it does at once."""
    s, place = now.state, MEASURE_NAMES.index(name)
    if name == "minimum_income_guarantee":
        units = s["present"].sum(axis=0)
        amount = units * np.clip(1.25 - s["average"], 0.05, 0.3)
        amount = np.where(s["support"][place] > 0, np.maximum(amount, s["guarantee"]), amount)
        s["guarantee"] = np.where(lanes, amount, s["guarantee"])
    elif name in ("production_grant", "disaster_relief"):
        s["failed"] = np.where(lanes, 0.5 * s["failed"], s["failed"])
        s["capital"] = s["capital"] + np.float32(0.15 * (name == "production_grant")) * lanes
    elif name == "housing_repair":
        s["rebuilding"] = np.where(lanes, 0, s["rebuilding"])
    s["support"][place] = np.where(lanes, np.maximum(s["support"][place], months), s["support"][place])


def _carer(state: Lanes) -> NDArray[np.bool_]:
    """Return the adult who cares, rebuilds or accompanies: the second, or the first where there is none."""
    second = state["present"][1] > 0
    return np.stack([~second, second])


def _age(traits: Lanes, month: int) -> NDArray[np.int16]:
    """Ages in full years, shape ``(7, n)``."""
    return (month - traits["birth"]) // np.int16(12)


def _severity(uniform: NDArray[np.float32]) -> NDArray[np.int8]:
    """1 light (half), 2 serious, 3 severe (a seventh)."""
    return (1 + (uniform < 0.5).astype(np.int8) + (uniform < 0.15)).astype(np.int8)


@dataclass
class _Month:
    """One month under way: what the parts of the step read, and the state and record they write."""

    state: Lanes
    traits: Lanes
    noise: Lanes
    month: int
    calendar: int
    suppressed: Mapping[str, NDArray[np.bool_]]
    event: Event | None = None
    seen: Lanes = field(default_factory=dict)

    def happens(self, name: str, **factors: NDArray | bool) -> NDArray[np.bool_]:
        """Whether the event of that name happens, in each lane."""
        hazard = HAZARDS[name]
        chance: NDArray | float = hazard.monthly
        for factor, present in factors.items():
            chance = chance * (1 + (hazard.factors[factor] - 1) * np.asarray(present, dtype=np.float32))
        event = self.noise[name] < chance
        stopped = self.suppressed.get(hazard.cause)
        return event if stopped is None else event & ~stopped

    def support(self, name: str) -> NDArray[np.int8]:
        """Months left of a measure."""
        return self.state["support"][MEASURE_NAMES.index(name)]

    def helped(self, name: str) -> NDArray[np.bool_]:
        """Whether a measure is running."""
        return self.support(name) > 0

    def imposed(self, name: str, otherwise: Any, *, lasting: bool = False) -> Any:
        """Return what the event does to each lane this month, ``otherwise`` if nothing."""
        event = self.event
        now = event is not None and (self.month == event.month or (lasting and self.month > event.month))
        value = getattr(event, name) if now else None
        return otherwise if value is None else value
