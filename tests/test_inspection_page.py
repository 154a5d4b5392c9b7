from typing import Any

from crack_lightning.report.templates import rendered
from crack_lightning.runs.inspection.inspected import Inspected, KnownScale, Marks

MARKS = Marks(0.5, 0.1, 1, 9.0, [[9.0, 30.0, 0.5]])


def inspected(verdict: str, *, marks: Marks | None = MARKS, **facts: Any) -> Inspected:
    return Inspected(**{"name": "a wall", "path": "/a wall", "verdict": verdict, "seconds": 1.0, **facts}, marks=marks)


def page(*photographs: Inspected, **method: str) -> str:
    thumbnails = {photograph.name: b"jpeg" for photograph in photographs if photograph.marks is not None}
    overlays = {photograph.name: f"photographs/{photograph.name}/overlay.png" for photograph in photographs}
    values = {"colours": ["rgb(1,2,3)"], "thumbnails": thumbnails, "cracks": None, "limits": ""}
    values |= {"cover": {}, "overlays": overlays, "longest_px": {}}
    return rendered("inspection.html", summary="", method=method, inspected=photographs, **values)


def test_the_page_has_method_and_existing_verdicts() -> None:
    text = page(inspected("review"), checkpoint="<best>.ckpt")
    assert "<strong>&lt;best&gt;.ckpt</strong>" in text
    assert "linear-gradient(to right,rgb(1,2,3))" in text
    assert "nothing is marked, but it needs review" in text
    assert "at least one region" not in text, "no photograph has that verdict"


def test_of_a_photograph_without_results_there_is_nothing_to_open() -> None:
    text = page(inspected("error", error="cannot be <read>", note="of two pages", marks=None))
    assert 'data-v="-1"' in text
    assert "cannot be &lt;read&gt;; of two pages" in text
    assert "data-overlay" not in text.split("<tbody>")[1].split("</tbody>")[0]
    assert "<img" not in text.split("<tbody>")[1].split("</tbody>")[0]


def test_regions_are_in_millimetres_where_the_scale_is_known() -> None:
    assert ">1: 9 px long, 30 px², probability up to 0.50</td>" in page(inspected("cracked"))
    scaled = page(inspected("cracked", scale=KnownScale(2.0, "key", 0.0)))
    assert ">1: 18 mm long, 120 mm², probability up to 0.50</td>" in scaled


def test_the_page_needs_nothing_else() -> None:
    text = page(inspected("cracked"))
    assert 'data-photograph="photographs/a%20wall/photograph.jpg"' in text
    assert "http" not in text
    assert "<link" not in text
    assert 'src="data:' in text
