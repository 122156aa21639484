/* Strings of the room's text. key: [English, Russian] */
export default {
	chatTitle: ["Chat", "Чат"],
	message: ["Message, or @name", "Сообщение или @имя"],
	send: ["Send", "Отправить"],
	chatEmpty: ["Nobody has written yet.", "Пока никто не писал."],
	you: ["You", "Вы"],
	unsent: ["not sent yet", "ещё не отправлено"],
	privately: ["to {to}", "для {to}"],
	toYou: ["you", "вас"],
	privateHint: [
		"Shown only to this person. The server passes it through the room, so it is not secret.",
		"Показано только этому человеку. Сервер передаёт его через комнату, так что это не тайна.",
	],
	peopleHere: ["In the room", "В комнате"],
	onlyYou: ["Only you are here. Send others the link.", "Вы здесь одни. Отправьте другим ссылку."],
	notHere: ["{name} is not in the room; nothing was sent.", "{name} сейчас не в комнате; ничего не отправлено."],
	writeTo: ["Write to {name}", "Написать: {name}"],
};
