"""What is to be said of a photograph beside its findings; empty where there is nothing."""

import numpy as np

from crack_lightning.inference.crack_maps import LEAST_PX
from crack_lightning.inference.photographs import WindowScale, check_brought, check_enlarged
from crack_lightning.models.crack_map import CrackMap, Network

PLAIN = 0.5  # deviation of grey levels below which a photograph shows nothing


def empty(grey: np.ndarray) -> str:
    """What is to be said of a photograph in which nothing is to be seen."""
    return "of one colour: there is nothing to see in it" if grey.std() < PLAIN else ""


def too_small(size: tuple[int, int], network: Network, scale: WindowScale, *, megapixels: float) -> str:
    """What is to be said of a photograph of too few pixels. Raises UserError for one that would be too large scaled."""
    if isinstance(network, CrackMap):
        check_brought(size, scale, megapixels=megapixels)
        text = f"%d x %d pixels are less than {LEAST_PX} each way, too few for a crack to be followed"
        return text % size if max(size) < LEAST_PX else ""
    check_enlarged(size, scale, network.image_size, megapixels=megapixels)
    text = "%d x %d pixels are less than half a window of %.0f each way, too few to judge; check mm_per_px, tile_px"
    return text % (*size, scale.window_px) if max(size) < scale.window_px / 2 else ""


def further(pages: int) -> str:
    """What is to be said of a file of several pages."""
    return "" if pages < 2 else f"page 1 of {pages}: the others are not looked at, save each as a file"
