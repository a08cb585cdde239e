/* A disk that may drop what was not flushed, for one folder; loaded by LD_PRELOAD.
 *
 * Before each write it notes in DROPPING_JOURNAL what stood there, and after each fsync that the
 * file is on the disk. `powercut.py` puts back what stood there and was not flushed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct head {
    char magic[8];
    uint32_t synced, path;
    uint64_t offset, size, length; /* synced: offset is the journal's length when it began */
};

static int journal = -1;
static const char *folder;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    const char *place = getenv("DROPPING_JOURNAL"), *name = getenv("DROPPING_FOLDER");
    folder = name ? strdup(name) : NULL; /* PostgreSQL writes its title over the environment */
    if (place && folder)
        journal = open(place, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static int ours(int fd, char *path, struct stat *found) {
    char link[40];
    if (journal < 0 || fd == journal || fstat(fd, found) || !S_ISREG(found->st_mode))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

static void put(struct head *head, const char *path, void *old) {
    memcpy(head->magic, "DROPPING", 8);
    head->path = strlen(path);
    struct iovec parts[] = {
        {head, sizeof *head}, {(void *)path, head->path}, {old, head->length}};
    if (REAL(writev)(journal, parts, 3) < 0)
        abort();
}

static void note(int fd, off_t offset, size_t length) {
    char path[PATH_MAX];
    struct stat found;
    int kept = errno;
    if (ours(fd, path, &found)) {
        struct head head = {.offset = offset, .size = found.st_size};
        void *old = NULL;
        if (offset < found.st_size) {
            int reader = open(path, O_RDONLY | O_CLOEXEC);
            head.length = found.st_size - offset < (off_t)length ? found.st_size - offset : length;
            old = malloc(head.length);
            if (reader < 0 || pread(reader, old, head.length, offset) != (ssize_t)head.length)
                head.length = 0; /* it has no name any more: nobody will read it */
            if (reader >= 0)
                close(reader);
        }
        put(&head, path, old);
        free(old);
    }
    errno = kept;
}

static off_t place(int fd) {
    struct stat found;
    if (fcntl(fd, F_GETFL) & O_APPEND)
        return fstat(fd, &found) ? 0 : found.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

static size_t sum(const struct iovec *parts, int count) {
    size_t all = 0;
    for (int each = 0; each < count; each++)
        all += parts[each].iov_len;
    return all;
}

ssize_t write(int fd, const void *data, size_t length) {
    if (journal >= 0 && fd > 2)
        note(fd, place(fd), length);
    return REAL(write)(fd, data, length);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    note(fd, offset, length);
    return REAL(pwrite)(fd, data, length, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    note(fd, offset, sum(parts, count));
    return REAL(pwritev)(fd, parts, count, offset);
}

int posix_fallocate(int fd, off_t offset, off_t length) {
    note(fd, offset, 0);
    return REAL(posix_fallocate)(fd, offset, length);
}

int ftruncate(int fd, off_t length) {
    note(fd, length, SSIZE_MAX);
    return REAL(ftruncate)(fd, length);
}

static int synced(int fd, int (*flush)(int)) {
    char path[PATH_MAX];
    struct stat found, noted;
    int watched = ours(fd, path, &found) && !fstat(journal, &noted);
    int done = flush(fd);
    if (watched && done == 0) {
        struct head head = {.synced = 1, .offset = noted.st_size};
        put(&head, path, NULL);
    }
    return done;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }

int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }
