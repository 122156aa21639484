/*
 * Files: whole reads and writes, folders, and durable publishing.
 *
 * A file that others wait for is written under a temporary name, made durable, and renamed:
 * whoever sees the final name sees the whole file.
 */
#ifndef MSR_BASE_FILE_H
#define MSR_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;

/* Writes everything, going on after short writes and EINTR. 0 or -errno. */
int file_write_all(int fd, const void *data, size_t n);

/* Creates `path` and its parents (mode 0777 less the umask). 0 or -errno; existing is fine. */
int file_mkdirs(const char *path);

/* Appends at most `max` bytes of the file to `b`. 0, -EFBIG when it is longer, or -errno. */
int file_read(int dirfd, const char *path, size_t max, struct buf *b);

/*
 * Writes `data` as `path` (relative to `dirfd`): temporary dot file in the same folder, fsync,
 * rename, fsync of the folder.
 * On an error no trace is left, but for one: where only the folder cannot be synced, the file is
 * there and may be gone after a power cut.
 */
int file_publish(int dirfd, const char *path, const void *data, size_t n);

/*
 * rename(2) that never overwrites: both names are below `dirfd`. 0, -EEXIST (both stay) or -errno.
 * File systems without such a rename get link(2) and unlink(2) instead: for a moment the file has
 * both names, and after a crash in that moment it keeps them.
 */
int file_rename_excl(int dirfd, const char *from, const char *to);

/*
 * As file_publish, for a file by whose age somebody tells that we are alive. When it cannot be
 * replaced, as on a full disk, the old one stays and is marked as of now, which needs no space; an
 * empty one is made if it does not exist. Returns the error of publishing all the same.
 */
int file_refresh(int dirfd, const char *path, const void *data, size_t n);

/* Makes the entries of the folder durable. 0 or -errno. */
int file_sync_dir(int dirfd, const char *path);

/*
 * Opens the file behind `fd` again, whatever its name leads to by now: a descriptor (CLOEXEC) whose
 * mode and flags are its own. Or -errno.
 */
int file_reopen(int fd, int flags);

/* Gives the file a name, which must be free; O_TMPFILE files have none. 0, -EEXIST or -errno. */
int file_link(int fd, int dirfd, const char *path);

/* Sets CLOEXEC or O_NONBLOCK on a descriptor that came from elsewhere. 0 or -errno. */
int file_set_cloexec(int fd);
int file_set_nonblock(int fd);

#endif
