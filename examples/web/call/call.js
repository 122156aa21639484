/*
 * A call: one peer connection that sends to msr-sfu (produce) and one that receives (consume).
 *
 *   publish(source, track) ─→ Sender ─→ sending pc ─ offer ─→ POST produce ─ answer ─→
 *   SSE "offer" ─→ receiving pc ─ answer ─→ POST consume ─→ tracks of others ─→ People
 *   want(users, limit) ─→ Subscription ─→ PATCH subscription
 *
 * Offers and answers of a connection go one after the other (a queue each), whatever arrives
 * meanwhile, and each again until the server has heard it. A connection that fails restarts ICE once;
 * where that does not help, the user enters again with fresh connections and queues, a few times.
 *
 * Events: "state" (detail: connecting | connected | rejoining | ended), "people" (the list or
 * somebody's tracks changed: see people()), "left" (detail: user), "recording" (detail: whether the
 * server records this room), "speaker" (detail: {user, level}), "layer" (detail: {key, layer, reason}: of a tile),
 * "quality" (detail: of quality.js), "failed" (detail: {code, message} or {code: "ice", why}; "ended"
 * state follows where it is final), "mended" (what "failed" told of the server is over).
 */
import { whyFailed } from "./ice.js";
import { People } from "./people.js";
import { Quality } from "./quality.js";
import { preferRedundancy } from "./redundancy.js";
import { Sender } from "./sender.js";
import { Sfu } from "./sfu.js";
import { Subscription, takesNone } from "./wants.js";

const REJOIN_TRIES = 4;
const REJOIN_PAUSE_MS = 1500;
const ASK_AGAIN_MS = 1000;
const CONNECT_WITHIN_MS = 20000;
const QUALITY_EVERY_MS = 2000;
/* Why the server ends a user on purpose: coming back would undo what somebody wanted. */
const FINAL = ["replaced", "ended", "room deleted"];

/* Firefox ends DTLS together with ICE. A restart then seems to succeed, but nothing is sent any more. */
const isLost = (pc) => [...pc.getSenders(), ...pc.getReceivers()].some(({ transport }) => transport?.state === "failed");

export class Call extends EventTarget {
	#sfu;
	#user;
	#sending = null;
	#receiving = null;
	#sendQueue = Promise.resolve();
	#receiveQueue = Promise.resolve();
	#sender = new Sender();
	#people;
	#subscription;
	#quality = null;
	#qualityTimer = 0;
	#connectTimer = 0;
	#rejoinTimer = 0;
	#tries = 0;
	#mendable = new WeakSet(); // connections that were up since they last failed
	#heard = null; // users of whom events spoke since people were asked for; null: nothing is asked
	#answered = 0; // id of the offer that was answered last: they count up
	#generation = 0; // counts the connections, to tell late news of old ones
	#over = false;

	constructor({ base, room, user }) {
		super();
		this.#sfu = new Sfu(base, room, user);
		this.#user = user;
		this.#people = new People(user, () => this.#tell("people"));
		this.#subscription = new Subscription((wishes) => this.#sfu.subscribe(wishes));
		this.leaveNow = this.leaveNow.bind(this);
		addEventListener("pagehide", this.leaveNow);
	}

	/* Everybody else: [{user, camera, screen, screens}], in the order in which they came. */
	people() {
		return this.#people.all();
	}

	/* Whether the server takes want(), as far as is known. */
	get canWant() {
		return this.#subscription.works;
	}

	/* Throws SfuError when the server refuses. */
	async join() {
		this.#tellState("connecting");
		await this.#enter();
	}

	/* Sends `track` as "microphone", "camera" or "screen" from now on; null: nothing. */
	publish(source, track) {
		this.#sender.set(source, track);
		return this.#renegotiate();
	}

	/* What to receive from now on, see wants.js; `limit` in kbit/s, null for none. */
	want(users, limit) {
		this.#subscription.want(users, limit);
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
		// The leave() of then may have overtaken this, and found nobody to end.
		if (this.#over) return this.#sfu.leave();
		if (generation !== this.#generation) return;
		// A server that takes no wishes knows no layers either: it gets one picture of the camera.
		const layered = await this.#sfu.subscribe({ users: {} }).then(() => true, (error) => !takesNone(error));
		if (this.#over || generation !== this.#generation) return;
		this.#sender.layered = layered;
		if (layered) this.#subscription.begin();
		this.#receiving = this.#connection(generation);
		this.#sending = this.#connection(generation);
		this.#receiving.addEventListener("track", (event) => this.#people.arrived(event));
		this.#connectTimer = setTimeout(() => this.#failed(generation), CONNECT_WITHIN_MS);
		this.#listen(generation);
		this.#take({ offer, offer_id }, generation);
		this.#renegotiate();
		this.#quality = new Quality(this.#receiving, this.#sending, (track) => this.#people.keyOf(track));
		this.#qualityTimer = setInterval(async () => {
			const figures = await this.#quality.read();
			if (generation === this.#generation) this.#tell("quality", figures);
		}, QUALITY_EVERY_MS);
	}

	#connection(generation) {
		const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
		pc.addEventListener("connectionstatechange", () => {
			if (generation !== this.#generation) return;
			if (pc.connectionState === "failed") this.#mend(pc, generation);
			if (pc.connectionState === "connected") this.#mendable.add(pc);
			this.#look();
		});
		return pc;
	}

	/* Tells once all is up. */
	#look() {
		if (!this.#isConnected()) return;
		this.#tries = 0;
		clearTimeout(this.#connectTimer);
		this.#tellState("connected");
	}

	/* The receiving connection comes up even in an empty room; the sending one once it sends. */
	#isConnected() {
		return this.#receiving?.connectionState === "connected"
			&& (!this.#sender.isUsed || this.#sending.connectionState === "connected");
	}

	#hangUp() {
		this.#generation++;
		this.#subscription.end();
		clearTimeout(this.#connectTimer);
		clearInterval(this.#qualityTimer);
		this.#sending?.close();
		this.#receiving?.close();
		this.#sending = this.#receiving = null;
		this.#answered = 0;
		// What waits for an answer that never comes must not stop the next connection.
		this.#sendQueue = this.#receiveQueue = Promise.resolve();
		this.#sender.reset();
		this.#people.clear();
	}

	#listen(generation) {
		const current = (handler) => (data) => generation === this.#generation && handler(data);
		const heard = (user) => this.#heard?.add(user);
		this.#sfu.listen({
			offer: current((data) => this.#take(data, generation)),
			joined: current(({ user }) => {
				heard(user);
				this.#people.add(user);
			}),
			left: current(({ user }) => {
				heard(user);
				this.#gone(user);
			}),
			tracks: current(({ user, tracks }) => {
				heard(user);
				this.#people.setTracks(user, tracks);
			}),
			speaker: current((data) => this.#tell("speaker", data)),
			layer: current(({ user, track, layer, reason }) =>
				this.#tell("layer", { key: this.#people.keyOfTrack(user, track), layer, reason })),
			closed: current(({ reason }) => {
				if (FINAL.includes(reason)) this.#giveUp({ code: reason });
				else this.#rejoin();
			}),
		}, {
			opened: current(() => this.#readPeople(generation)),
			lost: current(() => this.#rejoin()),
		});
	}

	/* One offer of the server after the other. A pending one comes again when the events begin. */
	#take({ offer, offer_id }, generation) {
		return (this.#receiveQueue = this.#receiveQueue.then(async () => {
			let next = { offer, offer_id };
			while (next?.offer && next.offer_id > this.#answered && generation === this.#generation)
				next = await this.#answer(next, generation);
		}).catch((error) => generation === this.#generation && this.#tell("failed", reasonOf(error))));
	}

	/* Answers an offer; returns what the server offers next, if anything. */
	async #answer({ offer, offer_id }, generation) {
		const pc = this.#receiving;
		await pc.setRemoteDescription({ type: "offer", sdp: sdpOf(offer) });
		for (const transceiver of pc.getTransceivers())
			if (transceiver.receiver.track.kind === "audio") preferRedundancy(transceiver);
		await pc.setLocalDescription();
		let next = null;
		try {
			next = await this.#insist(generation, () => this.#sfu.consume(pc.localDescription.sdp, offer_id));
		} catch (error) {
			// "no_offer": this very answer had arrived already.
			if (error.code === "stale_offer") next = error.body;
			else if (error.code !== "no_offer") throw error;
		}
		if (generation === this.#generation) this.#answered = offer_id;
		return next;
	}

	/* Asks the server until it is heard or the connections are others; throws what does not pass by itself. */
	async #insist(generation, ask) {
		for (let failed = false; generation === this.#generation; failed = true) {
			const [answer, error] = await ask().then((it) => [it], (why) => [null, why]);
			const current = generation === this.#generation;
			if (!error?.passes) {
				if (failed && current) this.#tell("mended"); // a refusal is an answer, too
				if (error) throw error;
				return answer;
			}
			if (current) this.#tell("failed", reasonOf(error));
			await new Promise((done) => setTimeout(done, ASK_AGAIN_MS));
		}
		throw new Error("these connections are over");
	}

	/* Makes the sending connection carry exactly what is published; `anyway`: also where it does. */
	#renegotiate(anyway = false) {
		const generation = this.#generation;
		this.#sendQueue = this.#sendQueue.then(async () => {
			const pc = this.#sending;
			if (!pc || generation !== this.#generation || !((await this.#sender.arrange(pc)) || anyway)) return;
			await pc.setLocalDescription();
			const { answer } = await this.#insist(generation, () =>
				this.#sfu.produce(pc.localDescription.sdp, this.#sender.sources()));
			if (generation !== this.#generation) return;
			await pc.setRemoteDescription({ type: "answer", sdp: sdpOf(answer) });
			await this.#sender.settled();
		}).catch((error) => generation === this.#generation && this.#tell("failed", reasonOf(error)));
		return this.#sendQueue;
	}

	/*
	 * Each time that the events begin, for what was missed before. Of whom an event speaks while the
	 * answer is under way, the event knows better.
	 */
	async #readPeople(generation) {
		const heard = (this.#heard = new Set());
		try {
			const { users, recording = false } = await this.#insist(generation, () => this.#sfu.state());
			if (heard !== this.#heard || generation !== this.#generation) return;
			this.#heard = null;
			this.#tell("recording", recording);
			const there = new Set(users.map(({ id }) => id));
			for (const { user } of this.#people.all())
				if (!there.has(user) && !heard.has(user)) this.#gone(user);
			for (const { id, tracks } of users) if (!heard.has(id)) this.#people.setTracks(id, tracks);
		} catch (error) {
			if (generation === this.#generation) this.#tell("failed", reasonOf(error));
		}
	}

	#gone(user) {
		this.#people.remove(user);
		this.#tell("left", user);
	}

	/*
	 * A connection that was up has failed, as where a network went away: an ICE restart finds a new way,
	 * and nobody sees this user leave; where that cannot help, there are new connections. The server
	 * gives one up after half a minute.
	 */
	async #mend(pc, generation) {
		if (isLost(pc) || !this.#mendable.delete(pc)) {
			this.#failed(generation);
			return;
		}
		this.#tellState("rejoining");
		clearTimeout(this.#connectTimer);
		this.#connectTimer = setTimeout(() => this.#failed(generation), CONNECT_WITHIN_MS);
		try {
			if (pc === this.#receiving) {
				await this.#take(await this.#sfu.restart(), generation);
			} else {
				const { users } = await this.#sfu.state();
				if (!users.find(({ id }) => id === this.#user)?.tracks.length) throw new Error("given up");
				if (generation !== this.#generation) return;
				pc.restartIce();
				await this.#renegotiate(true);
			}
			if (generation === this.#generation) this.#look();
		} catch {
			this.#failed(generation);
		}
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

	/* Enters again after a pause; `reason` is told when that was in vain too often. */
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
