"""Everything that is mistaken for a crack, and how often each kind is drawn."""

import numpy as np

from crack_lightning.data.synthetic.clutter_faults import holes, joint, pores, relief, runs, spall, stain, stones
from crack_lightning.data.synthetic.clutter_marks import grid, label, lines, paint_edge, scratches, strokes, writing
from crack_lightning.data.synthetic.clutter_objects import border, cable, plants, shadow
from crack_lightning.data.synthetic.concrete import Array

# Each takes a picture (h, w, 3) float32 0..255 and a generator; it returns the picture with one kind of clutter and
# where that is, (h, w) bool. Leaving out spalls or grids costs a crack map most: they come twice.
FREQUENCY = {
    paint_edge: 1.0,
    lines: 1.0,
    grid: 2.0,
    strokes: 1.0,
    pores: 1.0,
    shadow: 1.0,
    stain: 1.0,
    cable: 1.0,
    writing: 1.0,
    border: 1.5,
    runs: 1.0,
    plants: 1.0,
    label: 1.0,
    holes: 1.0,
    scratches: 1.0,
    spall: 2.0,
    relief: 1.0,
    stones: 1.0,
    joint: 1.0,
}
NO_CRACK = list(FREQUENCY)
CHANCES = np.array(list(FREQUENCY.values())) / sum(FREQUENCY.values())


def add_clutter(picture: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """The picture with one thing that is mistaken for a crack, and where that is."""
    return NO_CRACK[int(rng.choice(len(NO_CRACK), p=CHANCES))](picture, rng)
