#!/usr/bin/env bats
# serial
# Full loads on the chat server. Disk: at most 9 GiB in TMPDIR, freed at the end of each test.

# shellcheck disable=SC2030,SC2031 # each test is a shell of its own

load ../support/common

setup() {
	PORT=$(free_port)
	ADDRESS=127.0.0.1:$PORT
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	stop_all
}

server() {
	start server msr-chat server --address="$ADDRESS" --spool . "$@"
	SERVER=$PID
	wait_for 10 grep -q '"ev":"listening"' server.log
}

heavy() {
	local scenario=$1
	shift
	timeout 900 "$PYTHON" "$SUPPORT/chat_long.py" "$scenario" "$ADDRESS" "$SERVER" "$@" >&3
	kill -0 "$SERVER"
}

enough_space() {
	[ "$(df --output=avail -k . | tail -n 1)" -ge "$(($1 * 1024 * 1024))" ] || skip "needs $1 GiB of disk"
}

@test "5,000 users in one room" {
	server
	heavy users_5000
}

@test "connections as fast as they can be made for 10 s, 2,000 a second or more" {
	server
	heavy connects
}

@test "1 GiB to ten who read and one who never does" {
	enough_space 2
	server --send-timeout 5s
	heavy gigabyte 1024
}

@test "4 GiB to ten who read and one who never does" {
	enough_space 9
	server --send-timeout 5s --max-content 5G
	heavy gigabyte 4096
}
