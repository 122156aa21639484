/*
 * The floor of a call: a tile for each camera and each shared screen, placed by layout.js, and which
 * of them somebody can see.
 *
 * Tiles are kept while they change, because a video element that is made again goes black for a
 * moment and forgets its sound.
 *
 * Events: "sight" (what is seen, or how large, has changed: see sights()).
 */
import { layout } from "./layout.js";
import { Tile } from "./tile.js";

/* People look into another tab for a moment: pictures end only when they stay there. */
const HIDDEN_AFTER_MS = 5000;

export class Tiles extends EventTarget {
	#floor;
	#onMenu;
	#tiles = new Map(); // key → Tile, in the order shown
	#list = [];
	#mode = "grid";
	#pinned = null; // key
	#speaker = null; // user
	#lastSpeaker = null; // the last who was somebody else
	#away = false; // the page has been hidden for a while
	#awayTimer = 0;
	#sizes;
	#sight;

	/* onMenu(tile, button) opens what one can choose for a person. */
	constructor(floor, onMenu) {
		super();
		this.#floor = floor;
		this.#onMenu = onMenu;
		this.#sizes = new ResizeObserver(() => this.#arrange());
		this.#sizes.observe(floor);
		this.#sight = new IntersectionObserver((entries) => this.#seen(entries));
		this.visibility = this.visibility.bind(this);
		document.addEventListener("visibilitychange", this.visibility);
	}

	close() {
		this.clear();
		this.#sizes.disconnect();
		this.#sight.disconnect();
		clearTimeout(this.#awayTimer);
		document.removeEventListener("visibilitychange", this.visibility);
	}

	/*
	 * Shows exactly these, in this order: [{key, user, name, stream, mine, screen, muted, recording, off,
	 * hushed}].
	 */
	show(list) {
		for (const [key, tile] of this.#tiles)
			if (!list.some((one) => one.key === key)) {
				this.#sight.unobserve(tile.node);
				tile.remove();
				this.#tiles.delete(key);
			}
		if (!list.some(({ key }) => key === this.#pinned)) this.#pinned = null;
		for (const one of list) {
			const tile = this.#tiles.get(one.key) ?? this.#make(one);
			tile.update({ ...one, pinned: one.key === this.#pinned });
		}
		this.#list = list;
		this.#arrange();
	}

	clear() {
		this.show([]);
		this.#speaker = this.#lastSpeaker = null;
	}

	/* "grid" or "speaker"; a shared screen or a pinned tile is large in either. */
	set mode(mode) {
		this.#mode = mode;
		this.#arrange();
	}

	/* Keeps this tile large, or none. */
	pin(key) {
		this.#pinned = key === this.#pinned ? null : key;
		this.show(this.#list);
	}

	/* Frames the tile of who speaks; null: nobody. */
	speaker(user) {
		this.#speaker = user;
		for (const tile of this.#tiles.values()) tile.speaking = tile.user === user && !tile.screen;
		const other = this.#list.some((one) => one.user === user && !one.mine);
		if (!other || user === this.#lastSpeaker) return;
		this.#lastSpeaker = user;
		this.#arrange();
	}

	quality(key, level, text) {
		this.#tiles.get(key)?.quality(level, text);
	}

	/* Of other people's tiles: [{user, height (physical pixels), inSight}]. */
	sights() {
		return [...this.#tiles.values()].filter(({ mine }) => !mine).map(({ user, height, inSight }) =>
			({ user, height: Math.round(height * devicePixelRatio), inSight: inSight && !this.#away }));
	}

	#make({ key, user, mine, screen }) {
		const tile = new Tile({ user, mine, screen }, {
			onPin: () => this.pin(key),
			onMenu: (button) => this.#onMenu({ key, user, mine, screen, fillScreen: tile.fillScreen }, button),
		});
		tile.speaking = user === this.#speaker && !screen;
		this.#tiles.set(key, tile);
		this.#floor.append(tile.node);
		this.#sight.observe(tile.node);
		return tile;
	}

	/* Number of the tile that is large, or -1. */
	#stage() {
		const at = (test) => this.#list.findIndex(test);
		const pinned = at(({ key }) => key === this.#pinned);
		if (pinned >= 0) return pinned;
		const screen = at((one) => one.screen && !one.mine);
		if (screen >= 0) return screen;
		if (this.#mode !== "speaker") return at((one) => one.screen);
		const speaker = at((one) => one.user === this.#lastSpeaker && !one.screen);
		return speaker >= 0 ? speaker : Math.max(0, at((one) => !one.mine));
	}

	#arrange() {
		const stage = this.#stage();
		const rects = layout({
			n: this.#list.length, width: this.#floor.clientWidth, height: this.#floor.clientHeight,
			mode: stage >= 0 ? "speaker" : "grid", chosen: Math.max(0, stage),
		});
		this.#list.forEach(({ key }, i) => rects[i] && this.#tiles.get(key).place(rects[i]));
		this.#floor.dataset.count = this.#list.length;
		this.dispatchEvent(new CustomEvent("sight"));
	}

	#seen(entries) {
		for (const { target, isIntersecting } of entries)
			for (const tile of this.#tiles.values()) if (tile.node === target) tile.inSight = isIntersecting;
		this.dispatchEvent(new CustomEvent("sight"));
	}

	visibility() {
		clearTimeout(this.#awayTimer);
		const tell = () => {
			this.#away = document.hidden;
			this.dispatchEvent(new CustomEvent("sight"));
		};
		if (document.hidden) this.#awayTimer = setTimeout(tell, HIDDEN_AFTER_MS);
		else if (this.#away) tell();
	}
}
