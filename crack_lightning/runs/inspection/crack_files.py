"""Writes and reads the crack files of one photograph, and writes the table for all photographs."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np

from crack_lightning.data.images.formats import png
from crack_lightning.errors import UserError
from crack_lightning.measurement.cracks import Crack
from crack_lightning.measurement.kept_records import reason_of, whole_record
from crack_lightning.measurement.record import COLUMNS, CrackFacts, CrackRecord, collection
from crack_lightning.measurement.scale import Scale
from crack_lightning.report.close_ups import CloseUp, close_up
from crack_lightning.system.files import write_atomically, write_csv

Array = np.ndarray

CRACKS_CSV, CRACKS_JSON, CLOSE_UPS = "cracks.csv", "cracks.geojson", "close_ups"
HEADER = ["photograph", *COLUMNS]
MAX_CLOSE_UPS = 6  # close-ups for each photograph


def write_cracks(
    folder: Path, name: str, cracks: Sequence[Crack], records: Sequence[CrackRecord], scale: Scale | None, grey: Array
) -> None:
    """Writes cracks.csv, cracks.geojson and close-ups of the longest cracks of known width into `folder`, which
    belongs to the photograph `name`."""
    write_csv(folder / CRACKS_CSV, HEADER, [[name, *_csv_values(record.facts())] for record in records])
    text = json.dumps(collection(records, scale), ensure_ascii=False)
    write_atomically(folder / CRACKS_JSON, text.encode("utf-8", "surrogateescape"))
    shutil.rmtree(folder / CLOSE_UPS, ignore_errors=True)
    measured = [(crack, record) for crack, record in zip(cracks, records, strict=True) if record.widest_px is not None]
    for crack, record in measured[:MAX_CLOSE_UPS]:
        write_atomically(
            folder / CLOSE_UPS / f"{record.number}.png", png(close_up(grey, _widest_close_up(crack, record)))
        )


def _csv_values(facts: CrackFacts) -> list[object]:
    return ["" if value is None else int(value) if isinstance(value, bool) else value for value in astuple(facts)]


def _widest_close_up(crack: Crack, record: CrackRecord) -> CloseUp:
    """Returns the close-up of the crack at its widest point; its width must be known."""
    points = np.concatenate(list(crack.lines))
    widest_index = int(np.hypot(*(points - np.array(record.widest_px)).T).argmin())
    part = next(k for k in range(len(crack.lines)) if widest_index < sum(map(len, crack.lines[: k + 1])))
    row = widest_index - sum(map(len, crack.lines[:part]))
    line, profiles = crack.lines[part], crack.profiles[part]
    along = line[min(row + 2, len(line) - 1)] - line[max(row - 2, 0)]
    along = along / max(float(np.hypot(*along)), 1e-9)
    flanks = float(profiles.left[row]), float(profiles.right[row])
    width = record.width_mm.maximum
    text = f"{record.number}: {record.width_px.maximum:.1f} px" + ("" if width is None else f", {width:.2f} mm")
    across = np.array([-along[1], along[0]])
    return CloseUp(line[row], across, profiles.levels[row], profiles.offsets, flanks, line, text)


def kept_records(folder: Path) -> list[CrackRecord]:
    """Returns the cracks of a photograph from its cracks.geojson. Raises UserError for a damaged file."""
    path = folder / CRACKS_JSON
    try:
        features = json.loads(path.read_text("utf-8", errors="surrogateescape"))["features"]
        if not isinstance(features, list):
            raise UserError("its features are not a list")
        return [whole_record(feature) for feature in features]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({reason_of(error)}): remove its folder and inspect again") from error


def write_all_cracks(run: Path, cracks: Mapping[str, Sequence[CrackFacts]]) -> None:
    """Writes cracks.csv for all photographs in the order of `cracks`, which holds the cracks by photograph name."""
    rows = [[name, *_csv_values(facts)] for name, records in cracks.items() for facts in records]
    write_csv(run / CRACKS_CSV, HEADER, rows)
