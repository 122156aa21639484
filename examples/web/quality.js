/*
 * How good a call is, from getStats: round trip, and loss since the last look.
 *
 * Levels: 3 good, 2 fair, 1 poor. Good calls have less than 2 % loss and 200 ms round trip; beyond 8 %
 * or 500 ms people stop understanding each other.
 */

const FAIR = { loss: 0.02, rtt: 0.2 };
const POOR = { loss: 0.08, rtt: 0.5 };

export class Quality {
	#receiving;
	#sending;
	#ownerOf;
	#before = new Map(); // id of an inbound stream → {received, lost}

	/* ownerOf(track) → user whose track it is */
	constructor(receiving, sending, ownerOf) {
		this.#receiving = receiving;
		this.#sending = sending;
		this.#ownerOf = ownerOf;
	}

	/* {mine: {level, rtt, loss}, users: Map user → {level, loss}}; rtt in seconds, loss 0 to 1. */
	async read() {
		const [inbound, outbound] = await Promise.all([this.#receiving.getStats(), this.#sending.getStats()]);
		const rtt = roundTrip(outbound) || roundTrip(inbound);
		const users = new Map();
		for (const entry of inbound.values()) {
			if (entry.type !== "inbound-rtp") continue;
			const user = this.#ownerOf(this.#trackOf(entry));
			const loss = this.#lossOf(entry);
			if (user) users.set(user, Math.max(users.get(user) ?? 0, loss));
		}
		let loss = 0;
		for (const entry of outbound.values())
			if (entry.type === "remote-inbound-rtp") loss = Math.max(loss, entry.fractionLost ?? 0);
		return {
			mine: { level: level(loss, rtt), rtt, loss },
			users: new Map([...users].map(([user, lost]) => [user, { level: level(lost, rtt), loss: lost }])),
		};
	}

	#trackOf({ trackIdentifier, mid }) {
		const receivers = this.#receiving.getTransceivers();
		return receivers.find((one) => one.mid === mid || one.receiver.track.id === trackIdentifier)?.receiver.track;
	}

	#lossOf({ id, packetsReceived = 0, packetsLost = 0 }) {
		const before = this.#before.get(id) ?? { received: 0, lost: 0 };
		this.#before.set(id, { received: packetsReceived, lost: packetsLost });
		const lost = Math.max(0, packetsLost - before.lost);
		const all = lost + packetsReceived - before.received;
		return all > 0 ? lost / all : 0;
	}
}

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
