/* `msr-audiod filter CHAIN`: a chain between standard input and output. */
#ifndef MSR_AUDIOD_FILTER_H
#define MSR_AUDIOD_FILTER_H

/* argv[0] is "filter". Returns the exit status. */
int filter_main(int argc, char **argv);

#endif
