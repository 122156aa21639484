/*
 * The grid of a call: a tile for each camera and each shared screen.
 *
 * Tiles are kept while they change, because a video element that is made anew goes black for a
 * moment and forgets its sound.
 */
import { t } from "./i18n.js";
import { el } from "./ui.js";

export class Tiles {
	#grid;
	#tiles = new Map(); // key → {node, video, name, ...}

	constructor(grid) {
		this.#grid = grid;
	}

	/*
	 * Shows exactly these, in this order: [{key, user, name, stream, mine, screen, muted, recording}].
	 */
	show(list) {
		for (const [key, tile] of this.#tiles)
			if (!list.some((one) => one.key === key)) {
				tile.video.srcObject = null;
				tile.node.remove();
				this.#tiles.delete(key);
			}
		for (const one of list) {
			const tile = this.#tiles.get(one.key) ?? this.#make(one);
			this.#update(tile, one);
		}
		this.#grid.dataset.count = Math.min(list.length, 9);
		this.#grid.classList.toggle("with-screen", list.some(({ screen }) => screen));
	}

	/* Frames the tile of who speaks. */
	speaker(user) {
		for (const tile of this.#tiles.values()) tile.node.classList.toggle("speaking", tile.user === user && !tile.screen);
	}

	/* `level` 1 to 3 for the bars, 0 for none; `text` says it in words. */
	quality(user, level, text) {
		for (const tile of this.#tiles.values())
			if (tile.user === user) {
				tile.bars.dataset.level = level;
				tile.bars.title = text;
				tile.bars.setAttribute("aria-label", text);
			}
	}

	clear() {
		this.show([]);
	}

	#make({ key, user, mine, screen }) {
		const video = el("video", { playsinline: true, autoplay: true });
		video.muted = mine;
		const tile = {
			user, screen, video,
			initial: el("span", { class: "initial", "aria-hidden": "true" }),
			name: el("span", { class: "who" }),
			silent: el("span", { class: "silent" }),
			light: el("span", { class: "light" }),
			bars: el("span", { class: "bars", role: "img", "data-level": 0 }, el("i"), el("i"), el("i")),
		};
		tile.node = el("li", { class: `tile${mine ? " mine" : ""}${screen ? " screen" : ""}`, "data-user": user },
			tile.initial, video, el("div", { class: "plate" }, tile.light, tile.silent, tile.name, tile.bars));
		// Of the own camera and of shared screens one may want more than a tile.
		video.addEventListener("dblclick", () => video.requestFullscreen?.().catch(() => {}));
		this.#tiles.set(key, tile);
		this.#grid.append(tile.node);
		return tile;
	}

	#update(tile, { name, stream, mine, screen, muted, recording }) {
		if (tile.video.srcObject !== stream) {
			tile.video.srcObject = stream;
			if (stream) tile.video.play().catch(() => {}); // shows its first picture with the next press
		}
		const picture = stream?.getVideoTracks().some((track) => !track.muted && track.readyState === "live");
		tile.node.classList.toggle("dark", !picture);
		const label = mine ? t("you") : name;
		tile.name.textContent = screen ? t("screenOf", { name: label }) : label;
		tile.initial.textContent = [...(name || "?")][0].toUpperCase();
		tile.silent.textContent = muted && !screen ? t("mutedSign") : "";
		tile.light.textContent = recording && !screen ? t("rec") : "";
	}
}
