/*
 * Who is in the room, under which name, and what they do: {"type":"presence","from","user","ask",
 * "muted","recording"} as text of the room, beside what people write. `user` is the id at msr-sfu,
 * `ask` wants an answer, so that somebody who comes late learns of everybody.
 */

export class Presence extends EventTarget {
	#chat;
	#mine;
	#others = new Map(); // user → {name, muted, recording}

	constructor(chat, user, name) {
		super();
		this.#chat = chat;
		this.#mine = { type: "presence", from: name, user, muted: false, recording: false };
		chat.addEventListener("up", () => this.#say(true));
		chat.addEventListener("other", ({ detail }) => this.#hear(detail));
	}

	/* {name, muted, recording}; of a user who never said so, what the id tells. */
	of(user) {
		if (user === this.#mine.user) return { ...this.#mine, name: this.#mine.from };
		return this.#others.get(user) ?? { name: user.replace(/-[a-z0-9]{6}$/, ""), muted: false, recording: false };
	}

	/* Changes what others know of this page: set({muted: true}). */
	set(what) {
		Object.assign(this.#mine, what);
		this.#say(false);
		this.#changed();
	}

	#say(ask) {
		this.#chat.tell({ ...this.#mine, ask });
	}

	#hear({ type, from, user, ask, muted, recording }) {
		if (type !== "presence" || typeof user !== "string" || user === this.#mine.user) return;
		this.#others.set(user, { name: String(from ?? user), muted: Boolean(muted), recording: Boolean(recording) });
		if (ask) this.#say(false);
		this.#changed();
	}

	#changed() {
		this.dispatchEvent(new CustomEvent("change"));
	}
}
