/*
 * Small helpers of the views: elements, notices, and figures as people read them.
 */
import { currentLanguage, t } from "./i18n.js";

export const $ = (id) => document.getElementById(id);

/* An element: el("a", {href: "x", class: "y", onclick: f}, "text", child). */
export function el(tag, props = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(props)) {
		if (value === undefined || value === null || value === false) continue;
		if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
		else node.setAttribute(name, value === true ? "" : value);
	}
	node.append(...children.filter((child) => child !== null && child !== undefined));
	return node;
}

const SVG = "http://www.w3.org/2000/svg";

/* A picture of icons.svg, for the eyes alone. */
export function icon(name) {
	const picture = document.createElementNS(SVG, "svg");
	picture.setAttribute("class", "icon");
	picture.setAttribute("aria-hidden", "true");
	picture.append(document.createElementNS(SVG, "use"));
	setIcon(picture, name);
	return picture;
}

export function setIcon(picture, name) {
	const at = `icons.svg#${name}`;
	if (picture.firstElementChild.getAttribute("href") !== at) picture.firstElementChild.setAttribute("href", at);
}

/* What a press of a button does. The second click of a double click would take it back, and is left out. */
export function onPress(id, act) {
	$(id).onclick = ({ detail }) => detail < 2 && act();
}

/* Said by screen readers, not shown. */
export function announce(text) {
	$("announcer").textContent = "";
	requestAnimationFrame(() => ($("announcer").textContent = text));
}

const NOTICES_MAX = 4;
let before = null; // what had the keyboard's focus before a notice

/* A line at the top that goes by itself after `seconds` (0: stays) or when it is clicked away. */
export function notice(text, { kind = "info", seconds = 8 } = {}) {
	const box = $("notices");
	for (const old of [...box.children]) if (old.dataset.text === text) take(old);
	while (box.children.length >= NOTICES_MAX) take(box.firstChild);
	const close = el("button", { type: "button", class: "plain", "aria-label": t("dismiss") });
	const line = el("div", { class: `notice ${kind}`, "data-text": text }, el("span", {}, text), close);
	close.addEventListener("click", () => take(line));
	close.addEventListener("focus", ({ relatedTarget }) => {
		if (!box.contains(relatedTarget)) before = relatedTarget;
	});
	box.append(line);
	if (seconds) setTimeout(() => take(line), seconds * 1000);
}

/* Takes a notice away, but not the focus: that goes to the next one, or to where it came from. */
function take(line) {
	const focused = line.contains(document.activeElement);
	line.remove();
	if (focused) ($("notices").querySelector("button") ?? before)?.focus();
}

/* Shows `text` in a problem line, or hides it when there is none. */
export function problem(node, text) {
	node.hidden = !text;
	node.textContent = text || "";
}

/* 3725.4 → "1:02:05" */
export function clock(seconds) {
	const s = Math.max(0, Math.floor(seconds));
	const two = (n) => String(n).padStart(2, "0");
	const h = Math.floor(s / 3600);
	const m = Math.floor(s / 60) % 60;
	return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

const UNITS = { en: ["B", "KiB", "MiB", "GiB"], ru: ["Б", "КиБ", "МиБ", "ГиБ"] };

export function bytes(n) {
	let unit = 0;
	while (n >= 1024 && unit < 3) {
		n /= 1024;
		unit++;
	}
	const figure = new Intl.NumberFormat(currentLanguage(), { maximumFractionDigits: n < 10 && unit ? 1 : 0 });
	return `${figure.format(n)} ${UNITS[currentLanguage()][unit]}`;
}

/* A date as people say it: the time alone when it is today. */
export function when(date) {
	if (Number.isNaN(date.getTime())) return "";
	const today = date.toDateString() === new Date().toDateString();
	const style = today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" };
	return new Intl.DateTimeFormat(currentLanguage(), style).format(date);
}
