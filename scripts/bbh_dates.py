"""What the questions of BIG-Bench Hard's date_understanding say of today, as rules, and the dates that they ask for."""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Callable

Date = datetime.date
DAY = datetime.timedelta(days=1)
_MONTHS = {name.lower()[:3]: k for k, name in enumerate(calendar.month_name) if name}


def in_text(text: str) -> Date:
    """The first date in a text: "Jan 21, 2011", "May 9th, 2017" or "7/9/1972"."""
    numbers = re.search(r"(\d+)/(\d+)/(\d{4})", text)
    if numbers:
        month, day, year = map(int, numbers.groups())
        return Date(year, month, day)
    words = re.search(r"([A-Z][a-z]{2})[a-z]*\.? (\d+)(?:st|nd|rd|th)?, (\d{4})", text)
    assert words is not None, text
    return Date(int(words[3]), _MONTHS[words[1].lower()], int(words[2]))


def years_before(date: Date, years: int) -> Date:
    """The same day so many years before; the last day of its month where there is none."""
    last = calendar.monthrange(date.year - years, date.month)[1]
    return Date(date.year - years, date.month, min(date.day, last))


def month_before(date: Date) -> Date:
    """The same day of the month before."""
    year, month = (date.year, date.month - 1) if date.month > 1 else (date.year - 1, 12)
    return Date(year, month, min(date.day, calendar.monthrange(year, month)[1]))


def _weekday(year: int, month: int, weekday: int, number: int) -> Date:
    """The number-th such day of the week (0 is Monday) of a month."""
    days = [Date(year, month, d) for d in range(1, calendar.monthrange(year, month)[1] + 1)]
    return [d for d in days if d.weekday() == weekday][number - 1]


def _palindrome(year: int) -> Date:
    days = (Date(year, 1, 1) + k * DAY for k in range(366))
    return next(d for d in days if d.strftime("%m%d%Y") == d.strftime("%m%d%Y")[::-1])


RULES: tuple[tuple[str, Callable[[str], Date]], ...] = (
    ("Christmas Eve of 1937", lambda _: Date(1937, 12, 24)),
    ("In the UK, .* day before the month .* today is 02/01/1987", lambda _: Date(1987, 1, 2)),
    ("5-year anniversary today", lambda t: years_before(in_text(t), -5)),
    ("golden wedding anniversary", lambda t: years_before(in_text(t), -50)),
    ("3 apointments .* for tomorrow|rescheduled to 11 am tomorrow|flight for tomorrow", lambda t: in_text(t) - DAY),
    ("16th of each month starting from the October of 2009. It is her 5th", lambda _: Date(2010, 2, 16)),
    ("bought 40 eggs. She ate one per day. Today she ran out", lambda t: in_text(t) + 40 * DAY),
    ("^Tomorrow is", lambda t: in_text(t) - DAY),
    ("Jane is correct", lambda t: in_text(t.split("John")[0])),
    ("John is correct", lambda t: in_text(t.split("John")[1])),
    ("first Monday of 2019", lambda _: _weekday(2019, 1, 0, 1)),
    ("^Yesterday(?: was|,)", lambda t: in_text(t) + DAY),
    ("176 days have passed", lambda t: in_text(t) + 176 * DAY),
    ("palindrome day of 2020", lambda _: _palindrome(2020)),
    ("actually ten years ago", lambda t: years_before(in_text(t), -10)),
    ("last day of Jan 2012", lambda _: Date(2012, 1, 31)),
    ("2015 is coming in 36 hours", lambda _: (datetime.datetime(2015, 1, 1) - datetime.timedelta(hours=36)).date()),
    ("2 days away from now", lambda t: in_text(t) - 2 * DAY),
    ("second day of the third month of 1966", lambda _: Date(1966, 3, 2)),
    ("last day of 1899", lambda _: Date(1899, 12, 31)),
    ("last day of Feburary in 2001. Today is her 16-year-old", lambda _: Date(2017, 2, 28)),
    ("last day of Feburary in 2000. Today is her 16-year-old", lambda _: Date(2016, 2, 29)),
    ("delayed by one day to today", lambda t: in_text(t) + DAY),
    ("Today is 9/7. Jane is watching NFL 2003", lambda _: Date(2003, 9, 7)),
    ("job in 2016. Today is her 3-year work anniversary. .* Dec 2, her second day", lambda _: Date(2019, 12, 1)),
    ("thought today is 3/11/2002, but today is in fact Mar 12", lambda _: Date(2002, 3, 12)),
    ("^The day before yesterday was", lambda t: in_text(t) + 2 * DAY),
    ("Today is 3/5, .* in the year 1973", lambda _: Date(1973, 3, 5)),
    ("It was .* a week ago", lambda t: in_text(t) + 7 * DAY),
    ("US Thanksgiving of 2001", lambda _: _weekday(2001, 11, 3, 4)),
    ("last day of the first quarter of 2008", lambda _: Date(2008, 3, 31)),
    ("first day of 2007", lambda _: Date(2007, 1, 1)),
    ("^Today|^It is .* today|current local time", in_text),
)
"""What today is, by a pattern in the question; the first that is found holds."""

ASKED: dict[str, Callable[[Date], Date]] = {
    "today": lambda d: d,
    "tomorrow": lambda d: d + DAY,
    "yesterday": lambda d: d - DAY,
    "24 hours later": lambda d: d + DAY,
    "10 days ago": lambda d: d - 10 * DAY,
    "one week ago from today": lambda d: d - 7 * DAY,
    "one week from today": lambda d: d + 7 * DAY,
    "a month ago": month_before,
    "one year ago from today": lambda d: years_before(d, 1),
}
"""The date that is asked for, from today's."""


def asked_date(question: str) -> Date:
    """The date that a question without its options asks for.

    Raises:
        StopIteration: If no rule knows what today is.
    """
    story, _, asked = question.rpartition(" What is the date ")
    today = next(rule(story) for pattern, rule in RULES if re.search(pattern, story))
    return ASKED[asked.removesuffix(" in MM/DD/YYYY?")](today)
