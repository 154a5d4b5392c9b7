"""Previews what a proposed map would change in photographs that nobody corrected yet."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crack_lightning.corrections.lines import lines_near, near
from crack_lightning.data.images.reading import read_picture
from crack_lightning.inference.crack_lines import cracks_of
from crack_lightning.measurement.record import CrackRecord, pixel_records
from crack_lightning.project.project import Project
from crack_lightning.project.relearning import Proposal
from crack_lightning.project.shown_cracks import records_at
from crack_lightning.runs.inspection.inspection import reader_of, window_scale_of

SAME_CRACK_PX = 8.0  # lines within this distance are the same crack
MAX_PREVIEWS = 5  # photographs; each takes a few seconds


@dataclass(frozen=True)
class Preview:
    """The change in one photograph, as lengths of cracks in pixels.

    `key`: the photograph's key. `kept_px`: both maps mark these cracks. `new_px`: only the proposed map marks them.
    `gone_px`: only the current map marks them.
    """

    key: str
    kept_px: float
    new_px: float
    gone_px: float


def previews(project: Project, proposal: Proposal) -> Iterator[Preview]:
    """Yields previews of up to MAX_PREVIEWS inspected photographs without corrections, from most to least cracked."""
    lengths_px = {
        key: inspected.cracks.length_px
        for key, inspected in list(project.inspected.items())
        if inspected.is_mapped and inspected.cracks and not project.corrections_of(inspected.name)
    }
    uncorrected = sorted(lengths_px, key=lambda key: -lengths_px[key])
    count = min(MAX_PREVIEWS, len(uncorrected))
    chosen = np.unique(np.linspace(0, max(0, len(uncorrected) - 1), count).round().astype(int))
    inspection = project.inspection
    reader = reader_of(proposal.network, inspection.options)
    scale = window_scale_of(proposal.network, inspection.options)
    for index in chosen:
        key = uncorrected[int(index)]
        path = project.photograph(key).path
        image = read_picture(path, megapixels=inspection.options.max_megapixels).image
        heat = reader.heat(reader.scaled(image, scale))
        cracks = cracks_of(heat, np.asarray(image.convert("L")), project.settings.threshold)
        after = pixel_records(cracks)
        before = records_at(project, key, project.settings.threshold)
        new_px, gone_px = _length_apart(after, before), _length_apart(before, after)
        yield Preview(key, sum(record.length_px for record in after) - new_px, new_px, gone_px)


def _length_apart(records: list[CrackRecord], others: list[CrackRecord]) -> float:
    """Returns how much of the length of `records` does not run along any of `others`, in pixels."""
    tree, length_px = lines_near([line for other in others for line in other.lines]), 0.0
    for record in records:
        points = np.concatenate(list(record.lines))
        length_px += record.length_px * float((~near(points, tree, SAME_CRACK_PX)).mean())
    return length_px
