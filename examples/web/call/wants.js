/*
 * What a viewer asks the server for (msr-sfu(8), subscription): of each person the layer that the
 * tile can show, and nothing where nobody looks.
 *
 *   tiles (size, in sight?) + choices of the person's menu + data saver → {users, max_kbps}
 *   → Subscription: only what changed, at most every SEND_EVERY_MS → PATCH
 */

/* Heights of the layers of a 720-line camera (simulcast.js), the lowest first. */
const LAYERS = [["low", 180], ["mid", 360]];
/* A picture may be drawn a third larger than it is before one sees it. */
const STRETCH = 4 / 3;
const ORDER = ["off", "low", "mid", "high"];

/* "low", "mid" or "high" for a tile of so many physical pixels; "off" for one out of sight. */
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
/* Words of a server that knows the user but not this call. */
const UNKNOWN_HERE = ["not_found", "method_not_allowed"];
const TRIES = 3;

export class Subscription {
	#send;
	#wanted = {};
	#limit = null; // kbit/s, null: none
	#known = new Map(); // user → what the server was told, as JSON
	#knownLimit = null;
	#timer = 0;
	#sending = false;
	#open = false; // the server knows this user
	#failed = 0;

	/* send({users, max_kbps?}) → promise that fails with an SfuError */
	constructor(send) {
		this.#send = send;
	}

	/* Whether the server takes such wishes, as far as is known. */
	get works() {
		return this.#open && this.#failed < TRIES;
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
		this.#failed = 0;
		this.#later();
	}

	/* That connection is over. */
	end() {
		this.#open = false;
	}

	#later() {
		if (!this.#timer && !this.#sending && this.works)
			this.#timer = setTimeout(() => this.#flush(), SEND_EVERY_MS);
	}

	#changes() {
		const users = {};
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
			for (const [user, want] of Object.entries(changes.users)) this.#known.set(user, JSON.stringify(want));
			this.#knownLimit = limit;
			this.#failed = 0;
		} catch (error) {
			this.#failed = UNKNOWN_HERE.includes(error.code) || error.status === 405 ? TRIES : this.#failed + 1;
		}
		this.#sending = false;
		if (this.#changes()) this.#later();
	}
}
