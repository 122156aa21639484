/* Strings of devices and what can be wrong with them. key: [English, Russian] */
export default {
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
	denied_picture: [
		"The camera is blocked. Allow it for this page in the address bar, then try again.",
		"Камера запрещена. Разрешите её для этой страницы в адресной строке и попробуйте снова.",
	],
	denied_screen: ["Sharing the screen was not allowed.", "Показ экрана не разрешён."],
	missing_microphone: ["There is no microphone. Plug one in and try again.",
		"Микрофон не найден. Подключите его и попробуйте снова."],
	missing_camera: [
		"There is no camera (or no microphone). Plug it in, or record only the microphone.",
		"Камера (или микрофон) не найдена. Подключите её или записывайте только микрофон.",
	],
	missing_picture: ["There is no camera. Plug one in and try again.",
		"Камера не найдена. Подключите её и попробуйте снова."],
	missing_screen: ["There is no screen to share.", "Нет экрана для показа."],
	busy: [
		"The device is in use by another program, or does not start. Close the other program and try again.",
		"Устройство занято другой программой или не запускается. Закройте её и попробуйте снова.",
	],
	deviceEnded: [
		"The device was disconnected. What was recorded is kept.",
		"Устройство отключилось. Записанное сохранено.",
	],
	deviceSwitched: ["The device was disconnected. The call goes on with: {name}.",
		"Устройство отключилось. Звонок продолжается с другим: {name}."],
	deviceGone: ["The device was disconnected, and there is no other. Plug one in and turn it on again.",
		"Устройство отключилось, а другого нет. Подключите его и включите снова."],
	recorderBroke: ["The browser stopped recording: {message}", "Браузер прервал запись: {message}"],
	otherError: ["It did not work: {message}", "Не получилось: {message}"],
};
