/*
 * The finished recordings of the storage: GET /recordings, as cards that play inside the page.
 *
 * The list is asked for again every LOOK_EVERY_MS while the page is visible, and every
 * LOOK_SOON_MS while a recording of this page is being prepared (expect).
 */
import { t } from "./i18n.js";
import { $, bytes, clock, el, notice, when } from "./ui.js";

const LOOK_EVERY_MS = 10000;
const LOOK_SOON_MS = 700;
/* A long recording takes FFmpeg a while; after that the slow look will do. */
const EXPECT_MS = 60000;
const SHOWN_FIRST = 24;

export class Library {
	#room;
	#share;
	#list = null; // of the server, newest first; null before the first answer
	#tag = "";
	#problem = "";
	#shown = SHOWN_FIRST;
	#expected = new Map(); // session → {until, ready}
	#mine = new Set(); // sessions of this page
	#known = null; // paths seen before, to say what is new
	#timer;
	#cards = new Map(); // path → element, so that one that plays goes on playing
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
		$("library").replaceChildren();
	}

	/* A recording was sent whole: looks for it often, and calls `ready` when it is there. */
	expect(session, ready) {
		this.#mine.add(session);
		this.#expected.set(session, { until: performance.now() + EXPECT_MS, ready });
		this.look();
	}

	async look() {
		if (this.#timer === null || this.#asking) return;
		clearTimeout(this.#timer);
		this.#asking = true;
		if (!document.hidden || this.#expected.size) await this.#ask();
		this.#asking = false;
		if (this.#timer === null) return;
		const soon = [...this.#expected.values()].some(({ until }) => performance.now() < until);
		this.#timer = setTimeout(this.look, soon ? LOOK_SOON_MS : LOOK_EVERY_MS);
	}

	async #ask() {
		try {
			const headers = this.#tag ? { "If-None-Match": this.#tag } : {};
			const reply = await fetch("recordings", { headers, cache: "no-store" });
			if (reply.status === 304) return this.#settle();
			if (reply.status === 404) this.#problem = "libraryNone";
			else if (!reply.ok) throw new Error(`${reply.status} ${reply.statusText}`);
			else {
				this.#list = normal(await reply.json());
				this.#tag = reply.headers.get("ETag") ?? "";
				this.#problem = "";
			}
		} catch (error) {
			this.#problem = error.message;
		}
		this.draw();
		this.#settle();
	}

	/* Tells those who wait, and says what others have recorded meanwhile. */
	#settle() {
		for (const [session, { ready }] of this.#expected) {
			const found = this.#list?.find((recording) => recording.session === session);
			if (!found) continue;
			this.#expected.delete(session);
			ready(found);
		}
		if (!this.#list) return;
		if (this.#known)
			for (const { path, name, room, session } of this.#list)
				if (room === this.#room && !this.#known.has(path) && !this.#mine.has(session))
					notice(t("newRecording", { name }));
		this.#known = new Set(this.#list.map(({ path }) => path));
	}

	redraw() {
		this.#cards.clear();
		this.draw();
	}

	draw() {
		const only = $("only-room").checked;
		const list = (this.#list ?? []).filter(({ room }) => !only || room === this.#room);
		const empty = this.#list || this.#problem ? t("libraryEmpty") : "";
		const text = this.#problem === "libraryNone" ? t("libraryNone")
			: this.#problem ? t("libraryGone", { message: this.#problem })
			: list.length ? "" : empty;
		$("library-empty").hidden = !text;
		$("library-empty").textContent = text;
		$("library-more").hidden = list.length <= this.#shown;

		const cards = list.slice(0, this.#shown).map((recording) => this.#card(recording));
		for (const old of [...$("library").children]) if (!cards.includes(old)) old.remove();
		// Moving an element stops what it plays: only put in what is not in its place.
		cards.forEach((card, i) => {
			if ($("library").children[i] !== card) $("library").insertBefore(card, $("library").children[i] ?? null);
		});
	}

	#card(recording) {
		let card = this.#cards.get(recording.path);
		if (!card) {
			card = this.#newCard(recording);
			this.#cards.set(recording.path, card);
		}
		return card;
	}

	#newCard(recording) {
		const { name, url, path, room, duration, size, start, picture, kind } = recording;
		const shot = el("button", { type: "button", class: `shot ${kind}`, "aria-label": t("play", { name }) },
			picture ? el("img", { src: picture, alt: "", loading: "lazy" }) : null,
			el("span", { class: "go", "aria-hidden": "true" }),
			duration === undefined ? null : el("span", { class: "length" }, clock(duration)));
		shot.addEventListener("click", () => shot.replaceWith(player(recording)));
		return el("li", { class: "recording", "data-path": path, "data-session": recording.session },
			shot,
			el("div", { class: "about" },
				el("strong", { title: path }, name),
				el("span", { class: "muted" }, [room, start && when(new Date(start)), size && bytes(size)]
					.filter(Boolean).join(" · ")),
				el("div", { class: "row" },
					el("a", { class: "button", href: url, download: path.split("/").pop() }, t("download")),
					el("button", { type: "button", onclick: () => this.#share(recording) }, t("share")))));
	}
}

function player({ url, kind, picture }) {
	const media = el(kind, { src: url, controls: true, autoplay: true, playsinline: true,
		poster: kind === "video" ? picture : null });
	const box = el("div", { class: `player ${kind}` },
		kind === "audio" && picture ? el("img", { src: picture, alt: "" }) : null, media);
	media.addEventListener("error", () => notice(t("cannotPlay"), { kind: "bad" }));
	media.addEventListener("loadeddata", () => media.focus(), { once: true });
	return box;
}

/* What the server lists (its members: msr-ws(8)), as the cards need it; newest first. */
function normal(reply) {
	const at = (path) => `recordings/${path.split("/").map(encodeURIComponent).join("/")}`;
	return (reply.recordings ?? [])
		.map((entry) => {
			const picture = entry.poster ?? entry.wave;
			return {
				...entry,
				name: entry.path.split("/").pop().replace(/\.\w+$/, ""),
				url: at(entry.path),
				picture: picture && at(picture),
				size: entry.bytes,
				kind: /\.(webm|mkv|mp4)$/.test(entry.path) ? "video" : "audio",
			};
		})
		.sort((a, b) => String(b.start).localeCompare(String(a.start)));
}
