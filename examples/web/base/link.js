/*
 * A WebSocket that comes back by itself: pauses between tries grow from 0.25 s to 5 s, and a try is
 * made at once when the browser says that the network is there again. When the browser says that it is
 * gone, so is the connection, which would otherwise seem open for minutes.
 *
 *   new Link(() => url)   the address is asked for again for each try
 *   events: "open", "message" (detail: data), "down" (detail: {code, reason, tries}), and "end"
 *   (detail: {code, reason}), after which the link stays closed
 */

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;
const OPEN_WITHIN_MS = 10000;
/* A network that went away leaves requests that are never answered. */
export const ANSWER_WITHIN_MS = 8000;

/* Another connection took this session over (msr-ws): coming back would throw that one out. */
export const TAKEN_OVER = 4001;
const NORMAL = 1000;
const FINAL = [NORMAL, TAKEN_OVER];

export class Link extends EventTarget {
	#address;
	#socket = null;
	#tries = 0; // in vain since the last open
	#timer = 0;
	#ended = false;

	constructor(address) {
		super();
		this.#address = address;
		this.retryNow = this.retryNow.bind(this);
		this.reset = this.reset.bind(this);
		addEventListener("online", this.retryNow);
		addEventListener("offline", this.reset);
		this.#connect();
	}

	get isOpen() {
		return this.#socket?.readyState === WebSocket.OPEN;
	}

	/* Bytes handed to the browser and not yet to the network. */
	get buffered() {
		return this.#socket?.bufferedAmount ?? 0;
	}

	/* Only while isOpen. */
	send(data) {
		this.#socket.send(data);
	}

	/* Ends the link for good. */
	close(code = NORMAL, reason = "") {
		if (this.#ended) return;
		const socket = this.#socket;
		this.#drop();
		socket?.close(code, reason);
		this.#end({ code, reason });
	}

	/* Gives up a connection that seems dead and makes another. */
	reset() {
		if (this.#ended || !this.#socket) return;
		const socket = this.#socket;
		this.#drop();
		socket.close();
		this.#down({ code: 1006, reason: "" });
	}

	retryNow() {
		const socket = this.#socket;
		// A try that still waits may have begun without a network; whatever else there is tells its own end.
		if (this.#ended || (socket && socket.readyState !== WebSocket.CONNECTING)) return;
		this.#drop();
		socket?.close();
		this.#connect();
	}

	#connect() {
		clearTimeout(this.#timer);
		const socket = new WebSocket(this.#address());
		socket.binaryType = "arraybuffer";
		this.#socket = socket;
		const late = setTimeout(() => socket === this.#socket && this.reset(), OPEN_WITHIN_MS);
		const ours = (handler) => (event) => socket === this.#socket && handler(event);
		socket.onopen = ours(() => {
			clearTimeout(late);
			this.#tries = 0;
			this.#tell("open");
		});
		socket.onmessage = ours((event) => this.#tell("message", event.data));
		socket.onclose = ours((event) => {
			clearTimeout(late);
			this.#drop();
			if (FINAL.includes(event.code)) this.#end({ code: event.code, reason: event.reason });
			else this.#down(event);
		});
	}

	/* From here on nothing that the old socket says is listened to. */
	#drop() {
		clearTimeout(this.#timer);
		this.#socket = null;
	}

	#down({ code, reason }) {
		const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#tries++);
		// Spread, so that a restarted server is not met by everybody at once.
		this.#timer = setTimeout(this.retryNow, longest * (0.5 + Math.random() / 2));
		this.#tell("down", { code, reason, tries: this.#tries });
	}

	#end(detail) {
		this.#ended = true;
		removeEventListener("online", this.retryNow);
		removeEventListener("offline", this.reset);
		this.#tell("end", detail);
	}

	#tell(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}

/* A request that is asked anew each time, and given up in time. */
const ask = (url) => fetch(url, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });

const askHealth = () => ask(new URL("health", location.href));

/* Whether the server that this page came from answers at all. */
export const answers = () => askHealth().then(() => true, () => false);

/* The address of a session of a room at the server that this page came from. */
export function socketUrl(room, session, query = {}) {
	const url = new URL(`${encodeURIComponent(room)}/${encodeURIComponent(session)}`, location.href);
	url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
	url.search = new URLSearchParams(query);
	url.hash = "";
	return url;
}

/*
 * Why a WebSocket does not open: browsers keep that to themselves, so ask with plain HTTP. "gone"
 * when nothing answers, otherwise the server's own words, or "".
 */
export async function whyRefused(url) {
	const http = new URL(url);
	http.protocol = http.protocol === "wss:" ? "https:" : "http:";
	try {
		const health = await askHealth();
		if (!health.ok) return "gone";
		const reply = await ask(http);
		// "Upgrade Required" only means that this question was not a WebSocket.
		return reply.status === 426 ? "" : ((await reply.json()).message ?? "");
	} catch {
		return "gone";
	}
}
