/* A clock that is off by CONCLAVE_CLOCK seconds: preloaded into a command, it moves the wall clock and no other. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    const char *off = getenv("CONCLAVE_CLOCK");
    if (result == 0 && clock == CLOCK_REALTIME && off)
        now->tv_sec += atoll(off);
    return result;
}
