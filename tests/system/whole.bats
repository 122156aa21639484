#!/usr/bin/env bats
# All programs as one system: what `make run` gives.

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	local key
	for key in WS SFU AUDIOD AUDIOD_HEALTH CHAT CHAT_METRICS; do
		export "MSR_${key}_PORT=$(free_port)"
	done
	RTC_MIN_PORT=$(free_port)
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
