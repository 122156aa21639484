/*
 * Brings one recording to msr-ws without losing a byte of it.
 *
 *   push(chunk) → Parts, kept → WebSocket → {"j_type":"ack"} → forgotten
 *                     ↑____________ connection broke: sent again ___|
 *
 * Chunks of MediaRecorder go as bare binary messages: the query says what they are, and msr-ws
 * numbers them in order of arrival from ?part=N. A WebSocket keeps its order, so the numbers here
 * and there agree, and a connection after a break only has to say the number of its first part,
 * the first that was not acknowledged. Parts that had arrived without their ack are stored once.
 * (msr-frame records would carry numbers themselves, but need a checksum over every byte here.)
 *
 * The server keeps a broken session for a while (resumeWindow). After that, and when it was shut
 * down properly, it has finished the file, and more bytes would begin a file in the middle of a
 * stream. So a later connection begins a new piece: session "<name>-2", which gets the stream's
 * initialisation and everything from the last cluster that may not be safe (webm.js). The pieces
 * overlap rather than miss something.
 *
 * Bound: MAX_WAITING bytes unacknowledged. "full" then asks the recorder to pause, "room" to go on.
 *
 * Events: "progress", "state" (detail: sending | offline | paused | full | finishing), "piece"
 * (detail: new session), "trouble" (detail: code and message of the server), "unreachable" (detail:
 * why), "full", "room"; "done" or "failed" (detail: reason) end it.
 */
import { Link, TAKEN_OVER, socketUrl, whyRefused } from "../base/link.js";
import { Parts } from "./parts.js";

export const MAX_WAITING = 64 * 1024 * 1024;
/* What the browser may hold between us and the network. More would only be sent twice. */
const IN_FLIGHT_BYTES = 4 * 1024 * 1024;
/* A connection that neither acknowledges nor takes bytes for this long is dead. */
const DEAD_AFTER_MS = 15000;
const LOOK_EVERY_MS = 250;
/* Close code of a server that shuts down: it has ended every session. */
const GOING_AWAY = 1001;
/* How long the server may take to close after "end". */
const GOODBYE_MS = 5000;
/* Tries in vain before we ask why. */
const ASK_AFTER_TRIES = 3;

export class Upload extends EventTarget {
	/* The current session id; pieces after the first are `${name}-2` and so on. */
	session;
	/* All that were used, in order. */
	sessions = [];

	#room;
	#name;
	#media;
	#windowMs;
	#link;
	#parts = new Parts();
	#lastPushed = Promise.resolve();
	#heard = performance.now(); // when the server last said something
	#moved = performance.now(); // when bytes last left
	#buffered = 0;
	#paused = false;
	#full = false;
	#serverEnded = false; // the session, of its own accord
	#finishing = false;
	#endSaid = false; // on this connection
	#over = false;
	#timer;

	/* media: "audio" or "video"; resumeWindow: seconds that the server keeps a broken session. */
	constructor({ room, name, media, resumeWindow }) {
		super();
		this.#room = room;
		this.#name = name;
		this.#media = media;
		// A second less: the answer takes its time, too.
		this.#windowMs = Math.max(0, resumeWindow - 1) * 1000;
		this.#useSession(name);
		this.#link = new Link(() => this.#address());
		this.#link.addEventListener("open", () => this.#opened());
		this.#link.addEventListener("message", ({ detail }) => this.#message(detail));
		this.#link.addEventListener("down", ({ detail }) => this.#down(detail));
		this.#link.addEventListener("end", ({ detail }) => this.#ended(detail));
		this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
	}

	/* Bytes of the stream that the server has safely. */
	get acked() {
		return this.#parts.acked;
	}

	/* Bytes that it has not, or not said so. */
	get waiting() {
		return this.#parts.end - this.#parts.acked;
	}

	get isOver() {
		return this.#over;
	}

	/* Takes the next chunk (a Blob) of the stream. */
	push(blob) {
		// Reading a blob takes time: one after the other keeps their order.
		this.#lastPushed = this.#lastPushed.then(async () => this.#take(new Uint8Array(await blob.arrayBuffer())));
	}

	/* No more chunks come: sends what is left, then ends the session. */
	async finish() {
		await this.#lastPushed;
		this.#finishing = true;
		this.#tellState();
		this.#endWhenSafe();
	}

	/* Gives up what was not sent. */
	abandon() {
		this.#stop();
		this.#link.close();
	}

	#useSession(id) {
		this.session = id;
		this.sessions.push(id);
	}

	#address() {
		if (this.#lateForSession()) this.#newPiece();
		return this.#url();
	}

	#url() {
		const query = { media: this.#media, ack: 1, resume: 1, part: this.#parts.nextNumber };
		return socketUrl(this.#room, this.session, query);
	}

	/* The server may have finished the session's file already. */
	#lateForSession() {
		return this.acked > 0 && (this.#serverEnded || performance.now() - this.#heard > this.#windowMs);
	}

	#newPiece() {
		if (!this.#parts.restart()) {
			this.#fail("broken");
			return;
		}
		this.#serverEnded = false;
		this.#useSession(`${this.#name}-${this.sessions.length + 1}`);
		this.#heard = performance.now();
		this.#tell("piece", this.session);
	}

	#take(bytes) {
		if (this.#over) return;
		this.#parts.add(bytes);
		if (!this.#full && this.waiting > MAX_WAITING) {
			this.#full = true;
			this.#tell("full");
		}
		this.#send();
		this.#changed();
	}

	#send() {
		if (!this.#link.isOpen || this.#paused) return;
		while (this.#link.buffered < IN_FLIGHT_BYTES) {
			const part = this.#parts.next();
			if (!part) break;
			this.#link.send(part);
		}
		this.#buffered = this.#link.buffered;
	}

	#opened() {
		this.#parts.sendAgain();
		this.#paused = this.#endSaid = false;
		this.#heard = this.#moved = performance.now();
		this.#send();
		this.#changed();
		this.#endWhenSafe();
	}

	#message(text) {
		this.#heard = performance.now();
		const say = parse(text);
		switch (say?.j_type) {
		case "ack":
			if (say.kind === this.#media) this.#ack(say.part);
			break;
		case "pause":
		case "resume":
			this.#paused = say.j_type === "pause";
			this.#send();
			this.#changed();
			break;
		case "error":
			this.#tell("trouble", { code: say.error, message: say.message });
			break;
		}
	}

	#ack(number) {
		if (!this.#parts.ack(number)) return;
		if (this.#full && this.waiting < MAX_WAITING / 2) {
			this.#full = false;
			this.#tell("room");
		}
		this.#changed();
		this.#endWhenSafe();
	}

	#endWhenSafe() {
		if (!this.#finishing || this.#over || this.#endSaid || this.waiting > 0 || !this.#link.isOpen) return;
		this.#endSaid = true;
		this.#link.send(JSON.stringify({ j_type: "end" }));
		// The server closes; if it does not, the close code says the same.
		setTimeout(() => this.#link.close(), GOODBYE_MS);
	}

	#down({ code, tries }) {
		if (code === GOING_AWAY) this.#serverEnded = true;
		this.#changed();
		// It was told "end" and has everything: whichever way it closed, it knows.
		if (this.#finishing && this.waiting === 0) this.#link.close();
		else if (tries === ASK_AFTER_TRIES) this.#askWhy();
	}

	async #askWhy() {
		const why = await whyRefused(this.#url());
		if (!this.#over && !this.#link.isOpen) this.#tell("unreachable", why);
	}

	#ended({ code }) {
		if (this.#over) return;
		if (code === TAKEN_OVER) this.#fail("taken");
		else if (this.waiting > 0 || !this.#finishing) this.#fail("closed");
		else {
			this.#stop();
			this.#tell("done");
		}
	}

	/* Sends when there is space again, and notices a connection that died without a word. */
	#look() {
		const now = performance.now();
		if (this.#link.buffered < this.#buffered) this.#moved = now;
		this.#send();
		const idle = now - Math.max(this.#heard, this.#moved);
		if (this.#link.isOpen && !this.#paused && this.#parts.inFlight && idle > DEAD_AFTER_MS)
			this.#link.reset();
	}

	#fail(reason) {
		this.#stop();
		this.#tell("failed", reason);
		// Not from inside the link's own call for an address.
		queueMicrotask(() => this.#link.close());
	}

	#stop() {
		this.#over = true;
		clearInterval(this.#timer);
	}

	#changed() {
		this.#tell("progress");
		this.#tellState();
	}

	#tellState() {
		if (this.#over) return;
		const state = this.#full ? "full"
			: !this.#link.isOpen ? "offline"
			: this.#paused ? "paused"
			: this.#finishing ? "finishing"
			: "sending";
		this.#tell("state", state);
	}

	#tell(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}

function parse(text) {
	try {
		return JSON.parse(text);
	} catch {
		return null; // text of the room, for the chat's own connection
	}
}
