#!/usr/bin/env bats
# The manual and the program agree: every option of --help stands in the page and the other way
# round, --help fits a screen, and wrong usage says what to do.

load ../support/common

setup() {
	TOP=$BATS_TEST_DIRNAME/../..
	MAN=$TOP/man
}

# Every C program that is built. The supervisor is a script whose page names options of all the others.
programs() {
	for bin in "$TOP"/build/bin/msr-*; do
		name=${bin##*/}
		[ "$name" = msr-supervise ] || echo "$name"
	done
}

page_of() {
	find "$MAN" -name "$1.[18]"
}

# Commands of a program that have options and a --help of their own.
commands_of() {
	case $1 in
	msr-audiod) echo filter ;;
	msr-chat) echo server client ;;
	msr-frames) echo dump json filter body webm make replay ;;
	esac
}

# Long options of the help screens, and of the page.
help_options() {
	{
		"$1" --help
		for command in $(commands_of "$1"); do "$1" "$command" --help; done
	} | sed -nE 's/^  (-., |    )--([a-z0-9-]+).*/\2/p' | sort -u
}
# A flag that is on by default stands in the page as --no-flag.
page_options() {
	grep -oE '(Fl|,) -[a-z][a-z0-9-]+' "$1" | sed -E 's/.* -//; s/^no-//' | sort -u
}

@test "every program has a page that lists exactly its options" {
	for name in $(programs); do
		page=$(page_of "$name")
		echo "== $name ($page)"
		diff <(help_options "$name" | grep -vxE 'verbose|help|version') \
			<(page_options "$page" | grep -vxE 'verbose|help|version')
	done
}

@test "the supervisor's page lists exactly its options and commands" {
	page=$MAN/msr-supervise.8
	diff <(help_options msr-supervise) <(grep '^\.It Fl ' "$page" | grep -oE 'Fl -[a-z-]+' | cut -c5- | sort -u)
	diff <(msr-supervise --help | sed -nE 's/^  ([a-z]+) .*/\1/p' | sort -u) \
		<(sed -nE 's/^\.It Cm ([a-z]+).*/\1/p' "$page" | sort -u)
}

@test "an option that the README names with a program is one of that program" {
	grep -oE 'msr-[a-z]+ [^|&`]*' "$TOP/README.md" | while read -r name rest; do
		for word in $rest; do
			case $word in --[a-z]*) ;; *) continue ;; esac
			help_options "$name" | grep -qx -- "${word#--}" || { echo "$name has no $word"; false; }
		done
	done
}

@test "--help names the program and fits a screen of 100 lines" {
	for name in $(programs); do
		run "$name" --help
		[ "$status" -eq 0 ]
		[ "${lines[0]#*"$name"}" != "${lines[0]}" ]
		[ "${#lines[@]}" -le 100 ]
	done
}

@test "--version prints name and version" {
	for name in $(programs); do
		PORT=x run "$name" --version # whatever the environment holds
		[ "$status" -eq 0 ]
		[[ $output == "$name "[0-9]* ]]
	done
}

@test "an unknown option is refused with status 2 and a pointer to --help" {
	for name in $(programs); do
		run "$name" --no-such-thing
		[ "$status" -eq 2 ]
		[[ $output == *"no such option '--no-such-thing'"*"$name --help"* ]]
	done
}
