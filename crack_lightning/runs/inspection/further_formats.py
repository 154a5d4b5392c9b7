"""Writes the results of an inspection for other programs: DXF, COCO, Label Studio, Word and photograph positions."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crack_lightning import __version__
from crack_lightning.data.images.exif import camera_facts
from crack_lightning.errors import UserError
from crack_lightning.measurement.classes import WidthClasses
from crack_lightning.report import drawings, word
from crack_lightning.report.annotations import Drawn, coco, label_studio
from crack_lightning.report.cracks_section import CracksSection
from crack_lightning.runs.inspection.crack_files import kept_records
from crack_lightning.runs.inspection.inspected import Inspected
from crack_lightning.runs.inspection.photograph_files import overlay_of
from crack_lightning.system.files import write_atomically

DXF, COCO, LABEL_STUDIO, WORD = "cracks.dxf", "cracks_coco.json", "cracks_label_studio.json", "report.docx"
JOINT_FILES = (COCO, LABEL_STUDIO, WORD)  # one file for all photographs; a DXF file is for one photograph
# For each format that needs an optional library, the function that imports it.
LIBRARIES: dict[str, Callable[[], Any]] = {"dxf": drawings.library, "word": word.library}


@dataclass(frozen=True)
class Contents:
    """The content of the files. `run` is the folder of the run, `inspected` its photographs, the worst first.

    `summary`, `method`, `cracks` and `cover` are what the report says. `image_prefix` precedes the
    names of photographs in the Label Studio file.
    """

    run: Path
    inspected: Sequence[Inspected]
    summary: str
    method: Mapping[str, str]
    classes: WidthClasses
    cracks: CracksSection
    image_prefix: str = ""
    cover: Mapping[str, str] = field(default_factory=dict)

    @property
    def mapped(self) -> list[Inspected]:
        """Returns the photographs whose cracks were measured."""
        return [photo for photo in self.inspected if photo.cracks is not None]

    def folder(self, inspected: Inspected) -> Path:
        """Returns the folder that holds the files of a photograph."""
        return self.run / "photographs" / inspected.name


def check_formats(formats: Sequence[str], *, measured: bool) -> None:
    """Raises UserError if a format needs a library that is not installed, or if no cracks were `measured`."""
    for name in formats:
        if not measured:
            raise UserError(
                f"formats={name} needs a crack map: leave ckpt_path out, or give a checkpoint of model=crack_map"
            )
        LIBRARIES.get(name, lambda: None)()


def missing_formats() -> dict[str, str]:
    """Returns the formats whose library is not installed, each with the message on how to install it."""
    missing = {}
    for name, library in LIBRARIES.items():
        try:
            library()
        except UserError as error:
            missing[name] = str(error)
    return missing


def write_formats(formats: Sequence[str], contents: Contents) -> None:
    """Writes the files in `formats`, after removing the files that an earlier run wrote to the same folder."""
    writers = {"dxf": _write_dxf, "coco": _write_coco, "label_studio": _write_label_studio, "word": _write_word}
    for path in [
        *(contents.run / name for name in JOINT_FILES),
        *(contents.folder(photo) / DXF for photo in contents.inspected),
    ]:
        path.unlink(missing_ok=True)
    for name in formats:
        writers[name](contents)


def write_positions(run: Path, inspected: Sequence[Inspected]) -> None:
    """Writes photographs.geojson if any position is known: longitude, latitude and altitude in WGS 84."""
    features = []
    for photo in inspected:
        position = camera_facts(Path(photo.path)).position if photo.marks is not None else None
        if position is not None:
            coordinates = [value for value in position if value is not None]
            facts = {
                "photograph": photo.name,
                "verdict": photo.verdict,
                "cracks": photo.cracks.number if photo.cracks else None,
            }
            point = {"type": "Point", "coordinates": [round(value, 7) for value in coordinates]}
            features.append({"type": "Feature", "properties": facts, "geometry": point})
    (run / "photographs.geojson").unlink(missing_ok=True)  # an earlier run may have left one
    if features:
        _write_json(run / "photographs.geojson", {"type": "FeatureCollection", "features": features})


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, ensure_ascii=False)
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


def _annotated(contents: Contents) -> list[Drawn]:
    return [
        Drawn(
            photo.name,
            (photo.width_px, photo.height_px),
            kept_records(contents.folder(photo)),
            camera_facts(Path(photo.path)).orientation,
        )
        for photo in contents.mapped
    ]


def _write_coco(contents: Contents) -> None:
    _write_json(contents.run / COCO, coco(_annotated(contents), contents.classes.names, version=__version__))


def _write_label_studio(contents: Contents) -> None:
    _write_json(
        contents.run / LABEL_STUDIO,
        label_studio(_annotated(contents), version=__version__, prefix=contents.image_prefix),
    )


def _write_dxf(contents: Contents) -> None:
    colours = {name: contents.classes.colour_of(name) for name in contents.classes.names}
    for photo in contents.mapped:
        records, height_px = kept_records(contents.folder(photo)), photo.height_px
        drawing = drawings.drawing(records, colours, height_px=height_px, mm_per_px=photo.mm_per_px)
        write_atomically(contents.folder(photo) / DXF, drawing)


def _write_word(contents: Contents) -> None:
    document = word.word_report(
        contents.run,
        contents.summary,
        contents.method,
        contents.cracks,
        [_page_of(contents.run, photo) for photo in contents.inspected],
        contents.cover,
    )
    write_atomically(contents.run / WORD, document)


def _page_of(run: Path, inspected: Inspected) -> word.Pictured:
    cracks, notes = inspected.cracks, [note for note in (inspected.error, inspected.note) if note]
    figures = list(cracks.figures) if cracks else []
    return word.Pictured(
        name=inspected.name,
        overlay="" if cracks is None else str(overlay_of(run, inspected.name)),
        verdict=inspected.verdict,
        cracks="" if cracks is None else str(cracks.number),
        length=_length(inspected),
        text="; ".join([": ".join(filter(None, [inspected.verdict, ", ".join(figures)])), *notes]),
    )


def _length(inspected: Inspected) -> str:
    if inspected.cracks is None:
        return ""
    length_mm = inspected.cracks.length_mm
    return f"{inspected.cracks.length_px:.0f} px" if length_mm is None else f"{length_mm:.0f} mm"
