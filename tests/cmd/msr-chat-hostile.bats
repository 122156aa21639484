#!/usr/bin/env bats
# The chat client and a server that means it ill; tests/support/chat_hostile.py plays it.
# takes 30 s

load ../support/common

# What takes its time is tested beside all the others; its cases are the last.
setup_file() {
	load ../support/common
	local name
	for name in silent slow_uplink; do
		mkdir "$BATS_FILE_TMPDIR/$name"
		{
			cd "$BATS_FILE_TMPDIR/$name" || exit
			status=0
			HOME=$PWD hostile "$name" || status=$?
			echo $status >status
		} >"$BATS_FILE_TMPDIR/$name.log" 2>&1 3>&- &
	done
}

setup() {
	export HOME=$BATS_TEST_TMPDIR
	mkdir "$BATS_TEST_TMPDIR/here"
	cd "$BATS_TEST_TMPDIR/here" || return
}

hostile() {
	timeout 90 "$PYTHON" "$SUPPORT/chat_hostile.py" "$1"
}

@test "names of files stay names, in the folder for them" {
	hostile file_names
}

@test "nothing comes out raw: texts, names, times, errors, lists" {
	hostile escapes
}

@test "nor in a terminal, nor by Tab" {
	hostile escapes_in_a_terminal
}

@test "descriptors that lie, and contents without end" {
	hostile sizes
}

@test "a text of a megabyte and more is cut" {
	hostile texts_are_cut
}

@test "the end in the middle of a file leaves neither a part nor a bar" {
	hostile cut_off
}

@test "progress of files in both directions" {
	hostile both_ways
}

@test "headers of all kinds leave the stream in step" {
	hostile headers
}

@test "lists of users: garbage and far too many" {
	hostile users
}

@test "the last words of a server are heard by who is sending" {
	hostile last_words
}

@test "an early end by the server is no success" {
	hostile closed_early
}

@test "refusals, and answers out of turn" {
	hostile refusals
}

@test "a name that is still there after the connection was lost" {
	hostile name_still_there
}

@test "times are local, with the day of those that are older" {
	hostile local_times
}

@test "what only begins as a picture" {
	hostile pictures
}

# went_well NAME: the scenario that was begun in setup_file.
went_well() {
	wait_for 95 test -s "$BATS_FILE_TMPDIR/$1/status"
	cat "$BATS_FILE_TMPDIR/$1.log"
	[ "$(cat "$BATS_FILE_TMPDIR/$1/status")" = 0 ]
}

@test "a server that does not answer, or does not close, is left" {
	went_well silent
}

@test "an upload that takes its time is waited for, and one that is lost is told" {
	went_well slow_uplink
}
