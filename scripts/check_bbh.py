"""Finds the examples of BIG-Bench Hard whose published target is provably wrong.

python -m scripts.check_bbh

Each target is computed anew from its question, for the tasks where a program can do so; no model is asked. The data set
must be in the data folder (`opto-gym data fetch bbh`). `opto_gym.envs.questions.bbh.WRONG_TARGETS` lists the result,
which a test compares.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from opto_gym import data
from scripts.bbh_dates import asked_date

Check = Callable[[str, str], str | None]
"""Returns why the target of a question is wrong, or None; it raises where it can't read the question."""


def options(question: str) -> dict[str, str]:
    """The options of a question by letter."""
    return dict(re.findall(r"^\((\w)\) (.*)$", question, re.MULTILINE))


def chosen(question: str, target: str) -> str:
    """The text of the option that a target names."""
    return options(question)[target.strip("()")]


def computed(value: object, target: str) -> str | None:
    """What is wrong with a target whose value was computed."""
    return None if str(value) == target else f"it is {value}, and not {target}"


# ---- answers that are written out
def boolean_expressions(question: str, target: str) -> str | None:
    """Evaluates the expression."""
    return computed(eval(question.rsplit(" is", 1)[0]), target)


def multistep_arithmetic_two(question: str, target: str) -> str | None:
    """Evaluates the expression."""
    return computed(eval(question.rsplit("=", 1)[0]), target)


def word_sorting(question: str, target: str) -> str | None:
    """Sorts the words."""
    return computed(" ".join(sorted(question.split("List:")[-1].split())), target)


def dyck_languages(question: str, target: str) -> str | None:
    """Closes what is open, the last first."""
    closing = {"(": ")", "[": "]", "{": "}", "<": ">"}
    waiting: list[str] = []
    for c in question.split("Input:")[-1].split():
        if c in closing:
            waiting.append(closing[c])
        elif waiting.pop() != c:
            return "the input closes what is not open"
    return computed(" ".join(reversed(waiting)), target)


def web_of_lies(question: str, target: str) -> str | None:
    """Follows the chain of who says what of whom."""
    honest: dict[str, bool] = {}
    for who, other, says in re.findall(r"(\w+) (?:says (\w+) )?(tells the truth|lies)\.", question):
        honest[who] = (honest[other] if other else True) == (says != "lies")
    asked = re.search(r"Does (\w+) tell the truth\?", question)
    assert asked is not None
    return computed("Yes" if honest[asked[1]] else "No", target)


def navigate(question: str, target: str) -> str | None:
    """Walks."""
    x, dx, dy = [0, 0], 0, 1
    for turn, steps, way in re.findall(r"Turn (\w+)\.|Take (\d+) steps?(?: (\w+))?\.", question):
        if turn:
            dx, dy = {"left": (-dy, dx), "right": (dy, -dx), "around": (-dx, -dy)}[turn]
            continue
        ways = {"": (dx, dy), "forward": (dx, dy), "backward": (-dx, -dy), "left": (-dy, dx), "right": (dy, -dx)}
        x = [a + int(steps) * b for a, b in zip(x, ways[way], strict=True)]
    return computed("Yes" if x == [0, 0] else "No", target)


_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_CATEGORIES = {
    "musical instruments": "accordion clarinet drum flute piano trombone trumpet violin",
    "fruits": "apple banana blackberry grape nectarine orange peach plum raspberry strawberry",
    "animals": "bear cat chicken cow dog donkey duck fish frog goat mouse pig rabbit snail snake",
    "vegetables": "cabbage carrot cauliflower garlic broccoli lettuce onion potato celery yam",
    "objects": "bed car chair couch fridge lamp microwave oven stove table toaster",
}
_PLURALS = {"mice": "mouse", "blackberries": "blackberry", "raspberries": "raspberry", "strawberries": "strawberry"}
_PLURALS |= {"couches": "couch", "peaches": "peach", "potatoes": "potato"}


def object_counting(question: str, target: str) -> str | None:
    """Adds the numbers of the things of the kind that is asked for."""
    listed = re.fullmatch(r"I have (.*)\. How many (.*) do I have\?", question)
    assert listed is not None
    total = 0
    for item in re.split(r",? and |, ", listed[1]):
        number, _, name = item.partition(" ")
        words = {_PLURALS.get(w, w) for w in name.split()} | {w.removesuffix("s") for w in name.split()}
        kinds = {kind for kind, names in _CATEGORIES.items() if words & set(names.split())}
        assert len(kinds) == 1, item
        if listed[2] in kinds:
            total += 1 if number in ("a", "an") else _NUMBERS.index(number)
    return computed(total, target)


# ---- options
def date_understanding(question: str, target: str) -> str | None:
    """Computes the date from what the question says of today."""
    date = asked_date(question.split("\nOptions")[0])
    return computed(date.strftime("%m/%d/%Y"), chosen(question, target))


def temporal_sequences(question: str, target: str) -> str | None:
    """Finds the hours between waking up and closing time at which nobody saw the person."""
    hours = [
        int(hour) % 12 + 12 * (half == "pm")
        for hour, half in re.findall(r"\b(\d+)(am|pm)", question.split("Options")[0])
    ]
    start, *seen, end = hours
    free = set(range(start, end))
    for begin, finish in zip(seen[::2], seen[1::2], strict=True):
        free -= set(range(begin, finish))
    said = [int(h) % 12 + 12 * (half == "pm") for h, half in re.findall(r"(\d+)(am|pm)", chosen(question, target))]
    return None if set(range(*said)) == free else f"the free hours are {sorted(free)}"


def tracking_shuffled_objects(question: str, target: str) -> str | None:
    """Swaps."""
    verb = r"(?:gets|has|is dancing with|is playing)"
    start, swaps = question.split(".\n", 1)
    holds = {}
    for part in re.split(r",? and (?=\w+ (?:gets|has|is) )|, (?=\w+ (?:gets|has|is) )", start[start.index(": ") + 2 :]):
        who, what = re.split(rf" {verb} ", part)
        holds[who.removeprefix("and ")] = what
    for a, b in re.findall(r"(?:First|Then|Finally), (\w+) and (\w+) (?:swap|switch|trade)", swaps):
        holds[a], holds[b] = holds[b], holds[a]
    asked = re.search(rf"(\w+) {verb}(?: the)?\nOptions", swaps)
    assert asked is not None
    bare = [re.sub(r"^(?:the|a) |\.$", "", text).lower() for text in (holds[asked[1]], chosen(question, target))]
    return computed(bare[0], bare[1])


_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
_BEFORE = ("to the left of", "newer than", "more expensive than", "finished above")
_AFTER = ("to the right of", "older than", "less expensive than", "finished below")
Fact = tuple[str, int | str]
"""An object and its place in the order, or the object that comes later."""


def _fact(statement: str, names: list[str]) -> Fact:
    """What a statement says of the order from left to right, new to old, dear to cheap, or first to last."""
    pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    named = re.findall(rf"\b(?:{pattern})\b", statement)
    if any(f" {words} " in f" {statement} " for words in _BEFORE):
        return named[0], named[1]
    if any(f" {words} " in f" {statement} " for words in _AFTER):
        return named[1], named[0]
    rank = next((k for k, word in enumerate(_ORDINALS) if re.search(rf"\b{word}\b", statement)), 0)
    if re.search(r"-to-last|from the right|(?:cheapest|oldest|rightmost|last)$", statement):
        return named[0], len(names) - 1 - rank
    assert re.search(r"finished|from the left|(?:leftmost|newest|most expensive)$", statement), statement
    return named[0], rank


def _orders(facts: list[Fact], names: list[str]) -> Iterator[dict[str, int]]:
    """All orders in which the facts hold: the place of each object."""
    fixed = {name: place for name, place in facts if isinstance(place, int)}
    pairs = [(a, b) for a, b in facts if isinstance(b, str)]
    free = [name for name in names if name not in fixed]
    places = [k for k in range(len(names)) if k not in fixed.values()]
    for order in itertools.permutations(places, len(free)):
        at = {**fixed, **dict(zip(free, order, strict=True))}
        if all(at[a] < at[b] for a, b in pairs):
            yield at


def logical_deduction(question: str, target: str) -> str | None:
    """Tries all orders of the objects."""
    story = question.split("within each paragraph. ")[1].split("\nOptions")[0]
    intro, *statements = re.split(r"(?<=\.) ", story)
    listed = re.split(r",? and |, ", intro[intro.index(": ") + 2 :].rstrip("."))
    names = [re.sub(r"^(?:and )?(?:an?|the) |^and ", "", name) for name in listed]
    orders = list(_orders([_fact(s.rstrip("."), names) for s in statements], names))
    said = {letter: _fact(text, names) for letter, text in options(question).items()}
    true = [letter for letter, (name, place) in said.items() if orders and all(o[name] == place for o in orders)]
    return None if f"({''.join(true)})" == target else f"{len(orders)} orders are possible, so {true} must be true"


# ---- geometry
_SIDES = {3: "triangle", 5: "pentagon", 6: "hexagon", 7: "heptagon", 8: "octagon"}
Point = complex


def geometric_shapes(question: str, target: str) -> str | None:
    """Measures the shape that the path draws; coordinates are rounded to 0.01."""
    path = re.search(r'd="(.*?)"', question)
    assert path is not None
    here, points, sides, radii = 0j, [], [], []
    for letter, text in re.findall(r"([MLA])([^MLAZ]*)", path[1]):
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", text)]
        to = complex(*numbers[-2:])
        if letter == "L":
            sides.append(to - here)
            points.append(here)
        elif letter == "A":
            radii.append((numbers[0], numbers[1], abs(to - here)))
        here = to
    found, why = _shape(sides, radii)
    name = chosen(question, target)
    return None if found == name or found not in options(question).values() else f"{found}, and not {name}: {why}"


def _shape(sides: list[Point], radii: list[tuple[float, float, float]]) -> tuple[str, str]:
    """The name of a shape of these sides and arcs, and what shows it."""
    if radii:
        rx, ry, chord = radii[0]
        if len(sides) == 2:
            return "sector", "two radii and an arc"
        assert len(radii) == 2, radii
        assert abs(chord - 2 * rx) < 0.03 or rx != ry, radii
        return ("circle", f"two half-circles of radius {rx:g}") if rx == ry else ("ellipse", "its radii differ")
    if len(sides) == 1:
        return "line", "one side"
    turns = [b / a for a, b in zip(sides, [*sides[1:], sides[0]], strict=True)]
    slack = math.asin(min(1, 0.03 / min(map(abs, sides))))
    angles = [abs(math.atan2(t.imag, t.real)) for t in turns]
    if len(sides) != 4:
        return _SIDES[len(sides)], f"{len(sides)} sides"
    if all(abs(angle - math.pi / 2) < slack for angle in angles):
        return "rectangle", f"four right angles, sides {abs(sides[0]):.2f} and {abs(sides[1]):.2f}"
    a, b, c, d = map(abs, sides)
    if max(abs(a - b), abs(c - d)) < 0.05 or max(abs(b - c), abs(d - a)) < 0.05:
        return "kite", "two pairs of equal sides that meet"
    return "trapezoid", "four sides"


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        *(boolean_expressions, date_understanding, dyck_languages, geometric_shapes, multistep_arithmetic_two),
        *(navigate, object_counting, temporal_sequences, web_of_lies, word_sorting),
    )
}
for _n in ("three", "five", "seven"):
    CHECKS[f"logical_deduction_{_n}_objects"] = logical_deduction
    CHECKS[f"tracking_shuffled_objects_{_n}_objects"] = tracking_shuffled_objects


def wrong_targets() -> dict[str, dict[int, str]]:
    """Why each wrong target is wrong, by task and index in the published file."""
    found: dict[str, dict[int, str]] = {}
    for task, check in sorted(CHECKS.items()):
        examples: list[Mapping[str, Any]] = list(data.load(f"bbh/{task}.json")[0])
        wrong = {k: why for k, e in enumerate(examples) if (why := check(e["input"], e["target"])) is not None}
        if wrong:
            found[task] = wrong
    return found


if __name__ == "__main__":
    for name, reasons in wrong_targets().items():
        for index, reason in reasons.items():
            print(f"{name} {index}: {reason}")
    print(f"checked: {', '.join(sorted(CHECKS))}")
