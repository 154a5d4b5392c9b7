from crack_lightning.report.inspection_page import MEANINGS, Shown, inspection_page


def shown(verdict: str, **options: object) -> Shown:
    facts = {
        "peak": 0.5,
        "share": 0.1,
        "regions": 1,
        "longest": "9 px",
        "longest_px": 9.0,
        "seconds": 1.0,
        "figures": ["1: 9 px long"],
    }
    links = {"photograph": "a.jpg", "overlay": "b.png", "thumbnail": b"jpeg"}
    return Shown(**{"name": "wall", "verdict": verdict, **facts, **links, **options})  # type: ignore[arg-type]


def test_the_page_begins_with_method_and_existing_verdicts() -> None:
    page = inspection_page("2 photographs", {"checkpoint": "<best>.ckpt"}, ["rgb(1,2,3)"], [shown("review")])
    assert "<strong>&lt;best&gt;.ckpt</strong>" in page
    assert "linear-gradient(to right,rgb(1,2,3))" in page
    assert MEANINGS["review"] in page
    assert MEANINGS["cracked"] not in page, "no photograph has that verdict"


def test_of_a_photograph_without_results_there_is_nothing_to_open() -> None:
    bare = {"peak": None, "share": None, "regions": None, "photograph": "", "overlay": "", "thumbnail": None}
    page = inspection_page("", {}, [], [shown("error", error="cannot be <read>", **bare)])
    assert 'data-v="-1"' in page
    assert "cannot be &lt;read&gt;" in page
    assert "data-overlay" not in page.split("<tbody>")[1].split("</tbody>")[0]
    assert "<img" not in page.split("<tbody>")[1].split("</tbody>")[0]


def test_the_page_needs_nothing_else() -> None:
    page = inspection_page("", {}, [], [shown("cracked", photograph="photographs/a b/photograph.jpg")])
    assert 'data-photograph="photographs/a%20b/photograph.jpg"' in page
    assert "http" not in page
    assert "<link" not in page
    assert 'src="data:' in page
