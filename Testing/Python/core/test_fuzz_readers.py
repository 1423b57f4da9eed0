"""Damaged files of every kind are read or refused in one line, quickly; `Testing/fuzz_readers.py` runs many more."""

from __future__ import annotations

import fuzz_readers

INPUTS = 450


def test_damaged_files_give_a_value_or_one_line(tmp_path):
    ended = list(fuzz_readers.fuzz(INPUTS, tmp_path))
    assert [failure for _, failure in ended if failure is not None] == []
    kinds = {end for end, _ in ended}
    for target in fuzz_readers.targets(tmp_path):
        assert {f"{target.name}: value", f"{target.name}: refused"} <= kinds, "changes are too strong or too weak"
