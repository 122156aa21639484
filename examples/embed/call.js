/*
 * A call in a page of another origin than msr-sfu's, from its interface alone: see msr-sfu(8), or
 * GET /openapi.json of a running one.
 *
 *   join ─→ POST user ─→ offer ─┐
 *   SSE "offer" ────────────────┴→ receiving connection ─ answer ─→ POST consume ─→ others' tracks
 *   camera, microphone ─→ sending connection ─ offer ─→ POST produce ─ answer ─→
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
	const said = await reply.json();
	if (!reply.ok) throw Object.assign(new Error(said.message), { code: said.error, said });
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

class Call {
	#me = `/rooms/${room}/users/guest-${crypto.randomUUID().slice(0, 8)}`;
	#media = null;
	#events = null;
	#sending = this.#connection();
	#receiving = this.#connection();
	#answered = 0; // id of the last offer; they count up
	#queue = Promise.resolve();

	async join() {
		this.#media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
		show(this.#media, true);
		await ask("POST", "/rooms", { room_id: room, until_empty: true }).catch((error) => {
			if (error.code !== "room_exists") throw error;
		});
		const first = await ask("POST", this.#me, {});
		this.#receiving.addEventListener("track", ({ streams }) => streams.forEach((stream) => show(stream)));
		this.#events = new EventSource(`${sfu}${this.#me}/events`, { withCredentials: true });
		this.#events.addEventListener("offer", ({ data }) => this.#take(JSON.parse(data)));
		this.#events.addEventListener("closed", ({ data }) => leave(`The call has ended: ${JSON.parse(data).reason}.`));
		await this.#take(first);
		await this.#send();
	}

	end() {
		this.#events?.close();
		this.#sending.close();
		this.#receiving.close();
		this.#media?.getTracks().forEach((track) => track.stop());
		ask("DELETE", this.#me).catch(() => {}); // who cannot say goodbye is removed after a while
	}

	#connection() {
		const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
		pc.addEventListener("connectionstatechange", () => {
			if (pc.connectionState === "failed") leave("The connection was lost.");
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
		}).catch(failed));
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

/* What a browser keeps from a page comes as a TypeError that does not say why. */
function failed(error) {
	if (call) leave(error instanceof TypeError ? "The call lets nobody in from here, or not without the password." : error.message);
}

button.addEventListener("click", () => {
	if (call) return leave();
	call = new Call();
	button.textContent = "Leave the call";
	say("");
	call.join().catch(failed);
});
addEventListener("pagehide", () => leave());
