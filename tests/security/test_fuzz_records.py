"""Tries seeded damage of every file of a run with all commands that read records; see scripts/fuzz_records.py."""

from __future__ import annotations

import pytest

from scripts import fuzz_records


@pytest.mark.slow
def test_no_damage_gives_a_traceback_a_hang_or_a_file_elsewhere():
    assert fuzz_records.main(40, seed=1, patience=120.0, say=False) == []
