/* "host", "host:port" and "[v6]:port", as server and client take them. */
#ifndef MSR_CHAT_ADDRESS_H
#define MSR_CHAT_ADDRESS_H

enum { HOST_SIZE = 256, PORT_SIZE = 16 };

#define DEFAULT_ADDRESS "127.0.0.1"
#define DEFAULT_PORT	"8080"

/* `port` is what was given apart, or NULL. 0, or -EINVAL when the text is not of these forms. */
int address_split(const char *text, const char *port, char host_out[static HOST_SIZE],
		  char port_out[static PORT_SIZE]);

#endif
