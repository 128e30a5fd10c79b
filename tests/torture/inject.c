/* Calls of the C library that fail when told to: cc -shared -fPIC -o inject.so inject.c, then LD_PRELOAD.
 *
 * inject_arm(folder, n, error): the n-th call that concerns a file in `folder` fails with `error`; with -n all
 * from the n-th on do, with 0 none.
 * inject_count(): how many such calls there were since. inject_what(): the name of the one that failed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST 4096
static char folder[MOST];
static long instant, count;
static int number, armed, inside;
static const char *what = "";

void inject_arm(const char *path, long n, int error) {
    strncpy(folder, path, MOST - 1);
    instant = n, number = error, count = 0, what = "", armed = 1;
}
long inject_count(void) { return count; }
const char *inject_what(void) { return what; }
void inject_disarm(void) { armed = 0; }

static int concerns(const char *path) {
    if (!armed || inside || !path) return 0;
    return !strncmp(path, folder, strlen(folder)) || !strncmp(path, "/proc/self/fd/", 14);
}
static int is_ours(int fd) {
    char link[64], target[MOST];
    if (!armed || inside || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    inside = 1;
    ssize_t n = readlink(link, target, MOST - 1);
    inside = 0;
    if (n < 0) return 0;
    target[n] = 0;
    return !strncmp(target, folder, strlen(folder));
}
static int fails(const char *name) {
    ++count;
    if (!instant || (count != instant && (instant > 0 || count < -instant))) return 0;
    if (!*what) what = name;
    errno = number;
    return 1;
}
#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)

#define OPEN(name)                                                                    \
    int name(const char *path, int flags, ...) {                                      \
        REAL(int, name, const char *, int, ...);                                      \
        va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
        if (concerns(path) && fails("open")) return -1;                               \
        return real(path, flags, mode);                                               \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name)                                                                  \
    int name(int at, const char *path, int flags, ...) {                              \
        REAL(int, name, int, const char *, int, ...);                                 \
        va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
        if ((concerns(path) || is_ours(at)) && fails("openat")) return -1;            \
        return real(at, path, flags, mode);                                           \
    }
OPENAT(openat)
OPENAT(openat64)
FILE *fopen64(const char *path, const char *mode) {
    REAL(FILE *, fopen64, const char *, const char *);
    return concerns(path) && fails("fopen") ? NULL : real(path, mode);
}
DIR *opendir(const char *path) {
    REAL(DIR *, opendir, const char *);
    return concerns(path) && fails("opendir") ? NULL : real(path);
}

/* the first argument is a descriptor */
#define ON_FD(type, name, params, args)                                               \
    type name params {                                                                \
        static type (*real) params; if (!real) real = dlsym(RTLD_NEXT, #name);        \
        return is_ours(fd) && fails(#name) ? (type)-1 : real args;                    \
    }
ON_FD(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n))
ON_FD(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
ON_FD(ssize_t, pread, (int fd, void *b, size_t n, off_t o), (fd, b, n, o))
ON_FD(ssize_t, pread64, (int fd, void *b, size_t n, off64_t o), (fd, b, n, o))
ON_FD(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o))
ON_FD(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o))
ON_FD(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
ON_FD(off_t, lseek, (int fd, off_t o, int w), (fd, o, w))
ON_FD(off64_t, lseek64, (int fd, off64_t o, int w), (fd, o, w))
ON_FD(int, fsync, (int fd), (fd))
ON_FD(int, fdatasync, (int fd), (fd))
ON_FD(int, ftruncate, (int fd, off_t n), (fd, n))
ON_FD(int, ftruncate64, (int fd, off64_t n), (fd, n))
ON_FD(int, flock, (int fd, int how), (fd, how))
ON_FD(int, fchmod, (int fd, mode_t m), (fd, m))
ON_FD(int, fstat, (int fd, struct stat *s), (fd, s))
ON_FD(int, fstat64, (int fd, struct stat64 *s), (fd, s))

/* the first argument is a path */
#define ON_PATH(type, name, params, args)                                             \
    type name params {                                                                \
        static type (*real) params; if (!real) real = dlsym(RTLD_NEXT, #name);        \
        return concerns(path) && fails(#name) ? (type)-1 : real args;                 \
    }
ON_PATH(int, rename, (const char *path, const char *to), (path, to))
ON_PATH(int, link, (const char *path, const char *to), (path, to))
ON_PATH(int, unlink, (const char *path), (path))
ON_PATH(int, mkdir, (const char *path, mode_t m), (path, m))
ON_PATH(int, rmdir, (const char *path), (path))
ON_PATH(int, chmod, (const char *path, mode_t m), (path, m))
ON_PATH(int, lstat, (const char *path, struct stat *s), (path, s))
ON_PATH(int, lstat64, (const char *path, struct stat64 *s), (path, s))
ON_PATH(int, stat, (const char *path, struct stat *s), (path, s))
ON_PATH(int, stat64, (const char *path, struct stat64 *s), (path, s))

int linkat(int at, const char *path, int to, const char *name, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    return (concerns(path) || concerns(name)) && fails("linkat") ? -1 : real(at, path, to, name, flags);
}
int renameat(int at, const char *path, int to, const char *name) {
    REAL(int, renameat, int, const char *, int, const char *);
    return (concerns(path) || concerns(name)) && fails("renameat") ? -1 : real(at, path, to, name);
}
int unlinkat(int at, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    return (concerns(path) || is_ours(at)) && fails("unlinkat") ? -1 : real(at, path, flags);
}
void *mmap64(void *a, size_t n, int p, int f, int fd, off64_t o) {
    REAL(void *, mmap64, void *, size_t, int, int, int, off64_t);
    return is_ours(fd) && fails("mmap") ? MAP_FAILED : real(a, n, p, f, fd, o);
}
