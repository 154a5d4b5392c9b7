"""Further files of an inspection, for other programs: DXF, COCO, Label Studio, Word, and positions of photographs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from crack_lightning.system.files import write_atomically

DXF, COCO, LABEL_STUDIO, WORD = "cracks.dxf", "cracks_coco.json", "cracks_label_studio.json", "report.docx"
WHOLE = (COCO, LABEL_STUDIO, WORD)  # of all photographs together
NEEDED: dict[str, Callable[[], Any]] = {"dxf": drawings.library, "word": word.library}


@dataclass(frozen=True)
class Handover:
    """What files are made of: the run's folder, its photographs, the worst first, and what the report says;
    `image_prefix` stands before their names in the file of Label Studio."""

    run: Path
    inspected: Sequence[Inspected]
    summary: str
    method: Mapping[str, str]
    classes: WidthClasses
    cracks: CracksSection
    image_prefix: str = ""

    @property
    def mapped(self) -> list[Inspected]:
        """Returns those whose cracks were measured."""
        return [each for each in self.inspected if each.cracks is not None]

    def folder(self, inspected: Inspected) -> Path:
        """Where the files of a photograph lie."""
        return self.run / "photographs" / inspected.name


def check_formats(formats: Sequence[str], *, measured: bool) -> None:
    """Raise UserError for formats that lack a library, or a crack map to be made from."""
    for name in formats:
        if not measured:
            raise UserError(f"formats={name} needs a crack map: leave ckpt_path out, or give one of model=crack_map")
        NEEDED.get(name, lambda: None)()


def missing_formats() -> dict[str, str]:
    """The formats whose library is not installed, each with the message that says how to install it."""
    missing = {}
    for name, library in NEEDED.items():
        try:
            library()
        except UserError as error:
            missing[name] = str(error)
    return missing


def write_formats(formats: Sequence[str], made: Handover) -> None:
    """The files that `formats` name."""
    writers = {"dxf": _dxf, "coco": _coco, "label_studio": _label_studio, "word": _word}
    for path in [*(made.run / name for name in WHOLE), *(made.folder(each) / DXF for each in made.inspected)]:
        path.unlink(missing_ok=True)  # of an earlier run in the same folder, with other options
    for name in formats:
        writers[name](made)


def write_positions(run: Path, inspected: Sequence[Inspected]) -> None:
    """photographs.geojson, where any photograph says where it was taken: longitude, latitude, altitude in WGS 84."""
    features = []
    for each in inspected:
        position = camera_facts(Path(each.path)).position if each.marks is not None else None
        if position is not None:
            place = [value for value in position if value is not None]
            facts = {
                "photograph": each.name,
                "verdict": each.verdict,
                "cracks": each.cracks.number if each.cracks else None,
            }
            point = {"type": "Point", "coordinates": [round(value, 7) for value in place]}
            features.append({"type": "Feature", "properties": facts, "geometry": point})
    (run / "photographs.geojson").unlink(missing_ok=True)  # of an earlier run in the same folder
    if features:
        _json(run / "photographs.geojson", {"type": "FeatureCollection", "features": features})


def _json(path: Path, content: Any) -> None:
    text = json.dumps(content, ensure_ascii=False)
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


def _drawn(made: Handover) -> list[Drawn]:
    return [
        Drawn(
            each.name,
            (each.width_px, each.height_px),
            kept_records(made.folder(each)),
            camera_facts(Path(each.path)).orientation,
        )
        for each in made.mapped
    ]


def _coco(made: Handover) -> None:
    _json(made.run / COCO, coco(_drawn(made), made.classes.names, version=__version__))


def _label_studio(made: Handover) -> None:
    _json(made.run / LABEL_STUDIO, label_studio(_drawn(made), version=__version__, prefix=made.image_prefix))


def _dxf(made: Handover) -> None:
    colours = {name: made.classes.colour_of(name) for name in made.classes.names}
    for each in made.mapped:
        records, height_px = kept_records(made.folder(each)), each.height_px
        drawn = drawings.drawing(records, colours, height_px=height_px, mm_per_px=each.mm_per_px)
        write_atomically(made.folder(each) / DXF, drawn)


def _word(made: Handover) -> None:
    document = word.word_report(made.run, made.summary, made.method, made.cracks, list(map(_pictured, made.inspected)))
    write_atomically(made.run / WORD, document)


def _pictured(each: Inspected) -> word.Pictured:
    cracks, notes = each.cracks, [note for note in (each.error, each.note) if note]
    figures = list(cracks.figures) if cracks else []
    return word.Pictured(
        name=each.name,
        overlay="" if cracks is None else f"photographs/{each.name}/overlay.png",
        verdict=each.verdict,
        cracks="" if cracks is None else str(cracks.number),
        length=_length(each),
        text="; ".join([f"{each.verdict}. {', '.join(figures)}".strip(), *notes]),
    )


def _length(each: Inspected) -> str:
    if each.cracks is None:
        return ""
    in_mm = each.cracks.length_mm
    return f"{each.cracks.length_px:.0f} px" if in_mm is None else f"{in_mm:.0f} mm"
