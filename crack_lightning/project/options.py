"""The options of `serve`, checked when they are made."""

from dataclasses import dataclass
from typing import Any

from crack_lightning.engines.engine_names import check_engine
from crack_lightning.errors import UserError
from crack_lightning.system.ranges import check_above, whole_path

PORTS, LOOPBACK = range(65_536), ("127.0.0.1", "localhost", "::1")


@dataclass
class ServeOptions:
    """Of `serve`. Without a checkpoint the crack map of the package marks."""

    ckpt_path: str | None
    source: str | None
    host: str
    port: int
    open: bool
    token: bool
    device: str
    engine: str
    threshold: float | None
    mm_per_px: float | None
    width_classes: Any
    min_length_px: float | None
    max_megapixels: float
    max_upload_mb: float
    max_photographs: int
    cache_dir: str | None

    def __post_init__(self) -> None:
        check_engine(self.engine)
        for key in ("mm_per_px", "min_length_px", "max_megapixels", "max_upload_mb"):
            check_above(key, getattr(self, key))
        if self.port not in PORTS:
            raise UserError(f"port={self.port}: 0 to {PORTS[-1]}; 0 is any that is free")
        if self.max_photographs < 1:
            raise UserError(f"max_photographs={self.max_photographs}: 1 or more")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise UserError(f"threshold={self.threshold}: above 0 and below 1, or null for the project's")
        if self.host not in LOOPBACK and not self.token:
            raise UserError(
                f"host={self.host} lets other computers in: give token=true, which prints an address that nobody can "
                f"guess, or host={LOOPBACK[0]}"
            )
        self.cache_dir, self.source = whole_path(self.cache_dir), whole_path(self.source)
        self.ckpt_path = whole_path(self.ckpt_path)
