/*
 * The layers in which a camera is sent (RFC 8853): l, m and h, each twice as high as the one before,
 * so that the server can give each viewer the one that fits. In VP8 and H.264, which is what
 * browsers offer first; a small picture is not divided further.
 */

const RIDS = [["l", 4], ["m", 2], ["h", 1]]; // and how many times smaller
/* A layer below this many lines is of no use to anybody. */
const LEAST_LINES = 150;
/* Bits a second that suffice for that many lines of a face that talks. */
const BITS = [[200, 150000], [400, 500000], [Infinity, 1700000]];

/* sendEncodings for a camera's track, the lowest layer first. */
export function encodingsFor(track) {
	const { width = 0, height = 0 } = track.getSettings?.() ?? {};
	const lines = Math.min(width, height) || 720;
	return RIDS.filter(([, divided]) => divided === 1 || lines / divided >= LEAST_LINES)
		.map(([rid, divided]) => ({ rid, scaleResolutionDownBy: divided, maxBitrate: bitsFor(lines / divided) }));
}

const bitsFor = (lines) => BITS.find(([most]) => lines <= most)[1];

/*
 * After the answer: a server without simulcast leaves one encoding, and browsers keep the first,
 * which is the smallest. That one is then sent in full.
 */
export async function settle(sender, asked) {
	const parameters = sender.getParameters();
	const [only] = parameters.encodings ?? [];
	if (asked < 2 || parameters.encodings.length !== 1 || (only.scaleResolutionDownBy ?? 1) === 1) return;
	only.scaleResolutionDownBy = 1;
	only.maxBitrate = BITS.at(-1)[1];
	await sender.setParameters(parameters);
}
