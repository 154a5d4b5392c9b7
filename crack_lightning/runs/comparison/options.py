"""The options of `compare`: the only place of their defaults and ranges."""

from dataclasses import dataclass


@dataclass
class CompareOptions:
    """Of `compare`: the run folders of two inspections."""

    before: str  # the run folder of an inspection by a crack map
    after: str  # that of a later one of the same place
