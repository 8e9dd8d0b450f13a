"""Edits of a trial's files, as somebody would make them who wants other results than the trial had."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opto_gym.leaderboard.spec import digest

Edit = Callable[[Path], None]


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_lines(path: Path, data: list[dict[str, Any]]) -> None:
    """Replaces the lines of a file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in data))


def both(*edits: Edit) -> Edit:
    """Several edits, one after the other."""

    def edit(path: Path) -> None:
        for one in edits:
            one(path)

    return edit


def on(name: str, change: Callable[[list[dict[str, Any]]], Any]) -> Edit:
    """An edit of the lines of a file, in place; or by those that `change` returns."""

    def edit(path: Path) -> None:
        data = lines(path / name)
        changed = change(data)
        write_lines(path / name, data if changed is None else changed)

    return edit


def field(name: str, number: int, **values: Any) -> Edit:
    """An edit of the fields of a line; a function is called with the old value."""

    def change(data: list[dict[str, Any]]) -> None:
        for key, value in values.items():
            data[number][key] = value(data[number].get(key)) if callable(value) else value

    return on(name, change)


def step(number: int, **values: Any) -> Edit:
    """An edit of a line of ``steps.jsonl``."""
    return field("steps.jsonl", number, **values)


def scored(number: int, **values: Any) -> Edit:
    """An edit of a line of ``tests.jsonl``."""
    return field("tests.jsonl", number, **values)


def call(number: int, **values: Any) -> Edit:
    """An edit of a line of ``llm.jsonl``."""
    return field("llm.jsonl", number, **values)


def spent(number: int, **amounts: float) -> Edit:
    """Adds to what a step says that the trial had spent."""
    return step(number, spent=lambda old: old | {name: old.get(name, 0) + more for name, more in amounts.items()})


def trial(place: str, value: Any) -> Edit:
    """An edit of ``trial.json`` at a place such as ``summary.spent.tokens``; a function gets the old value."""

    def edit(path: Path) -> None:
        data = json.loads((path / "trial.json").read_text())
        inner, *parts = data, *place.split(".")
        for part in parts[:-1]:
            inner = inner[int(part) if isinstance(inner, list) else part]
        last: Any = int(parts[-1]) if isinstance(inner, list) else parts[-1]
        old = inner[last] if isinstance(inner, list) else inner.get(last)
        inner[last] = value(old) if callable(value) else value
        (path / "trial.json").write_text(json.dumps(data))

    return edit


def without(place: str) -> Edit:
    """Removes a key of ``trial.json``."""

    def edit(path: Path) -> None:
        data = json.loads((path / "trial.json").read_text())
        inner, *parts = data, *place.split(".")
        for part in parts[:-1]:
            inner = inner[part]
        del inner[parts[-1]]
        (path / "trial.json").write_text(json.dumps(data))

    return edit


def dropped(name: str, number: int) -> Edit:
    """Removes a line."""
    return on(name, lambda data: [line for k, line in enumerate(data) if k != number % len(data)])


def doubled(name: str, number: int) -> Edit:
    """Appends a copy of a line."""
    return on(name, lambda data: [*data, data[number]])


def swapped(name: str, a: int, b: int) -> Edit:
    """Exchanges two lines."""

    def change(data: list[dict[str, Any]]) -> None:
        data[a], data[b] = data[b], data[a]

    return on(name, change)


def removed(name: str) -> Edit:
    """Removes a file."""
    return lambda path: (path / name).unlink()


def proposed(number: int, **parameters: Any) -> Edit:
    """Replaces the parameters of a step, with the hash and the key that belong to them."""

    def change(data: list[dict[str, Any]]) -> None:
        line = data[number]
        line["parameters"] = parameters
        line["parameters_hash"] = digest(parameters)
        line["key"] = digest([False, parameters, None, line["split"]])
        line["n"] = 0

    return on("steps.jsonl", change)


def renamed(path: Path) -> None:
    """Gives a trial the id that belongs to its identity, and moves its folder; only for the last of some edits."""
    data = json.loads((path / "trial.json").read_text())
    name = f"{path.name[:-12]}{digest(data['identity'])[:12]}"
    (path / "trial.json").write_text(json.dumps({**data, "trial": name}))
    path.rename(path.with_name(name))
