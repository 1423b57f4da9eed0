"""The commands with few steps: their tests ask what is written, not how good the deformation is."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def few_steps():
    from few_steps import take_few_steps

    with pytest.MonkeyPatch.context() as patch:
        take_few_steps(patch)
        yield
