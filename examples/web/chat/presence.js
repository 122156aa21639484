/*
 * Who is in the room, under which name, and what they do: {"type":"presence","from","user","ask",
 * "muted","recording","call","gone"} as text of the room, beside what people write. `user` is the id at
 * msr-sfu, `ask` wants an answer, so that somebody who comes late learns of everybody; `gone` is the
 * last word. Everybody says it again every SAY_EVERY_MS: who has been silent for long is gone, too.
 *
 * Events: "change".
 */

const SAY_EVERY_MS = 25000;
const GONE_AFTER_MS = 80000;
/* Nobody reads a longer list; what strangers send stays bounded. */
const PEOPLE_MAX = 500;
const MET_MAX = 1000;
const NAME_MAX = 40;

export class Presence extends EventTarget {
	#chat;
	#mine;
	#others = new Map(); // user → {name, muted, recording, call, heard (ms)}
	#met = new Set(); // names of all who were there, the latest last
	#timer;

	constructor(chat, user, name) {
		super();
		this.#chat = chat;
		this.#mine = { type: "presence", from: name, user, muted: false, recording: false, call: false };
		chat.addEventListener("up", () => this.#back());
		chat.addEventListener("other", ({ detail }) => this.#hear(detail));
		this.bye = this.bye.bind(this);
		addEventListener("pagehide", this.bye);
		this.#timer = setInterval(() => this.#turn(), SAY_EVERY_MS);
	}

	close() {
		this.bye();
		clearInterval(this.#timer);
		removeEventListener("pagehide", this.bye);
	}

	/* Tells the others that this page goes. */
	bye() {
		this.#say({ gone: true });
	}

	/* {name, muted, recording, call}; of a user who never said so, what the id tells. */
	of(user) {
		if (user === this.#mine.user) return { ...this.#mine, name: this.#mine.from };
		return this.#others.get(user)
			?? { name: user.replace(/-[a-z0-9]{6}$/, ""), muted: false, recording: false, call: false };
	}

	/* Names of the others, each once. */
	names() {
		return [...new Set([...this.#others.values()].map(({ name }) => name))];
	}

	/* Names of those who were in the room and are no longer. */
	left() {
		const here = new Set(this.names());
		return [...this.#met].filter((name) => !here.has(name));
	}

	/* Names of the others who are in the call. */
	inCall() {
		return [...this.#others.values()].filter(({ call }) => call).map(({ name }) => name);
	}

	/* Changes what others know of this page: set({muted: true}). */
	set(what) {
		if (Object.entries(what).every(([key, value]) => this.#mine[key] === value)) return;
		Object.assign(this.#mine, what);
		this.#say({});
		this.#changed();
	}

	#say(more) {
		this.#chat.tell({ ...this.#mine, ...more });
	}

	#hear({ type, from, user, ask, muted, recording, call, gone }) {
		if (type !== "presence" || typeof user !== "string" || user === this.#mine.user) return;
		const before = this.#others.get(user);
		if (gone) this.#others.delete(user);
		else if (before || this.#others.size < PEOPLE_MAX)
			this.#others.set(user, {
				name: String(from ?? user).slice(0, NAME_MAX), muted: Boolean(muted), recording: Boolean(recording),
				call: Boolean(call), heard: performance.now(),
			});
		const now = this.#others.get(user);
		if (now) this.#meet(now.name);
		if (ask) this.#say({});
		if (!same(before, now)) this.#changed();
	}

	#meet(name) {
		this.#met.delete(name);
		this.#met.add(name);
		if (this.#met.size > MET_MAX) this.#met.delete(this.#met.values().next().value);
	}

	/* While this page was away it heard nobody: who is silent is counted anew. */
	#back() {
		for (const other of this.#others.values()) other.heard = performance.now();
		this.#say({ ask: true });
	}

	#turn() {
		if (!this.#chat.isOn) return;
		this.#say({});
		const before = performance.now() - GONE_AFTER_MS;
		const silent = [...this.#others].filter(([, { heard }]) => heard < before);
		for (const [user] of silent) this.#others.delete(user);
		if (silent.length) this.#changed();
	}

	#changed() {
		this.dispatchEvent(new CustomEvent("change"));
	}
}

/* Whether there is nothing new to see of somebody. */
const same = (a, b) => a === b
	|| Boolean(a && b) && ["name", "muted", "recording", "call"].every((key) => a[key] === b[key]);
