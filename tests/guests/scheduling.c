/* Scheduling policy, priority and affinity: set, inherited, checked. */
#include "guest.h"
#include <sched.h>
#include <sys/resource.h>

int main(void) {
    CALL("nice", nice(5));
    errno = 0;
    SHOW("priority", "%d", getpriority(PRIO_PROCESS, 0));
    pid_t pid = fork();
    if (!pid) {
        SHOW("child", "%d", getpriority(PRIO_PROCESS, 0));
        CALL("child nicer", setpriority(PRIO_PROCESS, 0, 100));
        SHOW("at most", "%d", getpriority(PRIO_PROCESS, 0));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    SHOW("parent", "%d", getpriority(PRIO_PROCESS, 0));
    CALL("bad which", setpriority(7, 0, 0));
    CALL("no process", setpriority(PRIO_PROCESS, 999999, 0));
    CALL("no group", setpriority(PRIO_PGRP, 999999, 0));
    cpu_set_t set, one, empty;
    CALL("affinity", sched_getaffinity(0, sizeof set, &set) ? -1 : 0);
    int count = CPU_COUNT(&set), first = 0;
    while (!CPU_ISSET(first, &set)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CPU_ZERO(&empty);
    CALL("set one", sched_setaffinity(0, sizeof one, &one));
    sched_getaffinity(0, sizeof set, &set);
    TRUTH("only that", CPU_EQUAL(&set, &one));
    pid = fork();
    if (!pid) {
        sched_getaffinity(0, sizeof set, &set);
        TRUTH("inherited", CPU_EQUAL(&set, &one));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    CALL("none", sched_setaffinity(0, sizeof empty, &empty));
    CALL("no thread", sched_setaffinity(999999, sizeof one, &one));
    CALL("too small", syscall(SYS_sched_getaffinity, 0, 4, &set));
    CALL("odd size", syscall(SYS_sched_getaffinity, 0, 12, &set));
    struct sched_param param = {0};
    CALL("policy", sched_getscheduler(0));
    CALL("set it", sched_setscheduler(0, SCHED_OTHER, &param));
    CALL("bad policy", sched_setscheduler(0, 77, &param));
    param.sched_priority = 3;
    CALL("priority of a normal one", sched_setscheduler(0, SCHED_OTHER, &param));
    CALL("getparam", sched_getparam(0, &param));
    SHOW("is", "%d", param.sched_priority);
    CALL("max of FIFO", sched_get_priority_max(SCHED_FIFO));
    CALL("min of FIFO", sched_get_priority_min(SCHED_FIFO));
    CALL("max of other", sched_get_priority_max(SCHED_OTHER));
    CALL("max of nonsense", sched_get_priority_max(55));
    TRUTH("more than one CPU or not", count > 0);
    return 0;
}
