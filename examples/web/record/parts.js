/*
 * The parts of a stream on their way to the server: cut, numbered, kept until they are acknowledged,
 * and from the last cluster on that may not be safe, so that a second file can begin there (webm.js).
 *
 *   add(bytes) → next() … ack(number) → forgotten
 */
import { ClusterFinder } from "./webm.js";

/* Long chunks (of a tab that stalled) are cut: a message must be far below the server's 16 MiB. */
const PART_BYTES = 1024 * 1024;

export class Parts {
	/* Bytes added so far. */
	end = 0;

	#parts = []; // {at, bytes, init}: place in the stream and content, from the last cluster needed on;
	// init: a copy of the stream's beginning, at the head of a later piece
	#unacked = 0; // index in #parts of the first not acknowledged
	#sent = 0; // index in #parts of the next to send
	#firstNumber = 0; // part number of #parts[0] in the current session
	#finder = new ClusterFinder();
	#clusters = []; // places of clusters; the first is at or before the first unacknowledged byte
	#init = null; // the stream before its first cluster, once that is known

	/* Bytes of the stream that the server has safely. */
	get acked() {
		return this.#parts[this.#unacked]?.at ?? this.end;
	}

	/* The number of the first part that is not acknowledged. */
	get nextNumber() {
		return this.#firstNumber + this.#unacked;
	}

	/* Something was sent that is not acknowledged. */
	get inFlight() {
		return this.#sent > this.#unacked;
	}

	/* Takes the next bytes of the stream (kept, not copied). */
	add(bytes) {
		for (const place of this.#finder.feed(bytes)) this.#clusters.push(place);
		for (let i = 0; i < bytes.length; i += PART_BYTES) {
			const part = bytes.subarray(i, i + PART_BYTES);
			this.#parts.push({ at: this.end, bytes: part });
			this.end += part.length;
		}
		this.#keepInit();
	}

	/* The bytes of the next part to send, or null. */
	next() {
		return this.#sent < this.#parts.length ? this.#parts[this.#sent++].bytes : null;
	}

	/* A new connection: what was not acknowledged is sent again. */
	sendAgain() {
		this.#sent = this.#unacked;
	}

	/*
	 * Part `number`, and so all before it, is safe: parts are safe in their order. False where that says
	 * nothing new.
	 */
	ack(number) {
		const upTo = number - this.#firstNumber + 1;
		if (!(upTo > this.#unacked && upTo <= this.#sent)) return false;
		this.#unacked = upTo;
		const { acked } = this;
		while (this.#clusters.length > 1 && this.#clusters[1] <= acked) this.#clusters.shift();
		this.#forget(Math.min(acked, this.#clusters[0] ?? (this.#init ? acked : 0)));
		return true;
	}

	/*
	 * Begins a new file: the stream's initialisation and everything from the last cluster that may not be
	 * safe, numbered from 0. False where that cannot be.
	 */
	restart() {
		const from = this.#clusters[0];
		if (!this.#init || from === undefined || from > this.acked) return false;
		const rest = this.#parts
			.filter((part) => !part.init && part.at + part.bytes.length > from)
			.map(({ at, bytes }) => (at < from ? { at: from, bytes: bytes.subarray(from - at) } : { at, bytes }));
		this.#parts = [{ at: from, bytes: this.#init, init: true }, ...rest];
		this.#unacked = this.#sent = this.#firstNumber = 0;
		return true;
	}

	/* Copies the initialisation as soon as the first cluster shows where it ends. */
	#keepInit() {
		if (this.#init || !this.#clusters.length) return;
		const init = new Uint8Array(this.#clusters[0]);
		for (const { at, bytes } of this.#parts)
			if (at < init.length) init.set(bytes.subarray(0, init.length - at), at);
		this.#init = init;
	}

	/* Drops acknowledged parts that end at or before `place`. */
	#forget(place) {
		let n = 0;
		while (n < this.#unacked && this.#parts[n].at + this.#parts[n].bytes.length <= place) n++;
		this.#parts.splice(0, n);
		this.#unacked -= n;
		this.#sent -= n;
		this.#firstNumber += n;
	}
}
