#!/usr/bin/env bats
# What make offers to somebody who has just cloned the sources.

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	TOP=$BATS_TEST_DIRNAME/../..
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	[ ! -e installed ] || installed/usr/bin/msr-supervise stop -d data >/dev/null 2>&1 || true
	stop_all
}

@test "make install: programs, manual pages and the page work from where they are installed" {
	mkdir -p installed/usr/share/msr/examples
	touch installed/usr/share/msr/examples/of-an-earlier-version
	(umask 077 && make -s -C "$TOP" install PREFIX=/usr DESTDIR="$PWD/installed" >/dev/null)
	chmod go+rx installed installed/usr installed/usr/share # made here
	[ -z "$(find installed ! -perm -444 -o -type d ! -perm -111)" ]
	[ ! -e installed/usr/share/msr/examples/of-an-earlier-version ]
	grep -q '^ExecStart=/usr/bin/msr-supervise ' installed/usr/share/msr/examples/msr.service
	grep -q ' /usr/share/msr/examples/transcribe$' installed/usr/share/msr/examples/crontab
	[ "$(cd "$TOP/cmd" && echo */)" = "$(cd installed/usr/bin && echo msr-* | sed 's/msr-supervise //; s/$/\//; s/ /\/ /g')" ]
	for page in "$TOP"/man/*.[1-8]; do
		[ -s "installed/usr/share/man/man${page##*.}/${page##*/}" ]
	done
	MSR_WS_PORT=$(free_port)
	export MSR_WS_PORT MSR_ONLY="ws record taskscan"
	PATH=/usr/bin:/bin installed/usr/bin/msr-supervise start -d data 3>&-
	curl -sf "http://127.0.0.1:$MSR_WS_PORT/" | grep -qi '<!doctype html>'
	installed/usr/bin/msr-supervise stop -d data
	# Others' files stay.
	touch installed/usr/bin/other
	make -s -C "$TOP" uninstall PREFIX=/usr DESTDIR="$PWD/installed" >/dev/null
	[ "$(find installed -type f)" = installed/usr/bin/other ]
}

@test "make help names the targets; the version is in every program" {
	make -s -C "$TOP" help | grep -q 'make run'
	for program in "$TOP"/build/bin/msr-*; do
		[[ $("$program" --version) =~ ^${program##*/}\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
	done
}

@test "deps says why it needs what; a package that is missing needs root or sudo" {
	mkdir bin
	printf '#!/bin/sh\nexit 1\n' >bin/dpkg-query
	printf '#!/bin/sh\necho 1000\n' >bin/id
	chmod +x bin/*
	for tool in sh cut grep sed echo cat; do ln -s "$(command -v $tool)" bin/; done
	run env PATH="$PWD/bin" sh "$TOP/scripts/deps" run
	[ "$status" -eq 1 ]
	[[ $output == *"libwebsockets-dev"*"HTTP and WebSocket"*"Run as root: apt-get install"* ]]
	run env PATH="$PWD/bin" sh "$TOP/scripts/deps" examples
	[[ $output == *"Run as root: apt-get install jq python3-websockets python3-aiortc" ]]
	rm bin/dpkg-query
	run env PATH="$PWD/bin" sh "$TOP/scripts/deps" run
	[ "$status" -eq 1 ]
	[[ $output == *"This is not Debian or Ubuntu"* ]]
}

@test "make deps installs, and fails where it may not" {
	mkdir bin
	printf '#!/bin/sh\nexit 1\n' | tee bin/dpkg-query >bin/sudo
	printf '#!/bin/sh\necho 1000\n' >bin/id
	chmod +x bin/*
	run env PATH="$PWD/bin:$PATH" make -s -C "$TOP" deps
	[ "$status" -ne 0 ]
	[[ $output == *"libwebsockets-dev"* ]]
}
