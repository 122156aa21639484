/*
 * The REST interface and the events of msr-sfu (its manual page: msr-sfu(8)) for one user of one
 * room. Failed calls throw SfuError with the server's code; "unreachable" when nobody answers.
 */

/* A network that went away leaves connections that never answer. */
const ANSWER_WITHIN_MS = 10000;

export class SfuError extends Error {
	constructor(code, message, status = 0, body = {}) {
		super(message);
		this.name = "SfuError";
		this.code = code;
		this.status = status;
		this.body = body;
	}

	/* Nobody heard it, or nobody had the time: it may go better the next time. */
	get passes() {
		return this.code === "unreachable" || this.status === 503;
	}
}

export class Sfu {
	#base;
	#room;
	#user;
	#source = null;

	/* base: address of msr-sfu, as GET /config.json of msr-ws names it. */
	constructor(base, room, user) {
		this.#base = base.replace(/\/$/, "");
		this.#room = `/rooms/${encodeURIComponent(room)}`;
		this.#user = `${this.#room}/users/${encodeURIComponent(user)}`;
		this.room = room;
	}

	/* Makes the room if need be, and the user again: {offer, offer_id}. */
	async enter() {
		try {
			return await this.#call("POST", this.#user, { replace: true });
		} catch (error) {
			if (error.code !== "no_room") throw error;
		}
		try {
			await this.#call("POST", "/rooms", { room_id: this.room, until_empty: true });
		} catch (error) {
			if (error.code !== "room_exists") throw error; // somebody else was quicker
		}
		return this.#call("POST", this.#user, { replace: true });
	}

	produce(offer, sources) {
		return this.#call("POST", `${this.#user}/produce`, { offer, sources });
	}

	consume(answer, offer_id) {
		return this.#call("POST", `${this.#user}/consume`, { answer, offer_id });
	}

	/* {offer, offer_id}: an offer whose answer restarts ICE on the receiving connection. */
	restart() {
		return this.#call("POST", `${this.#user}/consume`, { restart: true });
	}

	/* What this user wants to receive: {users: {id: {audio, video}}, max_kbps?}. */
	subscribe(wishes) {
		return this.#call("PATCH", `${this.#user}/subscription`, wishes);
	}

	/* {room_id, users} */
	state() {
		return this.#call("GET", this.#room);
	}

	/* Whether what is sent will be recorded; asks before there is a room. */
	async records() {
		return (await this.#call("GET", "/rooms")).recording === true;
	}

	/* Also while the page goes away. */
	leave() {
		this.#source?.close();
		return fetch(this.#base + this.#user, { method: "DELETE", keepalive: true }).catch(() => {});
	}

	/*
	 * `handlers`: {offer(data), speaker(data), ...}; opened() is called each time that the stream
	 * begins, lost() when it ends for good.
	 */
	listen(handlers, { opened, lost }) {
		this.#source?.close();
		const source = (this.#source = new EventSource(`${this.#base}${this.#user}/events`));
		for (const [name, handler] of Object.entries(handlers))
			source.addEventListener(name, (event) => source === this.#source && handler(JSON.parse(event.data)));
		source.onopen = () => source === this.#source && opened();
		source.onerror = () => {
			// A broken stream is opened again by the browser itself, one that is refused is not.
			if (source === this.#source && source.readyState === EventSource.CLOSED) lost();
		};
	}

	async #call(method, path, body) {
		let reply, text;
		try {
			reply = await fetch(this.#base + path, {
				method, body: body && JSON.stringify(body),
				headers: body && { "Content-Type": "application/json" },
				signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
			});
			text = await reply.text();
		} catch (error) {
			throw new SfuError("unreachable", error.message);
		}
		const said = parsed(text);
		if (!reply.ok) throw new SfuError(said.error ?? "http", said.message ?? reply.statusText, reply.status, said);
		return said;
	}
}

function parsed(text) {
	try {
		return JSON.parse(text);
	} catch {
		return {}; // a proxy's page, say: the status tells enough
	}
}
