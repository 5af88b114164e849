// Commands of people: propose, approve, refuse. Who one is comes from the token; the service holds both rules and roles.

import { clock, el, span } from "./format.js";
import { ask, may, me } from "./session.js";
import { symbolOf } from "./store.js";

const $ = (id) => document.getElementById(id);
const WHAT = {
  RELEASE: ["Release", "Leave Critical: the tier falls by one step and the limits loosen. It needs a second person."],
  RESTRICT: ["Halt", "No order in this instrument, until it is opened again by two people."],
  UNRESTRICT: ["Open again", "Orders in this instrument pass again. It needs a second person."],
  KILL: ["Kill", "Every new order in the scope is refused. Cancels pass."],
  REARM: ["End the kill", "Orders in the scope pass again. It needs a second person."],
};
const EMERGENCIES = new Set(["KILL", "RESTRICT"]);
let wanted = null;
let listed = [];

/** Open the form for a command; `scope` is where it begins, and may be changed for a kill. */
export function openCommand(kind, { scope }) {
  if (!may("maker")) return refuse(`${me()?.name || "Nobody"} may not propose commands: a maker's token is needed.`);
  const [title, what] = WHAT[kind];
  const scopes = kind === "KILL" || kind === "REARM" ? [...new Set([scope, "firm"])] : [scope];
  wanted = { kind, key: crypto.randomUUID() };
  $("command-title").textContent = `${title} ${nameOf(scope)}`;
  $("command-what").textContent = what;
  $("command-scope").replaceChildren(...scopes.map((one) => el("option", { value: one }, nameOf(one))));
  $("command-scope-label").hidden = scopes.length < 2;
  $("command-valid-label").hidden = kind !== "RELEASE";
  $("command-emergency-label").hidden = !EMERGENCIES.has(kind);
  $("command-emergency").checked = false;
  $("command-reason").value = "";
  $("command-fault").textContent = "";
  $("command").dataset.kind = kind;
  relabel();
  $("command").showModal();
  $("command-reason").focus();
  return undefined;
}

/** Open the list of commands that wait. */
export function openProposals() {
  refreshProposals();
  if (!$("proposals").open) $("proposals").showModal();
}

/** Ask for the commands again, and count those that wait. */
export async function refreshProposals() {
  try {
    listed = (await ask("/v1/commands?limit=30")).commands;
  } catch {
    return; // the connection's own state says why
  }
  const open = listed.filter((one) => one.status === "OPEN").length;
  $("approvals-count").textContent = String(open);
  $("approvals-count").hidden = open === 0;
  drawProposals();
}

/** Listen to the dialogs. */
export function startCommands() {
  $("command-cancel").addEventListener("click", () => $("command").close());
  $("command-emergency").addEventListener("change", relabel);
  $("command").querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  $("approvals").addEventListener("click", openProposals);
  $("proposals-close").addEventListener("click", () => $("proposals").close());
}

function relabel() {
  $("command-send").textContent = $("command-emergency").checked ? "Send now" : "Propose";
  $("command-send").classList.toggle("danger", $("command-emergency").checked);
}

async function send() {
  const body = { kind: wanted.kind, scope: $("command-scope").value, reason: $("command-reason").value.trim(), emergency: $("command-emergency").checked };
  if (wanted.kind === "RELEASE") body.valid_s = Number($("command-valid").value);
  $("command-send").disabled = true;
  try {
    const made = await ask("/v1/commands", { body, headers: { "Idempotency-Key": wanted.key } });
    $("command").close();
    await refreshProposals();
    if (made.status === "OPEN") openProposals();
  } catch (error) {
    $("command-fault").textContent = error.message;
  } finally {
    $("command-send").disabled = false;
  }
}

async function decide(proposal, how, note) {
  try {
    await ask(`/v1/commands/${proposal.proposal_id}/${how}`, { body: { note } });
  } catch (error) {
    proposal.fault = error.message;
    drawProposals();
    return;
  }
  await refreshProposals();
}

function drawProposals() {
  const list = $("proposals-list");
  if (list.contains(document.activeElement) && document.activeElement.tagName === "INPUT" && document.activeElement.value) return;
  list.replaceChildren(listed.length ? el("ul", { class: "proposals" }, listed.map(line)) : el("p", { class: "none" }, "Nobody has proposed anything yet."));
}

function line(one) {
  const isOpen = one.status === "OPEN";
  const [title] = WHAT[one.kind] || [one.kind.toLowerCase().replaceAll("_", " ")];
  const said = [`by ${one.maker}`, one.decided_by && one.decided_by !== one.maker ? `${one.status === "REFUSED" ? "refused" : "approved"} by ${one.decided_by}` : null, one.emergency ? "emergency of one person" : null];
  const head = el("div", { class: "head" }, el("b", {}, `${title} ${nameOf(one.scope)}`), el("span", { class: "pill", "data-status": one.status }, one.status.toLowerCase()), el("time", {}, clock(one.proposed_ns / 1e6, 0)));
  const item = el("li", { "data-status": one.status }, head, el("p", { class: "reason" }, one.reason), el("p", { class: "who" }, said.filter(Boolean).join(", "), one.valid_s ? `; holds for ${span(one.valid_s * 1000)}` : "", isOpen ? `; lapses in ${span(one.lapses_ns / 1e6 - Date.now())}` : ""));
  if (isOpen) item.append(choices(one));
  if (one.fault) item.append(el("p", { class: "fault", role: "alert" }, one.fault));
  return item;
}

function choices(one) {
  const isOwn = one.maker === me()?.name;
  const why = isOwn ? "You proposed it: somebody else has to approve it." : may("checker") ? "" : "A checker's token is needed to approve it.";
  const note = el("input", { placeholder: "Note", "aria-label": "Note", maxLength: 500 });
  const buttons = el("div", { class: "choices" },
    isOwn || why ? null : note,
    el("button", { type: "button", class: "main approve", disabled: Boolean(why), title: why, onclick: () => decide(one, "approve", note.value) }, "Approve"),
    isOwn && may("maker") ? el("button", { type: "button", class: "withdraw", onclick: () => decide(one, "withdraw", "") }, "Withdraw")
      : el("button", { type: "button", class: "refuse", disabled: Boolean(why), title: why, onclick: () => decide(one, "refuse", note.value) }, "Refuse"));
  return why ? el("div", {}, buttons, el("p", { class: "hint" }, why)) : buttons;
}

function refuse(text) {
  $("announce").textContent = text;
  $("proposals-list").replaceChildren(el("p", { class: "fault", role: "alert" }, text));
  $("proposals").showModal();
}

function nameOf(scope) {
  const [kind, name] = scope.split(":");
  return kind === "instrument" ? symbolOf(Number(name)) : kind === "firm" ? "the whole firm" : `${kind} ${name}`;
}
