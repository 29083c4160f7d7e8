"""Model bundles: text and JSON under a hash manifest, checked before a byte of them is parsed.

A pickle runs code when it is loaded, and a damaged LightGBM text can end the process. So a bundle is hashed first,
the same bytes are then checked for structure in Python, and only what passes is given to LightGBM.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
import pandas as pd

import riskml
from riskml.findings import ModelRefused, language
from riskml.model import RiskClassifier

if TYPE_CHECKING:
    from riskml.tables import Monitoring

FILES = ("model.txt", "calibration.json", "features.json", "card.json", "CARD.md")
_FORMAT = 1
#: Arrays of a tree in LightGBM's text with their length, given leaves L: nodes are L - 1.
_NODE_ARRAYS = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")
_LEAF_ARRAYS = ("leaf_value", "leaf_weight", "leaf_count")


def save_model(
    model: RiskClassifier,
    folder: str | Path,
    *,
    data: Monitoring | None = None,
    figures: pd.DataFrame | None = None,
) -> Path:
    """Write a fitted model as a bundle ``folder/<utc>-<sha8>/``.

    Parameters
    ----------
    model : RiskClassifier
        Fitted.
    folder : path
        Where bundles of this model are kept.
    data : Monitoring, optional
        The data it was trained on, for the card: tables, households, day of the extract.
    figures : DataFrame, optional
        Table of :func:`riskml.evaluate` beside the rivals, for the card.

    Returns
    -------
    Path
        The bundle: ``model.txt, calibration.json, features.json, card.json, CARD.md, manifest.json``. Written aside,
        flushed to the disk and renamed, so that it is whole or not there.
    """
    card = _card(model, data, figures)
    contents = {
        "model.txt": model.booster_.model_to_string(),
        "calibration.json": _json(
            {
                "slope": model.calibration_[0],
                "intercept": model.calibration_[1],
                "covariance": np.asarray(model.calibration_covariance_).tolist(),
                "source": model.calibration_source_,
                "classes": [_plain(value) for value in model.classes_],
                "settings": {k: v for k, v in model.get_params().items() if k != "dictionary"},
                "summary": model.fit_summary_,
            }
        ),
        "features.json": _json(json.loads(model.dictionary_.to_json(orient="records", double_precision=15))),
        "card.json": _json(card),
        "CARD.md": _card_text(card),
    }
    encoded = {name: text.encode("utf-8") for name, text in contents.items()}
    manifest = {
        "format": _FORMAT,
        "riskml": riskml.__version__,
        "lightgbm": lgb.__version__,
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
    calibration = _parsed(bodies, "calibration.json", dict)
    rows = _parsed(bodies, "features.json", list)
    text = bodies["model.txt"].decode("utf-8", errors="replace")
    try:
        dictionary = pd.DataFrame(rows)
        dictionary["window"] = dictionary["window"].astype(float)
        settings = calibration["settings"]
        model = RiskClassifier(**settings)
        line = float(calibration["slope"]), float(calibration["intercept"])
        covariance = np.asarray(calibration["covariance"], dtype=np.float64).reshape(2, 2)
        if not np.isfinite([*line, *covariance.ravel()]).all() or line[0] <= 0:
            raise ValueError("calibration is not finite")
        if dictionary["name"].duplicated().any() or not len(dictionary):
            raise ValueError("feature names are not distinct")
        check_booster_text(text, len(dictionary), settings)
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(
            bundle, f"its structure is not that of a model riskml writes ({error})", f"结构不符合要求（{error}）"
        ) from error
    model.booster_ = lgb.Booster(model_str=text)
    model.calibration_, model.calibration_covariance_ = line, covariance
    model.calibration_source_, model.fit_summary_ = calibration["source"], calibration["summary"]
    model.classes_ = np.array(calibration["classes"])
    model.dictionary_ = dictionary
    model.feature_names_in_ = dictionary["name"].to_numpy(dtype=object)
    model.n_features_in_ = len(dictionary)
    model.card_ = _parsed(bodies, "card.json", dict)
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


def check_booster_text(text: str, n_features: int, settings: Mapping[str, Any]) -> None:
    """Check that a text has the structure of a LightGBM model that riskml writes, before LightGBM sees it.

    Raises
    ------
    ValueError
        Naming what does not hold.
    """
    if not text.startswith("tree\n"):
        raise ValueError("model.txt does not start as a LightGBM model")
    head, *trees = text.split("\nTree=")
    keys = dict(line.split("=", 1) for line in head.split("\n") if "=" in line)
    wanted = {"version": "v4", "num_class": "1", "num_tree_per_iteration": "1", "label_index": "0"}
    for key, value in wanted.items():
        if keys.get(key) != value:
            raise ValueError(f"{key} is {keys.get(key)!r}, not {value!r}")
    if keys.get("objective") != "binary sigmoid:1" or int(keys.get("max_feature_idx", -1)) != n_features - 1:
        raise ValueError("objective or number of features is another")
    if (
        len(keys.get("feature_names", "").split()) != n_features
        or len(keys.get("feature_infos", "").split()) != n_features
    ):
        raise ValueError("feature names or infos are of another number")
    if len(trees) != len(keys.get("tree_sizes", "").split()) or not trees:
        raise ValueError("number of trees is another than the header says")
    if "\nend of trees" not in trees[-1] or "\nend of parameters" not in trees[-1]:
        raise ValueError("the text is cut")
    sizes = [int(size) for size in keys["tree_sizes"].split()]
    trees[-1] = trees[-1].split("\nend of trees")[0] + "\n"
    for number, (tree, size) in enumerate(zip(trees, sizes, strict=True)):
        written = len(f"Tree={tree}".encode()) + (1 if number < len(trees) - 1 else 0)
        if written != size:
            raise ValueError(f"tree {number} is {written} bytes long, not {size}")
        _check_tree(tree, number, n_features, settings)


def _check_tree(tree: str, number: int, n_features: int, settings: Mapping[str, Any]) -> None:
    first, *lines = tree.split("\n")
    if first != str(number):
        raise ValueError(f"tree {number} is called {first[:20]!r}")
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    leaves = int(fields["num_leaves"])
    if not 1 <= leaves <= int(settings["num_leaves"]) or fields["num_cat"] != "0" or fields["is_linear"] != "0":
        raise ValueError(f"tree {number} has {leaves} leaves, categories or linear leaves")
    arrays = {}
    for name in (*_NODE_ARRAYS, *_LEAF_ARRAYS):
        length = leaves if name in _LEAF_ARRAYS else leaves - 1
        if leaves == 1 and name != "leaf_value":
            continue
        values = np.array(fields[name].split(), dtype=np.float64)
        # An infinite threshold parts what is known from what is missing.
        usable = np.isfinite(values) | ((values == np.inf) & (name == "threshold"))
        if len(values) != length or not usable.all():
            raise ValueError(f"tree {number}: {name} has {len(values)} values, {length} expected, all finite")
        arrays[name] = values
    if leaves == 1:
        return
    feature = arrays["split_feature"]
    if (feature < 0).any() or (feature >= n_features).any() or (feature % 1).any():
        raise ValueError(f"tree {number} splits on a feature that does not exist")
    if not np.isin(arrays["decision_type"], np.arange(0, 16, 2)).all():
        raise ValueError(f"tree {number} has another kind of split")
    _check_children(arrays["left_child"], arrays["right_child"], leaves, number)


def _check_children(left: np.ndarray, right: np.ndarray, leaves: int, number: int) -> None:
    """Every node but the root and every leaf must be the child of one earlier node."""
    children = np.concatenate([left, right])
    if sorted(children.tolist()) != [*range(-leaves, 0), *range(1, leaves - 1)]:
        raise ValueError(f"tree {number}: nodes and leaves do not form a tree")
    node = np.tile(np.arange(leaves - 1), 2)
    if (children[children > 0] <= node[children > 0]).any():
        raise ValueError(f"tree {number}: a node comes before its parent")


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
    expected = {*FILES, "manifest.json"}
    if names != expected:
        odd = sorted(names ^ expected)
        raise _refused(
            bundle, f"files are missing or do not belong: {', '.join(odd)}", f"文件缺失或多余：{'、'.join(odd)}"
        )
    bodies = {name: (bundle / name).read_bytes() for name in expected}
    manifest = _parsed(bodies, "manifest.json", dict)
    if manifest.get("format") != _FORMAT or not isinstance(manifest.get("files"), dict):
        raise _refused(
            bundle, "manifest.json is not of this version of riskml", "manifest.json 不是本版本 riskml 的格式"
        )
    for name in FILES:
        if hashlib.sha256(bodies[name]).hexdigest() != manifest["files"].get(name):
            raise _refused(
                bundle, f"{name} is not what was written (SHA-256 differs)", f"{name} 与写入时不一致（SHA-256 不同）"
            )
    return bodies


def _parsed(bodies: Mapping[str, bytes], name: str, kind: type) -> Any:
    try:
        value = json.loads(bodies[name].decode("utf-8"))
    except ValueError as error:
        raise _refused(Path(name), f"it is not JSON ({error})", "不是 JSON 文件") from error
    if not isinstance(value, kind):
        raise _refused(Path(name), f"it holds a {type(value).__name__}, not a {kind.__name__}", "内容类型不符")
    return value


def _refused(where: Path, en: str, zh: str) -> ModelRefused:
    if language() == "zh":
        return ModelRefused(f"模型 {where} 被拒绝：{zh}。请使用 save_model 写出的完整模型包。")
    return ModelRefused(f"Model {where} is refused: {en}. Use a whole bundle as save_model writes it.")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=_plain)


def _card(model: RiskClassifier, data: Monitoring | None, figures: pd.DataFrame | None) -> dict[str, Any]:
    card: dict[str, Any] = {
        "riskml": riskml.__version__,
        "training": model.fit_summary_,
        "tables_needed": sorted({table for table in model.dictionary_["table"] if table}),
        "n_features": len(model.dictionary_),
        "intended_use": "Rank households for a visit by an officer, who decides, beside the reasons.",
        "not_for": "Refusing or ending help, deciding without a person, places or times unlike those it learned from.",
        "limits": [
            "A reason says what the score rests on, not what would change the outcome.",
            "Households whose outcome was not observed are not in the figures.",
            "Calibration holds for the period it was learned on; compare with each month's new outcomes.",
            "People who are not registered are not seen at all.",
        ],
    }
    if data is not None:
        card["data"] = {
            "households": len(data.household_ids),
            "tables": {name: len(frame) for name, frame in data.tables.items()},
            "extract_on": f"{data.extract_on:%Y-%m-%d}",
            "welfare_months": data.welfare_months,
            "notes": list(data.notes),
        }
    if figures is not None:
        card["figures"] = json.loads(figures.to_json(orient="records", double_precision=10))
    return card


def _card_text(card: Mapping[str, Any]) -> str:
    training = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in card["training"].items())
    lines = [
        "# Model card",
        "",
        card["intended_use"],
        "",
        f"Not for: {card['not_for']}",
        "",
        "## Training",
        "",
        training,
        "",
    ]
    if "data" in card:
        tables = ", ".join(f"{name} ({rows:,})" for name, rows in card["data"]["tables"].items())
        lines += [
            "## Data",
            "",
            f"{card['data']['households']:,} households, extract of {card['data']['extract_on']}. Rows: {tables}.",
            "",
        ]
    if "figures" in card:
        lines += [
            "## Out of time, beside the rivals",
            "",
            "| model | figure | value | 95 % interval |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {row['model']} | {row['figure']} | {row['value']:.3f} | {row['lower']:.3f} to {row['upper']:.3f} |"
            for row in card["figures"]
            if row["value"] is not None and row["lower"] is not None
        ] + [""]
    lines += ["## Limits", "", *(f"- {limit}" for limit in card["limits"]), ""]
    zh = "本模型用于为入户走访排序，由干部作出决定；不得用于拒绝或终止帮扶，也不得脱离人工自动决定。"
    return "\n".join([*lines, "## 用途", "", zh, ""])
