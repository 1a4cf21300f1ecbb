"""The page in a browser, before a scripted service: how it shows states, keys, errors and hostile text."""

import asyncio
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from live_service import LiveService
from playwright.sync_api import Browser, Page, expect
from scripted_engine import Asked, ScriptedEngine, trace, well_behaved
from small_calls import BLUE, RED

from browsing import Visit, visiting
from edit_rrm.checkpoint import RRMCard
from edit_rrm.judges.shelf import find_judge
from edit_rrm.traces import render_trace

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
JUDGES = "Judges circles and nothing else."
CARD = RRMCard(
    name="scripted",
    profile="trained",
    trace_format="1",
    max_image_side=64,
    judges=JUDGES,
    training={
        "results": {
            "edits": 10,
            "candidates": 4,
            "measures": {"verdict accuracy": {"value": 0.9, "n": 40, "interval95": [0.77, 0.96]}},
        }
    },
)
OpenPage = Callable[..., tuple[Visit, LiveService]]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens the page of a service of its own: `open_page(script, **settings)`."""
    with ExitStack() as stack:

        def begin(
            script: Callable[[Asked], str] = well_behaved, loaded: bool = True, **settings: Any
        ) -> tuple[Visit, LiveService]:
            engine = ScriptedEngine(script)
            live = stack.enter_context(LiveService(engine, card=CARD, loaded=loaded, **settings))
            visit = stack.enter_context(visiting(browser, live.url))
            visit.open()
            return visit, live

        yield begin


def choose(page: Page, candidates: int = 1, instruction: str = "make the red circle blue") -> None:
    """A source, candidates and an instruction of the person's own."""
    page.get_by_label("Choose the source").set_input_files(
        {"name": "red.png", "mimeType": "image/png", "buffer": RED}
    )
    page.get_by_label("Choose edited images").set_input_files(
        [{"name": f"blue{n}.png", "mimeType": "image/png", "buffer": BLUE} for n in range(candidates)]
    )
    page.get_by_label("Instruction").fill(instruction)


def press(page: Page, name: str) -> None:
    """Presses a button; after that of a sample waits until its pictures are there."""
    button = page.get_by_role("button", name=name, exact=True)
    is_sample = button.get_attribute("class") == "sample"
    button.click()
    if is_sample:
        expect(page.locator("#score")).to_be_focused()


def unfold(page: Page, summary: str) -> None:
    """Opens a fold."""
    page.locator("summary", has_text=summary).click()


def sent_request(page: Page) -> dict[str, Any]:
    """The request that was scored, as the page shows it (the browser tells no test of multipart bodies)."""
    found = re.search(r"--form-string 'request=(.*)' ", page.locator("#curl-text").input_value())
    assert found is not None
    request: dict[str, Any] = json.loads(found[1])
    return request


class TestStates:
    def test_loading_is_said_and_scoring_waits_for_the_model_by_itself(self, open_page: OpenPage) -> None:
        visit, live = open_page(loaded=False)
        page = visit.page
        expect(page.locator("#state")).to_have_text("loading")
        expect(page.locator("#state-notice")).to_contain_text("The model is being loaded")
        choose(page)
        press(page, "Score")
        expect(page.locator("#progress")).to_have_text(re.compile(r"Trying again in [1-5] s\."))
        expect(page.locator("#problem")).to_contain_text("loading")
        live.release()
        expect(page.locator("#results-summary")).to_have_text("1 candidate scored; reward 0.60.")
        expect(page.locator("#state")).to_have_text("ready")
        expect(page.locator("#state-notice")).to_be_hidden()
        expect(page.locator("#model-judges")).to_have_text(JUDGES)

    def test_draining_and_a_dead_engine_are_told_apart(self, open_page: OpenPage) -> None:
        visit, live = open_page(engine_restart_backoff_s=60.0)
        expect(visit.page.locator("#state")).to_have_text("ready")
        live.call(lambda: setattr(live.engine, "alive", False))
        expect(visit.page.locator("#state")).to_have_text("engine_dead")
        expect(visit.page.locator("#state-notice")).to_contain_text("being restarted")
        live.call(lambda: setattr(live.service, "_draining", True))
        expect(visit.page.locator("#state")).to_have_text("draining")
        expect(visit.page.locator("#state-notice")).to_contain_text("shutting down")

    def test_a_full_queue_is_counted_down_and_asked_again(self, open_page: OpenPage) -> None:
        visit, live = open_page(queue_capacity=1)
        page = visit.page
        other = live.call(lambda: live.service.batcher.admit(1))
        choose(page)
        press(page, "Score")
        expect(page.locator("#problem")).to_contain_text("queue_full")
        expect(page.locator("#problem")).to_contain_text("nothing of yours was queued")
        expect(page.locator("#progress")).to_have_text(re.compile(r"Trying again"))
        expect(page.locator("#load")).to_contain_text("training queue 1")
        live.call(lambda: other.release_room(1))
        expect(page.locator("#results-summary")).to_have_text("1 candidate scored; reward 0.60.")
        expect(page.locator("#problem")).to_be_hidden()

    def test_waiting_for_a_full_queue_can_be_ended(self, open_page: OpenPage) -> None:
        visit, live = open_page(queue_capacity=1)
        page = visit.page
        live.call(lambda: live.service.batcher.admit(1))
        choose(page)
        press(page, "Score")
        expect(page.locator("#progress")).to_have_text(re.compile(r"Trying again"))
        press(page, "Cancel")
        expect(page.locator("#progress")).to_have_text("")
        expect(page.get_by_role("button", name="Cancel")).to_be_hidden()

    def test_the_strip_shows_jobs_by_lane_and_in_flight(self, open_page: OpenPage) -> None:
        visit, live = open_page()
        page = visit.page
        gate = asyncio.Event()
        live.call(lambda: setattr(live.engine, "gate", gate))
        choose(page)
        press(page, "Score")
        load = page.locator("#load")
        expect(load).to_contain_text("in flight 1")
        for lane in ("interactive", "training", "bulk"):
            expect(load).to_contain_text(f"{lane} queue 0")
        live.call(gate.set)
        expect(page.locator("#results")).to_be_visible()
        expect(load).to_contain_text("in flight 0")

    def test_a_page_nobody_sees_asks_for_nothing_until_it_is_seen_again(self, open_page: OpenPage) -> None:
        visit, _ = open_page()
        page = visit.page
        page.clock.install()
        page.reload()
        expect(page.locator("#load")).to_contain_text("in flight 0")
        page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
        page.clock.run_for(5_000)
        asked = visit.count("/metrics")
        page.clock.run_for(60_000)
        assert visit.count("/metrics") == asked
        with page.expect_request("**/metrics"):
            page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


class TestKeys:
    def test_a_key_is_asked_for_kept_in_the_tab_and_sent(self, open_page: OpenPage) -> None:
        visit, _ = open_page(api_keys="right", metrics_need_key=True)
        page = visit.page
        field = page.get_by_label("Key of this service")
        expect(page.locator("#load")).to_contain_text("closed without a key")
        field.fill("wrong")
        field.press("Enter")
        expect(page.locator("#key-problem")).to_have_text("The service does not accept this key.")
        field.fill("right")
        field.press("Enter")
        expect(field).to_be_hidden()
        expect(page.locator("#model-judges")).to_have_text(JUDGES)
        expect(page.locator("#load")).to_contain_text("in flight 0")
        choose(page)
        press(page, "Score")
        expect(page.locator("#results-summary")).to_have_text("1 candidate scored; reward 0.60.")
        assert page.evaluate("JSON.stringify([sessionStorage, localStorage, document.cookie])") == (
            '[{"edit-rrm-key":"right"},{},""]'
        )
        curl = page.locator("#curl-text").input_value()
        assert '"Authorization: Bearer $EDIT_RRM_API_KEY"' in curl
        assert "right" not in curl

    def test_what_is_closed_is_not_asked_for_again_and_again(self, open_page: OpenPage) -> None:
        visit, _ = open_page(api_keys="right", metrics_need_key=True)
        expect(visit.page.get_by_label("Key of this service")).to_be_visible()
        for _ in range(2):  # two further rounds of asking for the state
            with visit.page.expect_request("**/ready"):
                pass
        assert (visit.count("/metrics"), visit.count("/v1/models")) == (1, 1)


class TestErrors:
    def test_a_trace_that_does_not_parse_is_an_error_and_no_number(self, open_page: OpenPage) -> None:
        visit, _ = open_page(lambda asked: "nonsense" if asked.verifies else well_behaved(asked))
        choose(visit.page)
        press(visit.page, "Score")
        expect(visit.page.locator("#problem")).to_contain_text("trace_unparseable")
        expect(visit.page.locator("#results")).to_be_hidden()
        # The principles came first, and stay.
        expect(visit.page.locator("#principles li")).to_have_count(3)

    def test_without_principles_of_the_models_those_of_a_person_are_used(self, open_page: OpenPage) -> None:
        visit, _ = open_page(lambda asked: trace(asked) if asked.verifies else "nonsense")
        page = visit.page
        choose(page)
        press(page, "Score")
        expect(page.locator("#problem")).to_contain_text("decomposition_failed")
        expect(page.locator("#problem")).to_contain_text("add principles of your own")
        press(page, "Add a principle")
        press(page, "Score")  # the question is still empty
        expect(page.locator("#problem")).to_have_text("A field is empty or out of its range.")
        expect(page.get_by_label("Question of principle 1")).to_be_focused()
        page.get_by_label("Question of principle 1").fill("Is the circle blue?")
        press(page, "Score")
        expect(page.locator("#results-summary")).to_have_text("1 candidate scored; reward 0.60.")
        expect(page.locator(".asked")).to_have_text("Is the circle blue?")

    def test_what_is_missing_is_named_and_nothing_is_sent(self, open_page: OpenPage) -> None:
        visit, _ = open_page()
        press(visit.page, "Score")
        expect(visit.page.locator("#problem")).to_have_text(
            "Still missing: source image, candidate, instruction."
        )
        assert visit.count("/v1/decompose") == visit.count("/v1/score") == 0

    def test_a_service_that_ended_is_said_to_be_unreachable(self, open_page: OpenPage) -> None:
        visit, _ = open_page()
        expect(visit.page.locator("#state")).to_have_text("ready")
        visit.page.route("**/ready", lambda route: route.abort("connectionrefused"))
        expect(visit.page.locator("#state")).to_have_text("unreachable")
        expect(visit.page.locator("#state-notice")).to_contain_text("The service does not answer")


def test_hostile_text_of_person_and_model_stays_text(open_page: OpenPage) -> None:
    def script(asked: Asked) -> str:
        if asked.verifies:
            return render_trace([(HOSTILE, True)] * asked.principle_count, 6.0)
        return f"1. follow: {HOSTILE}?\n2. keep: kept?\n3. quality: clean?"

    visit, _ = open_page(script)
    page = visit.page
    choose(page, instruction=HOSTILE)
    press(page, "Score")
    expect(page.locator(".evidence").first).to_have_text(HOSTILE)
    expect(page.locator(".asked").first).to_have_text(f"{HOSTILE}?")
    assert page.title() == "edit-rrm: score an edit"
    assert visit.complaints == []
    assert visit.left_the_origin == []


def test_options_are_part_of_the_request(open_page: OpenPage) -> None:
    visit, live = open_page(lambda asked: trace(asked, 6.0, (1,)) if asked.verifies else well_behaved(asked))
    page = visit.page
    choose(page)
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Samples of each candidate").fill("3")
    expect(page.locator("#temperature-hint")).to_contain_text("all samples are the same")
    page.get_by_label("Temperature").fill("0.7")
    expect(page.locator("#temperature-hint")).to_be_hidden()
    page.get_by_label("Aggregator").select_option("soft")
    page.get_by_label("Guards").select_option("off")
    press(page, "Score")
    # Probabilities of "met" are 0.1, 0.9 and 0.9.
    expect(page.get_by_text("Reasoning of sample 3: score 6.0, reward 0.63")).to_be_visible()
    expect(page.get_by_text("No guards were asked.")).to_be_visible()
    assert [asked.sampling.temperature for asked in live.engine.asked if asked.verifies] == [0.7] * 3
    request = sent_request(page)
    assert {name: request[name] for name in ("samples", "sampling", "aggregator", "guards", "priority")} == {
        "samples": 3,
        "sampling": {"temperature": 0.7},
        "aggregator": "soft",
        "guards": "off",
        "priority": "interactive",
    }


def test_an_edited_principle_survives_another_instruction_and_the_models_does_not(
    open_page: OpenPage,
) -> None:
    visit, live = open_page()
    page = visit.page
    choose(page)
    press(page, "Score")
    expect(page.locator("#results")).to_be_visible()
    page.get_by_label("Instruction").fill("make it green")
    expect(page.locator("#principles-origin")).to_contain_text("asked for anew")
    press(page, "Score")
    expect(page.locator("#principles-origin")).to_contain_text("Written by the model")
    unfold(page, "Principles")
    page.get_by_label("Weight of principle 2").fill("2.5")
    press(page, "Move principle 2 up")
    expect(page.get_by_label("Question of principle 1")).to_have_value("is the rest the same?")
    expect(page.get_by_label("Weight of principle 1")).to_have_value("2.5")
    press(page, "Remove principle 3")
    page.get_by_label("Instruction").fill("make it yellow")
    expect(page.locator("#principles-origin")).to_contain_text("Yours")
    decomposed = visit.count("/v1/decompose")
    press(page, "Score")
    expect(page.locator(".asked")).to_have_text(["is the rest the same?", "is the circle blue?"])
    assert visit.count("/v1/decompose") == decomposed
    assert "1. keep: is the rest the same?\n2. follow: is the circle blue?" in live.engine.asked[-1].text
    assert sent_request(page)["principles"] == [
        {"id": "p1", "question": "is the rest the same?", "category": "keep", "weight": 2.5},
        {"id": "p2", "question": "is the circle blue?", "category": "follow", "weight": 1},
    ]


def test_pictures_can_be_dropped_and_pasted(open_page: OpenPage) -> None:
    visit, _ = open_page()
    page = visit.page
    event = """([selector, kind, names, type, bytes]) => {
        const data = new DataTransfer();
        for (const name of names) data.items.add(new File([new Uint8Array(bytes)], name, {type}));
        const init = {bubbles: true, cancelable: true};
        document.querySelector(selector).dispatchEvent(kind === "drop"
            ? new DragEvent("drop", {...init, dataTransfer: data})
            : new ClipboardEvent("paste", {...init, clipboardData: data}));
    }"""
    shown = page.locator(".thumbnails img")
    # Two at once on the source: the first is the source, the other a candidate.
    page.evaluate(event, ["#source-zone", "drop", ["a.png", "b.png"], "image/png", list(RED)])
    page.evaluate(event, ["body", "paste", ["c.png"], "image/png", list(BLUE)])
    page.evaluate(event, ["#candidates-zone", "drop", ["notes.png"], "image/png", list(b"notes")])
    expect(page.locator("#problem")).to_have_text("notes.png holds text, no picture.")
    assert [shown.nth(i).get_attribute("alt") for i in range(shown.count())] == [
        "Source: a.png",
        "Candidate 1: b.png",
        "Candidate 2: c.png",
    ]
    press(page, "Remove candidate 1: b.png")
    expect(shown).to_have_count(2)


def zero_shot(asked: Asked) -> str:
    """Principles, or a trace that finds each of them met, as a zero-shot model writes them."""
    if not asked.verifies:
        questions = [{"category": name, "question": f"{name}?"} for name in ("follow", "keep", "quality")]
        return json.dumps({"principles": questions})
    checks = [{"principle": number, "reasoning": "seen", "verdict": 1} for number in (1, 2, 3)]
    return json.dumps({"checks": checks, "scores": [1, 1, 1], "average": 1.0}) + "\n<score>6.0</score>"


def test_sources_are_added_up_to_what_the_judge_takes(open_page: OpenPage) -> None:
    visit, live = open_page(zero_shot, judge=find_judge("zero_shot"))
    page = visit.page
    choose(page)
    another = page.get_by_label("Add another source")
    files = [{"name": f"{name}.png", "mimeType": "image/png", "buffer": BLUE} for name in "wxyz"]
    another.set_input_files(files[:1])
    another.set_input_files(files[1:])
    expect(page.locator("#problem")).to_have_text("The judge takes at most 4 sources.")
    expect(another).to_be_hidden()
    shown = page.locator("#source-thumbnails img")
    names = ["Source 1: red.png", "Source 2: w.png", "Source 3: x.png", "Source 4: y.png"]
    assert [shown.nth(place).get_attribute("alt") for place in range(shown.count())] == names
    press(page, "Remove source 4: y.png")
    expect(another).to_be_attached()
    press(page, "Score")
    expect(page.locator("#results-summary")).to_have_text("1 candidate scored; reward 0.60.")
    request = sent_request(page)
    assert "source" not in request
    assert request["sources"] == [{"part": "source"}, {"part": "source2"}, {"part": "source3"}]
    assert 'source3=@"x.png"' in page.locator("#curl-text").input_value()
    assert [len(asked.images) for asked in live.engine.asked] == [3, 4]
    assert page.get_by_label("Compare with").locator("option").all_inner_texts() == names[:3]
    page.get_by_label("Compare with").select_option("1")
    expect(page.locator(".layer.before img")).to_have_attribute("alt", "Source 2: w.png")
    assert visit.complaints == []


def test_where_the_judge_takes_one_source_there_is_no_other_to_add(open_page: OpenPage) -> None:
    visit, _ = open_page()
    page = visit.page
    choose(page)
    choose(page)
    expect(page.locator("#source-thumbnails img")).to_have_count(1)
    expect(page.get_by_text("Add another source")).to_have_count(0)
    press(page, "Score")
    expect(page.locator("#results")).to_be_visible()
    assert sent_request(page)["source"] == {"part": "source"}


def test_a_judge_with_questions_of_its_own_is_sent_no_principles(open_page: OpenPage) -> None:
    visit, _ = open_page(
        lambda _: '{"reasoning": "seen", "score": [9, 4, 6]}', judge=find_judge("three_scores")
    )
    page = visit.page
    choose(page)
    expect(page.locator("#principles-part")).to_be_hidden()
    press(page, "Score")
    expect(page.locator("#results-summary")).to_have_text("1 candidate scored; reward 0.60.")
    assert "principles" not in sent_request(page)
    facts = page.locator(".result").get_by_text("follow 0.90")
    expect(facts).to_have_text("follow 0.90 · keep 0.40 · quality 0.60")
    assert visit.complaints == []


def test_the_answer_and_the_request_can_be_taken_along(open_page: OpenPage, tmp_path: Path) -> None:
    visit, _ = open_page()
    page = visit.page
    choose(page, instruction="make the circle's red blue; $(touch x)")
    press(page, "Score")
    unfold(page, "Time, tokens, curl and JSON")
    with page.expect_download() as download:
        press(page, "Download the answer as JSON")
    download.value.save_as(tmp_path / "answer.json")
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert [result["reward"] for result in answer["results"]] == [0.6]
    press(page, "Show the request as curl")
    curl = page.get_by_label("The request as curl").input_value()
    (tmp_path / "red.png").write_bytes(RED)
    (tmp_path / "blue0.png").write_bytes(BLUE)
    shell = subprocess.run(["sh", "-c", curl], cwd=tmp_path, capture_output=True, check=True, timeout=60)
    repeated = json.loads(shell.stdout)
    assert repeated["results"][0]["reward"] == 0.6
    assert {path.name for path in tmp_path.iterdir()} == {"answer.json", "red.png", "blue0.png"}


def test_what_judges_is_shown_with_its_measured_results(open_page: OpenPage) -> None:
    visit, _ = open_page()
    page = visit.page
    expect(page.locator("#model-name")).to_have_text("scripted@0123456789ab")
    page.get_by_text("Limits, defaults and measured results").click()
    expect(page.locator("#model-measures tbody tr")).to_have_text("verdict accuracy0.9000.770 – 0.96040")
    expect(page.locator("#model-facts")).to_contain_text("aggregator model_score")
    expect(page.locator("#model-facts")).to_contain_text("longest side 64 pixels")


class TestMetricsText:
    """`metrics.js`, given text."""

    def test_lanes_jobs_and_starts_are_read_from_prometheus_text(self, open_page: OpenPage) -> None:
        visit, _ = open_page()
        text = "\n".join(
            (
                "# TYPE edit_rrm_queue_jobs gauge",
                'edit_rrm_queue_jobs{lane="bulk"} 12.0',
                'edit_rrm_queue_jobs{lane="odd \\" } lane"} 3',
                "edit_rrm_jobs_in_flight 4.0",
                "edit_rrm_window_occupancy_count 1e+02",
                "edit_rrm_jobs_in_flight_created 99",
            )
        )
        load = visit.page.evaluate("async (text) => (await import('/page/metrics.js')).loadOf(text)", text)
        assert load == {"waiting": {"bulk": 12, 'odd \\" } lane': 3}, "inFlight": 4, "started": 100}

    def test_a_restart_gives_no_rate(self, open_page: OpenPage) -> None:
        visit, _ = open_page()
        rates = visit.page.evaluate(
            """async () => {
                const {jobsPerSecond} = await import('/page/metrics.js');
                const rate = (before, after) => jobsPerSecond({started: before}, {started: after}, 2);
                return [rate(4, 10), rate(9, 1)];
            }"""
        )
        assert rates == [3, None]
