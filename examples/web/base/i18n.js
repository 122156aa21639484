/*
 * Every string that people read, in English and Russian, and the switch between them.
 *
 * In HTML: data-t="key" sets the text, data-t-label the aria-label, data-t-ph the placeholder,
 * data-t-title the tooltip.
 * In code: t("key", {n: 1}) fills "{n}". After a switch `document` gets the event "language", so
 * that views which are made in code draw themselves again.
 */
import audio from "../strings/audio.js";
import call from "../strings/call.js";
import chat from "../strings/chat.js";
import door from "../strings/door.js";
import library from "../strings/library.js";
import media from "../strings/media.js";
import record from "../strings/record.js";
import { recall, remember } from "./store.js";

const STRINGS = { ...door, ...media, ...record, ...call, ...audio, ...chat, ...library };

const LANGUAGES = ["en", "ru"];

function preferred() {
	const chosen = recall("language");
	const wanted = chosen ? [chosen] : navigator.languages || [];
	for (const tag of wanted) {
		const short = tag.slice(0, 2).toLowerCase();
		if (LANGUAGES.includes(short)) return short;
	}
	return "en";
}

let language = preferred();

export const currentLanguage = () => language;

export function t(key, values = {}) {
	const row = STRINGS[key];
	if (!row) throw new Error(`no string ${key}`);
	return row[LANGUAGES.indexOf(language)].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/* Fills the strings into `root` and everything below it. */
export function translate(root = document) {
	for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
	for (const node of root.querySelectorAll("[data-t-label]"))
		node.setAttribute("aria-label", t(node.dataset.tLabel));
	for (const node of root.querySelectorAll("[data-t-title]")) node.title = t(node.dataset.tTitle);
	for (const node of root.querySelectorAll("[data-t-ph]"))
		node.placeholder = t(node.dataset.tPh);
}

/* Gives `node` the string of `key`, also after a later switch of the language. */
export function label(node, key) {
	node.dataset.t = key;
	// Screen readers say each change of a status: only real ones.
	if (node.textContent !== t(key)) node.textContent = t(key);
}

export function setLanguage(tag) {
	language = LANGUAGES.includes(tag) ? tag : "en";
	remember("language", language);
	document.documentElement.lang = language;
	translate();
	document.dispatchEvent(new CustomEvent("language"));
}

export function otherLanguage() {
	return LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];
}
