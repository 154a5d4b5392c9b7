"""Classes of crack widths, by the limits of building codes or by limits that the user gives."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from crack_lightning.errors import UserError

# Limits in millimetres. Their sources and purposes are in docs/measure.md.
PRESETS = {
    "ec2": (0.2, 0.3, 0.4),
    "aci224": (0.1, 0.15, 0.18, 0.3, 0.41),
    "aashto": (0.3, 1.27),
    "japan": (0.2,),
}
PRESET_NAMES = tuple(PRESETS)
# The palette of Okabe and Ito (Color Universal Design, 2008), which people with colour blindness tell apart.
COLOURS = ("#56b4e9", "#009e73", "#f0e442", "#e69f00", "#d55e00", "#cc79a7", "#0072b2", "#000000")
UNKNOWN_NAME = "width not known"
UNKNOWN_COLOUR = "#c8ccd1"  # colour of a crack whose width in millimetres is not known


@dataclass(frozen=True)
class WidthClasses:
    """Classes between ascending `limits_mm`; a width at a limit belongs to the narrower class."""

    name: str
    limits_mm: tuple[float, ...]

    @property
    def names(self) -> list[str]:
        """Returns the names of the classes, from the narrowest."""
        edges = [f"{limit:g}" for limit in self.limits_mm]
        between = [f"{low}-{high} mm" for low, high in itertools.pairwise(edges)]
        return [f"<= {edges[0]} mm", *between, f"> {edges[-1]} mm"]

    def class_of(self, width_mm: float) -> str:
        """Returns the name of the class of a width."""
        return self.names[sum(width_mm > limit for limit in self.limits_mm)]

    def class_below(self, limit_mm: float) -> str | None:
        """Returns the class of a width known only to be below `limit_mm`; None where several classes are possible."""
        return self.names[0] if limit_mm <= self.limits_mm[0] else None

    def colour_of(self, name: str) -> str:
        """Returns the CSS colour of a class; UNKNOWN_COLOUR for any other name."""
        return COLOURS[min(self.names.index(name), len(COLOURS) - 1)] if name in self.names else UNKNOWN_COLOUR


def width_classes(given: str | float | Sequence[float]) -> WidthClasses:
    """Returns a preset by its name, or classes by limits in millimetres. Raises UserError for anything else."""
    if isinstance(given, str):
        if given not in PRESETS:
            raise UserError(
                f"width_classes={given}: must be one of {', '.join(PRESETS)}, or limits in mm such as [0.2,0.3]"
            )
        return WidthClasses(given, PRESETS[given])
    try:
        limits = tuple(float(limit) for limit in ([given] if isinstance(given, int | float) else given))
    except (TypeError, ValueError):
        limits = ()
    ascending = all(low < high for low, high in itertools.pairwise(limits))
    finite = all(map(math.isfinite, limits))  # a single nan or inf passes as ascending
    if not limits or not finite or len(limits) >= len(COLOURS) or limits[0] <= 0 or not ascending:
        raise UserError(
            f"width_classes={given}: must be 1 to {len(COLOURS) - 1} ascending limits in mm above 0, such as [0.2,0.3]"
        )
    return WidthClasses("own", limits)
