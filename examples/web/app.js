/*
 * The page of msr: from the door (name and room) into the room, and out again.
 *
 *   app.js ─ record/view.js ─ recorder.js → upload.js (parts.js, webm.js) → msr-ws
 *          ├ call/view.js (only where GET /config.json names an msr-sfu)
 *          │   ├ call.js ─ sfu.js, sender.js (simulcast.js), people.js, wants.js, quality.js, ice.js
 *          │   ├ tiles.js ─ tile.js, layout.js; tile-menu.js, figures.js
 *          │   └ own.js: one's own devices
 *          ├ audio/view.js (only where it names an msr-audiod)
 *          │   ├ graph.js ─ capture-worklet.js, playback-worklet.js
 *          │   └ client.js → msr-audiod; chain-view.js, processors.js, levels.js
 *          ├ chat/chat.js ─ line.js, names.js; presence.js, people.js
 *          └ library/library.js ─ card.js
 *   everywhere: base/ (i18n.js with strings/, ui.js, ids.js, link.js, store.js), media/ (devices)
 *
 * The room stands in the address (#room), so that the address can be sent to others.
 */
import { AudioView } from "./audio/view.js";
import { label, otherLanguage, currentLanguage, setLanguage, t } from "./base/i18n.js";
import { decoded, random, slug } from "./base/ids.js";
import { recall, remember } from "./base/store.js";
import { $, notice, problem } from "./base/ui.js";
import { CallView } from "./call/view.js";
import { Chat } from "./chat/chat.js";
import { PeopleRow } from "./chat/people.js";
import { Presence } from "./chat/presence.js";
import { Library } from "./library/library.js";
import { RecordView } from "./record/view.js";

/* How long msr-ws keeps a broken session where it does not say so. */
const RESUME_WINDOW_S = 10;
const DEFAULT_ROOM = "lobby";
/* The door does not stay shut for a server that takes a request and says nothing. */
const CONFIG_WITHIN_MS = 5000;

let entering = false; // while the server is asked where its programs are
let here = null; // {library, recorder, call, sound, row, presence, chat} while in a room
const left = []; // recorders of rooms that were left, which may still be sending

function roomInAddress() {
	const hash = decoded(location.hash.slice(1));
	return slug(hash || new URLSearchParams(location.search).get("room") || "");
}

/* Where the other programs are; an old server or a plain file server says nothing. */
async function loadConfig() {
	try {
		const reply = await fetch("config.json", { cache: "no-store", signal: AbortSignal.timeout(CONFIG_WITHIN_MS) });
		return reply.ok ? await reply.json() : {};
	} catch {
		return {};
	}
}

/* A server that listens on every address names none: it is where this page is. */
function reachable(address) {
	const url = new URL(address, location.href);
	if (["0.0.0.0", "[::]"].includes(url.hostname)) url.hostname = location.hostname;
	return url.href;
}

const LINK_STATES = { on: "linkOn", off: "linkOff", gone: "linkGone", taken: "linkGone" };

function showLink(state) {
	$("link-state").hidden = false;
	$("link-state").dataset.state = state;
	label($("link-state"), LINK_STATES[state]);
	if (state === "taken") notice(t("takenOver"), { kind: "bad", seconds: 0 });
}

async function enter(name, room) {
	entering = true;
	const config = await loadConfig();
	entering = false;
	const user = `${slug(name) || "guest"}-${random(6)}`;
	const chat = new Chat({ room, session: user, name, onState: showLink });
	const presence = new Presence(chat, user, name);
	chat.people = presence;
	const library = new Library({
		room,
		share: ({ name: file, url }) =>
			chat.say(t("sharedText", { name: file }), { url: new URL(url, document.baseURI).href }),
	});
	const recorder = new RecordView({
		room, name, library, resumeWindow: config.resume_window ?? RESUME_WINDOW_S,
		onChange: (recording) => presence.set({ recording }),
	});
	const row = new PeopleRow(presence, name, (other) => chat.address(other));
	const call = config.sfu ? new CallView({ base: reachable(config.sfu), room, user, presence, library }) : null;
	const sound = config.audiod ? new AudioView({ base: reachable(config.audiod), library }) : null;
	// In the order in which they end: what speaks through the chat before the chat.
	here = { recorder, call, sound, library, row, presence, chat };
	showTabs();

	// No entry of its own in the history: Back leaves the page, which asks where something would be lost.
	history.replaceState(null, "", `#${room}`);
	document.title = `${room} · msr`;
	$("room-name").textContent = room;
	for (const id of ["where", "leave", "place"]) $(id).hidden = false;
	$("join").hidden = true;
	$(call ? "call-join" : "rec").focus();
	if (!isSecureContext || !navigator.mediaDevices)
		for (const id of ["rec-error", "call-error", "sound-error"]) problem($(id), t("insecure"));
}

/* Views that this server has: the call first, where there is one. */
function views() {
	return [here.call && "call", "record", here.sound && "sound"].filter(Boolean);
}

function showTabs() {
	const shown = views();
	for (const view of ["call", "record", "sound"]) $(`tab-${view}`).hidden = !shown.includes(view);
	$("views").hidden = shown.length < 2;
	showView(shown[0]);
}

function showView(chosen) {
	for (const view of ["call", "record", "sound"]) {
		const on = view === chosen;
		$(view).hidden = !on;
		$(`tab-${view}`).setAttribute("aria-selected", on);
		$(`tab-${view}`).tabIndex = on ? 0 : -1;
	}
}

/* Arrows move between tabs, as the pattern of WAI-ARIA asks. */
function tabKey(event) {
	const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
	if (!step) return;
	const shown = views();
	const now = shown.findIndex((view) => !$(view).hidden);
	const next = shown[(now + step + shown.length) % shown.length];
	showView(next);
	$(`tab-${next}`).focus();
}

function leave() {
	if (!here) return;
	for (const part of Object.values(here)) part?.close();
	left.push(here.recorder);
	here = null;
	document.title = "msr";
	for (const id of ["where", "leave", "place", "link-state"]) $(id).hidden = true;
	$("join").hidden = false;
	$("name").focus();
}

function submitJoin(event) {
	event.preventDefault();
	if (entering) return; // Join was pressed twice
	const name = $("name").value.trim();
	const room = slug($("room").value);
	const missing = !name ? "nameMissing" : !room ? "roomMissing" : "";
	problem($("join-error"), missing && t(missing));
	if (missing) {
		$(name ? "room" : "name").focus();
		return;
	}
	remember("name", name);
	enter(name, room);
}

async function copyLink() {
	try {
		await navigator.clipboard.writeText(location.href);
		notice(t("copied"));
	} catch {
		notice(location.href, { seconds: 20 }); // no clipboard: to be copied by hand
	}
}

function showLanguageSwitch() {
	document.documentElement.lang = currentLanguage();
	$("lang").textContent = otherLanguage().toUpperCase();
	$("lang").lang = otherLanguage();
}

$("join-form").addEventListener("submit", submitJoin);
$("leave").addEventListener("click", leave);
$("copy").addEventListener("click", copyLink);
for (const view of ["call", "record", "sound"]) $(`tab-${view}`).addEventListener("click", () => showView(view));
$("views").addEventListener("keydown", tabKey);
$("lang").addEventListener("click", () => setLanguage(otherLanguage()));
document.addEventListener("language", showLanguageSwitch);
addEventListener("hashchange", () => {
	const room = roomInAddress();
	if (here && room === $("room-name").textContent) return;
	$("room").value = room || DEFAULT_ROOM;
	leave();
});
addEventListener("beforeunload", (event) => {
	if ([here?.recorder, here?.call, ...left].some((part) => part?.isBusy)) event.preventDefault();
});

setLanguage(currentLanguage());
$("name").value = recall("name") ?? "";
$("room").value = roomInAddress() || DEFAULT_ROOM;
$($("name").value ? "room" : "name").focus();
