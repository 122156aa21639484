/*
 * Text of the room: {"type":"text","from","text","ts","to"?,"url"?} over a session of its own, which
 * sends no media. Lines that are written while the connection is away wait here (up to
 * WAITING_MAX) and go out when it is back.
 *
 * Events: "up" when the connection is there (again), "other" (detail: object) for JSON of another
 * type, which tell() sends and presence.js understands.
 */
import { Link, TAKEN_OVER, socketUrl, whyRefused } from "./link.js";
import { t } from "./i18n.js";
import { $, el, notice, when } from "./ui.js";

const WAITING_MAX = 100;
const LINES_MAX = 500;
const ASK_AFTER_TRIES = 3;

export class Chat extends EventTarget {
	#link;
	#me;
	#lines = []; // {from, text, ts, to?, url?, mine, unsent}
	#waiting = [];
	#url;

	/* session: an id of this page alone. onState is told "on", "off", "gone" or "taken". */
	constructor({ room, session, name, onState }) {
		super();
		this.#me = name;
		this.#url = socketUrl(room, session, { resume: 1 });
		this.#link = new Link(() => this.#url);
		this.#link.addEventListener("open", () => {
			onState("on");
			this.#flush();
			this.dispatchEvent(new CustomEvent("up"));
		});
		this.#link.addEventListener("message", ({ detail }) => this.#receive(detail));
		this.#link.addEventListener("down", ({ detail }) => {
			onState("off");
			if (detail.tries === ASK_AFTER_TRIES) this.#askWhy(onState);
		});
		this.#link.addEventListener("end", ({ detail }) => detail.code === TAKEN_OVER && onState("taken"));
		this.redraw = this.redraw.bind(this);
		this.submit = this.submit.bind(this);
		document.addEventListener("language", this.redraw);
		$("chat-form").addEventListener("submit", this.submit);
		this.redraw();
	}

	close() {
		document.removeEventListener("language", this.redraw);
		$("chat-form").removeEventListener("submit", this.submit);
		this.#link.close();
	}

	submit(event) {
		event.preventDefault();
		const text = $("chat-text").value.trim();
		if (!text) return;
		$("chat-text").value = "";
		this.say(text);
	}

	/* Sends a line to everybody in the room; `url` is something to go with it. */
	say(text, url) {
		const line = { type: "text", from: this.#me, text, ts: new Date().toISOString(), url };
		const shown = { ...line, mine: true, unsent: true };
		this.#waiting.push({ line, shown });
		if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
		this.#flush();
		this.#add(shown);
	}

	/* Sends an object that is no line to read; what cannot go now is dropped. */
	tell(object) {
		if (this.#link.isOpen) this.#link.send(JSON.stringify(object));
	}

	#flush() {
		while (this.#link.isOpen && this.#waiting.length) {
			const { line, shown } = this.#waiting.shift();
			this.#link.send(JSON.stringify(line));
			shown.unsent = false;
			shown.node?.classList.remove("unsent");
		}
	}

	#receive(data) {
		const line = parse(data);
		if (line?.type !== "text") {
			if (line?.type) this.dispatchEvent(new CustomEvent("other", { detail: line }));
			return;
		}
		if (typeof line.text !== "string") return;
		if (line.to !== undefined && line.to !== this.#me) return;
		this.#add({ ...line, from: String(line.from ?? "?") });
	}

	async #askWhy(onState) {
		const why = await whyRefused(this.#url);
		if (this.#link.isOpen) return;
		onState("gone");
		notice(why === "gone" ? t("serverGone") : t("serverRefuses", { why: why || t("unknownReason") }),
			{ kind: "bad" });
	}

	#add(line) {
		if (!this.#lines.length) $("chat-log").replaceChildren();
		this.#lines.push(line);
		const log = $("chat-log");
		const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
		log.append(this.#draw(line));
		while (this.#lines.length > LINES_MAX) {
			this.#lines.shift();
			log.firstChild.remove();
		}
		if (atEnd || line.mine) log.scrollTop = log.scrollHeight;
	}

	redraw() {
		const log = $("chat-log");
		if (this.#lines.length) log.replaceChildren(...this.#lines.map((line) => this.#draw(line)));
		else log.replaceChildren(el("li", { class: "muted" }, t("chatEmpty")));
		log.scrollTop = log.scrollHeight;
	}

	#draw(line) {
		const from = line.mine ? t("you") : line.from;
		const to = line.to ? ` ${t("privately", { to: line.to })}` : "";
		const link = safeLink(line.url);
		line.node = el("li", { class: `line${line.mine ? " mine" : ""}${line.unsent ? " unsent" : ""}` },
			el("span", { class: "who" }, from + to),
			el("time", { datetime: line.ts }, when(new Date(line.ts))),
			el("p", {}, link ? el("a", { href: link, target: "_blank", rel: "noopener noreferrer" },
				line.text || link) : line.text));
		return line.node;
	}
}

function parse(data) {
	try {
		return JSON.parse(data);
	} catch {
		return null; // text of some other client, in some other format
	}
}

/* Only addresses that a click may follow; null for anything else, such as javascript: */
function safeLink(text) {
	if (typeof text !== "string") return null;
	try {
		const url = new URL(text, location.href);
		return ["http:", "https:"].includes(url.protocol) ? url.href : null;
	} catch {
		return null;
	}
}
