/*
 * What this page sends: one transceiver a source, kept for the life of the connection.
 *
 *   set(source, track) → arrange(pc) → offer … answer → settled()
 */
import { preferRedundancy } from "./redundancy.js";
import { encodingsFor, settle } from "./simulcast.js";

const SOURCES = ["microphone", "camera", "screen"];
const SCREEN_BITS = 2500000;

export class Sender {
	/* Whether a camera goes out in several layers (simulcast.js); for connections to come. */
	layered = false;

	#tracks = new Map(); // source → track that is to be sent
	#transceivers = new Map(); // source → {transceiver, layers: encodings that were asked for}

	set(source, track) {
		if (track) this.#tracks.set(source, track);
		else this.#tracks.delete(source);
	}

	/* The connection was negotiated with something to send. */
	get isUsed() {
		return this.#transceivers.size > 0;
	}

	/* For a new connection. */
	reset() {
		this.#transceivers.clear();
	}

	/* Sets tracks and directions on `pc`; true where the other side must hear of it. */
	async arrange(pc) {
		let changed = false;
		for (const source of SOURCES) {
			const track = this.#tracks.get(source) ?? null;
			const known = this.#transceivers.get(source);
			const direction = track ? "sendonly" : "inactive";
			if (!known) {
				if (!track) continue;
				this.#add(pc, source, track);
				changed = true;
				continue;
			}
			const { transceiver } = known;
			if (transceiver.sender.track !== track) await transceiver.sender.replaceTrack(track);
			if (transceiver.direction !== direction) changed = true;
			transceiver.direction = direction;
		}
		return changed;
	}

	#add(pc, source, track) {
		const sendEncodings = source === "camera" && this.layered ? encodingsFor(track)
			: source === "screen" ? [{ maxBitrate: SCREEN_BITS }] : [{}];
		if (source === "screen") track.contentHint ||= "detail"; // letters rather than motion
		const transceiver = pc.addTransceiver(track, { direction: "sendonly", sendEncodings });
		if (source === "microphone") preferRedundancy(transceiver);
		this.#transceivers.set(source, { transceiver, layers: sendEncodings.length });
	}

	/* After each answer. */
	async settled() {
		for (const { transceiver, layers } of this.#transceivers.values()) await settle(transceiver.sender, layers);
	}

	/* {mid: source}, for the server. */
	sources() {
		return Object.fromEntries([...this.#transceivers]
			.filter(([, { transceiver }]) => transceiver.mid !== null)
			.map(([source, { transceiver }]) => [transceiver.mid, source]));
	}
}
