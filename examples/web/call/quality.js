/*
 * How good a call is, from getStats: what arrives of everybody, and what the server gets of us.
 *
 * Levels: 3 good, 2 fair, 1 poor. Good calls have less than 2 % loss and 200 ms round trip; beyond 8 %
 * or 500 ms people stop understanding each other.
 */

const FAIR = { loss: 0.02, rtt: 0.2 };
const POOR = { loss: 0.08, rtt: 0.5 };

export class Quality {
	#receiving;
	#sending;
	#keyOf;
	#before = new Map(); // id of a stream → {received, lost, bytes, at (ms)}

	/* keyOf(track) → key of the tile that shows it, or null */
	constructor(receiving, sending, keyOf) {
		this.#receiving = receiving;
		this.#sending = sending;
		this.#keyOf = keyOf;
	}

	/*
	 * {mine, tiles: Map of key}, each {level, loss (share), rtt (s), kbps, width, height, fps}; mine also
	 * `layers`, how many pictures of the camera are sent.
	 */
	async read() {
		const [inbound, outbound] = await Promise.all([this.#receiving.getStats(), this.#sending.getStats()]);
		const rtt = roundTrip(outbound) || roundTrip(inbound);
		const tiles = new Map();
		for (const entry of inbound.values()) {
			const key = entry.type === "inbound-rtp" && this.#keyOf(this.#trackOf(entry));
			if (key) add(tiles, key, { ...this.#passed(entry, entry.bytesReceived), ...pictureOf(entry) });
		}
		const mine = this.#mine(outbound);
		for (const figures of [mine, ...tiles.values()]) Object.assign(figures, { rtt, level: level(figures.loss, rtt) });
		return { mine, tiles };
	}

	#mine(outbound) {
		const mine = { loss: 0, kbps: 0, layers: 0 };
		for (const entry of outbound.values()) {
			if (entry.type === "remote-inbound-rtp") mine.loss = Math.max(mine.loss, entry.fractionLost ?? 0);
			if (entry.type !== "outbound-rtp") continue;
			const { kbps } = this.#passed(entry, entry.bytesSent);
			mine.kbps += kbps;
			if (entry.kind !== "video" || !kbps) continue;
			mine.layers++;
			if ((entry.frameHeight ?? 0) > (mine.height ?? 0)) Object.assign(mine, pictureOf(entry));
		}
		return mine;
	}

	#trackOf({ trackIdentifier, mid }) {
		const receivers = this.#receiving.getTransceivers();
		return receivers.find((one) => one.mid === mid || one.receiver.track.id === trackIdentifier)?.receiver.track;
	}

	/* {loss, kbps} since the last look. */
	#passed({ id, timestamp, packetsReceived = 0, packetsLost = 0 }, bytes = 0) {
		const before = this.#before.get(id) ?? { received: 0, lost: 0, bytes, at: timestamp };
		this.#before.set(id, { received: packetsReceived, lost: packetsLost, bytes, at: timestamp });
		const lost = Math.max(0, packetsLost - before.lost);
		const all = lost + packetsReceived - before.received;
		const ms = timestamp - before.at;
		return { loss: all > 0 ? lost / all : 0, kbps: ms > 0 ? (8 * (bytes - before.bytes)) / ms : 0 };
	}
}

/* Sound and picture of one tile together. */
function add(tiles, key, { loss, kbps, ...picture }) {
	const figures = tiles.get(key) ?? { loss: 0, kbps: 0 };
	figures.loss = Math.max(figures.loss, loss);
	figures.kbps += kbps;
	tiles.set(key, Object.assign(figures, picture));
}

const pictureOf = ({ kind, frameWidth, frameHeight, framesPerSecond }) =>
	(kind === "video" && frameHeight ? { width: frameWidth, height: frameHeight, fps: framesPerSecond ?? 0 } : {});

/* From what the server reports of our media (RTCP); before that of the connectivity checks. */
function roundTrip(stats) {
	let media = 0;
	let path = 0;
	for (const entry of stats.values()) {
		if (entry.type === "remote-inbound-rtp") media = Math.max(media, entry.roundTripTime ?? 0);
		if (entry.type === "candidate-pair" && (entry.nominated || entry.selected))
			path = Math.max(path, entry.currentRoundTripTime ?? 0);
	}
	return media || path;
}

function level(loss, rtt) {
	if (loss > POOR.loss || rtt > POOR.rtt) return 1;
	if (loss > FAIR.loss || rtt > FAIR.rtt) return 2;
	return 3;
}
