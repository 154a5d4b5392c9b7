"""Draws scenes, the synthetic training pictures of the correction of a crack map: structures, and cracks in them."""

import numpy as np
from PIL import Image

from crack_lightning.data.synthetic.clutter_faults import holes, pores
from crack_lightning.data.synthetic.clutter_marks import writing
from crack_lightning.data.synthetic.clutter_objects import cable, plants, shadow
from crack_lightning.data.synthetic.concrete import Array
from crack_lightning.data.synthetic.drawn_cracks import add_cracks
from crack_lightning.data.synthetic.foreground import beyond, fence, gauge, growth, pipe
from crack_lightning.data.synthetic.lessons import (
    Lesson,
    add_clutter,
    as_photographed,
    generated_surface,
    lit,
    reframed,
)
from crack_lightning.data.synthetic.structures import (
    edge_stains,
    formwork,
    graffiti,
    ledge,
    paving,
    slab_joint,
    spray,
)

SIDE = 512  # side of a scene in pixels
ON_THE_SURFACE = (formwork, formwork, slab_joint, slab_joint, ledge, ledge, edge_stains, paving, graffiti, spray, spray)
SMALL = (add_clutter, add_clutter, add_clutter, writing, writing, pores, holes)
BEFORE_IT = (beyond, beyond, growth, pipe, fence, cable, plants, gauge)
CLUTTER_MEAN, STRUCTURES_MEAN, OBJECTS_MEAN = 1.6, 1.0, 0.4  # mean numbers of pieces, of a Poisson distribution
CRACKED_SHARE = 0.75  # share of the scenes with a crack
SECOND_CRACK = 0.3  # share of these with another one, of another style


def scene(source: Image.Image | None, seed: int, index: int) -> Lesson:
    """Draws scene `index` onto `source`, a square picture of a sound surface; None generates a surface.

    It is drawn in the order surface, structures, small clutter, cracks, objects before the wall, camera. What stands
    before a crack hides it. The same arguments give the same scene, in whatever order and process scenes are drawn.
    """
    rng = np.random.default_rng([seed, index])
    picture = lit(rng, generated_surface(rng, SIDE) if source is None else reframed(rng, source, SIDE))
    clutter = np.zeros((SIDE, SIDE), bool)
    for _ in range(min(3, rng.poisson(STRUCTURES_MEAN))):
        picture, mask = ON_THE_SURFACE[int(rng.integers(len(ON_THE_SURFACE)))](picture, rng)
        clutter |= mask
    for _ in range(min(6, rng.poisson(CLUTTER_MEAN))):
        picture, mask = SMALL[int(rng.integers(len(SMALL)))](picture, rng)
        clutter |= mask
    cover, strength, style = np.zeros((SIDE, SIDE), np.float32), np.zeros((SIDE, SIDE), np.float32), None
    if rng.random() < CRACKED_SHARE:
        for _ in range(1 + int(rng.random() < SECOND_CRACK)):
            cracks = add_cracks(picture, rng)
            picture, style = cracks.picture, cracks.style
            cover, strength = np.maximum(cover, cracks.cover), np.maximum(strength, cracks.strength)
        if rng.random() < 0.1:  # a shadow over the crack
            picture, _ = shadow(picture, rng)
    for _ in range(min(2, rng.poisson(OBJECTS_MEAN))):
        picture, mask = BEFORE_IT[int(rng.integers(len(BEFORE_IT)))](picture, rng)
        clutter |= mask
        cover, strength = _hidden(cover, mask), _hidden(strength, mask)
    return Lesson(as_photographed(rng, picture), cover, strength, clutter, style)


def _hidden(values: Array, mask: Array) -> Array:
    """Returns values (h, w) with 0 where a mask is true."""
    return np.where(mask, np.float32(0), values)
