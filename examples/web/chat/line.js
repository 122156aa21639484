/*
 * One line of the room's text, drawn: addresses become links, and pictures and voice messages that
 * lie in this server's own storage are shown in place. Anything from elsewhere stays a link, which
 * says where it leads: nobody's browser opens a foreign address because somebody wrote it.
 */
import { t } from "../base/i18n.js";
import { decoded } from "../base/ids.js";
import { el, icon, when } from "../base/ui.js";

const ADDRESS = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/gi;
const PICTURE = /\.(png|jpe?g|gif|webp|avif|svg)$/i;
const SOUND = /\.(mp3|ogg|opus|oga|wav|flac|m4a)$/i;
/* Of a file that msr-chat kept: random digits that nobody needs to read. */
const KEPT = /^[0-9a-f]{32}-/;
const HUES = 12;

/* line: {from, text, ts, to?, url?, mine, unsent} */
export function drawLine(line) {
	const link = safeLink(line.url);
	const own = link && isStored(link);
	const node = el("li", { class: `line${line.mine ? " mine" : ""}${line.unsent ? " unsent" : ""}${line.to ? " private" : ""}`,
		title: line.unsent ? t("unsent") : null },
		el("div", { class: "head" },
			el("span", { class: "who", "data-hue": hueOf(line.from) }, line.mine ? t("you") : line.from),
			line.to ? el("span", { class: "to", title: t("privateHint") }, icon("lock"),
				t("privately", { to: line.mine ? line.to : t("toYou") })) : null,
			el("time", { datetime: line.ts }, when(new Date(line.ts)))),
		link ? attachment(link, line.text, own) : el("p", {}, ...withLinks(line.text)));
	return node;
}

/* A colour for a name, the same everywhere. */
export function hueOf(name) {
	let sum = 0;
	for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
	return sum % HUES;
}

function attachment(link, text, own) {
	const { pathname, hostname } = new URL(link);
	const file = decoded(pathname.split("/").pop() || hostname);
	const name = text || file.replace(KEPT, "");
	const anchor = (...children) => el("a",
		{ href: link, target: "_blank", rel: "noopener noreferrer", title: own ? name : link }, ...children);
	if (own && PICTURE.test(file))
		return el("p", { class: "attached" }, anchor(el("img", { src: link, alt: name, loading: "lazy" })),
			el("span", { class: "name" }, name));
	if (own && SOUND.test(file))
		return el("p", { class: "attached" }, el("span", { class: "name" }, icon("voice"), name),
			el("audio", { src: link, controls: true, preload: "none", "aria-label": name }));
	return el("p", {}, anchor(own ? icon("file") : null, name), own ? null : el("span", { class: "from-where" }, hostname));
}

/* The text with what is an address as a link. */
function withLinks(text) {
	const parts = [];
	let at = 0;
	for (const { 0: address, index } of text.matchAll(ADDRESS)) {
		const link = safeLink(address);
		if (!link) continue;
		parts.push(text.slice(at, index),
			el("a", { href: link, target: "_blank", rel: "noopener noreferrer nofollow" }, address));
		at = index + address.length;
	}
	return [...parts, text.slice(at)];
}

/* Only addresses that a click may follow; null for anything else, such as javascript: */
function safeLink(text) {
	if (typeof text !== "string") return null;
	try {
		const url = new URL(text, document.baseURI);
		return ["http:", "https:"].includes(url.protocol) ? url.href : null;
	} catch {
		return null;
	}
}

/* Whether it is a file of this server's storage. */
function isStored(link) {
	const { origin, pathname } = new URL(link);
	const storage = new URL("recordings/", document.baseURI);
	return origin === storage.origin && (pathname.startsWith(storage.pathname) || pathname.startsWith("/recordings/"));
}
