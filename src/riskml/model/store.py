"""Model bundles: text and JSON under a hash manifest, checked before a byte of them is parsed.

A pickle runs code when it is loaded, and a damaged LightGBM text can end the process. So a bundle is hashed first,
the same bytes are then checked for structure in Python, and only what passes is given to LightGBM.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
import pandas as pd

import riskml
from riskml.causes import CAUSES
from riskml.features.dictionary import feature_dictionary
from riskml.findings import ModelRefused, language
from riskml.model.booster_text import END_OF_TREES, read_booster, write_booster
from riskml.model.calibration import Calibration
from riskml.model.card import card_text, model_card
from riskml.model.classifier import RiskClassifier
from riskml.model.venn_abers import VennAbers

if TYPE_CHECKING:
    from riskml.tables.monitoring import Monitoring

FILES = ("model.txt", "calibration.json", "features.json", "card.json", "CARD.md")
#: The boosters of the model's refits, one after the other; there if it has some.
REFITS = "refits.txt"
_MODEL_FILES = FILES[:4]
#: Further models a bundle may hold: attribute of the model -> prefix of their files (``net-model.txt``, ...).
COMPANIONS = {"net_": "net"}
#: Older formats are read too, with intervals as they were: 1 has no base rate and no Venn-Abers steps, 2 none by group,
#: 3 no refits.
_FORMAT, _READ = 4, (1, 2, 3, 4)


def save_model(
    model: RiskClassifier,
    folder: str | Path,
    *,
    data: Monitoring | Mapping[str, Any] | None = None,
    figures: pd.DataFrame | None = None,
    missed: pd.DataFrame | None = None,
) -> Path:
    """Write a fitted model as a bundle ``folder/<utc>-<sha8>/``.

    Parameters
    ----------
    model : RiskClassifier
        Fitted.
    folder : path
        Where bundles of this model are kept.
    data : Monitoring or mapping, optional
        The data it was trained on, for the card (tables, households, day of the extract), or what the card says of
        them.
    figures : DataFrame, optional
        Table of :func:`riskml.evaluate` beside the rivals, for the card.
    missed : DataFrame, optional
        Whom a list of the model misses, for the card: as :func:`riskml.model.card.model_card` takes it.

    Returns
    -------
    Path
        The bundle: ``model.txt, calibration.json, features.json, card.json, CARD.md, manifest.json``, and
        ``refits.txt`` if the model has refits (:func:`riskml.with_refits`); with a model of the risk net of assistance
        (``net_``) also the first four of it, their names beginning with ``net-``. Written aside, flushed to the disk
        and renamed, so that it is whole or not there.

    Raises
    ------
    ValueError
        If the model was not fitted on a DataFrame with outcomes 0 and 1.
    """
    if list(model.classes_) != [0, 1] or not hasattr(model, "feature_names_in_"):
        raise ValueError("a bundle holds a model fitted on a DataFrame with outcomes 0 and 1")
    card = model_card(model, data=data, figures=figures, missed=missed)
    contents = {**_contents(model, card), "CARD.md": card_text(card)}
    if model.refits_:
        contents[REFITS] = "".join(map(write_booster, model.refits_))
    for attribute, prefix in COMPANIONS.items():
        companion = getattr(model, attribute)
        if companion is not None:
            own = _contents(companion, model_card(companion, data=data))
            contents |= {f"{prefix}-{name}": text for name, text in own.items()}
    encoded = {name: text.encode("utf-8") for name, text in contents.items()}
    manifest = {
        "format": _FORMAT,
        "riskml": riskml.__version__,
        "lightgbm": lgb.__version__,
        "recalibrations": model.fit_summary_.get("recalibrations", []),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "files": {name: hashlib.sha256(body).hexdigest() for name, body in encoded.items()},
    }
    encoded["manifest.json"] = _json(manifest).encode("utf-8")
    digest = hashlib.sha256(encoded["manifest.json"]).hexdigest()[:8]
    target = Path(folder) / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{digest}"
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
    try:
        for name, body in encoded.items():
            with (aside / name).open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
        aside.chmod(0o755)
        aside.rename(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return target


def load_model(folder: str | Path) -> RiskClassifier:
    """Read a bundle, or the newest bundle in a folder; no code of it is run.

    Parameters
    ----------
    folder : path
        A bundle, or the folder :func:`save_model` was given.

    Returns
    -------
    RiskClassifier
        Predicts bit for bit as the one that was saved; ``card_`` holds the card.

    Raises
    ------
    ModelRefused
        If there is no bundle, a file is missing, damaged, foreign or unexpected, or its structure is not that of a
        model
        riskml writes.
    """
    bundle = _bundle(Path(folder))
    bodies = _verified(bundle)
    model = _model(bundle, bodies, "")
    for attribute, prefix in COMPANIONS.items():
        there = f"{prefix}-model.txt" in bodies
        setattr(model, attribute, _model(bundle, bodies, f"{prefix}-") if there else None)
    return model


def check_fits(model: RiskClassifier, X: pd.DataFrame) -> None:
    """Refuse data that lack what the model was trained on.

    Raises
    ------
    ModelRefused
        If columns are missing; the message names the tables they come from.
    """
    missing = model.dictionary_[~model.dictionary_["name"].isin(X.columns)]
    if len(missing):
        tables = ", ".join(sorted({table for table in missing["table"] if table})) or "unknown"
        first = missing["name"].iloc[0]
        raise ModelRefused(
            f"模型所用的 {len(missing)} 个特征在数据中不存在（首个：{first}；涉及数据表：{tables}）。"
            "请补充这些表，或重新训练模型。"
            if language() == "zh"
            else f"The model was trained on {len(missing)} features the data do not have "
            f"(first: {first}; tables: {tables}). "
            "Supply these tables, or train a model without them."
        )


def _contents(model: RiskClassifier, card: Mapping[str, Any]) -> dict[str, str]:
    """Return the files of one model."""
    return {
        "model.txt": write_booster(model.booster_),
        "calibration.json": _json(model.calibrator_.as_dict()),
        "features.json": _json(json.loads(model.dictionary_.to_json(orient="records", double_precision=15))),
        "card.json": _json(card),
    }


def _model(bundle: Path, bodies: Mapping[str, bytes], prefix: str) -> RiskClassifier:
    """Return one model of a bundle, whose files' names begin with a prefix."""
    calibration, features, said, booster = (f"{prefix}{name}" for name in _MODEL_FILES[1:] + _MODEL_FILES[:1])
    calibrator = _structured(bundle, calibration, _calibration, _parsed(bundle, bodies, calibration))
    dictionary = _structured(bundle, features, _dictionary, _parsed(bundle, bodies, features))
    card = _parsed(bundle, bodies, said)
    model = _structured(bundle, said, _unfitted, card)
    text = bodies[booster].decode("utf-8", errors="replace")
    model.booster_ = _structured(bundle, booster, lambda given: read_booster(given, n_features=len(dictionary)), text)
    texts = bodies.get(f"{prefix}{REFITS}", b"").decode("utf-8", errors="replace")
    n_refits = card["training"].get("refits", 0)
    model.refits_ = _structured(bundle, REFITS, lambda given: _refits(given, len(dictionary), n_refits), texts)
    model.calibrator_, model.fit_summary_, model.card_ = calibrator, card["training"], card
    model.classes_ = np.array([0.0, 1.0])
    model.dictionary_ = dictionary
    model.feature_names_in_ = dictionary["name"].to_numpy(dtype=object)
    model.n_features_in_, model.net_ = len(dictionary), None
    return model


def _bundle(folder: Path) -> Path:
    if (folder / "manifest.json").is_file():
        return folder
    found = (
        sorted(path for path in folder.glob("*-????????") if (path / "manifest.json").is_file())
        if folder.is_dir()
        else []
    )
    if not found:
        raise _refused(folder, "there is no model bundle (no manifest.json)", "没有模型包（缺少 manifest.json）")
    return found[-1]


def _verified(bundle: Path) -> dict[str, bytes]:
    """Return the bytes of every file, hashed against the manifest; those same bytes are parsed later."""
    names = {path.name for path in bundle.iterdir()}
    expected = {*FILES, "manifest.json", *names & {REFITS}}
    for prefix in COMPANIONS.values():
        own = {f"{prefix}-{name}" for name in _MODEL_FILES}
        expected |= own if names & own else set()
    if names != expected:
        odd = ", ".join(sorted(names ^ expected))
        raise _refused(bundle, f"files are missing or do not belong: {odd}", f"文件缺失或多余：{odd}")
    bodies = {name: (bundle / name).read_bytes() for name in expected}
    if hashlib.sha256(bodies["manifest.json"]).hexdigest()[:8] != bundle.resolve().name[-8:]:
        raise _refused(
            bundle,
            "manifest.json is not what was written, or the bundle was renamed (its name ends in the manifest's hash)",
            "manifest.json 与写入时不一致，或模型包被改名（名称以清单的哈希值结尾）",
        )
    manifest = _parsed(bundle, bodies, "manifest.json")
    if (
        not isinstance(manifest, dict)
        or manifest.get("format") not in _READ
        or not isinstance(manifest.get("files"), dict)
    ):
        raise _refused(
            bundle, "manifest.json is not of this version of riskml", "manifest.json 不是本版本 riskml 的格式"
        )
    for name in sorted((set(manifest["files"]) | expected) - {"manifest.json"}):
        if name not in bodies:
            raise _refused(bundle, f"files are missing or do not belong: {name}", f"文件缺失或多余：{name}")
        if hashlib.sha256(bodies[name]).hexdigest() != manifest["files"].get(name):
            raise _refused(
                bundle, f"{name} is not what was written (SHA-256 differs)", f"{name} 与写入时不一致（SHA-256 不同）"
            )
    return bodies


def _parsed(bundle: Path, bodies: Mapping[str, bytes], name: str) -> Any:
    try:
        return json.loads(bodies[name].decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _refused(bundle, f"{name} is not JSON ({error})", f"{name} 不是 JSON 文件") from error


def _structured(bundle: Path, name: str, build: Callable[[Any], Any], value: Any) -> Any:
    """Return what is built from the contents of a file, or refuse the bundle for it."""
    try:
        return build(value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _refused(
            bundle,
            f"{name} is not of the structure that riskml writes ({error})",
            f"{name} 的结构不符合要求（{error}）",
        ) from error


def _calibration(given: Any) -> Calibration:
    wanted = {field.name: field.type for field in fields(Calibration)}
    of_format_2 = set(wanted) - {"group_curves"}
    if not isinstance(given, dict) or set(given) not in (
        set(wanted),
        of_format_2,
        of_format_2 - {"base_rate", "curve"},
    ):
        raise ValueError(f"expected exactly {', '.join(wanted)}")
    for name, value in given.items():
        kind = wanted[name]
        if kind == "str" and not isinstance(value, str):
            raise ValueError(f"{name} is not text")
        if kind == "float" and (type(value) not in (int, float) or not math.isfinite(value)):
            raise ValueError(f"{name} is not a finite number")
    if given["slope"] <= 0 or min(given["slope_se"], given["level_se"], given["level_sd"]) < 0:
        raise ValueError("slope must be positive, errors not negative")
    groups = given.get("group_curves", {})
    if not isinstance(groups, dict) or (groups and given["curve"] is None):
        raise ValueError("group_curves is not of its structure")
    curves = {name: _curve(curve) for name, curve in groups.items()}
    whole = None if given.get("curve") is None else _curve(given["curve"])
    return Calibration(**{**given, "curve": whole, "group_curves": curves})


def _refits(texts: str, n_features: int, n_refits: Any) -> tuple[lgb.Booster, ...]:
    pieces = texts.splitlines(keepends=True)
    ends = [line for line, text in enumerate(pieces, start=1) if text == END_OF_TREES]
    if len(ends) != n_refits or (ends[-1] if ends else 0) != len(pieces):
        raise ValueError(f"expected {n_refits} boosters, as card.json says, and nothing after them")
    starts = [0, *ends][:-1]
    return tuple(
        read_booster("".join(pieces[start:end]), n_features=n_features) for start, end in zip(starts, ends, strict=True)
    )


def _curve(given: Any) -> VennAbers:
    if not isinstance(given, dict) or set(given) != {field.name for field in fields(VennAbers)}:
        raise ValueError("curve is not of its structure")
    columns = [given[name] for name in ("thresholds", "p0", "p1")]
    numbers = [number for column in columns for number in column] + [given["design_effect"]]
    if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
        raise ValueError("curve holds what is not a finite number")
    thresholds, p0, p1 = (np.array(column, dtype=np.float64) for column in columns)
    sizes = len(p0) == len(p1) == len(thresholds) + 1 and (np.diff(thresholds) > 0).all()
    if not sizes or not ((p0 >= 0) & (p0 < p1) & (p1 <= 1)).all() or given["design_effect"] < 1:
        raise ValueError(
            "curve: thresholds must ascend, one fewer than the pairs; 0 <= p0 < p1 <= 1; design_effect >= 1"
        )
    return VennAbers(tuple(columns[0]), tuple(columns[1]), tuple(columns[2]), given["design_effect"])


def _dictionary(given: Any) -> pd.DataFrame:
    if not isinstance(given, list) or not given or not all(isinstance(row, dict) for row in given):
        raise ValueError("expected a list with one object a feature")
    frame = pd.DataFrame(given)
    if list(frame.columns) != list(feature_dictionary().columns):
        raise ValueError(f"expected the columns {', '.join(feature_dictionary().columns)}")
    names = frame["name"]
    if not names.map(lambda name: isinstance(name, str)).all() or names.duplicated().any():
        raise ValueError("names of features are not text or not distinct")
    if not frame["cause"].isin(CAUSES).all() or not frame["direction"].isin([-1, 0, 1]).all():
        raise ValueError("a cause or a direction is unknown")
    return frame.assign(window=frame["window"].astype(float))


def _unfitted(card: Any) -> RiskClassifier:
    if not isinstance(card["training"], dict) or not {"limits", "intended_use", "not_for"} <= set(card):
        raise ValueError("parts of the card are missing")
    return RiskClassifier(**card["settings"])


def _refused(where: Path, en: str, zh: str) -> ModelRefused:
    if language() == "zh":
        return ModelRefused(f"模型 {where} 被拒绝：{zh}。请使用 save_model 写出的完整模型包。")
    return ModelRefused(f"Model {where} is refused: {en}. Use a whole bundle as save_model writes it.")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
