"""A large project of drawn photographs for benchmarks/page.py: inspected, and corrected by many."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from crack_lightning.corrections.journal import JOURNAL
from crack_lightning.corrections.lines import JudgedCrack
from crack_lightning.data.synthetic.scenes import scene
from crack_lightning.project.attention import PLACES_FILE, find_places
from crack_lightning.project.options import ServeOptions
from crack_lightning.project.project import Project, open_project
from crack_lightning.project.rows import Rows
from crack_lightning.project.shown_cracks import shown_cracks
from crack_lightning.project.site_photographs import load_photographs
from crack_lightning.runs.inspection.inspecting import inspect_photograph
from crack_lightning.runs.inspection.photograph_files import key_of

THRESHOLD, SCENES = 0.3, 6  # of the project, and across and down a photograph
CRACK_EVERY = 7  # scenes, of which one has a crack: a photograph has 56 marks


def drawn(folder: Path, count: int) -> None:
    """Writes one drawn photograph of 7 megapixels under `count` names."""
    folder.mkdir(parents=True)
    side = 512
    picture = Image.new("RGB", (SCENES * side, SCENES * side * 3 // 4))
    scenes = [scene(None, 3, index) for index in range(24)]
    cracked, others = ([each for each in scenes if bool(each.cover.any()) is wanted] for wanted in (True, False))
    for index in range(SCENES * SCENES):
        among = others if index % CRACK_EVERY else cracked
        picture.paste(among[index % len(among)].image, (index % SCENES * side, index // SCENES * side))
    picture.save(folder / "0000.jpg", quality=90)
    for number in range(1, count):
        os.link(folder / "0000.jpg", folder / f"{number:04d}.jpg")


def project_of(source: Path, folder: Path) -> Project:
    opened = open_project(ServeOptions(source=str(source), port=0, open=False, threshold=THRESHOLD), folder)
    load_photographs(opened)
    return opened


def keep_rows(source: Path, folder: Path, cracks: Sequence[JudgedCrack]) -> None:
    """Writes the row of every photograph, as a server would have done after its inspection."""
    opened = project_of(source, folder)
    rows = Rows(opened)
    for key in opened.inspected:
        rows.keep(key, cracks)
        rows.write(key)
    opened.close()


def journal_lines(cracks: Sequence[JudgedCrack], picture: str, photographs: int, each: int) -> Iterator[str]:
    """Yields `each` corrections of each of the first `photographs`, as the journal has them."""
    for number in range(photographs * each):
        crack = cracks[number % each % len(cracks)].record
        accepted = number % each % 2 == 0
        entry = {
            "number": number + 1,
            "time": "2026-11-30T08:00:00+00:00",
            "by": "",
            "crack": crack.number,
            "kind": "accept" if accepted else "reject",
            "photograph": f"{number // each:04d}.jpg",
            "picture": picture,
            "probability": 0.5,
            "lines": [np.round(line, 2).tolist() for line in crack.lines],
        }
        yield json.dumps(entry | ({"feature": crack.feature()} if accepted else {}))


def project_folder(folder: Path, count: int, corrected: int, corrections: int) -> Path:
    """Makes a project of `count` photographs, of which `corrected` have `corrections` in all; returns its folder."""
    source, project = folder / "site", folder / "project"
    drawn(source, count)
    opened = project_of(source, project)
    key = opened.key_of("0000.jpg")
    opened.inspected[key] = inspect_photograph(opened.photograph(key), project, opened.inspection)
    cracks = shown_cracks(opened, key)
    find_places(opened, key)
    picture, inspection = opened.picture_of("0000.jpg"), opened.inspection
    made_of = {
        photograph.name: {
            "key": key_of(photograph, inspection.settings),
            "map_key": key_of(photograph, inspection.map_settings),
        }
        for photograph in opened.photographs.values()
    }
    opened.close()
    first = project / "photographs/0000.jpg"
    facts, places = (json.loads((first / file).read_text()) for file in ("inspection.json", PLACES_FILE))
    for number in range(1, count):
        name = f"{number:04d}.jpg"
        other = shutil.copytree(first, first.with_name(name), copy_function=os.link)
        (other / "inspection.json").unlink()
        told = facts | {"name": name, "path": str(source / name)} | made_of[name]
        (other / "inspection.json").write_text(json.dumps(told))
        (other / PLACES_FILE).unlink()
        map_key = made_of[name]["map_key"]
        (other / PLACES_FILE).write_text(json.dumps(places | {"made_of": f"{map_key}:{THRESHOLD}"}))
    keep_rows(source, project, cracks)
    lines = list(journal_lines(cracks, picture, corrected, max(1, corrections // max(1, corrected))))
    (project / JOURNAL).write_text("".join(f"{line}\n" for line in lines))
    print(f"{count} photographs of {len(cracks)} marks, {len(lines)} corrections", flush=True)
    return folder
