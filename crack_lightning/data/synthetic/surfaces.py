"""One synthetic photograph, a pure function of its seed, index and class."""

import io

import numpy as np
from PIL import Image

from crack_lightning.data.synthetic.camera import jpeg_bytes, photograph
from crack_lightning.data.synthetic.concrete import sound_surface
from crack_lightning.data.synthetic.crack_walks import cracked

VERSION = 1  # part of the cache's key: raised with every change that draws other pixels


def render_surface(*, seed: int, index: int, positive: bool, size_px: int) -> bytes:
    """JPEG bytes of a square RGB photograph of concrete, with a crack if `positive`.

    Surface `index` is the same whatever the number of surfaces drawn and in whichever process.
    """
    rng = np.random.default_rng([seed, index, int(positive)])
    surface = sound_surface(rng, size_px)
    if positive:
        surface = cracked(rng, surface)
    return jpeg_bytes(rng, photograph(rng, surface))


def drawn_surface(*, seed: int, index: int, positive: bool, size_px: int) -> Image.Image:
    """The RGB picture that `render_surface` gives the bytes of."""
    return Image.open(io.BytesIO(render_surface(seed=seed, index=index, positive=positive, size_px=size_px)))
