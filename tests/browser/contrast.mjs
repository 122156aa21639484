/* How far colours stand apart, as WCAG 2 counts it: 1 (the same) to 21. Text needs 4.5, the edges of controls 3. */

/* Colours are [red, green, blue], each 0 to 1. */
export function ratio(a, b) {
	const light = (colour) => {
		const [red, green, blue] = colour.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
		return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
	};
	const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
	return bright / dark;
}

/* Of the text of a node in a page and what it stands on, as they are drawn once its colours have changed. */
export async function drawnRatio(page, selector) {
	const [text, ground] = await page.$eval(selector, (node) => {
		for (const change of node.getAnimations()) if (change instanceof CSSTransition) change.finish();
		const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
		const seen = (css) => {
			pen.clearRect(0, 0, 1, 1);
			pen.fillStyle = css;
			pen.fillRect(0, 0, 1, 1);
			return [...pen.getImageData(0, 0, 1, 1).data].map((v) => v / 255);
		};
		const over = ([red, green, blue, alpha], below, opacity) =>
			[red, green, blue].map((v, i) => v * alpha * opacity + below[i] * (1 - alpha * opacity));
		const opacity = (one) => (one ? Number(getComputedStyle(one).opacity) * opacity(one.parentElement) : 1);
		const drawn = (one) => (one
			? over(seen(getComputedStyle(one).backgroundColor), drawn(one.parentElement), opacity(one)) : [1, 1, 1]);
		return [over(seen(getComputedStyle(node).color), drawn(node), opacity(node)), drawn(node)];
	});
	return ratio(text, ground);
}
