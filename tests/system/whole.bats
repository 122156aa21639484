#!/usr/bin/env bats
# All programs as one system: what `make run` gives.

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	local key ports
	read -ra ports < <(free_ports 7)
	for key in WS SFU AUDIOD AUDIOD_HEALTH CHAT CHAT_METRICS; do
		export "MSR_${key}_PORT=${ports[0]}"
		ports=("${ports[@]:1}")
	done
	RTC_MIN_PORT=${ports[0]}
	export RTC_MIN_PORT RTC_MAX_PORT=$((RTC_MIN_PORT + 20))
}

teardown() {
	msr-supervise stop -d data >/dev/null 2>&1 || true
	stop_all
}

@test "everything starts healthy, works together and stops cleanly" {
	run msr-supervise start -d data 3>&-
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(echo "$output" | grep -c " healthy$")" = 6 ]
	[[ $output != *"not built"* ]]
	msr-supervise status -d data
	url=http://127.0.0.1:$MSR_WS_PORT

	# The page is told where the others are, and they answer.
	curl -sf "$url/" | grep -qi '<!doctype html>'
	[ "$(curl -sf "$url/config.json" | jq -r .sfu)" = "http://127.0.0.1:$MSR_SFU_PORT" ]
	room=$(curl -sf -X POST "http://127.0.0.1:$MSR_SFU_PORT/rooms" | jq -r .room_id)
	curl -sf "http://127.0.0.1:$MSR_SFU_PORT/rooms/$room" | jq -e '.users == []'
	is_healthy "$MSR_AUDIOD_HEALTH_PORT"
	for port in "$MSR_WS_PORT" "$MSR_SFU_PORT" "$MSR_AUDIOD_HEALTH_PORT" "$MSR_CHAT_METRICS_PORT"; do
		curl -sf "http://127.0.0.1:$port/metrics" | grep -q '^process_resident_memory_bytes '
	done

	# From a microphone to a file and its task, listed for the page.
	ffmpeg -nostdin -v error -f lavfi -i sine=duration=2 -f s16le -ar 48000 -ac 1 - |
		"$BATS_TEST_DIRNAME/../../examples/stream-pcm" "ws://127.0.0.1:$MSR_WS_PORT/room/talk"
	wait_for 20 test -e data/tasks/talk.task
	media=$(jq -r '.files[0].path' data/tasks/talk.task)
	[ "$(jq -r '.files[0].sha256' data/tasks/talk.task)" = "$(sha256sum <"$media" | cut -d' ' -f1)" ]
	listed() { curl -sf "$url/recordings" | jq -e '.recordings[] | select(.session == "talk")' >/dev/null; }
	wait_for 5 listed
	curl -sf "$url/recordings/talk.mp3" | cmp - "$media"
	jq -e 'select(.ev == "task" and .session == "talk")' data/log/events.jsonl

	pid=$(cut -d' ' -f1 data/run/supervisor)
	msr-supervise stop -d data
	is_gone "$pid"
	[ "$(tail -n 1 data/log/supervise.log)" = stopped ]
}

@test "MSR_CHAT_ROOM joins the chat to a room of the page: text both ways, files into the room" {
	export MSR_CHAT_ROOM=lobby MSR_ONLY="msr-ws msr-record msr-chat"
	msr-supervise start -d data 3>&-
	local chat=127.0.0.1:$MSR_CHAT_PORT url=http://127.0.0.1:$MSR_WS_PORT
	wait_for 10 grep -q 'info in the room' data/log/msr-chat.log

	mkfifo ann.in
	start ann sh -c "exec $PYTHON $SUPPORT/room_person.py ws://127.0.0.1:$MSR_WS_PORT/lobby/ann Ann <>ann.in"
	wait_for 10 grep -q ready ann.log
	start bob msr-chat client -a "$chat" -u bob --wait 60s </dev/null
	wait_for 10 grep -q '"user":"bob"' data/log/events.jsonl

	# From the page into the chat, for all and for one.
	echo 'hello, chat' >ann.in
	wait_for 10 grep -q '<Ann@web> hello, chat$' bob.log
	echo '@bob psst' >ann.in
	wait_for 10 grep -q '\[Ann@web > bob\] psst$' bob.log

	# From the chat into the room, where files are links that msr-ws serves.
	head -c 100000 /dev/urandom >cat.bin
	printf 'hello, room\n/file cat.bin\n' | msr-chat client -a "$chat" -u cy
	wait_for 10 grep -q '"text": *"hello, room"' ann.log
	wait_for 10 grep -q '/recordings/chat/' ann.log
	[ "$(jq -r 'select(.text == "hello, room") | .from' ann.log)" = cy ]
	curl -sf "$url$(jq -r 'select(.url) | .url' ann.log)" | cmp - cat.bin
	msr-supervise stop -d data
}
