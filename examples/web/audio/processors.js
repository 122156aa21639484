/*
 * The processors of msr-audiod(8) and their first parameter, with the part of its range that people
 * want; and chains of them, as JSON for the server and as one writes them in a shell.
 */

/* {name, param, unit, start, min, max, step}; without param there is nothing to set. */
export const PROCESSORS = [
	{ name: "highpass", param: "hz", unit: "Hz", start: 80, min: 20, max: 400, step: 10 },
	{ name: "denoise", param: "db", unit: "dB", start: 30, min: 1, max: 60, step: 1 },
	{ name: "gain", param: "db", unit: "dB", start: 6, min: -30, max: 30, step: 1 },
	{ name: "agc", param: "dbfs", unit: "dBFS", start: -20, min: -40, max: -6, step: 1 },
	{ name: "normalize", param: "lufs", unit: "LUFS", start: -23, min: -40, max: -10, step: 1 },
	{ name: "limiter", param: "dbfs", unit: "dBFS", start: -1, min: -20, max: 0, step: 1 },
	{ name: "vad", param: "percent", unit: "%", start: 50, min: 1, max: 99, step: 1 },
	{ name: "meter" },
];

/* Named chains to begin with: names of processors, in order. Watching is part of each. */
export const PRESETS = {
	voice: ["highpass", "denoise", "agc", "limiter", "vad", "meter"],
	broadcast: ["highpass", "normalize", "limiter", "vad", "meter"],
	louder: ["gain", "limiter", "vad", "meter"],
	untouched: ["vad", "meter"],
};

/* The list of a panel: [{name, on, value}], those of `names` first, in their order, then the others. */
export function presetList(names) {
	const others = PROCESSORS.map(({ name }) => name).filter((name) => !names.includes(name));
	return [...names, ...others].map((name) => ({ name, on: names.includes(name), value: processor(name).start }));
}

export const processor = (name) => PROCESSORS.find((one) => one.name === name);

/* For the command start_audio_receiver. */
export function chainOf(list) {
	const chain = list.filter(({ on }) => on).map(({ name, value }) => {
		const { param } = processor(name);
		return param ? { name, [param]: value } : name;
	});
	return chain.length ? chain : ["copy"];
}

/* "highpass=80,gain=6,limiter=-1" */
export function chainText(list) {
	const names = list.filter(({ on }) => on).map(({ name, value }) => (processor(name).param ? `${name}=${value}` : name));
	return names.join(",") || "copy";
}

/* The list that was kept as text, or null where it makes no sense (any more). */
export function parseList(text) {
	try {
		const list = JSON.parse(text);
		const names = new Set(list.map(({ name }) => name));
		if (names.size !== PROCESSORS.length || !PROCESSORS.every(({ name }) => names.has(name))) return null;
		return list.map(({ name, on, value }) => {
			const { start, min, max } = processor(name);
			return { name, on: Boolean(on), value: value >= min && value <= max ? value : start };
		});
	} catch {
		return null;
	}
}
