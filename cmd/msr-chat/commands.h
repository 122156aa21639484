/* The subcommands: each gets what stands behind its name, and returns the exit status. */
#ifndef MSR_CHAT_COMMANDS_H
#define MSR_CHAT_COMMANDS_H

int server_main(int argc, char **argv);
int client_main(int argc, char **argv);

#endif
