/* msr-chat(1): picks the subcommand; long options may be written with '_' as well as '-'. */
#include <stdio.h>
#include <string.h>

#include "base/opt.h"
#include "commands.h"
#include "server/auth.h"

static const struct opt none[] = {{0}};
static const struct opt_program program = {
    .name = "msr-chat",
    .usage = "server|client [OPTION ...] | password NAME",
    .summary = "Chat in the terminal: text, pictures, files and voice.",
    .opts = none,
};

/*
 * The original's options: --save_directory becomes --save-directory, and the second '=' of
 * --save_directory==DIR, as its document writes, is dropped.
 */
static void normalise(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		char *p = argv[i];
		if (strncmp(p, "--", 2) != 0)
			continue;
		for (; *p && *p != '='; p++)
			if (*p == '_')
				*p = '-';
		if (p[0] == '=' && p[1] == '=')
			memmove(p, p + 1, strlen(p));
	}
}

int main(int argc, char **argv)
{
	static char name[] = "msr-chat", option[] = "--help";
	char *help[] = {name, option, NULL};
	int next;

	normalise(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "server"))
		return server_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "client"))
		return client_main(argc - 1, argv + 1);
	if (argc == 3 && !strcmp(argv[1], "password") && argv[2][0] != '-')
		return auth_make_line(argv[2]);
	switch (opt_parse(&program, argc, argv, &next)) {
	case OPT_USAGE:
		return 2;
	case OPT_DONE:
		/* --help shows everything, so that nobody has to guess where an option belongs. */
		if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
			printf("\n");
			server_main(2, help);
			printf("\n");
			client_main(2, help);
		}
		return 0;
	case OPT_OK:
		break;
	}
	return opt_usage(&program, "say server, client or password NAME");
}
