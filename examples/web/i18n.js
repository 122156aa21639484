/*
 * Every string that people read, in English and Russian, and the switch between them.
 *
 * In HTML: data-t="key" sets the text, data-t-label the aria-label, data-t-ph the placeholder.
 * In code: t("key", {n: 1}) fills "{n}". After a switch `document` gets the event "language", so
 * that views which are made in code draw themselves again.
 */
import { recall, remember } from "./store.js";

// key: [English, Russian]
const STRINGS = {
	room: ["Room", "Комната"],
	copyLink: ["Copy link", "Взять ссылку"],
	copied: ["The link to this room is copied.", "Ссылка на комнату скопирована."],
	otherLanguage: ["По-русски", "In English"],
	leave: ["Leave", "Выйти"],
	joinTitle: ["Join a room", "Войти в комнату"],
	joinLead: [
		"Talk, record sound and picture, and find the finished files here.",
		"Говорите, записывайте звук и видео — готовые файлы появятся здесь же.",
	],
	yourName: ["Your name", "Ваше имя"],
	roomLabel: ["Room", "Комната"],
	roomHint: [
		"Everybody with the same room name meets there. Latin letters, digits, dot, dash.",
		"Все, кто назовёт ту же комнату, встретятся в ней. Латинские буквы, цифры, точка, дефис.",
	],
	join: ["Join", "Войти"],
	nameMissing: ["Please say your name.", "Пожалуйста, назовите себя."],
	roomMissing: [
		"Please name a room with at least one Latin letter or digit.",
		"Назовите комнату: нужна хотя бы одна латинская буква или цифра.",
	],

	views: ["View", "Вид"],
	tabRecord: ["Record", "Запись"],
	tabCall: ["Call", "Звонок"],
	preview: ["Preview of what is recorded", "Что записывается"],
	deviceOff: ["Nothing is on yet.", "Пока ничего не включено."],
	turnOn: ["Turn on", "Включить"],
	rec: ["REC", "ЗАПИСЬ"],
	level: ["Sound level in decibels", "Уровень звука в децибелах"],
	source: ["What to record", "Что записывать"],
	microphone: ["Microphone", "Микрофон"],
	camera: ["Camera", "Камера"],
	screen: ["Screen", "Экран"],
	startRecording: ["Record", "Записать"],
	stopRecording: ["Stop", "Остановить"],
	stateLabel: ["State", "Состояние"],
	lengthLabel: ["Length", "Длительность"],
	ackedLabel: ["Safe on the server", "Сохранено на сервере"],
	waitingLabel: ["Waiting to be sent", "Ждёт отправки"],
	nameLabel: ["Recording", "Запись"],
	defaultDevice: ["Default", "По умолчанию"],
	deviceN: ["Device {n}", "Устройство {n}"],

	stateSending: ["Recording", "Идёт запись"],
	stateOffline: [
		"No connection; recording goes on here and is sent later",
		"Нет связи; запись идёт здесь и будет отправлена позже",
	],
	statePaused: ["The server is busy; sending waits", "Сервер занят, отправка ждёт"],
	stateFull: [
		"Paused: {bytes} wait to be sent. It goes on when the connection is back",
		"Пауза: {bytes} ждут отправки. Запись продолжится, когда вернётся связь",
	],
	stateFinishing: ["Sending the rest", "Отправляется остаток"],
	stateDone: ["Finished; the file is being prepared", "Готово, файл подготавливается"],
	stateEmpty: ["Too short, nothing was recorded", "Слишком коротко, ничего не записано"],
	stateReady: ["The file is ready below", "Файл готов, он ниже"],
	stateFailed: ["Failed", "Не удалось"],
	newPiece: [
		"The break was too long for the server. The recording goes on in a second file, {name}.",
		"Перерыв был слишком долгим для сервера. Запись продолжается во втором файле, {name}.",
	],
	brokenPiece: [
		"The break was too long for the server. What was recorded until then is kept; please start a new recording.",
		"Перерыв был слишком долгим для сервера. Записанное до него сохранено; начните новую запись.",
	],
	recordingStarted: ["Recording started.", "Запись началась."],
	recordingStopped: ["Recording stopped.", "Запись остановлена."],

	linkOn: ["Connected", "На связи"],
	linkOff: ["Reconnecting…", "Связь восстанавливается…"],
	linkGone: ["The server does not answer", "Сервер не отвечает"],
	serverGone: [
		"The server does not answer. The page tries again by itself.",
		"Сервер не отвечает. Страница пробует снова сама.",
	],
	serverRefuses: [
		"The server is there but refuses this connection: {why}",
		"Сервер работает, но отклоняет соединение: {why}",
	],
	dismiss: ["Dismiss", "Убрать"],
	takenOver: [
		"This session was opened in another window, so it ended here.",
		"Этот сеанс открыт в другом окне и здесь завершён.",
	],
	serverSays: ["The server says: {message}", "Сервер сообщает: {message}"],
	unknownReason: ["no reason given", "без объяснения"],

	insecure: [
		"Browsers give no microphone or camera here: the page must come from https or from localhost.",
		"Браузер не даёт микрофон и камеру: страница должна открываться по https или с localhost.",
	],
	noRecorder: [
		"This browser cannot record (it has no MediaRecorder). A current Firefox, Chrome or Safari can.",
		"Этот браузер не умеет записывать (нет MediaRecorder). Возьмите свежий Firefox, Chrome или Safari.",
	],
	noScreen: ["This browser cannot share the screen.", "Этот браузер не умеет показывать экран."],
	denied_microphone: [
		"The microphone is blocked. Allow it for this page in the address bar, then try again.",
		"Микрофон запрещён. Разрешите его для этой страницы в адресной строке и попробуйте снова.",
	],
	denied_camera: [
		"Camera or microphone is blocked. Allow both for this page in the address bar, then try again.",
		"Камера или микрофон запрещены. Разрешите их для страницы в адресной строке и попробуйте снова.",
	],
	denied_screen: ["Sharing the screen was not allowed.", "Показ экрана не разрешён."],
	missing_microphone: ["There is no microphone. Plug one in and try again.",
		"Микрофон не найден. Подключите его и попробуйте снова."],
	missing_camera: [
		"There is no camera (or no microphone). Plug it in, or record only the microphone.",
		"Камера (или микрофон) не найдена. Подключите её или записывайте только микрофон.",
	],
	missing_screen: ["There is no screen to share.", "Нет экрана для показа."],
	busy: [
		"The device is in use by another program, or does not start. Close the other program and try again.",
		"Устройство занято другой программой или не запускается. Закройте её и попробуйте снова.",
	],
	deviceEnded: [
		"The device was disconnected. What was recorded is kept.",
		"Устройство отключилось. Записанное сохранено.",
	],
	recorderBroke: ["The browser stopped recording: {message}", "Браузер прервал запись: {message}"],
	otherError: ["It did not work: {message}", "Не получилось: {message}"],

	chatTitle: ["Room text", "Текст комнаты"],
	message: ["Message", "Сообщение"],
	send: ["Send", "Отправить"],
	chatEmpty: ["Nobody has written yet.", "Пока никто не писал."],
	you: ["You", "Вы"],
	unsent: ["not sent yet", "ещё не отправлено"],
	privately: ["to {to}", "для {to}"],

	people: ["People in the call", "Участники звонка"],
	callIdle: ["You are not in the call.", "Вы не в звонке."],
	callJoin: ["Join the call", "Войти в звонок"],
	callLeave: ["Leave the call", "Выйти из звонка"],
	callOff: ["Not in the call", "Не в звонке"],
	callConnecting: ["Connecting…", "Соединяется…"],
	callConnected: ["In the call", "В звонке"],
	callRejoining: ["The connection broke; joining again…", "Связь прервалась, входим снова…"],
	callEnded: ["The call was ended for everybody.", "Звонок завершён для всех."],
	callRecorded: ["This call is recorded", "Этот звонок записывается"],
	onlyListening: ["You can see and hear the others.", "Вы видите и слышите остальных."],
	mute: ["Mute", "Выключить микрофон"],
	unmute: ["Unmute", "Включить микрофон"],
	cameraOff: ["Camera off", "Выключить камеру"],
	cameraOn: ["Camera on", "Включить камеру"],
	screenOn: ["Share screen", "Показать экран"],
	screenOff: ["Stop sharing", "Убрать экран"],
	screenOf: ["Screen: {name}", "Экран: {name}"],
	mutedSign: ["muted", "без звука"],
	qualityMine: ["Round trip {rtt} ms, {loss} % lost on the way up", "Задержка {rtt} мс, потери на пути к серверу {loss} %"],
	qualityOther: ["{loss} % lost on the way here", "Потери на пути сюда {loss} %"],
	ice_noCandidates: [
		"The call does not connect: the browser found no network address to use. Is the network on, or WebRTC blocked by an extension?",
		"Звонок не соединяется: браузер не нашёл сетевых адресов. Сеть включена? Не блокирует ли WebRTC расширение?",
	],
	ice_noAnswer: [
		"The call does not connect: no packet of the server comes through. A firewall between may block its UDP and TCP ports, or the server announces a wrong address (PUBLIC_IP).",
		"Звонок не соединяется: пакеты сервера не доходят. Возможно, межсетевой экран закрывает его порты UDP и TCP или сервер сообщает неверный адрес (PUBLIC_IP).",
	],
	ice_dtls: [
		"The call does not connect: the encrypted connection (DTLS) was refused.",
		"Звонок не соединяется: шифрованное соединение (DTLS) отклонено.",
	],
	ice_lost: ["The connection of the call was lost.", "Связь звонка потеряна."],
	ice_unknown: ["The call does not connect, and the browser does not say why.",
		"Звонок не соединяется, и браузер не говорит почему."],
	sfuGone: ["The call server (msr-sfu) does not answer. Is it running?",
		"Сервер звонков (msr-sfu) не отвечает. Он запущен?"],
	sfuFull: ["The call server is full at the moment. Please try later.",
		"Сервер звонков сейчас заполнен. Попробуйте позже."],
	sfuOrigin: [
		"The call server does not let pages from {origin} in (its option --allow-origin).",
		"Сервер звонков не пускает страницы с {origin} (его параметр --allow-origin).",
	],
	sfuSays: ["The call server says: {message}", "Сервер звонков сообщает: {message}"],

	libraryTitle: ["Recordings", "Записи"],
	libraryEmpty: ["Nothing has been recorded yet.", "Записей пока нет."],
	libraryNone: [
		"The server shows no recordings (it was started without --storage).",
		"Сервер не показывает записи (он запущен без --storage).",
	],
	libraryGone: ["The list cannot be loaded: {message}", "Список не загружается: {message}"],
	onlyThisRoom: ["Only this room", "Только эта комната"],
	showMore: ["Show more", "Показать ещё"],
	play: ["Play {name}", "Воспроизвести {name}"],
	download: ["Download", "Скачать"],
	share: ["Share in the room", "Показать в комнате"],
	sharedText: ["Recording {name}", "Запись {name}"],
	newRecording: ["New recording: {name}", "Новая запись: {name}"],
	cannotPlay: [
		"The browser cannot play this file; download it instead.",
		"Браузер не может воспроизвести этот файл, скачайте его.",
	],
};

const LANGUAGES = ["en", "ru"];

function preferred() {
	const chosen = recall("language");
	const wanted = chosen ? [chosen] : navigator.languages || [];
	for (const tag of wanted) {
		const short = tag.slice(0, 2).toLowerCase();
		if (LANGUAGES.includes(short)) return short;
	}
	return "en";
}

let language = preferred();

export const currentLanguage = () => language;

export function t(key, values = {}) {
	const row = STRINGS[key];
	if (!row) throw new Error(`no string ${key}`);
	return row[LANGUAGES.indexOf(language)].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/* Fills the strings into `root` and everything below it. */
export function translate(root = document) {
	for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
	for (const node of root.querySelectorAll("[data-t-label]"))
		node.setAttribute("aria-label", t(node.dataset.tLabel));
	for (const node of root.querySelectorAll("[data-t-ph]"))
		node.placeholder = t(node.dataset.tPh);
}

/* Gives `node` the string of `key`, also after a later switch of the language. */
export function label(node, key) {
	node.dataset.t = key;
	node.textContent = t(key);
}

export function setLanguage(tag) {
	language = LANGUAGES.includes(tag) ? tag : "en";
	remember("language", language);
	document.documentElement.lang = language;
	translate();
	document.dispatchEvent(new CustomEvent("language"));
}

export function otherLanguage() {
	return LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];
}
