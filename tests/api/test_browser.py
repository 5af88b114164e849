"""The console in a real browser, over a whole API: what a risk officer sees, and what two of them can do."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from deploy.local.ports import free_ports
from schemas import codec, topics
from schemas.records import CommandKind, Tier
from tests.api.browsers import chromium, page_of
from tests.api.serving import going_on, served
from tests.api.session import session, state_of
from tests.api.worlds import World, world_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
Open = Callable[..., Page]
TIMEOUT_MS = 20_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    """A served world in which the market goes on."""
    with world_in(tmp_path_factory.mktemp("console"), ttl_ms=6_000, clock="event") as world:
        world.feed(session(), heard_ns=None)
        with served(world) as address, going_on(world, hz=5):
            yield world, address


@pytest.fixture
def opened(browser: Browser, running: tuple[World, str]) -> Iterator[Open]:
    """Open pages as somebody; at the end no page may have had an error."""
    world, address = running
    contexts, faults = [], list[str]()

    def as_person(name: str, path: str = "/", **options: Any) -> Page:
        context = browser.new_context(viewport=options.pop("viewport", {"width": 1280, "height": 800}), **options)
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        page = page_of(context, f"{address}/#token={world.tokens[name]}", faults)
        if path != "/":
            page.goto(f"{address}/#{path}")
            page.wait_for_selector("#release")
        return page

    yield as_person
    for context in contexts:
        context.close()
    assert faults == []


def test_overview_shows_the_crash_first_and_the_calm_below(opened: Open) -> None:
    page = opened("vera")
    expect(page.locator(".tier:not([hidden]) .cell").first).to_contain_text("ALFA")
    cell = page.locator('.cell[data-id="1"]')
    expect(cell).to_have_attribute("data-tier", "3")
    expect(cell).to_contain_text("halted")
    expect(page.locator('.cell[data-id="2"]')).to_have_attribute("data-tier", "0")
    expect(page.locator("#alerts")).to_contain_text("HIGH_ALERT to CRITICAL")
    expect(page.locator("#health")).to_contain_text("default-7")
    assert "token" not in page.url


def test_page_of_the_instrument_shows_the_crash_the_steps_and_the_refused_order(opened: Open) -> None:
    page = opened("vera", "/instrument/1")
    refused = page.locator('#orders tr[data-order="market-200"]')
    expect(refused).to_have_count(1)  # both enforcers said the same: one line
    expect(refused).to_have_attribute("data-verdict", "REJECT")
    expect(refused).to_contain_text("limit 50")
    expect(page.locator("#tier")).to_contain_text("Critical")
    expect(page.locator("#fact-limit")).to_contain_text("halted")
    drawn = page.evaluate("""() => [...document.querySelectorAll('.chart canvas')].map((canvas) => {
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        const seen = new Set(); for (let at = 0; at < pixels.length; at += 4) seen.add(pixels.slice(at, at + 4).join());
        return seen.size; })""")
    assert len(drawn) == 5
    assert min(drawn) > 20  # lines, tiers and letters, not an empty canvas


def test_why_names_the_causes_with_their_normal_range(opened: Open) -> None:
    page = opened("vera", "/instrument/1")
    why = page.locator("#why")
    expect(why).to_contain_text("spread bps")
    expect(why).to_contain_text(re.compile(r"Normal is \d"))
    expect(why).to_contain_text("of the anomaly would be left")


def test_scrubbing_back_asks_why_at_that_time_and_live_returns(opened: Open) -> None:
    page = opened("vera", "/instrument/1")
    expect(page.locator('#orders tr[data-order="market-200"]')).to_have_count(1)  # the window is filled
    box = page.locator("#chart-mid .u-over").bounding_box()
    assert box
    page.mouse.click(box["x"] + 40, box["y"] + 60)
    expect(page.locator("#why")).to_contain_text("At the mark")
    page.keyboard.press("+")
    expect(page.locator("#live")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("l")
    expect(page.locator("#live")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#why")).to_contain_text("Newest state")


def test_release_needs_a_second_person(opened: Open, running: tuple[World, str]) -> None:
    world, _ = running
    before = len(world.published)
    maker = opened("max", "/instrument/1")
    maker.keyboard.press("r")
    maker.fill("#command-reason", "makers are back")
    maker.click("#command-send")
    expect(maker.locator("#proposals-list")).to_contain_text("makers are back")
    expect(maker.locator("#proposals-list .approve").first).to_be_disabled()
    assert len(world.published) == before
    checker = opened("cleo")
    expect(checker.locator("#approvals-count")).to_have_text("1")
    checker.keyboard.press("a")
    checker.click("#proposals-list .approve")
    expect(checker.locator("#proposals-list .pill").first).to_have_text("sent")
    command = world.published[-1]
    assert (command.kind, command.maker, command.checker) == (CommandKind.RELEASE, "max", "cleo")
    assert command.expires_ns is not None
    expect(maker.locator("#approvals-count")).to_be_hidden()  # told by the stream


def test_viewer_may_not_propose(opened: Open) -> None:
    page = opened("vera", "/instrument/1")
    page.click("#kill")
    expect(page.locator("#proposals-list")).to_contain_text("may not propose")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/instrument/1"])
def test_no_barrier_that_axe_knows(opened: Open, path: str, theme: str) -> None:
    page = opened("max", path, color_scheme=theme)
    page.wait_for_selector("#why .cause" if path != "/" else ".cell")
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    told = [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in found["violations"]]
    assert told == []


def test_keys_alone_lead_to_an_instrument_and_back(opened: Open) -> None:
    page = opened("vera")
    page.wait_for_selector(".cell")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".cell:focus")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("ALFA")
    page.keyboard.press("Escape")
    expect(page.locator("#tiers")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("brv")
    expect(page.locator("#tiers [role=listitem]:not([hidden]) .cell")).to_have_count(1)


def test_phone_shows_both_pages_without_scrolling_sideways(opened: Open) -> None:
    for path in ("/", "/instrument/1"):
        page = opened("vera", path, viewport={"width": 390, "height": 844})
        page.wait_for_selector(".cell" if path == "/" else "#why .cause")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_api_that_restarts_is_told_and_resumed_without_hole_or_repeat(browser: Browser, tmp_path: Path) -> None:
    port = free_ports(1)[0]
    faults: list[str] = []
    context = browser.new_context()
    with world_in(tmp_path, history=False, ttl_ms=600_000) as world:
        world.feed(session())
        with served(world, port) as address:
            page = page_of(context, f"{address}/#token={world.tokens['vera']}", faults)
            expect(page.locator("#alerts li")).to_have_count(3)
        expect(page.locator("#link")).to_have_attribute("data-state", "lost", timeout=TIMEOUT_MS)
        expect(page.locator("#banner")).to_contain_text("Disconnected")
    with world_in(tmp_path, history=False, ttl_ms=600_000) as again:
        again.feed(session(), heard_ns=None)  # the same topics, read anew
        state = state_of(2, again.services.view.market_ns() + 10**8, Tier.ELEVATED, before=Tier.NORMAL, score=3.9)
        with served(again, port):
            again.feed([(topics.RISK_STATES, codec.encode(topics.RISK_STATES, state))])
            expect(page.locator("#link")).to_have_attribute("data-state", "live", timeout=TIMEOUT_MS)
            expect(page.locator('.cell[data-id="2"]')).to_have_attribute("data-tier", "1", timeout=TIMEOUT_MS)
            expect(page.locator("#banner")).to_be_hidden()
            expect(page.locator("#alerts li")).to_have_count(3)
    context.close()
    gone = (
        "ERR_CONNECTION",
        "ERR_INCOMPLETE",
        "503",
    )  # the connection that was cut, and the history that this world has not
    assert [fault for fault in faults if not any(word in fault for word in gone)] == []


def test_silence_shows_as_expired_and_nothing_known_as_empty(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context()
    with world_in(tmp_path, history=False, ttl_ms=1_000) as world, served(world) as address:
        page = page_of(context, f"{address}/#token={world.tokens['vera']}", [])
        expect(page.locator("#nothing")).to_be_visible()
        world.feed(session(seconds=2, with_grants=False))
        expect(page.locator('.cell[data-id="2"]')).to_be_visible()
        expect(page.locator('.cell[data-id="2"]')).to_have_attribute("data-doubt", "", timeout=TIMEOUT_MS)
        expect(page.locator("#health")).to_contain_text("silent since")
        page.goto(f"{address}/#/instrument/2")
        expect(page.locator(".doubt")).to_contain_text("Expired")
    context.close()


def test_signed_out_page_asks_for_a_token_and_refuses_a_wrong_one(browser: Browser, running: tuple[World, str]) -> None:
    world, address = running
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.fill("#token", "tg_00000000_" + "x" * 43)
    page.click("#sign-in button.main")
    expect(page.locator("#sign-in-fault")).to_contain_text("Nobody has this token")
    page.fill("#token", world.tokens["vera"])
    page.click("#sign-in button.main")
    expect(page.locator("#me")).to_have_text("vera")
    context.close()


def test_five_hundred_instruments_ten_times_a_second_keep_the_page_quick(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    with world_in(tmp_path, history=False, ttl_ms=600_000) as world:
        world.feed(session(seconds=1, instruments=500))
        with served(world) as address, going_on(world, instruments=500):
            page = page_of(context, f"{address}/#token={world.tokens['vera']}", [])
            page.wait_for_function("document.querySelectorAll('.cell').length >= 500")
            time.sleep(2)
            spent = page.evaluate("""async () => {
                const long = []; new PerformanceObserver((list) => long.push(...list.getEntries().map((one) => one.duration)))
                  .observe({entryTypes: ['longtask']});
                const before = tidegate.store.version; const begin = performance.now();
                await new Promise((done) => setTimeout(done, 4000));
                return {updates: tidegate.store.version - before, ms: performance.now() - begin, long}; }""")
            assert spent["updates"] >= 20, spent
            assert sum(spent["long"]) < 0.2 * spent["ms"], (
                spent
            )  # tasks above 50 ms: hardly any, also on a busy machine
    context.close()
