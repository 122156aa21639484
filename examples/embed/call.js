/*
 * A call in a page of another origin than msr-sfu's, from its interface alone: see msr-sfu(8), or
 * GET /openapi.json of a running one.
 *
 *   join ─→ POST user ─→ offer ─┐
 *   SSE "offer" ────────────────┴→ receiving connection ─ answer ─→ POST consume ─→ others' tracks
 *   camera, microphone ─→ sending connection ─ offer ─→ POST produce ─ answer ─→
 *
 * Before that GET rooms says whether the call will be recorded, and people read it.
 *
 * Every request takes along what the user entered for the proxy in front of it. That is only let through
 * where msr-sfu was told this page's origin (--allow-origin). Where a connection fails, the call is over;
 * examples/web/call enters again.
 */
const section = document.getElementById("call");
const button = section.querySelector("button");
const people = document.getElementById("people");
const { sfu, room } = section.dataset;
const JOIN = button.textContent;

let call = null; // while one is in it

async function ask(method, path, body) {
	const reply = await fetch(sfu + path, {
		method,
		credentials: "include",
		headers: { "Content-Type": "application/json" },
		body: body && JSON.stringify(body),
		keepalive: method === "DELETE", // also while the page goes away
	});
	const said = await reply.json().catch(() => ({})); // of a proxy, which has its own pages
	const { error: code, message = `The call does not answer (${reply.status}).` } = said;
	if (!reply.ok) throw Object.assign(new Error(message), { code, said });
	return said;
}

function say(text) {
	section.querySelector("[role=status]").textContent = text;
}

/* A picture of a stream until it has no tracks any more. */
function show(stream, muted = false) {
	if ([...people.children].some((video) => video.srcObject === stream)) return;
	const video = Object.assign(document.createElement("video"), {
		srcObject: stream, muted, autoplay: true, playsInline: true,
	});
	people.append(video);
	stream.addEventListener("removetrack", () => stream.getTracks().length || video.remove());
}

function stop(media) {
	for (const track of media.getTracks()) track.stop();
}

class Call {
	#me = `/rooms/${room}/users/guest-${crypto.randomUUID().slice(0, 8)}`;
	#media = null;
	#events = null;
	#sending = this.#connection();
	#receiving = this.#connection();
	#answered = 0; // id of the last offer; they count up
	#queue = Promise.resolve();
	#over = false; // whatever was waited for is not wanted any more

	async join() {
		const { recording } = await ask("GET", "/rooms");
		if (this.#over) return;
		if (recording) say("This call is recorded.");
		const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
		if (this.#over) return stop(media);
		this.#media = media;
		show(media, true);
		await ask("POST", "/rooms", { room_id: room, until_empty: true }).catch((error) => {
			if (error.code !== "room_exists") throw error;
		});
		if (this.#over) return;
		const first = await ask("POST", this.#me, {});
		if (this.#over) return this.#goodbye(); // the first one came before there was anybody
		this.#receiving.addEventListener("track", ({ streams }) => streams.forEach((stream) => show(stream)));
		this.#events = new EventSource(`${sfu}${this.#me}/events`, { withCredentials: true });
		this.#events.addEventListener("offer", ({ data }) => this.#take(JSON.parse(data)));
		this.#events.addEventListener("closed", ({ data }) => ended(this, `The call has ended: ${JSON.parse(data).reason}.`));
		await this.#take(first);
		if (!this.#over) await this.#send();
	}

	end() {
		this.#over = true;
		this.#events?.close();
		this.#sending.close();
		this.#receiving.close();
		if (this.#media) stop(this.#media);
		this.#goodbye();
	}

	/* Who cannot say it is removed after a while. */
	#goodbye() {
		ask("DELETE", this.#me).catch(() => {});
	}

	#connection() {
		const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
		pc.addEventListener("connectionstatechange", () => {
			if (pc.connectionState === "failed") ended(this, "The connection was lost.");
		});
		return pc;
	}

	/* Answers one offer after the other; each answer may be met by the next. */
	#take({ offer, offer_id }) {
		return (this.#queue = this.#queue.then(async () => {
			let next = { offer, offer_id };
			while (next.offer && next.offer_id > this.#answered) {
				await this.#receiving.setRemoteDescription({ type: "offer", sdp: next.offer });
				await this.#receiving.setLocalDescription();
				this.#answered = next.offer_id;
				const answer = { answer: this.#receiving.localDescription.sdp, offer_id: next.offer_id };
				next = await ask("POST", `${this.#me}/consume`, answer).catch((error) => {
					if (error.code !== "stale_offer") throw error;
					return error.said; // with the offer that took its place
				});
			}
		}).catch((error) => failed(this, error)));
	}

	async #send() {
		for (const track of this.#media.getTracks())
			this.#sending.addTransceiver(track, { direction: "sendonly", streams: [this.#media] });
		await this.#sending.setLocalDescription();
		const { answer } = await ask("POST", `${this.#me}/produce`, { offer: this.#sending.localDescription.sdp });
		await this.#sending.setRemoteDescription({ type: "answer", sdp: answer });
	}
}

function leave(why = "") {
	call?.end();
	call = null;
	people.replaceChildren();
	button.textContent = JOIN;
	say(why);
}

/* It ended by itself; one that was left before has nothing to say. */
function ended(which, why) {
	if (which === call) leave(why);
}

/* What a browser keeps from a page comes as a TypeError that does not say why. */
function failed(which, error) {
	ended(which, error instanceof TypeError
		? "The call does not answer, or lets nobody in from here, or not without the password." : error.message);
}

button.addEventListener("click", ({ detail }) => {
	if (detail > 1) return; // a double click: the first click counts
	if (call) return leave();
	// Elsewhere there is neither a camera nor randomUUID().
	if (!isSecureContext) return say("Browsers give a page the camera only on https or localhost.");
	const entered = (call = new Call());
	button.textContent = "Leave the call";
	say("");
	entered.join().catch((error) => failed(entered, error));
});
addEventListener("pagehide", () => leave());
