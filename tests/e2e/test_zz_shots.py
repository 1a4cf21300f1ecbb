import pytest

from browsing import *


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["desktop", "phone"])
def test_shot(browser, trained, scheme, name):
    with visiting(browser, trained.url, {"desktop": (1280, 900), "phone": (360, 740)}[name]) as v:
        v.page.emulate_media(color_scheme=scheme)
        p = v.open()
        expect(p.locator("#state")).to_have_text("ready")
        p.get_by_role("button", name="Compare 3 edits").click()
        p.get_by_role("button", name="Score", exact=True).click()
        expect(p.locator("#progress")).to_contain_text("See the results")
        p.wait_for_timeout(2500)
        p.screenshot(path=f"/tmp/pageshots/real-{name}-{scheme}.png", full_page=True)
        if name == "phone":
            p.get_by_role("article").first.scroll_into_view_if_needed()
            p.locator("#results").evaluate("n => n.scrollIntoView({behavior:'instant'})")
            p.screenshot(path=f"/tmp/pageshots/real-{name}-{scheme}-view.png")
        p.get_by_text("Limits, defaults and measured results").click()
        p.get_by_text("Options", exact=True).click()
        p.get_by_role("button", name="Show the request as curl").click()
        p.screenshot(path=f"/tmp/pageshots/real-{name}-{scheme}-open.png", full_page=True)
