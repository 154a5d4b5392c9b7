"""The commands as functions of options and a folder, which the fixture `composed` gives."""

from functools import partial

from crack_lightning.cli.command import perform

audit = partial(perform, "audit")
cache = partial(perform, "cache")
compare = partial(perform, "compare")
evaluate = partial(perform, "evaluate")
explain = partial(perform, "explain")
export = partial(perform, "export")
inspect = partial(perform, "inspect")
predict = partial(perform, "predict")
