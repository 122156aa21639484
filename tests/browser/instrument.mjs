/* A camera and a microphone whose recordings can be measured. */

/*
 * Runs in the page first: keeps a copy of every chunk that the browser records, which is the truth
 * about what there was to record, and (with `flash`) is a camera and microphone that flash and beep
 * once a second at the same moment; anotherCamera(width, height) then makes another picture of it.
 */
export function instrument({ flash }) {
	const kept = (globalThis.kept = []);
	globalThis.MediaRecorder = class extends MediaRecorder {
		constructor(...args) {
			super(...args);
			this.addEventListener("dataavailable", ({ data }) => kept.push(data));
		}
	};
	globalThis.keptBase64 = () => new Promise((done) => {
		const reader = new FileReader();
		reader.onload = () => done(reader.result.split(",")[1] ?? "");
		reader.readAsDataURL(new Blob(kept));
	});
	if (!flash) return;

	const PERIOD_S = 1;
	const LONG_S = 0.12;

	/* Beeps on time by the clock of the sound itself. */
	async function startBeep() {
		const context = new AudioContext({ sampleRate: 48000 });
		await context.resume();
		const out = context.createMediaStreamDestination();
		const tone = context.createOscillator();
		const gate = context.createGain();
		tone.frequency.value = 1000;
		gate.gain.value = 0;
		tone.connect(gate).connect(out);
		tone.start();
		for (let i = 1; i < 120; i++) {
			gate.gain.setValueAtTime(0.8, i * PERIOD_S);
			gate.gain.setValueAtTime(0, i * PERIOD_S + LONG_S);
		}
		return { track: out.stream.getAudioTracks()[0], now: () => context.currentTime };
	}

	/* A picture that flashes with the beep. */
	function startFlash(beep, width, height) {
		const canvas = document.createElement("canvas");
		canvas.width = width;
		canvas.height = height;
		const pen = canvas.getContext("2d");
		const draw = () => {
			const now = beep.now();
			pen.fillStyle = now >= PERIOD_S && now % PERIOD_S < LONG_S ? "#fff" : "#000";
			pen.fillRect(0, 0, width, height);
			// Something moves in every frame, as in front of a camera.
			pen.fillStyle = "#808080";
			pen.fillRect((now * 50) % width, height - 10, 4, 4);
		};
		draw();
		setInterval(draw, 5);
		return canvas.captureStream(30).getVideoTracks()[0];
	}

	navigator.mediaDevices.getUserMedia = async () => {
		const beep = await startBeep();
		globalThis.anotherCamera = (width, height) => startFlash(beep, width, height);
		return new MediaStream([startFlash(beep, 320, 180), beep.track]);
	};
}
