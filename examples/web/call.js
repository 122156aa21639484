/*
 * A call: one peer connection that sends to msr-sfu (produce) and one that receives (consume).
 *
 *   publish(source, track) ─→ sending pc ─ offer ─→ POST produce ─ answer ─→
 *   SSE "offer" ─→ receiving pc ─ answer ─→ POST consume ─→ tracks of others
 *
 * Offers and answers of a connection go one after the other (a queue each), whatever arrives
 * meanwhile. When a connection fails, the user enters anew with fresh connections, a few times.
 *
 * Events: "state" (detail: connecting | connected | rejoining | ended), "people" (the list or
 * somebody's tracks changed: see people()), "recording" (detail: whether the server records
 * this room), "speaker" (detail: {user, level}), "quality" (detail: of
 * quality.js), "failed" (detail: {code, message} or {code: "ice", why}; "ended" state follows where it is final).
 */
import { whyFailed } from "./ice.js";
import { Quality } from "./quality.js";
import { Sfu } from "./sfu.js";

const REJOIN_TRIES = 4;
const REJOIN_PAUSE_MS = 1500;
const CONNECT_WITHIN_MS = 20000;
const QUALITY_EVERY_MS = 2000;
const SCREEN = "~screen";
/* Why the server ends a user on purpose: coming back would undo what somebody wanted. */
const FINAL = ["replaced", "ended", "room deleted"];

export class Call extends EventTarget {
	#me;
	#sfu;
	#sending = null;
	#receiving = null;
	#sendQueue = Promise.resolve();
	#receiveQueue = Promise.resolve();
	#published = new Map(); // source → track that is to be sent
	#transceivers = new Map(); // source → RTCRtpTransceiver of #sending
	#people = new Map(); // user → {user, camera, screen: MediaStream or null}
	#quality = null;
	#qualityTimer = 0;
	#connectTimer = 0;
	#rejoinTimer = 0;
	#tries = 0;
	#answered = null; // id of the offer that was answered last
	#generation = 0; // counts the connections, to tell late news of old ones
	#over = false;

	constructor({ base, room, user }) {
		super();
		this.#me = user;
		this.#sfu = new Sfu(base, room, user);
		this.leaveNow = this.leaveNow.bind(this);
		addEventListener("pagehide", this.leaveNow);
	}

	/* Everybody else: [{user, camera, screen}], in the order in which they came. */
	people() {
		return [...this.#people.values()];
	}

	/* Throws SfuError when the server refuses. */
	async join() {
		this.#tellState("connecting");
		await this.#enter();
	}

	/* Sends `track` as "microphone", "camera" or "screen" from now on; null: nothing. */
	publish(source, track) {
		if (track) this.#published.set(source, track);
		else this.#published.delete(source);
		return this.#renegotiate();
	}

	leaveNow() {
		if (this.#over) return;
		this.#over = true;
		removeEventListener("pagehide", this.leaveNow);
		clearTimeout(this.#rejoinTimer);
		this.#hangUp();
		this.#sfu.leave();
		this.#tellState("ended");
	}

	async #enter() {
		this.#hangUp();
		const generation = ++this.#generation;
		const { offer, offer_id } = await this.#sfu.enter();
		if (this.#over || generation !== this.#generation) return;
		this.#receiving = this.#connection(generation);
		this.#sending = this.#connection(generation);
		this.#receiving.addEventListener("track", (event) => this.#arrived(event));
		this.#connectTimer = setTimeout(() => this.#failed(generation), CONNECT_WITHIN_MS);
		this.#listen(generation);
		this.#take({ offer, offer_id }, generation);
		await this.#renegotiate();
		await this.#readPeople();
		this.#quality = new Quality(this.#receiving, this.#sending, (track) => this.#ownerOf(track));
		this.#qualityTimer = setInterval(async () => {
			const figures = await this.#quality.read();
			if (generation === this.#generation) this.#tell("quality", figures);
		}, QUALITY_EVERY_MS);
	}

	#connection(generation) {
		const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
		pc.addEventListener("connectionstatechange", () => {
			if (generation !== this.#generation) return;
			if (pc.connectionState === "failed") this.#failed(generation);
			if (this.#isConnected()) {
				this.#tries = 0;
				clearTimeout(this.#connectTimer);
				this.#tellState("connected");
			}
		});
		return pc;
	}

	/* The receiving connection comes up even in an empty room; the sending one once it sends. */
	#isConnected() {
		return this.#receiving?.connectionState === "connected"
			&& (!this.#transceivers.size || this.#sending.connectionState === "connected");
	}

	#hangUp() {
		this.#generation++;
		clearTimeout(this.#connectTimer);
		clearInterval(this.#qualityTimer);
		this.#sending?.close();
		this.#receiving?.close();
		this.#sending = this.#receiving = null;
		this.#answered = null;
		this.#transceivers.clear();
		this.#people.clear();
		this.#tell("people");
	}

	#listen(generation) {
		const current = (handler) => (data) => generation === this.#generation && handler(data);
		this.#sfu.listen({
			offer: current((data) => this.#take(data, generation)),
			joined: current(({ user }) => this.#addPerson(user)),
			left: current(({ user }) => {
				this.#people.delete(user);
				this.#tell("people");
			}),
			tracks: current(({ user, tracks }) => this.#setTracks(user, tracks)),
			speaker: current((data) => this.#tell("speaker", data)),
			closed: current(({ reason }) => {
				if (FINAL.includes(reason)) this.#giveUp({ code: reason });
				else this.#rejoin();
			}),
		}, current(() => this.#rejoin()));
	}

	/* One offer of the server after the other. A pending one comes again when the events begin. */
	#take({ offer, offer_id }, generation) {
		this.#receiveQueue = this.#receiveQueue.then(async () => {
			let next = { offer, offer_id };
			while (next?.offer && next.offer_id !== this.#answered && generation === this.#generation)
				next = await this.#answer(next);
		}).catch((error) => generation === this.#generation && this.#tell("failed", reasonOf(error)));
	}

	/* Answers an offer; returns what the server offers next, if anything. */
	async #answer({ offer, offer_id }) {
		const pc = this.#receiving;
		await pc.setRemoteDescription({ type: "offer", sdp: sdpOf(offer) });
		await pc.setLocalDescription();
		this.#answered = offer_id;
		try {
			return await this.#sfu.consume(pc.localDescription.sdp, offer_id);
		} catch (error) {
			// "no_offer": this very answer had arrived already.
			if (error.code === "stale_offer") return error.body;
			if (error.code !== "no_offer") throw error;
			return null;
		}
	}

	/* Makes the sending connection carry exactly what is published. */
	#renegotiate() {
		const generation = this.#generation;
		this.#sendQueue = this.#sendQueue.then(async () => {
			const pc = this.#sending;
			if (!pc || generation !== this.#generation || !(await this.#arrange(pc))) return;
			await pc.setLocalDescription();
			const { answer } = await this.#sfu.produce(pc.localDescription.sdp, this.#sources());
			if (generation === this.#generation)
				await pc.setRemoteDescription({ type: "answer", sdp: sdpOf(answer) });
		}).catch((error) => generation === this.#generation && this.#tell("failed", reasonOf(error)));
		return this.#sendQueue;
	}

	/* Sets tracks and directions; true where the other side must hear of it. */
	async #arrange(pc) {
		let changed = false;
		for (const source of ["microphone", "camera", "screen"]) {
			const track = this.#published.get(source) ?? null;
			const transceiver = this.#transceivers.get(source);
			const direction = track ? "sendonly" : "inactive";
			if (!transceiver) {
				if (!track) continue;
				this.#transceivers.set(source, pc.addTransceiver(track, { direction }));
				changed = true;
				continue;
			}
			if (transceiver.sender.track !== track) await transceiver.sender.replaceTrack(track);
			if (transceiver.direction !== direction) changed = true;
			transceiver.direction = direction;
		}
		return changed;
	}

	#sources() {
		return Object.fromEntries([...this.#transceivers]
			.filter(([, { mid }]) => mid !== null)
			.map(([source, { mid }]) => [mid, source]));
	}

	/* The stream's id is the user's, with ~screen for a shared screen. */
	#arrived({ track, streams: [stream] }) {
		if (!stream) return;
		const screen = stream.id.endsWith(SCREEN);
		const user = screen ? stream.id.slice(0, -SCREEN.length) : stream.id;
		const person = this.#addPerson(user);
		const show = () => {
			const kept = stream.getTracks().length ? stream : null;
			if (screen) person.screen = kept;
			else person.camera = kept;
			this.#tell("people");
		};
		stream.addEventListener("removetrack", show);
		for (const event of ["mute", "unmute"]) track.addEventListener(event, () => this.#tell("people"));
		show();
	}

	#addPerson(user) {
		if (user === this.#me) return { user };
		let person = this.#people.get(user);
		if (!person) {
			person = { user, camera: null, screen: null, sources: [] };
			this.#people.set(user, person);
			this.#tell("people");
		}
		return person;
	}

	#setTracks(user, tracks) {
		this.#addPerson(user).sources = (tracks ?? []).map(({ source }) => source);
		this.#tell("people");
	}

	async #readPeople() {
		const { users, recording = false } = await this.#sfu.state();
		this.#tell("recording", recording);
		for (const { id, tracks } of users) if (id !== this.#me) this.#setTracks(id, tracks);
	}

	#ownerOf(track) {
		for (const { user, camera, screen } of this.people())
			if (camera?.getTracks().includes(track) || screen?.getTracks().includes(track)) return user;
		return null;
	}

	async #failed(generation) {
		if (this.#over || generation !== this.#generation) return;
		clearTimeout(this.#connectTimer);
		const why = await whyFailed([this.#receiving, this.#sending]);
		if (generation !== this.#generation) return;
		// Said at once, not only after the last try: it may be something that people can mend.
		this.#tell("failed", { code: "ice", why });
		this.#rejoin({ code: "ice", why });
	}

	/* Enters anew after a pause; `reason` is told when that was in vain too often. */
	#rejoin(reason = { code: "unreachable" }) {
		if (this.#over) return;
		this.#hangUp();
		if (this.#tries++ >= REJOIN_TRIES) {
			this.#giveUp(reason);
			return;
		}
		this.#tellState("rejoining");
		clearTimeout(this.#rejoinTimer);
		this.#rejoinTimer = setTimeout(() => {
			this.#enter().catch((error) => this.#rejoin(reasonOf(error)));
		}, REJOIN_PAUSE_MS * this.#tries);
	}

	#giveUp(reason) {
		this.#tell("failed", reason);
		this.leaveNow();
	}

	#tellState(state) {
		this.#tell("state", state);
	}

	#tell(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
}

const sdpOf = (description) => description.sdp ?? description;

const reasonOf = (error) => ({ code: error.code ?? "error", message: error.message });
