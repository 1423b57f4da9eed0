"""What an annotation of a parameter may demand of its values, and the default it may give."""

from __future__ import annotations

from dataclasses import dataclass


class Validator:
    """Base class of all demands; own ones may be derived from it."""

    def validate(self, value) -> None:
        """Raises ValueError if the value is not allowed."""
        raise NotImplementedError


@dataclass
class NotNone(Validator):
    def validate(self, value):
        if value is None:
            raise ValueError("The value must not be None.")


@dataclass
class WithinRange(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not between {self.minimum} and {self.maximum}.")


@dataclass
class Minimum(Validator):
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"{value} is less than {self.minimum}.")


@dataclass
class Maximum(Validator):
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"{value} is more than {self.maximum}.")


@dataclass
class Choice(Validator):
    choices: list

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"{value} is none of {self.choices}.")


@dataclass
class Exclude(Validator):
    excludedValues: list

    def validate(self, value):
        if value in self.excludedValues:
            raise ValueError(f"{value} is excluded.")


class Default:
    """The default value of a parameter, or a function that makes it anew each time."""

    def __init__(self, value=None, *, generator=None) -> None:
        self._make = generator or (lambda: value)

    @property
    def value(self):
        return self._make()


@dataclass
class Decimals:
    """Digits after the point of the widget that a number is bound to."""

    value: int


@dataclass
class SingleStep:
    """Step of the widget that a number is bound to."""

    value: float
