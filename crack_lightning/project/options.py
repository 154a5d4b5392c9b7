"""The options of `serve`, checked when they are made."""

import re
from dataclasses import dataclass, field
from typing import Any

from crack_lightning.engines.engine_names import DEVICES, ENGINES
from crack_lightning.errors import UserError
from crack_lightning.measurement.classes import PRESET_NAMES, width_classes
from crack_lightning.measurement.scale import check_scale, uniform_scale
from crack_lightning.system.ranges import absolute_path, check_above, check_choices, one_of, suggested

HOST_PATTERN = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")
PORTS = range(65_536)
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")  # hosts that only this computer reaches


@dataclass
class ServeOptions:
    """The options of `serve`."""

    # a checkpoint of a crack map; null: the project's, at first the crack map of the package
    ckpt_path: str | None = None
    # a folder with its subfolders, a file, or a pattern; null: photographs are dropped into the page
    source: str | None = None
    host: str = "127.0.0.1"  # this computer alone; another address lets others in, and needs token=true
    port: int = 8765  # 0: any free port
    open: bool = True  # open the page in the browser of this computer
    token: bool = False  # true: only the address that is printed once lets a browser in
    # other names by which browsers reach it, by a forwarded port or an https server: bridge.example.org, localhost:9000
    hosts: list[str] = field(default_factory=list)
    device: str = suggested("auto", DEVICES)  # auto, cpu, cuda, cuda:1, mps
    # what computes the map: onnxruntime, openvino, folded, eager; auto: the fastest that is installed and agrees
    engine: str = one_of("auto", ENGINES)
    threshold: float | None = None  # null: the project's, at first 0.5
    mm_per_px: float | None = None  # scale of all photographs, unless the page sets another
    # ec2, aci224, aashto, japan, or limits in mm such as [0.2,0.3]
    width_classes: Any = field(default="ec2", metadata={"suggested": PRESET_NAMES})
    min_length_px: float | None = None  # shorter cracks are not shown; null: the project's, at first all are
    image_prefix: str = ""  # in a handed-over label_studio file: stands before the name of a photograph
    max_megapixels: float = 200.0  # larger files are not decoded
    max_upload_mb: float = 200.0  # limit of a photograph that is dropped into the page
    max_photographs: int = 10000  # in a project

    def __post_init__(self) -> None:
        check_choices(self)
        for key in ("mm_per_px", "min_length_px", "max_megapixels", "max_upload_mb"):
            check_above(key, getattr(self, key))
        width_classes(self.width_classes)
        if self.mm_per_px is not None:
            check_scale(uniform_scale(self.mm_per_px, f"mm_per_px={self.mm_per_px:g}"))
        if self.port not in PORTS:
            raise UserError(f"port={self.port}: must be from 0 to {PORTS[-1]}; 0 is any free port")
        if self.max_photographs < 1:
            raise UserError(f"max_photographs={self.max_photographs}: must be 1 or more")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise UserError(f"threshold={self.threshold}: must be above 0 and below 1, or null for the project's")
        if self.host not in LOOPBACK_HOSTS and not self.token:
            raise UserError(
                f"host={self.host} lets other computers in: give token=true, which prints an address that nobody can "
                f"guess, or host={LOOPBACK_HOSTS[0]}"
            )
        for name in self.hosts:
            if not HOST_PATTERN.fullmatch(name):
                raise UserError(f"hosts={name}: must be a name or name:port, without http:// and without a path")
        self.source = absolute_path(self.source)
        self.ckpt_path = absolute_path(self.ckpt_path)
