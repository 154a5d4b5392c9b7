"""Holds the newly trained head, with its evaluation and previews, until the user accepts it."""

import threading
from pathlib import Path
from typing import Any

from crack_lightning.errors import UserError
from crack_lightning.page.news import News
from crack_lightning.page.views import proposal_facts
from crack_lightning.project.previews import previews
from crack_lightning.project.project import Project
from crack_lightning.project.relearning import Proposal, accept, relearn
from crack_lightning.system.names import showable


class Proposals:
    """The current proposal of a project; a new one replaces it."""

    def __init__(self, project: Project, news: News) -> None:
        self.project, self.news = project, news
        self._guard = threading.Lock()
        self._proposal: Proposal | None = None

    def make(self) -> dict[str, Any]:
        """Trains and evaluates a head; sends previews of it to the page afterwards."""
        with self._guard:
            proposal = relearn(self.project)
            self._proposal = proposal
        threading.Thread(target=self._send_previews, args=(proposal,), daemon=True).start()
        return proposal_facts(proposal)

    def accept(self) -> Path:
        """Makes the current proposal the checkpoint of the project. Raises UserError where there is none."""
        with self._guard:
            if self._proposal is None:
                raise UserError("there is nothing to accept: relearn first")
            path = accept(self.project, self._proposal)
            self._proposal = None
        self.news.send("settings", checkpoint=path.name)
        return path

    def _send_previews(self, proposal: Proposal) -> None:
        try:
            for preview in previews(self.project, proposal):
                if self._proposal is not proposal:
                    return
                name = showable(self.project.photograph(preview.key).name)
                lengths = {"kept_px": preview.kept_px, "new_px": preview.new_px, "gone_px": preview.gone_px}
                self.news.send("preview", key=preview.key, name=name, **{k: round(v) for k, v in lengths.items()})
        except (OSError, ValueError) as error:
            self.news.send("trouble", message=showable(str(error)))
        self.news.send("previewed")
