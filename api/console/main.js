// Start, pages by address, keys, and the state of the connection.

import { openCommand, openProposals, refreshProposals, startCommands } from "./commands.js";
import { clock, day, el, span } from "./format.js";
import { instrumentPage } from "./instrument.js";
import { overviewPage } from "./overview.js";
import { ask, me, onPerson, ProblemError, signIn, signOut, takeTokenFromAddress, token } from "./session.js";
import { onChange, store, symbolOf, take, takeNames } from "./store.js";
import { Stream } from "./stream.js";

const $ = (id) => document.getElementById(id);
const stream = new Stream(onEvent, onLink);
let page = null;
let namesWanted = 0;

function onEvent(kind, data) {
  take(kind, data);
  if (kind === "proposals" || kind === "reset") refreshProposals();
  if (kind === "states" && data.rows.some((row) => !store.symbols.has(row[0])) && Date.now() > namesWanted) {
    namesWanted = Date.now() + 2000;
    loadNames();
  }
  if (kind === "alert" && data.tier === "CRITICAL" && data.kind === "TIER_CHANGED") {
    $("announce").textContent = `${symbolOf(data.instrument_id)}: ${data.message}`;
  }
}

function onLink(state, since) {
  const words = { live: "live", lost: "disconnected", connecting: "connecting", "signed-out": "signed out" };
  $("link").dataset.state = state;
  $("link").textContent = words[state];
  document.body.dataset.link = state;
  if (state === "signed-out") signInAgain("The service no longer knows this token.");
  if (state === "live") {
    loadNames();
    refreshProposals();
  }
  showBanner(state, since);
}

function showBanner(state = stream.state, since = stream.since) {
  const banner = $("banner");
  const feed = store.health?.feed;
  let text = "";
  if (state === "lost") text = `Disconnected for ${span(Date.now() - since)}. What you see is what was known then. Trying again.`;
  else if (state === "live" && feed && !feed.connected) text = `The service hears nothing from the topics: ${feed.failure || "no connection"}.`;
  else if (state === "live" && feed && !feed.caught_up) text = `The service is reading the past of the topics: ${feed.behind} messages to go.`;
  banner.hidden = !text;
  if (banner.textContent !== text) banner.textContent = text;
}

async function loadNames() {
  try {
    takeNames((await ask("/v1/instruments")).instruments);
  } catch (error) {
    if (!(error instanceof ProblemError || error instanceof TypeError)) throw error; // shown by the connection's own state
  }
}

function show() {
  page?.close();
  const found = /^#\/instrument\/(\d+)/.exec(location.hash);
  const main = $("main");
  main.replaceChildren();
  if (!token()) {
    main.append(el("section", { class: "empty" }, el("h1", {}, "Not signed in"), el("p", {}, "The console shows nothing without a token.")));
    page = null;
    return;
  }
  page = found ? instrumentPage(main, Number(found[1])) : overviewPage(main);
  $("where").replaceChildren(...(found ? ["/ ", el("span", { id: "where-name" }, symbolOf(Number(found[1])))] : []));
  document.title = found ? `${symbolOf(Number(found[1]))} · Tidegate` : "Tidegate";
}

function signInAgain(fault = "") {
  $("sign-in-fault").textContent = fault;
  if (!$("sign-in").open) $("sign-in").showModal();
  $("token").value = "";
  $("token").focus();
}

async function begin(given) {
  try {
    await signIn(given);
    $("sign-in").close();
    stream.start();
    show();
  } catch (error) {
    if (error instanceof ProblemError) signInAgain(error.status === 401 ? "Nobody has this token." : error.message);
    else {
      onLink("lost", Date.now());
      setTimeout(() => begin(given), 1000);
      sessionStorage.setItem("tidegate.token", given);
    }
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("tidegate.theme", theme);
  page?.restyle?.();
}

function turnTheme() {
  const isDark = getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";
  setTheme(isDark ? "light" : "dark");
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const within = event.target.closest?.("input, textarea, select, dialog[open]");
  if (within) return;
  const keys = {
    a: openProposals,
    t: turnTheme,
    "?": () => $("keys").showModal(),
    g: () => { location.hash = "#/"; },
  };
  const action = page?.keys?.[event.key] || keys[event.key];
  if (!action) return;
  event.preventDefault();
  action(event);
}

function listen() {
  window.addEventListener("hashchange", () => {
    takeTokenFromAddress();
    show();
    $("main").focus({ preventScroll: true });
  });
  document.addEventListener("keydown", onKey);
  $("theme").addEventListener("click", turnTheme);
  $("help").addEventListener("click", () => $("keys").showModal());
  $("keys-close").addEventListener("click", () => $("keys").close());
  $("sign-in").addEventListener("cancel", (event) => token() || event.preventDefault());
  $("sign-in").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    begin($("token").value.trim());
  });
  $("me").addEventListener("click", () => {
    if (me()) {
      signOut();
      stream.stop();
      show();
    }
    signInAgain();
  });
  onPerson((person) => {
    $("me").textContent = person ? person.name : "Sign in";
    $("me").title = person ? `${person.name}: ${person.roles.join(", ")}. Sign out` : "Sign in";
  });
  onChange((kind) => kind === "names" && renameHead());
}

function renameHead() {
  const found = /^#\/instrument\/(\d+)/.exec(location.hash);
  if (found && $("where-name")) $("where-name").textContent = symbolOf(Number(found[1]));
}

function everyTenth() {
  const ms = store.marketMs || null;
  $("market-time").textContent = ms ? clock(ms) : "--:--:--.-";
  $("market-date").textContent = day(ms);
}

const kept = localStorage.getItem("tidegate.theme");
if (kept) document.documentElement.dataset.theme = kept;
takeTokenFromAddress();
startCommands();
listen();
setInterval(everyTenth, 100);
setInterval(() => showBanner(), 500);
show();
if (token()) begin(token());
else signInAgain();
window.tidegate = { store, stream, openCommand }; // for tests and the curious
