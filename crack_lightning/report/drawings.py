"""Draws the cracks of a photograph as DXF, with a layer for each width class."""

import io
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from crack_lightning.measurement.classes import UNKNOWN_NAME
from crack_lightning.measurement.record import CrackRecord, is_crack
from crack_lightning.system import libraries

INSTALL_HINT = 'formats=dxf needs ezdxf: pip install -e ".[reports]"'
MILLIMETRES, UNITLESS = 4, 0  # values of the DXF header variable $INSUNITS
NUMBER_LAYER, NUMBER_HEIGHT_PX = "crack numbers", 30.0  # name of the layer, and height of its text
FORBIDDEN_CHARACTERS = "<>/\\\":;?*|='"  # not allowed in names of layers
HEX_BASE = 16


def drawing(
    records: Sequence[CrackRecord], colours: Mapping[str, str], *, height_px: int, mm_per_px: float | None
) -> bytes:
    """Draws the lines and numbers of the cracks, the numbers on a layer of their own; returns the content of the file.

    Marks that are probably no cracks are left out. The unit is the millimetre if the scale is known, else the pixel.
    The origin is the photograph's lower left corner, and y points upwards. `colours` has `#rrggbb` for each class.
    Raises UserError without ezdxf.
    """
    ezdxf = library()
    logging.getLogger("ezdxf").setLevel(logging.WARNING)  # at INFO, ezdxf reports every header that it leaves empty
    document = ezdxf.new("R2010", units=UNITLESS if mm_per_px is None else MILLIMETRES)
    document.layers.add(NUMBER_LAYER)
    space, height = document.modelspace(), height_px * (mm_per_px or 1.0)
    for record in (record for record in records if record.likely):
        layer = _layer(document, record.kind, record.width_class or UNKNOWN_NAME, colours)
        parts = [line * [1, -1] + [0, height] for line in record.lines_mm or record.lines]
        for points in parts:
            space.add_lwpolyline(points.tolist(), dxfattribs={"layer": layer})
        longest = max(parts, key=len)
        number = {"layer": NUMBER_LAYER, "height": NUMBER_HEIGHT_PX * (mm_per_px or 1.0)}
        space.add_text(str(record.number), dxfattribs=number).set_placement(longest[len(longest) // 2].tolist())
    text = io.StringIO()
    document.write(text)
    return text.getvalue().encode("utf-8")


def library() -> Any:
    """Returns the module ezdxf. Raises UserError, which says how to install it, if it is missing."""
    return libraries.library("ezdxf", INSTALL_HINT)


def _layer(document: Any, kind: str, name: str, colours: Mapping[str, str]) -> str:
    """Returns the layer of a width class, or of what is no crack: of joints, spalls and others."""
    readable = name.replace("<=", "up to").replace(">", "above")
    text = f"crack {readable}" if is_crack(kind) else kind
    layer = "".join("_" if letter in FORBIDDEN_CHARACTERS else letter for letter in text)
    if layer not in document.layers:
        added, colour = document.layers.add(layer), colours.get(name, "#00e5ff").lstrip("#")
        added.rgb = tuple(int(colour[k : k + 2], HEX_BASE) for k in (0, 2, 4))
    return layer
