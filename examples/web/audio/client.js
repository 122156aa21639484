/*
 * A session of msr-audiod: sound goes up in blocks, and each comes back processed, in order.
 *
 *   connected → start_audio_receiver → receiver_started → blocks …
 *   setChain: stop_audio_receiver → receiver_stopped → start_audio_receiver …
 *
 * A broken connection is made again (link.js). A chain that the server refuses ends it until another
 * is set: a session without sound would be closed anyway.
 *
 * Events: "state" (detail: connecting | on | off | refused), "started" (detail: {session, delay: s}),
 * "sound" (detail: Float32Array), "level" and "voice" (detail: as msr-audiod(8) says), "trouble"
 * (detail: {code, message}), "unreachable".
 */
import { Link } from "../base/link.js";

/* Sound that the server has not answered: more is left out rather than heard late. */
const IN_FLIGHT_MAX = 50;
/* So late comes nothing: the connection is dead, of which a browser says nothing for minutes. */
const DEAD_AFTER_MS = 5000;
const ASK_AFTER_TRIES = 3;

export class AudioClient extends EventTarget {
	#url;
	#link = null;
	#rate;
	#chain;
	#phase = "closed"; // closed, opening, starting, running, stopping, refused
	#started = ""; // JSON of the chain that runs
	#session = "";
	#inFlight = []; // {at (ms), length} of each block that is not answered
	#roundTrip = 0;

	/* Blocks that were left out because the server did not keep up. */
	leftOut = 0;

	/* base: address of msr-audiod; rate: of the sound, in Hz. */
	constructor(base, { rate, chain }) {
		super();
		const url = new URL(base, document.baseURI);
		url.protocol = url.protocol.replace(/^http/, "ws");
		url.pathname = `${url.pathname.replace(/\/$/, "")}/ws`;
		this.#url = url;
		this.#rate = rate;
		this.#chain = chain;
		this.#open();
	}

	/* Seconds from a block's leaving until it was back, the last time. */
	get roundTrip() {
		return this.#roundTrip;
	}

	setChain(chain) {
		this.#chain = chain;
		if (this.#phase === "refused") this.#open();
		else if (this.#phase === "running") this.#stopFor();
	}

	/* Sends a block; its buffer is given away. */
	send(block) {
		if (this.#phase !== "running") return;
		if (performance.now() - this.#inFlight[0]?.at > DEAD_AFTER_MS) return this.#link.reset();
		if (this.#inFlight.length >= IN_FLIGHT_MAX) {
			this.leftOut++;
			return;
		}
		this.#inFlight.push({ at: performance.now(), length: block.length });
		this.#link.send(block.buffer);
	}

	close() {
		this.#phase = "closed";
		const link = this.#link;
		this.#link = null; // its end is no trouble then
		link?.close();
	}

	#open() {
		this.#phase = "opening";
		this.#tell("state", "connecting");
		const link = (this.#link = new Link(() => this.#url));
		const ours = (handler) => ({ detail }) => link === this.#link && handler(detail);
		link.addEventListener("message", ours((data) => this.#message(data)));
		link.addEventListener("down", ours(({ tries }) => {
			this.#phase = "opening";
			this.#tell("state", "off");
			if (tries === ASK_AFTER_TRIES) this.#tell("unreachable");
		}));
		link.addEventListener("end", ours(() => this.#refuse({ code: "closed", message: "" })));
	}

	#message(data) {
		if (typeof data !== "string") return this.#answered(new Float32Array(data));
		let say;
		try {
			say = JSON.parse(data);
		} catch {
			return; // not of msr-audiod
		}
		if (say.event === "level" || say.event === "voice") this.#tell(say.event, say);
		else if (say.status === "error") this.#error(say);
		else this.#status(say);
	}

	#status({ status, session_id: session, delay = 0 }) {
		switch (status) {
		case "connected":
			this.#session = session;
			this.#start();
			break;
		case "receiver_started":
			this.#phase = "running";
			this.#tell("state", "on");
			this.#tell("started", { session: this.#session, delay: delay / this.#rate });
			if (JSON.stringify(this.#chain) !== this.#started) this.#stopFor(); // it was changed meanwhile
			break;
		case "receiver_stopped":
		case "receiver_not_running":
			if (this.#phase === "stopping") this.#start();
			break;
		}
	}

	#start() {
		this.#phase = "starting";
		this.#inFlight = [];
		this.#started = JSON.stringify(this.#chain);
		this.#say({ command: "start_audio_receiver", format: "f32le", rate: this.#rate, channels: 1, chain: this.#chain });
	}

	/* To start again with another chain. */
	#stopFor() {
		this.#phase = "stopping";
		this.#say({ command: "stop_audio_receiver" });
	}

	#answered(block) {
		const sent = this.#inFlight.shift();
		if (sent) this.#roundTrip = (performance.now() - sent.at) / 1000;
		this.#tell("sound", block);
	}

	#error({ error: code, message }) {
		this.#tell("trouble", { code, message });
		if (this.#phase === "starting") this.#refuse();
		// The answer to a block: silence in its place, so that what follows stays in time.
		else if (code === "processing_failed") this.#answered(new Float32Array(this.#inFlight[0]?.length ?? 0));
	}

	#refuse(trouble) {
		if (trouble) this.#tell("trouble", trouble);
		this.#phase = "refused";
		const link = this.#link;
		this.#link = null;
		link?.close();
		this.#tell("state", "refused");
	}

	#say(command) {
		if (this.#link?.isOpen) this.#link.send(JSON.stringify(command));
	}

	#tell(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}
