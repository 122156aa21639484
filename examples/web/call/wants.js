/*
 * What a viewer asks the server for (msr-sfu(8), subscription): of each person the layer that the
 * tile can show, and nothing where nobody looks.
 *
 *   tiles (size, in sight?) + choices of the person's menu + data saver → {users, max_kbps}
 *   → Subscription: only what changed, at most every SEND_EVERY_MS, later when that fails → PATCH
 */

/* Heights of the layers of a 720-line camera (simulcast.js), the lowest first. */
const LAYERS = [["low", 180], ["mid", 360]];
/* A picture may be drawn a third larger than it is before one sees it. */
const STRETCH = 4 / 3;
const ORDER = ["off", "low", "mid", "high"];

/* "low", "mid" or "high" for a tile of that many physical pixels; "off" for one out of sight. */
export function layerFor(heightPx, inSight) {
	if (!inSight || heightPx <= 0) return "off";
	return LAYERS.find(([, lines]) => heightPx <= lines * STRETCH)?.[0] ?? "high";
}

const larger = (a, b) => (ORDER.indexOf(a) >= ORDER.indexOf(b) ? a : b);

/*
 * {user: {audio, video}}. `tiles`: [{user, height (physical pixels), inSight}]; a person with a
 * screen has two, and gets what the more demanding one needs. `choices`: Map of user → {video, audio}
 * as people chose; "auto" follows the tiles.
 */
export function wantsOf(tiles, choices, { soundOnly = false } = {}) {
	const users = {};
	for (const { user, height, inSight } of tiles) {
		const { video = "auto", audio = "on" } = choices.get(user) ?? {};
		const shown = layerFor(height, inSight);
		const asked = soundOnly ? "off" : video === "auto" || shown === "off" ? shown : video;
		users[user] = { audio, video: larger(asked, users[user]?.video ?? "off") };
	}
	return users;
}

const SEND_EVERY_MS = 400;
const LONGEST_PAUSE_MS = 10000;
/* What the server gives who asks for nothing; it keeps only what differs, up to a bound. */
const DEFAULT = { audio: "on", video: "auto" };
/* Words of a server that knows the user but not this call. */
const UNKNOWN_HERE = ["not_found", "method_not_allowed"];

/* Whether this error of a PATCH says that the server takes no wishes at all; others may pass. */
export const takesNone = ({ code, status }) => UNKNOWN_HERE.includes(code) || status === 405;

export class Subscription {
	#send;
	#wanted = {};
	#limit = null; // kbit/s, null: none
	#known = new Map(); // user → what the server was told, as JSON
	#knownLimit = null;
	#timer = 0;
	#sending = false;
	#open = false; // the server knows this user
	#refused = false; // it takes no wishes
	#pause = SEND_EVERY_MS; // before the next request

	/* send({users, max_kbps?}) → promise that fails with an SfuError */
	constructor(send) {
		this.#send = send;
	}

	/* Whether the server takes such wishes, as far as is known. */
	get works() {
		return this.#open && !this.#refused;
	}

	want(users, limit = null) {
		this.#wanted = users;
		this.#limit = limit;
		this.#later();
	}

	/* The server knows this user, and nothing of any wish: a new connection. Before it nothing is sent. */
	begin() {
		this.#open = true;
		this.#known.clear();
		this.#knownLimit = null;
		this.#refused = false;
		this.#pause = SEND_EVERY_MS;
		this.#later();
	}

	/* That connection is over. */
	end() {
		this.#open = false;
	}

	#later() {
		if (!this.#timer && !this.#sending && this.works)
			this.#timer = setTimeout(() => this.#flush(), this.#pause);
	}

	#changes() {
		const users = {};
		// Who left, and first: that makes room for the others.
		for (const user of this.#known.keys()) if (!this.#wanted[user]) users[user] = DEFAULT;
		for (const [user, want] of Object.entries(this.#wanted))
			if (this.#known.get(user) !== JSON.stringify(want)) users[user] = want;
		const limit = this.#limit !== this.#knownLimit ? { max_kbps: this.#limit ?? 0 } : {};
		return Object.keys(users).length || "max_kbps" in limit ? { users, ...limit } : null;
	}

	async #flush() {
		this.#timer = 0;
		const changes = this.#open && this.#changes();
		if (!changes) return;
		const limit = this.#limit;
		this.#sending = true;
		try {
			await this.#send(changes);
			for (const [user, want] of Object.entries(changes.users)) {
				if (want === DEFAULT) this.#known.delete(user);
				else this.#known.set(user, JSON.stringify(want));
			}
			this.#knownLimit = limit;
			this.#pause = SEND_EVERY_MS;
		} catch (error) {
			this.#refused = takesNone(error);
			this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS);
		}
		this.#sending = false;
		if (this.#changes()) this.#later();
	}
}
