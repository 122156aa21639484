#!/usr/bin/env bats
# A call from the first offer to finished files and their tasks, in the whole system.

load ../support/common

setup() {
	DIR=$BATS_TEST_TMPDIR/data
	read -r MSR_WS_PORT MSR_SFU_PORT < <(free_ports 2)
	RTC_MIN_PORT=$((10000 + MSR_SFU_PORT % 9000))
	RTC_MAX_PORT=$((RTC_MIN_PORT + 200))
	MSR_ONLY="msr-ws msr-sfu msr-record msr-taskscan"
	export MSR_WS_PORT MSR_SFU_PORT RTC_MIN_PORT RTC_MAX_PORT MSR_ONLY
}

teardown() {
	msr-supervise stop -d "$DIR" || true
}

duration() {
	jq -e .duration "$DIR/storage/$1.json"
}

@test "both sides of a call become files that play, and tasks" {
	msr-supervise start -d "$DIR"
	$PYTHON "$SUPPORT/sfu.py" "http://127.0.0.1:$MSR_SFU_PORT" original
	for user in ann bob; do
		wait_for 30 test -f "$DIR/tasks/$user.task"
		file=$DIR/storage/$user.webm
		[ -f "$file" ]
		[ -z "$(ffmpeg -v error -xerror -i "$file" -map 0:a -f null - 2>&1)" ]
		[ "$(ffprobe -v error -show_entries stream=codec_name -of csv=p=0 "$file" | sort | xargs)" = "opus vp8" ]
		cat "$DIR/storage/$user.json"
		jq -e --arg sha "$(sha256sum <"$file" | cut -d' ' -f1)" \
			'.room and .session and .sha256 == $sha and .duration > 0.5' "$DIR/storage/$user.json"
		[ -f "$DIR/storage/$user.poster.jpg" ]
	done
	# The pitch of the recording tells whose it is.
	ffmpeg -v error -i "$DIR/storage/ann.webm" -ac 1 -ar 48000 "$BATS_TEST_TMPDIR/ann.wav"
	pitch=$(sox "$BATS_TEST_TMPDIR/ann.wav" -n stat 2>&1 | awk '/Rough/ { print $3 }')
	[ "$pitch" -gt 350 ] && [ "$pitch" -lt 550 ]
}
