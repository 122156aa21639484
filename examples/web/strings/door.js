/* Strings of the door, the bar, and the connection to msr-ws. key: [English, Russian] */
export default {
	room: ["Room", "Комната"],
	copyLink: ["Copy link", "Взять ссылку"],
	copied: ["The link to this room is copied.", "Ссылка на комнату скопирована."],
	otherLanguage: ["RU, по-русски", "EN, in English"],
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
	nameMissing: ["Please enter your name.", "Введите своё имя."],
	roomMissing: [
		"Please name a room with at least one Latin letter or digit.",
		"Назовите комнату: нужна хотя бы одна латинская буква или цифра.",
	],

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
};
