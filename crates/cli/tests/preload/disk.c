/* A disk that fails on demand, and loses what was never flushed when its power is cut.
 *
 * It is preloaded into a service (LD_PRELOAD) and stands between it and the system. CONCLAVE_DISK names the folder
 * that it is ruled from, CONCLAVE_DISK_FILES the folder of the files that it is about. The file `fault` in the first
 * says what fails now, and with which errno: "write 28" (no space), "write 5" (an I/O error), "short 28" (half of each
 * write is made before the error), "sync 5".
 *
 * What is written to the database and its WAL is noted in `undo-NAME`, before it is written, and the notes are dropped
 * when the file is flushed. Whoever cuts the power takes back what is noted there: see faults/disk.rs. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The name of a file beneath the folder that this is about; none of another. */
static const char *name_of(int fd, char *path)
{
    const char *files = getenv("CONCLAVE_DISK_FILES");
    if (!files || !getenv("CONCLAVE_DISK"))
        return NULL;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH - 1);
    if (length < 0)
        return NULL;
    path[length] = 0;
    size_t prefix = strlen(files);
    return strncmp(path, files, prefix) == 0 && path[prefix] == '/' ? path + prefix + 1 : NULL;
}

/* Whether something fails now. */
static int fails(const char *what)
{
    char path[PATH], said[64];
    snprintf(path, sizeof path, "%s/fault", getenv("CONCLAVE_DISK"));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, said, sizeof said - 1);
    close(fd);
    said[length < 0 ? 0 : length] = 0;
    size_t word = strlen(what);
    return strncmp(said, what, word) == 0 && said[word] == ' ' ? atoi(said + word + 1) : 0;
}

/* Opens the notes of a file; -1 if none are taken of it. */
static int notes(const char *name)
{
    if (strcmp(name, "delivery.db") != 0 && strcmp(name, "delivery.db-wal") != 0)
        return -1;
    char path[PATH];
    snprintf(path, sizeof path, "%s/undo-%s", getenv("CONCLAVE_DISK"), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        abort();
    return fd;
}

/* Notes what stands where something is about to be written, or behind the length that a file is about to get. */
static void note(int fd, const char *name, uint64_t at, uint64_t length)
{
    int to = notes(name);
    if (to < 0)
        return;
    struct stat now;
    if (fstat(fd, &now) != 0)
        abort();
    uint64_t size = (uint64_t)now.st_size;
    uint64_t behind = at < size ? size - at : 0;
    uint64_t old = length == 0 || behind < length ? behind : length;

    uint64_t head[4] = {at, length, size, old};
    char *whole = malloc(sizeof head + old);
    if (!whole)
        abort();
    memcpy(whole, head, sizeof head);
    if (syscall(SYS_pread64, fd, whole + sizeof head, old, at) != (long)old)
        abort();
    if (syscall(SYS_write, to, whole, sizeof head + old) != (long)(sizeof head + old))
        abort();
    free(whole);
    close(to);
}

/* `at` is -1 for a write at the file's own place. */
static ssize_t put(int fd, const void *bytes, size_t length, off_t at)
{
    char path[PATH];
    const char *name = name_of(fd, path);
    if (name) {
        int half = fails("short");
        int why = half ? half : fails("write");
        if (why && (!half || length < 2)) {
            errno = why;
            return -1;
        }
        length = half ? length / 2 : length;
        pthread_mutex_lock(&lock);
        note(fd, name, (uint64_t)(at < 0 ? lseek(fd, 0, SEEK_CUR) : at), length);
    }
    ssize_t put = at < 0 ? syscall(SYS_write, fd, bytes, length) : syscall(SYS_pwrite64, fd, bytes, length, at);
    if (name)
        pthread_mutex_unlock(&lock);
    return put;
}

ssize_t write(int fd, const void *bytes, size_t length) { return put(fd, bytes, length, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return put(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return put(fd, bytes, length, at); }

static int cut(int fd, off_t length)
{
    char path[PATH];
    const char *name = name_of(fd, path);
    if (name) {
        int why = fails("write");
        if (why) {
            errno = why;
            return -1;
        }
        pthread_mutex_lock(&lock);
        note(fd, name, (uint64_t)length, 0);
    }
    int result = (int)syscall(SYS_ftruncate, fd, length);
    if (name)
        pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length); }

static int flush(int fd, long call)
{
    char path[PATH];
    const char *name = name_of(fd, path);
    int why = name ? fails("sync") : 0;
    if (why) {
        errno = why;
        return -1;
    }
    if (!name)
        return (int)syscall(call, fd);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(call, fd);
    int of = result == 0 ? notes(name) : -1;
    if (of >= 0) {
        if (syscall(SYS_ftruncate, of, 0) != 0)
            abort();
        close(of);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return flush(fd, SYS_fsync); }
int fdatasync(int fd) { return flush(fd, SYS_fdatasync); }
