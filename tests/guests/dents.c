/* Directories as lists: all names once, types, rewinding, removal while reading, raw records. */
#include "guest.h"
#include <dirent.h>

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names in order, with their types. */
static void list(const char *name, const char *path) {
    static char *names[2000];
    int n = 0;
    DIR *dir = opendir(path);
    if (!dir) {
        SHOW(name, "%s", strerrorname_np(errno));
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(dir)) && n < 2000) {
        char text[300];
        sprintf(text, "%s/%d", entry->d_name, entry->d_type);
        names[n++] = strdup(text);
    }
    closedir(dir);
    qsort(names, n, sizeof *names, by_name);
    unsigned hash = 5381;
    for (int i = 0; i < n; i++)
        for (char *c = names[i]; *c; c++) hash = hash * 33 + *c;
    if (n < 20)
        for (int i = 0; i < n; i++) SHOW(name, "%s", names[i]);
    SHOW(name, "%d entries, hash %u", n, hash);
    for (int i = 0; i < n; i++) free(names[i]);
}

int main(void) {
    mkdir("d", 0755);
    list("empty", "d");
    close(open("d/file", O_CREAT | O_WRONLY, 0644));
    mkdir("d/dir", 0755);
    symlink("file", "d/link");
    mkfifo("d/fifo", 0644);
    list("types", "d");
    list("of a file", "d/file");
    list("of nothing", "d/none");
    mkdir("many", 0755);
    char name[300];
    for (int i = 0; i < 700; i++) {
        sprintf(name, "many/entry-%d-%.*s", i, i % 90, "with-a-name-of-some-length-so-that-several-buffers-are-needed-to-read-all-of-the-entries");
        close(open(name, O_CREAT | O_WRONLY, 0644));
    }
    list("many", "many");

    DIR *dir = opendir("many");
    int first = 0, again = 0, rest = 0;
    for (int i = 0; i < 300; i++) first += readdir(dir) != NULL;
    long place = telldir(dir);
    char at[256];
    strcpy(at, readdir(dir)->d_name);
    while (readdir(dir)) rest++;
    seekdir(dir, place);
    TRUTH("seekdir finds the place", !strcmp(at, readdir(dir)->d_name));
    rewinddir(dir);
    while (readdir(dir)) again++;
    SHOW("counts", "%d %d %d", first, rest, again);
    /* Remove each as it is read: all are found. */
    rewinddir(dir);
    int removed = 0;
    struct dirent *entry;
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.' && !unlinkat(dirfd(dir), entry->d_name, 0)) removed++;
    NUM("removed while reading", removed);
    closedir(dir);
    CALL("then it is empty", rmdir("many"));

    int fd = open("d", O_RDONLY);
    char buffer[1000];
    CALL("getdents64 into little", syscall(SYS_getdents64, fd, buffer, 10));
    long n = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    int records = 0, aligned = 1, dots = 0;
    for (long i = 0; i < n;) {
        struct dirent64 *record = (struct dirent64 *)(buffer + i);
        records++;
        aligned &= record->d_reclen % 8 == 0;
        dots += !strcmp(record->d_name, ".") || !strcmp(record->d_name, "..");
        i += record->d_reclen;
    }
    SHOW("records", "%d aligned %d dots %d", records, aligned, dots);
    CALL("at the end", syscall(SYS_getdents64, fd, buffer, sizeof buffer));
    CALL("rewind", lseek(fd, 0, SEEK_SET));
    TRUTH("again", syscall(SYS_getdents64, fd, buffer, sizeof buffer) == n);
    CALL("of a file", syscall(SYS_getdents64, open("d/file", O_RDONLY), buffer, sizeof buffer));
    CALL("of nothing", syscall(SYS_getdents64, 99, buffer, sizeof buffer));
    CALL("to nowhere", (lseek(fd, 0, SEEK_SET), syscall(SYS_getdents64, fd, 8, 1000)));
    struct stat st;
    stat("d/.", &st);
    ino_t inode = st.st_ino;
    stat("d/dir/..", &st);
    TRUTH("dot-dot is the parent", st.st_ino == inode);
    rmdir("d/dir");
    fd = open("d", O_RDONLY);
    unlink("d/file"), unlink("d/link"), unlink("d/fifo"), rmdir("d");
    CALL("of a removed one", syscall(SYS_getdents64, fd, buffer, sizeof buffer));
    return 0;
}
