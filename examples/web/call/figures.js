/*
 * The figures of each tile's connection, in words: for the tooltip of its bars and for its menu.
 */
import { t } from "../base/i18n.js";

export class Figures {
	#tiles = new Map(); // key → figures of quality.js
	#layers = new Map(); // key → {layer, reason} that the server sends

	set(key, figures) {
		this.#tiles.set(key, figures);
	}

	/* What the server says of the layer that it sends for a tile: "high", "mid", "low" or "off". */
	layer({ key, layer, reason }) {
		this.#layers.set(key, { layer: String(layer ?? ""), reason });
	}

	/* Only the tiles of these keys have a picture: of others nothing is known from now on. */
	keepLayers(keys) {
		for (const key of this.#layers.keys()) if (!keys.has(key)) this.#layers.delete(key);
	}

	/* Whether the network carries no picture for this tile at the moment. */
	isWeak(key) {
		const { layer, reason } = this.#layers.get(key) ?? {};
		return layer === "off" && reason === "bandwidth";
	}

	/* [[what, figure]] */
	rows(key) {
		const { loss = 0, rtt = 0, kbps = 0, width, height, fps, layers } = this.#tiles.get(key) ?? {};
		const { layer } = this.#layers.get(key) ?? {};
		return [
			[t("figurePicture"), height ? `${width} × ${height}${fps ? `, ${Math.round(fps)} fps` : ""}` : "–"],
			...(layer ? [[t("figureLayer"), layerName(layer)]] : []),
			...(layers > 1 ? [[t("figureLayers"), String(layers)]] : []),
			[t("figureRate"), t("kbps", { n: Math.round(kbps) })],
			[t("figureLoss"), `${(100 * loss).toFixed(1)} %`],
			[t("figureRoundTrip"), t("ms", { n: Math.round(1000 * rtt) })],
		];
	}

	text(key) {
		return this.rows(key).map(([what, figure]) => `${what}: ${figure}`).join("\n");
	}
}

const layerName = (layer) => (["high", "mid", "low", "off"].includes(layer) ? t(`quality_${layer}`) : layer);
