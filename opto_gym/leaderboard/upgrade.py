"""Converts records of version 1 to the current version, which `schema` defines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .schema import VERSION

Data = dict[str, Any]


def trial(data: Mapping[str, Any]) -> Data:
    """Converts ``trial.json``."""
    new = {**data, "version": VERSION, "identity": _identity(data["identity"])}
    if data.get("summary") is not None:
        new["summary"] = _summary(data["summary"])
    return new


def step(data: Mapping[str, Any]) -> Data:
    """Converts a line of ``steps.jsonl``."""
    return _renamed(data, calls="task_calls", invalid="invalid_answers") | {"task_calls": data.get("calls", [])}


def score(data: Mapping[str, Any]) -> Data:
    """Converts a line of ``tests.jsonl``."""
    return _renamed(data, calls="task_calls") | {"task_calls": data.get("calls", [])}


def run(data: Mapping[str, Any]) -> Data:
    """Converts ``run.json``, which had no version number."""
    pairs = zip(data["specs"], data["limits"], strict=True)
    unchanged = {name: data[name] for name in ("skipped", "cap", "test_scores", "jobs")}
    return {"version": VERSION, "trials": [{"spec": spec, "limits": limits} for spec, limits in pairs], **unchanged}


def _identity(old: Mapping[str, Any]) -> Data:
    """Converts an identity, which contained the whole spec of the environment and the addresses of the models."""
    env = old["env"]
    return {
        "rules": 1,
        "env": {
            "id": env["id"],
            "arguments": env.get("kwargs", {}),
            "wrappers": [[w["name"], w.get("kwargs") or {}] for w in env.get("additional_wrappers", ())],
            "problem": old["problem"],
            "data": old.get("data"),
        },
        "agent": {"files": None, **old["agent"]},
        "models": {role: model and model[0] for role, model in old["models"].items()},
        "seed": old["seed"],
    }


def _summary(old: Mapping[str, Any]) -> Data:
    new = _renamed(old, invalid="invalid_answers")
    new.setdefault("measures", {})
    if old.get("lost"):
        new["lost"] = _renamed(old["lost"], tries="attempts")
    return {"lost": None, **new}


def _renamed(data: Mapping[str, Any], **names: str) -> Data:
    """Returns a copy with renamed keys.

    Args:
        data: The data.
        names: The new names by the old ones.
    """
    return {names.get(name, name): value for name, value in data.items()}
