/* Strings of the list of recordings. key: [English, Russian] */
export default {
	libraryTitle: ["Recordings", "Записи"],
	libraryEmpty: ["Nothing has been recorded yet.", "Записей пока нет."],
	libraryNone: [
		"The server shows no recordings (it was started without --storage).",
		"Сервер не показывает записи (он запущен без --storage).",
	],
	libraryGone: [
		"The list cannot be loaded ({message}). The page tries again by itself.",
		"Список не загружается ({message}). Страница пробует снова сама.",
	],
	onlyThisRoom: ["Only this room", "Только эта комната"],
	inThisRoom: ["Recordings in this room", "Записи этой комнаты"],
	otherRooms: ["Other rooms", "Другие комнаты"],
	preparing: ["Being prepared…", "Готовится…"],
	fresh: ["New", "Новая"],
	kindMix: ["Whole call", "Весь звонок"],
	kindScreen: ["Screen", "Экран"],
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
