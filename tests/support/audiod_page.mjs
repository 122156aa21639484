/*
 * A page's client of msr-audiod, as people write it by the documented protocol: no subprotocol,
 * binaryType left as it is, u8 samples out of a ScriptProcessor. Run by Node, which has no sound and, up
 * to Debian 12's, no WebSocket: an AudioContext that hands out a sine and the client that puppeteer-core
 * brings take their places. Usage: node FILE URL
 */
import { WebSocket as Client } from "../browser/node_modules/ws/wrapper.mjs";

class WebSocket extends Client {
	constructor(...args) {
		super(...args);
		this.binaryType = "blob"; // as a page's is
	}
}

const url = process.argv[2];
const packets = 20;
const log = [];
const answers = [];

const socket = new WebSocket(url);

socket.onmessage = function (event) {
	if (typeof event.data === "string") log.push(JSON.parse(event.data));
	else answers.push(event.data);
};

function startAudioReceiver() {
	socket.send(JSON.stringify({ command: "start_audio_receiver" }));
}

const sent = [];

function sendAudioData(audioContext) {
	const oscillator = audioContext.createOscillator();
	const processor = audioContext.createScriptProcessor(1024, 1, 1);
	processor.onaudioprocess = function (e) {
		const audioData = e.inputBuffer.getChannelData(0);
		const buffer = new ArrayBuffer(audioData.length);
		const view = new DataView(buffer);
		for (let i = 0; i < audioData.length; i++) view.setUint8(i, Math.floor((audioData[i] + 1) * 127.5));
		sent.push(new Uint8Array(buffer.slice(0)));
		socket.send(buffer);
	};
	oscillator.connect(processor);
	processor.connect(audioContext.destination);
	oscillator.start();
}

/* What of Web Audio the client uses. */
class SineContext {
	destination = {};
	createOscillator() {
		return {
			connect: (node) => (this.node = node),
			start: () => {
				for (let k = 0; k < packets; k++)
					this.node.onaudioprocess({
						inputBuffer: {
							getChannelData: () =>
								Float32Array.from({ length: 1024 }, (_, i) => Math.sin((k * 1024 + i) / 17)),
						},
					});
			},
		};
	}
	createScriptProcessor() {
		return { connect() {} };
	}
}

async function until(what, check) {
	const end = Date.now() + 10000;
	while (!check()) {
		if (Date.now() > end || socket.readyState > 1) throw new Error(`in vain: ${what}`);
		await new Promise((done) => setTimeout(done, 10));
	}
}

await until("the welcome", () => log.length === 1);
if (log[0].status !== "connected" || !log[0].session_id) throw new Error(JSON.stringify(log[0]));
startAudioReceiver();
startAudioReceiver();
await until("both answers", () => log.length === 3);
if (log[1].status !== "receiver_started" || log[2].status !== "receiver_already_running") throw new Error(JSON.stringify(log));
sendAudioData(new SineContext());
await until("all packets", () => answers.length === packets);
for (const [k, blob] of answers.entries()) {
	const got = new Uint8Array(await blob.arrayBuffer());
	if (got.length !== 1024 || got.some((byte, i) => byte !== sent[k][i])) throw new Error(`packet ${k} came back changed`);
}
socket.close();
