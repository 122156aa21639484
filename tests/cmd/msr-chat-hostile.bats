#!/usr/bin/env bats
# The chat client and a server that means it ill; tests/support/chat_hostile.py plays it.

load ../support/common

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

@test "a server that does not answer, or does not close, is left" {
	hostile silent
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

@test "an upload that takes its time is waited for, and one that is lost is told" {
	hostile slow_uplink
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
