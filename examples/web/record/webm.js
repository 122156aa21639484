/*
 * Where the clusters of a WebM stream begin, so that a recording can be continued in a second file:
 * its initialisation (all before the first cluster) and any later cluster onwards make a WebM file
 * that plays. Only finds places; decodes nothing (RFC 9559: a cluster is the id 1F 43 B6 75, its size,
 * then the timestamp element E7).
 */

const CLUSTER = [0x1f, 0x43, 0xb6, 0x75];
const TIMESTAMP = 0xe7;
/* id, up to 8 bytes of size, and the id of the timestamp */
const LOOK_AHEAD = CLUSTER.length + 8 + 1;

export class ClusterFinder {
	#rest = new Uint8Array(0); // the end of what was seen, too short to judge
	#at = 0; // place of #rest in the stream

	/* Takes the next bytes of the stream; returns the places (from its start) of clusters found. */
	feed(bytes) {
		const all = new Uint8Array(this.#rest.length + bytes.length);
		all.set(this.#rest);
		all.set(bytes, this.#rest.length);
		const found = [];
		const last = Math.max(0, all.length - LOOK_AHEAD + 1);
		for (let i = all.indexOf(CLUSTER[0]); i >= 0 && i < last; i = all.indexOf(CLUSTER[0], i + 1))
			if (isCluster(all, i)) found.push(this.#at + i);
		this.#at += last;
		this.#rest = all.slice(last);
		return found;
	}
}

function isCluster(bytes, at) {
	if (!CLUSTER.every((byte, i) => bytes[at + i] === byte)) return false;
	const size = bytes[at + CLUSTER.length];
	const width = Math.clz32(size) - 24 + 1; // of the size, in bytes, by its leading zero bits
	return size !== 0 && bytes[at + CLUSTER.length + width] === TIMESTAMP;
}
