"""The options of `inspect`, with their defaults and ranges."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crack_lightning.engines.engine_names import DEVICES, ENGINES
from crack_lightning.errors import UserError
from crack_lightning.measurement.classes import PRESET_NAMES, width_classes
from crack_lightning.measurement.scale import check_scale, uniform_scale
from crack_lightning.system.ranges import (
    check_above,
    check_among,
    check_choices,
    check_shard,
    one_of,
    suggested,
)

WINDOWS = ("auto", "map", "crops")
SCALE_KEYS, MARKER_SCALES = ("marker_mm", "distance_m"), ("marker", "checkerboard")
FORMATS = ("dxf", "coco", "label_studio", "word")
INSTEAD_HINTS = {  # what to do instead, for names that people try as a format
    **dict.fromkeys(("docx", "doc"), "write formats=[word]"),
    "pdf": "print report.html to PDF in a browser, or write formats=[word]",
    **dict.fromkeys(("csv", "geojson", "html"), "it is always written"),
    **dict.fromkeys(("labelstudio", "label-studio"), "write formats=[label_studio]"),
}
LENGTH_KEYS = ("min_length_px", "min_length_mm")


def check_named(formats: Sequence[str]) -> None:
    """Raises UserError for a name that is not a format; the message says what to do instead."""
    for name in formats:
        if name.lower().lstrip(".") in INSTEAD_HINTS:
            raise UserError(f"formats=[{name}]: {INSTEAD_HINTS[name.lower().lstrip('.')]}")
        check_among("formats", name, FORMATS)


@dataclass
class InspectOptions:
    """The options of `inspect`, which uses the crack map of the package where no checkpoint is given."""

    source: str  # a folder with its subfolders, a file, or a pattern such as /photos/*/*.jpg
    ckpt_path: str | None = None  # a best.ckpt; null: the crack map of the package, which needs no training
    device: str = suggested("auto", DEVICES)  # auto, cpu, cuda, cuda:1, mps
    # what computes the map: onnxruntime, openvino, folded, eager; auto: the fastest one installed that agrees
    engine: str = one_of("auto", ENGINES)
    threshold: float | None = None  # null: the threshold of the checkpoint
    # with ckpt_path: pixels that show as much as a training picture; null: by mm_per_px, else as many as in training
    tile_px: float | None = None
    # scale of the photographs: adapts them to the scale of the training set where it is known, and gives millimetres
    mm_per_px: float | None = None
    # scale of each photograph: marker, checkerboard, or a table with the columns photograph and mm_per_px
    scale: str | None = suggested(None, ("marker", "checkerboard"))
    # with scale=marker the side of its black square, with scale=checkerboard the side of one of its squares
    marker_mm: float | None = None
    # from the camera to the surface, at right angles; gives the scale, with the focal length in EXIF
    distance_m: float | None = None
    # ec2, aci224, aashto, japan, or limits in mm such as [0.2,0.3]
    width_classes: Any = field(default="ec2", metadata={"suggested": PRESET_NAMES})
    min_length_px: float | None = None  # shorter cracks and regions are left out; null: all are kept
    min_length_mm: float | None = None  # the same in millimetres, where a scale is known
    # further files: dxf, coco, label_studio, word
    formats: list[str] = field(default_factory=list, metadata={"suggested": FORMATS})
    # for label_studio: what stands before the name of each photograph, such as /data/local-files/?d=bridge/
    image_prefix: str = ""
    # map: all in one pass; crops: cut out one by one, slowly; auto: map where the backbone can be split
    windows: str = one_of("auto", WINDOWS)
    # factors by which windows are enlarged; the highest probability over all of them counts
    scales: list[float] = field(default_factory=lambda: [1.0])
    # approximate memory for the layers, which sets the size of the tiles; null: 32 for each core
    memory_mb: float | None = None
    max_megapixels: float = 200.0  # larger files are not decoded
    overlay_px: int | None = 2000  # longer side of overlay.png and photograph.jpg; null: as long as in the photograph
    shard: int | None = None  # with -m shard=range(0,8): inspects only this part of the photographs
    # number of parts; without shard: checks that all are done, and writes one report of them
    shards: int | None = None

    def __post_init__(self) -> None:
        check_choices(self)
        check_shard(self.shard, self.shards)
        for key in ("mm_per_px", "tile_px", "memory_mb", "max_megapixels", "overlay_px", *LENGTH_KEYS, *SCALE_KEYS):
            check_above(key, getattr(self, key))
        if self.mm_per_px is not None:
            check_scale(uniform_scale(self.mm_per_px, f"mm_per_px={self.mm_per_px:g}"))
        if (self.scale in MARKER_SCALES) != (self.marker_mm is not None):
            raise UserError(
                f"scale={self.scale} marker_mm={self.marker_mm}: marker_mm can be given with "
                "scale=marker or scale=checkerboard only, and both need it"
            )
        check_named(self.formats)
        width_classes(self.width_classes)
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise UserError(f"threshold={self.threshold}: must be above 0 and at most 1, or null for the checkpoint's")
        if self.min_length_mm is not None and self.mm_per_px is self.scale is self.distance_m is None:
            raise UserError(
                f"min_length_mm={self.min_length_mm} needs mm_per_px, scale or distance_m; or give min_length_px"
            )
        if not self.scales or not all(0 < factor <= 16 for factor in self.scales):
            raise UserError(f"scales={self.scales}: must be numbers above 0 and at most 16, such as [1.0,2.0]")
