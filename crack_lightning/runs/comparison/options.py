"""The options of `compare`: the one place that defines their defaults and ranges."""

from dataclasses import dataclass


@dataclass
class CompareOptions:
    """The options of `compare`, which compares two inspections."""

    before: str  # the run folder of an inspection by a crack map
    after: str  # the run folder of a later inspection of the same place
