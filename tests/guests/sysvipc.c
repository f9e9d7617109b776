/* System V IPC: shared memory, semaphores, message queues. Every object is removed again. */
#include "guest.h"
#include <pthread.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/time.h>

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

struct text {
    long type;
    char data[64];
};

static key_t key_of(int which) {
    return ftok(".", which);
}

static int rows(const char *path) {
    FILE *file = fopen(path, "r");
    char line[512];
    int count = 0;
    while (file && fgets(line, sizeof line, file)) count++;
    if (file) fclose(file);
    return count;
}

static int listed(const char *path, int id) {
    FILE *file = fopen(path, "r");
    char line[512];
    int found = 0, key, number;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%d %d", &key, &number) == 2 && number == id) found++;
    if (file) fclose(file);
    return found;
}

/* -- shared memory */

static void show_segment(const char *name, int id) {
    struct shmid_ds ds;
    if (shmctl(id, IPC_STAT, &ds)) {
        SHOW(name, "%s", strerrorname_np(errno));
        return;
    }
    SHOW(name, "size %zu mode %o attached %lu key %d creator %d last %d", ds.shm_segsz, ds.shm_perm.mode,
         (unsigned long)ds.shm_nattch, ds.shm_perm.__key != 0, ds.shm_cpid == getpid(), ds.shm_lpid == getpid());
}

static void segments(void) {
    int id = shmget(IPC_PRIVATE, 5000, IPC_CREAT | 0640);
    TRUTH("shm made", id >= 0);
    show_segment("shm fresh", id);
    char *at = shmat(id, NULL, 0), *again = shmat(id, NULL, SHM_RDONLY);
    TRUTH("shm attached", at != (void *)-1 && again != (void *)-1 && at != again);
    show_segment("shm twice", id);
    NUM("shm zero", at[0] | at[4999] | at[8191]);
    strcpy(at + 4096, "seen through both");
    SHOW("shm shared", "%s", again + 4096);
    CALL("shm read-only stays so", mprotect(again, 4096, PROT_READ | PROT_WRITE));
    CALL("shm protect", mprotect(at, 4096, PROT_READ));
    show_segment("shm split", id);
    CALL("shm protect back", mprotect(at, 4096, PROT_READ | PROT_WRITE));
    pid_t pid = fork();
    if (!pid) {
        show_segment("shm in child", id);
        strcpy(at, "from the child");
        CALL("shm child detaches", shmdt(at));
        show_segment("shm child detached", id);
        _exit(0);
    }
    reap("shm child", pid);
    SHOW("shm from child", "%s", at);
    struct shmid_ds ds;
    shmctl(id, IPC_STAT, &ds);
    TRUTH("shm last is child", ds.shm_lpid == pid);
    TRUTH("shm times", ds.shm_atime && ds.shm_dtime && ds.shm_ctime);
    CALL("shm detach inside", shmdt(at + 4096));
    CALL("shm detach unaligned", shmdt(at + 1));
    CALL("shm detach nothing", shmdt((void *)0x10000));
    CALL("shm detach", shmdt(again));
    CALL("shm detach twice", shmdt(again));
    show_segment("shm once", id);
    TRUTH("shm listed", listed("/proc/sysvipc/shm", id));

    CALL("shm remove", shmctl(id, IPC_RMID, NULL));
    show_segment("shm marked", id);
    SHOW("shm still there", "%s", at);
    char *late = shmat(id, NULL, 0);
    TRUTH("shm attach marked", late != (void *)-1);
    CALL("shm detach late", shmdt(late));
    pid = fork();
    if (!pid) {
        SHOW("shm marked in child", "%s", at);
        _exit(0);
    }
    reap("shm marked child", pid);
    CALL("shm unmap half", munmap(at, 4096));
    show_segment("shm half", id);
    SHOW("shm other half", "%s", at + 4096);
    CALL("shm detach half", shmdt(at));
    show_segment("shm gone", id);
    CALL("shm remove gone", shmctl(id, IPC_RMID, NULL));
    TRY("shm attach gone", (long)shmat(id, NULL, 0));
}

static void segment_errors(void) {
    key_t key = key_of('s');
    CALL("shm no key", shmget(key, 4096, 0600));
    CALL("shm size 0", shmget(key, 0, IPC_CREAT | 0600));
    CALL("shm size huge", shmget(key, (size_t)-1, IPC_CREAT | 0600));
    int id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);
    TRUTH("shm key made", id >= 0);
    TRUTH("shm key found", shmget(key, 4096, 0600) == id && shmget(key, 0, 0) == id && shmget(key, 100, IPC_CREAT) == id);
    CALL("shm key exists", shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600));
    CALL("shm key too small", shmget(key, 4097, 0600));
    TRY("shm bad id", (long)shmat(-1, NULL, 0));
    TRY("shm unaligned", (long)shmat(id, (void *)0x7000123, 0));
    TRY("shm remap nowhere", (long)shmat(id, NULL, SHM_REMAP));
    CALL("shm bad command", shmctl(id, 77, NULL));
    CALL("shm stat nowhere", shmctl(id, IPC_STAT, (void *)8));
    CALL("shm bad id stat", shmctl(0x7fffffff, IPC_STAT, (void *)8));

    char *area = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    area[0] = 'x';
    TRY("shm occupied", (long)shmat(id, area, 0));
    char *at = shmat(id, area + 4096 + 17, SHM_RND | SHM_REMAP);
    NUM("shm remap", at - area);
    NUM("shm remap kept", area[0]);
    NUM("shm remap zero", at[0]);
    show_segment("shm keyed", id);
    CALL("shm detach", shmdt(at));
    munmap(area, 4 * 4096);
    at = shmat(id, area, 0);
    TRUTH("shm at address", at == area);
    at[0] = 'k';
    void *moved = mremap(at, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, area + 8192);
    TRUTH("shm moved", moved == area + 8192 && area[8192] == 'k');
    show_segment("shm after move", id);
    CALL("shm detach moved", shmdt(moved));

    struct shmid_ds ds;
    shmctl(id, IPC_STAT, &ds);
    ds.shm_perm.mode = 0444 | 01000;
    CALL("shm set", shmctl(id, IPC_SET, &ds));
    show_segment("shm after set", id);
    CALL("shm lock", shmctl(id, SHM_LOCK, NULL));
    show_segment("shm locked", id);
    CALL("shm unlock", shmctl(id, SHM_UNLOCK, NULL));
    ds.shm_perm.uid = -1;
    CALL("shm set bad owner", shmctl(id, IPC_SET, &ds));
    int index = id & 0x7fff;
    TRUTH("shm stat by index", shmctl(index, SHM_STAT, &ds) == id);
    struct shminfo limits;
    TRUTH("shm info", shmctl(0, IPC_INFO, (void *)&limits) >= 0);
    NUM("shm limits", limits.shmmni * 10 + limits.shmmin);
    CALL("shm remove", shmctl(id, IPC_RMID, NULL));
    CALL("shm key is free", shmget(key, 4096, 0600));
    TRUTH("shm id differs", ({
              int other = shmget(key, 4096, IPC_CREAT | 0600);
              shmctl(other, IPC_RMID, NULL);
              other != id;
          }));

    /* what a removed but attached segment's key leads to */
    id = shmget(key, 4096, IPC_CREAT | 0600);
    at = shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
    CALL("shm marked has no key", shmget(key, 4096, 0600));
    pid_t pid = fork();
    if (!pid) {
        shmdt(at);
        _exit(0);
    }
    reap("shm marked", pid);
    pid = fork();
    if (!pid) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    reap("shm exec", pid);
    show_segment("shm only here", id);
    shmdt(at);
    show_segment("shm nowhere", id);
}

/* -- semaphores */

static void until(int id, int number, int command, int wanted) {
    for (int i = 0; i < 2000 && semctl(id, number, command) != wanted; i++) sleep_ms(1);
}

static void semaphores(void) {
    int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600);
    TRUTH("sem made", id >= 0);
    unsigned short values[8] = {1, 2, 3};
    CALL("sem set all", semctl(id, 0, SETALL, (union semun){.array = values}));
    memset(values, 0, sizeof values);
    CALL("sem get all", semctl(id, 0, GETALL, (union semun){.array = values}));
    SHOW("sem values", "%d %d %d", values[0], values[1], values[2]);
    CALL("sem set", semctl(id, 1, SETVAL, (union semun){.val = 7}));
    CALL("sem get", semctl(id, 1, GETVAL));
    TRUTH("sem pid", semctl(id, 1, GETPID) == getpid());
    CALL("sem set too much", semctl(id, 1, SETVAL, (union semun){.val = 32768}));
    CALL("sem set negative", semctl(id, 1, SETVAL, (union semun){.val = -1}));
    CALL("sem set where", semctl(id, 3, SETVAL, (union semun){.val = 1}));
    CALL("sem get where", semctl(id, -1, GETVAL));
    CALL("sem bad command", semctl(id, 0, 99));
    CALL("sem all nowhere", semctl(id, 0, GETALL, (union semun){.array = (void *)8}));

    struct sembuf two[] = {{0, -1, IPC_NOWAIT}, {2, -4, IPC_NOWAIT}};
    CALL("sem all or nothing", semop(id, two, 2));
    CALL("sem untouched", semctl(id, 0, GETVAL));
    two[1].sem_op = -3;
    CALL("sem both", semop(id, two, 2));
    CALL("sem taken", semctl(id, 0, GETVAL) * 10 + semctl(id, 2, GETVAL));
    struct sembuf sequence[] = {{0, 5, 0}, {0, -3, 0}, {0, -2, 0}, {0, 0, 0}};
    CALL("sem in order", semop(id, sequence, 4));
    struct sembuf one = {0, 32767, 0};
    CALL("sem to the top", semop(id, &one, 1));
    one.sem_op = 1;
    CALL("sem over the top", semop(id, &one, 1));
    one = (struct sembuf){0, 0, IPC_NOWAIT};
    CALL("sem not zero", semop(id, &one, 1));
    one = (struct sembuf){3, 0, IPC_NOWAIT};
    CALL("sem number", semop(id, &one, 1));
    CALL("sem no operations", semop(id, &one, 0));
    CALL("sem many operations", semop(id, &one, 501));
    CALL("sem operations nowhere", semop(id, (void *)8, 1));
    CALL("sem bad id", semop(-1, &one, 1));
    CALL("sem unknown id", semop(0x7fffffff, &one, 1));
    struct timespec timeout = {0, 20000000};
    one = (struct sembuf){2, -1, 0};
    CALL("sem too late", semtimedop(id, &one, 1, &timeout));
    timeout.tv_nsec = -1;
    CALL("sem bad time", semtimedop(id, &one, 1, &timeout));
    CALL("sem time nowhere", semtimedop(id, &one, 1, (void *)8));
    struct semid_ds ds;
    CALL("sem stat", semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}));
    SHOW("sem stat has", "%lu %o %d %d", (unsigned long)ds.sem_nsems, ds.sem_perm.mode, ds.sem_otime != 0, ds.sem_ctime != 0);
    TRUTH("sem listed", listed("/proc/sysvipc/sem", id));
    ds.sem_perm.mode = 0400;
    CALL("sem set mode", semctl(id, 0, IPC_SET, (union semun){.buf = &ds}));
    semctl(id, 0, IPC_STAT, (union semun){.buf = &ds});
    SHOW("sem mode", "%o", ds.sem_perm.mode);
    TRUTH("sem by index", semctl(id & 0x7fff, 0, SEM_STAT, (union semun){.buf = &ds}) == id);
    struct seminfo info;
    TRUTH("sem info", semctl(0, 0, IPC_INFO, (union semun){.info = &info}) >= 0);
    SHOW("sem limits", "%d %d %d %d %d %d %d %d", info.semmni, info.semmns, info.semmsl, info.semopm, info.semume,
         info.semusz, info.semvmx, info.semaem);
    CALL("sem remove", semctl(id, 0, IPC_RMID));
    CALL("sem gone", semctl(id, 0, GETVAL));

    key_t key = key_of('e');
    CALL("sem no key", semget(key, 1, 0600));
    CALL("sem none", semget(key, 0, IPC_CREAT | 0600));
    CALL("sem negative", semget(key, -1, IPC_CREAT | 0600));
    CALL("sem too many", semget(key, 32001, IPC_CREAT | 0600));
    id = semget(key, 2, IPC_CREAT | IPC_EXCL | 0600);
    TRUTH("sem key", semget(key, 0, 0) == id && semget(key, 2, IPC_CREAT) == id);
    CALL("sem key exists", semget(key, 2, IPC_CREAT | IPC_EXCL));
    CALL("sem key larger", semget(key, 3, 0));
    CALL("sem remove", semctl(id, 0, IPC_RMID));
}

static volatile int handled;
static void on_alarm(int signo) {
    handled++;
}

/* A child that does one operation; its exit status is the error. */
static pid_t operate(int id, int number, int change, int flags) {
    pid_t pid = fork();
    if (!pid) {
        struct sembuf op = {number, change, flags};
        _exit(semop(id, &op, 1) ? errno : 0);
    }
    return pid;
}

static void semaphore_waits(void) {
    int id = semget(IPC_PRIVATE, 2, 0600);
    pid_t first = operate(id, 0, -2, 0);
    until(id, 0, GETNCNT, 1);
    CALL("sem waiting", semctl(id, 0, GETNCNT));
    CALL("sem waiting for zero", semctl(id, 0, GETZCNT));
    struct sembuf op = {0, 1, 0};
    semop(id, &op, 1);
    CALL("sem half", semctl(id, 0, GETVAL));
    semop(id, &op, 1);
    int left = semctl(id, 0, GETVAL), waiting = semctl(id, 0, GETNCNT), changed_by = semctl(id, 0, GETPID);
    reap("sem waiter", first);
    SHOW("sem handed over", "%d %d %d", left, waiting, changed_by == first);

    semctl(id, 1, SETVAL, (union semun){.val = 1});
    first = operate(id, 1, 0, 0);
    until(id, 1, GETZCNT, 1);
    CALL("sem zero waiting", semctl(id, 1, GETZCNT) * 10 + semctl(id, 1, GETNCNT));
    op = (struct sembuf){1, -1, 0};
    semop(id, &op, 1);
    reap("sem zero", first);

    /* the first in the queue does not hold up those behind it */
    first = operate(id, 0, -3, 0);
    until(id, 0, GETNCNT, 1);
    pid_t second = operate(id, 0, -1, 0);
    until(id, 0, GETNCNT, 2);
    op = (struct sembuf){0, 1, 0};
    semop(id, &op, 1);
    reap("sem one", second);
    CALL("sem one left", semctl(id, 0, GETNCNT));
    semctl(id, 0, SETVAL, (union semun){.val = 5});
    reap("sem three", first);
    CALL("sem left", semctl(id, 0, GETVAL));

    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = {.it_value = {0, 20000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    op = (struct sembuf){0, -10, 0};
    CALL("sem interrupted", semop(id, &op, 1));
    NUM("sem handled", handled);
    CALL("sem no waiters", semctl(id, 0, GETNCNT));

    first = operate(id, 0, -100, 0);
    until(id, 0, GETNCNT, 1);
    semctl(id, 0, IPC_RMID);
    reap("sem removed", first);
}

static void *in_thread(void *id) {
    struct sembuf op = {0, -1, SEM_UNDO};
    CALL("sem thread", semop((long)id, &op, 1));
    return NULL;
}

static void undo(void) {
    int id = semget(IPC_PRIVATE, 2, 0600);
    semctl(id, 0, SETVAL, (union semun){.val = 3});
    pid_t pid = operate(id, 0, -2, SEM_UNDO);
    reap("sem undo", pid);
    CALL("sem undone", semctl(id, 0, GETVAL));
    pid_t killed = fork();
    if (!killed) {
        struct sembuf op[] = {{0, -3, SEM_UNDO}, {1, 4, SEM_UNDO}, {1, 1, 0}};
        semop(id, op, 3);
        pause();
    }
    until(id, 1, GETVAL, 5);
    pid = operate(id, 0, -3, 0);
    until(id, 0, GETNCNT, 1);
    kill(killed, SIGKILL);
    reap("sem killed", killed);
    reap("sem undo waiter", pid);
    CALL("sem undo zero", semctl(id, 0, GETVAL));
    CALL("sem undo other", semctl(id, 1, GETVAL));

    /* setting the value clears its undo entries; a thread shares its process's list */
    semctl(id, 0, SETVAL, (union semun){.val = 5});
    pid = fork();
    if (!pid) {
        pthread_t thread;
        pthread_create(&thread, NULL, in_thread, (void *)(long)id);
        pthread_join(thread, NULL);
        CALL("sem thread kept", semctl(id, 0, GETVAL));
        struct sembuf op = {1, -1, SEM_UNDO};
        semop(id, &op, 1);
        semctl(id, 1, SETVAL, (union semun){.val = 9});
        pid_t child = fork();
        if (!child) _exit(0);
        reap("sem undo not inherited", child);
        CALL("sem thread still", semctl(id, 0, GETVAL));
        execl("/bin/true", "true", NULL);
    }
    reap("sem undo exec", pid);
    CALL("sem undo after exec", semctl(id, 0, GETVAL));
    CALL("sem undo forgotten", semctl(id, 1, GETVAL));
    struct sembuf op = {1, -9, SEM_UNDO};
    CALL("sem undo taken", semop(id, &op, 1));
    CALL("sem remove", semctl(id, 0, IPC_RMID));
}

/* -- message queues */

static void put(const char *name, int id, long type, const char *text, int flags) {
    struct text message = {type};
    strcpy(message.data, text);
    CALL(name, msgsnd(id, &message, strlen(text), flags));
}

static void take(const char *name, int id, long type, size_t size, int flags) {
    struct text message = {0};
    errno = 0;
    ssize_t got = msgrcv(id, &message, size, type, flags);
    if (got < 0) SHOW(name, "%s", strerrorname_np(errno));
    else SHOW(name, "%zd %ld %.*s", got, message.type, (int)got, message.data);
}

static void show_state(const char *name, struct msqid_ds ds) {
    SHOW(name, "bytes %lu messages %lu limit %lu mode %o sent %d received %d", (unsigned long)ds.__msg_cbytes,
         (unsigned long)ds.msg_qnum, (unsigned long)ds.msg_qbytes, ds.msg_perm.mode, ds.msg_lspid == getpid(),
         ds.msg_lrpid == getpid());
}

static void show_queue(const char *name, int id) {
    struct msqid_ds ds;
    if (msgctl(id, IPC_STAT, &ds)) SHOW(name, "%s", strerrorname_np(errno));
    else show_state(name, ds);
}

static void queues(void) {
    int id = msgget(IPC_PRIVATE, 0600);
    TRUTH("msg made", id >= 0);
    show_queue("msg fresh", id);
    put("msg put", id, 5, "five", 0);
    put("msg put", id, 3, "three", 0);
    put("msg put", id, 7, "seven", 0);
    put("msg put", id, 3, "three again", 0);
    put("msg put empty", id, 9, "", 0);
    show_queue("msg full", id);
    TRUTH("msg listed", listed("/proc/sysvipc/msg", id));
    take("msg type 7", id, 7, 64, 0);
    take("msg not 5", id, 5, 64, MSG_EXCEPT);
    take("msg up to 5", id, -5, 64, 0);
    take("msg up to 2", id, -2, 64, IPC_NOWAIT);
    take("msg too large", id, 0, 2, 0);
    take("msg cut", id, 0, 2, MSG_NOERROR);
    take("msg empty", id, 0, 64, 0);
    take("msg none", id, 0, 64, IPC_NOWAIT);
    show_queue("msg emptied", id);
    put("msg type 0", id, 0, "x", 0);
    put("msg type -1", id, -1, "x", 0);
    struct text message = {1};
    CALL("msg huge", msgsnd(id, &message, 8193, 0));
    CALL("msg negative", msgsnd(id, &message, -1, 0));
    CALL("msg nowhere", msgsnd(id, (void *)8, 1, 0));
    CALL("msg receive negative", msgrcv(id, &message, -1, 0, 0));
    CALL("msg bad id", msgsnd(-1, &message, 1, 0));
    CALL("msg unknown id", msgrcv(0x7fffffff, &message, 1, 0, 0));
    CALL("msg copy waits", msgrcv(id, &message, 64, 0, MSG_COPY));
    CALL("msg bad command", msgctl(id, 99, NULL));
    put("msg lost", id, 1, "lost", 0);
    CALL("msg receive nowhere", msgrcv(id, (void *)8, 64, 0, 0));
    show_queue("msg after", id);

    struct msqid_ds ds;
    msgctl(id, IPC_STAT, &ds);
    ds.msg_qbytes = 10;
    ds.msg_perm.mode = 0640;
    CALL("msg set", msgctl(id, IPC_SET, &ds));
    put("msg fits", id, 1, "12345678", IPC_NOWAIT);
    put("msg does not", id, 1, "123", IPC_NOWAIT);
    put("msg still fits", id, 1, "12", IPC_NOWAIT);
    show_queue("msg small", id);
    TRUTH("msg by index", msgctl(id & 0x7fff, MSG_STAT, &ds) == id);
    struct msginfo info;
    TRUTH("msg info", msgctl(0, IPC_INFO, (void *)&info) >= 0);
    SHOW("msg limits", "%d %d %d %d %d %d %d %d", info.msgpool, info.msgmap, info.msgmax, info.msgmnb, info.msgmni,
         info.msgssz, info.msgtql, info.msgseg);

    /* a sender waits for space */
    pid_t pid = fork();
    if (!pid) {
        put("msg sender", id, 2, "late", 0);
        _exit(0);
    }
    sleep_ms(50);
    struct text first = {0};
    ssize_t got = msgrcv(id, &first, 64, 0, 0);
    reap("msg sender", pid);
    NUM("msg made space", got);
    take("msg rest", id, 1, 64, 0);
    take("msg late", id, 2, 64, 0);

    /* receivers wait for a type; a message goes to a waiting receiver */
    pid = fork();
    if (!pid) {
        take("msg receiver", id, 8, 64, 0);
        _exit(0);
    }
    sleep_ms(50);
    put("msg other", id, 6, "other", 0);
    struct text wanted = {8, "it"};
    msgsnd(id, &wanted, 2, 0);
    msgctl(id, IPC_STAT, &ds);
    reap("msg receiver", pid);
    show_state("msg handed over", ds);
    pid = fork();
    if (!pid) {
        take("msg small buffer", id, 8, 1, 0);
        _exit(0);
    }
    sleep_ms(50);
    struct text large = {8, "large"};
    msgsnd(id, &large, 5, 0);
    reap("msg small buffer", pid);
    take("msg stayed", id, 8, 64, 0);

    handled = 0;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = {.it_value = {0, 20000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    take("msg interrupted", id, 99, 64, 0);
    NUM("msg handled", handled);
    put("msg fill", id, 1, "1234", 0);
    setitimer(ITIMER_REAL, &soon, NULL);
    put("msg send interrupted", id, 1, "1234567", 0);
    pid = fork();
    if (!pid) {
        take("msg removed under receiver", id, 99, 64, 0);
        _exit(0);
    }
    sleep_ms(50);
    msgctl(id, IPC_RMID, NULL);
    reap("msg removed", pid);
    CALL("msg gone", msgctl(id, IPC_RMID, NULL));

    key_t key = key_of('m');
    CALL("msg no key", msgget(key, 0600));
    id = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
    TRUTH("msg key", msgget(key, 0) == id && msgget(key, IPC_CREAT) == id);
    CALL("msg key exists", msgget(key, IPC_CREAT | IPC_EXCL));
    pid = fork();
    if (!pid) {
        struct msqid_ds full;
        msgctl(id, IPC_STAT, &full);
        full.msg_qbytes = 4;
        msgctl(id, IPC_SET, &full);
        put("msg first", id, 1, "1234", 0);
        put("msg removed under sender", id, 1, "5", 0);
        _exit(0);
    }
    sleep_ms(60);
    msgctl(id, IPC_RMID, NULL);
    reap("msg removed", pid);
}

/* -- permissions */

static void strangers(void) {
    int shm = shmget(IPC_PRIVATE, 4096, 0600), sem = semget(IPC_PRIVATE, 1, 0604), msg = msgget(IPC_PRIVATE, 0602);
    key_t key = key_of('p');
    int keyed = shmget(key, 4096, IPC_CREAT | 0640);
    if (geteuid() == 0) {
        pid_t pid = fork();
        if (!pid) {
            struct shmid_ds ds;
            struct sembuf up = {0, 1, IPC_NOWAIT}, zero = {0, 0, IPC_NOWAIT};
            if (setgid(12345) || setuid(12345)) _exit(1);
            TRY("stranger attaches", (long)shmat(shm, NULL, SHM_RDONLY));
            CALL("stranger stats", shmctl(shm, IPC_STAT, &ds));
            TRUTH("stranger stats any", shmctl(shm & 0x7fff, SHM_STAT_ANY, &ds) == shm);
            CALL("stranger removes", shmctl(shm, IPC_RMID, NULL));
            CALL("stranger locks", shmctl(shm, SHM_LOCK, NULL));
            CALL("stranger raises", semop(sem, &up, 1));
            CALL("stranger reads", semop(sem, &zero, 1));
            CALL("stranger sets", semctl(sem, 0, SETVAL, (union semun){.val = 1}));
            CALL("stranger gets", semctl(sem, 0, GETVAL));
            CALL("stranger removes", semctl(sem, 0, IPC_RMID));
            put("stranger sends", msg, 1, "hello", 0);
            take("stranger receives", msg, 0, 64, IPC_NOWAIT);
            CALL("stranger removes", msgctl(msg, IPC_RMID, NULL));
            CALL("stranger finds", shmget(key, 0, 0600));
            TRUTH("stranger finds without rights", shmget(key, 0, 0) == keyed);
            _exit(0);
        }
        reap("stranger", pid);
    }
    CALL("remove", shmctl(shm, IPC_RMID, NULL));
    CALL("remove", shmctl(keyed, IPC_RMID, NULL));
    CALL("remove", semctl(sem, 0, IPC_RMID));
    CALL("remove", msgctl(msg, IPC_RMID, NULL));
}

int main(void) {
    segments();
    segment_errors();
    semaphores();
    semaphore_waits();
    undo();
    queues();
    strangers();
    TRUTH("headings", rows("/proc/sysvipc/shm") >= 1 && rows("/proc/sysvipc/sem") >= 1 && rows("/proc/sysvipc/msg") >= 1);
    return 0;
}
