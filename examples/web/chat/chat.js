/*
 * Text of the room: {"type":"text","from","text","ts","to"?,"url"?} over a session of its own, which
 * sends no media. Lines that are written while the connection is away wait here (up to
 * WAITING_MAX) and go out when it is back, and with them those that were sent shortly before it went:
 * nobody knows whether these arrived. A receiver leaves out what it has.
 *
 *   say → #waiting ─→ connection ─→ #sent (for SURE_AFTER_MS)
 *            └────────── down ─────────┘
 *
 * A line with `to` is shown by the page of that name alone; it is not secret, as it passes through the
 * room like any other.
 *
 * Events: "up" when the connection is there (again), "other" (detail: object) for JSON of another
 * type, which tell() sends and presence.js understands.
 */
import { t } from "../base/i18n.js";
import { ANSWER_WITHIN_MS, Link, TAKEN_OVER, answers, socketUrl, whyRefused } from "../base/link.js";
import { $, el, notice } from "../base/ui.js";
import { drawLine } from "./line.js";
import { NameOffer, addressed } from "./names.js";

const WAITING_MAX = 100;
const LINES_MAX = 500;
const ASK_AFTER_TRIES = 3;
/* A network that went away without a word shows in silence; who is alone hears nothing anyway, so it is asked. */
const CHECK_EVERY_MS = 15000;
/* By then, and not only just, a connection that was dead when a line was sent has been given up. */
const SURE_AFTER_MS = 2 * CHECK_EVERY_MS + ANSWER_WITHIN_MS + 20000;
/* Names of people who wrote, beside those of whom presence tells: of the terminal's chat, for example. */
const WRITERS_MAX = 200;

export class Chat extends EventTarget {
	#link;
	#me;
	#lines = []; // {from, text, ts, to?, url?, mine, unsent}
	#waiting = []; // {line, shown}
	#sent = []; // {line, shown, at (ms)}, the newest last
	#url;
	#heard = 0; // performance.now() of the last sign of life
	#timer;
	#closed = false;
	#writers = new Set(); // names
	#people = { names: () => [], left: () => [] };
	#offer = new NameOffer($("chat-text"), $("chat-offer"), () => this.#known());

	/* session: an id of this page alone. onState is told "on", "off", "gone" or "taken". */
	constructor({ room, session, name, onState }) {
		super();
		this.#me = name;
		this.#url = socketUrl(room, session, { resume: 1 });
		this.#link = new Link(() => this.#url);
		this.#link.addEventListener("open", () => {
			this.#heard = performance.now();
			onState("on");
			this.#flush();
			this.dispatchEvent(new CustomEvent("up"));
		});
		this.#link.addEventListener("message", ({ detail }) => this.#receive(detail));
		this.#link.addEventListener("down", ({ detail }) => {
			this.#unsure();
			onState("off");
			if (detail.tries === ASK_AFTER_TRIES) this.#askWhy(onState);
		});
		this.#link.addEventListener("end", ({ detail }) => detail.code === TAKEN_OVER && onState("taken"));
		this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
		this.redraw = this.redraw.bind(this);
		this.submit = this.submit.bind(this);
		document.addEventListener("language", this.redraw);
		$("chat-form").addEventListener("submit", this.submit);
		this.redraw();
	}

	/* For "@name": names() → who else is in the room, left() → who was and is no longer. */
	set people(people) {
		this.#people = people;
	}

	get isOn() {
		return this.#link.isOpen;
	}

	/* Begins a private message to `name`. */
	address(name) {
		this.#offer.address(name);
	}

	/* Who can be written to: also a namesake, but not everybody who wrote is still there. */
	#known() {
		const left = new Set([this.#me, ...this.#people.left()]);
		return [...new Set([...this.#people.names(), ...[...this.#writers].filter((name) => !left.has(name))])];
	}

	close() {
		this.#closed = true;
		document.removeEventListener("language", this.redraw);
		$("chat-form").removeEventListener("submit", this.submit);
		clearInterval(this.#timer);
		this.#link.close();
	}

	submit(event) {
		event.preventDefault();
		const known = this.#known();
		const { to, text } = addressed($("chat-text").value.trim(), [...known, ...this.#people.left()]);
		// What was meant for one who has gone must not go to everybody instead.
		if (to && !known.includes(to)) return notice(t("notHere", { name: to }), { kind: "bad" });
		if (!text) return;
		$("chat-text").value = "";
		this.say(text, { to });
	}

	/* Sends a line to everybody in the room, or to one; `url` is something to go with it. */
	say(text, { url, to } = {}) {
		const line = { type: "text", from: this.#me, text, ts: new Date().toISOString(), to, url };
		const shown = { ...line, mine: true, unsent: true };
		this.#wait([...this.#waiting, { line, shown }]);
		this.#flush();
		this.#add(shown);
	}

	#wait(lines) {
		this.#waiting = lines.slice(-WAITING_MAX);
	}

	/* Sends an object that is not a line to read; what cannot go now is dropped. */
	tell(object) {
		if (this.#link.isOpen) this.#link.send(JSON.stringify(object));
	}

	#flush() {
		while (this.#link.isOpen && this.#waiting.length) {
			const { line, shown } = this.#waiting.shift();
			this.#link.send(JSON.stringify(line));
			this.#sent.push({ line, shown, at: performance.now() });
			this.#mark(shown, false);
		}
		this.#forget();
	}

	/* Of what is older it is sure that it arrived. */
	#forget() {
		const since = performance.now() - SURE_AFTER_MS;
		while (this.#sent.length > WAITING_MAX || this.#sent[0]?.at < since) this.#sent.shift();
	}

	/* The connection is lost: what was sent last may be, too. */
	#unsure() {
		this.#forget();
		for (const { shown } of this.#sent) this.#mark(shown, true);
		this.#wait([...this.#sent, ...this.#waiting]);
		this.#sent = [];
	}

	#mark(shown, unsent) {
		shown.unsent = unsent;
		if (!shown.node) return;
		shown.node.classList.toggle("unsent", unsent);
		shown.node.title = unsent ? t("unsent") : "";
	}

	/* Gives up a connection over which nothing comes where the server does not answer either. */
	async #check() {
		const heard = this.#heard;
		if (!this.#link.isOpen || performance.now() - heard < CHECK_EVERY_MS) return;
		if (await answers()) return;
		if (heard === this.#heard) this.#link.reset();
	}

	#receive(data) {
		this.#heard = performance.now();
		const line = parse(data);
		if (line?.type !== "text") {
			if (line?.type) this.dispatchEvent(new CustomEvent("other", { detail: line }));
			return;
		}
		if (typeof line.text !== "string") return;
		if (line.to !== undefined && line.to !== this.#me) return;
		const from = String(line.from ?? "?");
		if (this.#writers.size < WRITERS_MAX) this.#writers.add(from);
		if (this.#has(line)) return;
		this.#add({ ...line, from });
	}

	/* It was sent again by somebody who could not know that it had arrived. */
	#has({ from, text, ts }) {
		return ts !== undefined && this.#lines.some((line) => line.ts === ts && line.from === from && line.text === text);
	}

	async #askWhy(onState) {
		const why = await whyRefused(this.#url);
		if (this.#closed || this.#link.isOpen) return;
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
		return (line.node = drawLine(line));
	}
}

function parse(data) {
	try {
		return JSON.parse(data);
	} catch {
		return null; // text of some other client, in some other format
	}
}
