#!/usr/bin/env bats
# msr-sfu: roles in DTLS, with an independent WebRTC client (aiortc).

load ../support/common

setup() {
	PORT=$(free_port)
	RTC_MIN_PORT=$((10000 + PORT % 9000)) # below the ephemeral range, so that nobody else takes them
	RTC_MAX_PORT=$((RTC_MIN_PORT + 500))
	export RTC_MIN_PORT RTC_MAX_PORT
}

teardown() {
	stop_all
}

@test "the client may be active or passive in DTLS, offering or answering" {
	start sfu env PORT="$PORT" msr-sfu -e /dev/null
	wait_for 10 is_healthy "$PORT"
	timeout -k 5 120 "$PYTHON" "$SUPPORT/sfu.py" "http://127.0.0.1:$PORT" roles
}
