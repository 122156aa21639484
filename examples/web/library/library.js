/*
 * The finished recordings of the storage: GET /recordings, as cards; those of this room first.
 *
 * The list is asked for again every LOOK_EVERY_MS while the page is visible, and more often while a
 * recording that this page knows of is being prepared (expect), the longer the more seldom. An
 * unchanged list costs one small answer (304).
 *
 * What msr-chat keeps is not listed: the random digits in those names are all that guards private
 * files. They stand in the room's text.
 */
import { t } from "../base/i18n.js";
import { $, announce } from "../base/ui.js";
import { drawCard, drawPending } from "./card.js";

const LOOK_EVERY_MS = 10000;
const LOOK_SOON_MS = 700;
/* The next look comes after this share of the time already waited. */
const LOOK_SLOWER = 0.2;
/* A long recording takes FFmpeg a while; after that the slow look will do. */
const EXPECT_MS = 60000;
/* An answer that does not come, say for a network that has gone: the next look asks again. */
const ANSWER_MS = 15000;
const SHOWN_FIRST = 24;

export class Library {
	#room;
	#share;
	#list = null; // of the server, newest first; null before the first answer
	#tag = "";
	#problem = "";
	#shown = SHOWN_FIRST;
	#expected = new Map(); // session → {since, until (ms), ready, name: of a placeholder}
	#mine = new Set(); // sessions of this page
	#known = null; // paths seen before, to say what is new
	#timer;
	#fresh = new Set(); // paths that came while this page looked
	#cards = new Map(); // path → element, so that one that plays keeps playing
	#asking = false;

	/* share(recording) puts one into the room's text. */
	constructor({ room, share }) {
		this.#room = room;
		this.#share = share;
		this.draw = this.draw.bind(this);
		this.redraw = this.redraw.bind(this);
		this.look = this.look.bind(this);
		$("only-room").addEventListener("change", this.draw);
		$("library-more").onclick = () => {
			this.#shown += SHOWN_FIRST;
			this.draw();
		};
		document.addEventListener("language", this.redraw);
		document.addEventListener("visibilitychange", this.look);
		this.look();
	}

	close() {
		clearTimeout(this.#timer);
		this.#timer = null;
		this.#expected.clear();
		$("only-room").removeEventListener("change", this.draw);
		document.removeEventListener("language", this.redraw);
		document.removeEventListener("visibilitychange", this.look);
		this.#cards.clear();
		for (const id of ["library", "library-others"]) $(id).replaceChildren();
	}

	/* A recording was sent whole: looks for it often, and calls `ready` when it is there. */
	expect(session, ready) {
		this.#mine.add(session);
		this.#wait(session, { ready });
	}

	/* The call's recording of a user has ended; it is of `name`. */
	expectCall(user, name) {
		// Of a user who comes back there is an older one already.
		const before = new Set((this.#list ?? []).filter(({ session }) => session === user).map(({ path }) => path));
		this.#wait(user, { ready: () => {}, name, before });
		this.draw();
	}

	#wait(session, what) {
		const now = performance.now();
		this.#expected.set(session, { before: new Set(), ...what, since: now, until: now + EXPECT_MS });
		this.look();
	}

	async look() {
		if (this.#timer === null || this.#asking) return;
		clearTimeout(this.#timer);
		this.#asking = true;
		if (!document.hidden || this.#expected.size) await this.#ask();
		this.#asking = false;
		if (this.#timer === null) return;
		this.#timer = setTimeout(this.look, this.#nextLook());
	}

	#nextLook() {
		const now = performance.now();
		for (const [session, { until, name }] of this.#expected) {
			if (!name || now < until) continue;
			this.#expected.delete(session); // nothing was recorded of that one
			this.draw();
		}
		const waited = [...this.#expected.values()].filter(({ until }) => now < until).map(({ since }) => now - since);
		if (!waited.length) return LOOK_EVERY_MS;
		return Math.min(LOOK_EVERY_MS, Math.max(LOOK_SOON_MS, LOOK_SLOWER * Math.min(...waited)));
	}

	async #ask() {
		try {
			const headers = this.#tag ? { "If-None-Match": this.#tag } : {};
			const reply = await fetch("recordings", { headers, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
			if (reply.status === 304) {
				if (!this.#problem) return;
				this.#problem = "";
			} else if (reply.status === 404) this.#problem = "libraryNone";
			else if (!reply.ok) throw new Error(`${reply.status} ${reply.statusText}`);
			else {
				this.#list = normal(await reply.json());
				this.#tag = reply.headers.get("ETag") ?? "";
				this.#problem = "";
			}
		} catch (error) {
			this.#problem = error.message;
		}
		this.#settle();
		this.draw();
	}

	/* Tells those who wait, and says what others have recorded meanwhile. */
	#settle() {
		for (const [session, { ready, before }] of this.#expected) {
			const found = this.#list?.find((one) => one.session === session && !before.has(one.path));
			if (!found) continue;
			this.#expected.delete(session);
			this.#fresh.add(found.path);
			this.#cards.delete(found.path);
			ready(found);
		}
		if (this.#list) this.#tellNew();
	}

	#tellNew() {
		const known = this.#known;
		this.#known = new Set(this.#list.map(({ path }) => path));
		if (!known) return;
		for (const { path, name, room, session } of this.#list)
			if (room === this.#room && !known.has(path)) {
				this.#fresh.add(path);
				if (!this.#mine.has(session)) announce(t("newRecording", { name }));
			}
	}

	redraw() {
		for (const [path, card] of this.#cards)
			if (!card.querySelector(".player")) this.#cards.delete(path); // one that plays keeps playing
		this.draw();
	}

	draw() {
		const all = this.#list ?? [];
		const here = all.filter(({ room }) => room === this.#room);
		const elsewhere = $("only-room").checked ? [] : all.filter(({ room }) => room !== this.#room);
		const pending = [...this.#expected.values()].filter(({ name }) => name).map(({ name }) => drawPending(name));
		this.#drawState(here.length + elsewhere.length + pending.length);
		const space = Math.max(0, this.#shown - here.length);
		fill($("library"), [...pending, ...here.slice(0, this.#shown).map((one) => this.#card(one))]);
		fill($("library-others"), elsewhere.slice(0, space).map((one) => this.#card(one)));
		$("library-others-title").hidden = !elsewhere.length || !(here.length || pending.length);
		$("library-more").hidden = here.length + elsewhere.length <= this.#shown;
	}

	#drawState(n) {
		const text = this.#problem === "libraryNone" ? t("libraryNone")
			: this.#problem ? t("libraryGone", { message: this.#problem })
			: n || !this.#list ? "" : t("libraryEmpty");
		$("library-empty").hidden = !text;
		$("library-empty").textContent = text;
	}

	#card(recording) {
		const { path, url, name } = recording;
		let card = this.#cards.get(path);
		if (!card) {
			card = drawCard(recording, { fresh: this.#fresh.has(path), onShare: () => this.#share({ name, url }) });
			this.#cards.set(path, card);
		}
		return card;
	}
}

/* Moving an element stops what it plays: only puts in what is not in its place. */
function fill(list, cards) {
	for (const old of [...list.children]) if (!cards.includes(old)) old.remove();
	cards.forEach((card, i) => {
		if (list.children[i] !== card) list.insertBefore(card, list.children[i] ?? null);
	});
}

/* What the server lists (its members: msr-ws(8)), as the cards need it; newest first. */
function normal(reply) {
	const at = (path) => `recordings/${path.split("/").map(encodeURIComponent).join("/")}`;
	return (reply.recordings ?? [])
		.map((entry) => {
			const picture = entry.poster ?? entry.wave;
			return {
				...entry,
				folder: entry.path.includes("/") ? entry.path.split("/")[0] : "",
				name: entry.path.split("/").pop().replace(/\.\w+$/, ""),
				url: at(entry.path),
				picture: picture && at(picture),
				size: entry.bytes,
				kind: /\.(webm|mkv|mp4)$/.test(entry.path) ? "video" : "audio",
			};
		})
		.sort((a, b) => String(b.start).localeCompare(String(a.start)));
}
