/*
 * The page of msr: from the door (name and room) into the room, and out again.
 *
 *   app.js ─ record-view.js ─ capture.js, recorder.js, meter.js, upload.js ─ link.js, webm.js
 *          ├ chat.js ─ link.js
 *          ├ library.js
 *          ├ call-view.js (only where GET /config.json names an msr-sfu) ─ tiles.js
 *          │   └ call.js ─ sfu.js, ice.js, quality.js
 *          └ presence.js
 *   everywhere: i18n.js (all strings), ui.js, ids.js, errors.js, devices.js, store.js
 *
 * The room stands in the address (#room), so that the address can be sent to others.
 */
import { CallView } from "./call-view.js";
import { Chat } from "./chat.js";
import { label, otherLanguage, currentLanguage, setLanguage, t } from "./i18n.js";
import { random, slug } from "./ids.js";
import { Library } from "./library.js";
import { Presence } from "./presence.js";
import { RecordView } from "./record-view.js";
import { recall, remember } from "./store.js";
import { $, notice, problem } from "./ui.js";

/* How long msr-ws keeps a broken session where it does not say so. */
const RESUME_WINDOW_S = 10;

let here = null; // {chat, library, recorder, call} while in a room
const left = []; // recorders of rooms that were left, which may still be sending

function roomInAddress() {
	const hash = decodeURIComponent(location.hash.slice(1));
	return slug(hash || new URLSearchParams(location.search).get("room") || "");
}

/* Where the other programs are; an old server or a plain file server says nothing. */
async function loadConfig() {
	try {
		const reply = await fetch("config.json", { cache: "no-store" });
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
	const config = await loadConfig();
	const user = `${slug(name) || "guest"}-${random(6)}`;
	const chat = new Chat({ room, session: user, name, onState: showLink });
	const presence = new Presence(chat, user, name);
	const library = new Library({
		room,
		share: ({ name: file, url }) => chat.say(t("sharedText", { name: file }), new URL(url, location.href).href),
	});
	const recorder = new RecordView({
		room, name, library, resumeWindow: config.resume_window ?? RESUME_WINDOW_S,
		onChange: (recording) => presence.set({ recording }),
	});
	here = { chat, library, recorder };
	if (config.sfu) here.call = new CallView({ base: reachable(config.sfu), room, user, presence });
	$("views").hidden = !here.call;
	showView(here.call ? "call" : "record");

	location.hash = room;
	document.title = `${room} · msr`;
	$("room-name").textContent = room;
	for (const id of ["where", "leave", "place"]) $(id).hidden = false;
	$("join").hidden = true;
	$(here.call ? "call-join" : "rec").focus();
	if (!isSecureContext || !navigator.mediaDevices) problem($("rec-error"), t("insecure"));
}

const VIEWS = ["record", "call"];

function showView(chosen) {
	for (const view of VIEWS) {
		const on = view === chosen;
		$(view).hidden = !on;
		$(`tab-${view}`).setAttribute("aria-selected", on);
		$(`tab-${view}`).tabIndex = on ? 0 : -1;
	}
}

/* Arrows move between tabs, as the pattern of WAI-ARIA asks. */
function tabKey(event) {
	if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
	const next = VIEWS.find((view) => $(view).hidden);
	showView(next);
	$(`tab-${next}`).focus();
}

function leave() {
	if (!here) return;
	for (const part of Object.values(here)) part.close();
	left.push(here.recorder);
	here = null;
	document.title = "msr";
	for (const id of ["where", "leave", "place", "link-state"]) $(id).hidden = true;
	$("join").hidden = false;
	$("name").focus();
}

function submitJoin(event) {
	event.preventDefault();
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
}

$("join-form").addEventListener("submit", submitJoin);
$("leave").addEventListener("click", leave);
$("copy").addEventListener("click", copyLink);
for (const view of VIEWS) $(`tab-${view}`).addEventListener("click", () => showView(view));
$("views").addEventListener("keydown", tabKey);
$("lang").addEventListener("click", () => setLanguage(otherLanguage()));
document.addEventListener("language", showLanguageSwitch);
addEventListener("hashchange", () => {
	if (here && roomInAddress() !== $("room-name").textContent) {
		$("room").value = roomInAddress();
		leave();
	}
});
addEventListener("beforeunload", (event) => {
	if ([here?.recorder, here?.call, ...left].some((part) => part?.isBusy)) event.preventDefault();
});

setLanguage(currentLanguage());
$("name").value = recall("name") ?? "";
$("room").value = roomInAddress() || "lobby";
$($("name").value ? "room" : "name").focus();
