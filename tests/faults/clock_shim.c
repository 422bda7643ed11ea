/* Shifts the wall clock of a process by the milliseconds that stand in the file named by
 * RQUEUE_FAULTS_CLOCK. The monotonic clock is left alone, as a clock step leaves it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_ms;

__attribute__((constructor)) static void map_offset(void) {
    const char *path = getenv("RQUEUE_FAULTS_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) offset_ms = page;
    close(file);
}

static void shift(int64_t *seconds, long *nanoseconds) {
    if (!offset_ms) return;
    int64_t all = *seconds * 1000000000LL + *nanoseconds + *offset_ms * 1000000LL;
    *seconds = all / 1000000000LL;
    *nanoseconds = all % 1000000000LL;
}

int clock_gettime(clockid_t clock, struct timespec *spec) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int answer = real(clock, spec);
    if (answer == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t seconds = spec->tv_sec;
        shift(&seconds, &spec->tv_nsec);
        spec->tv_sec = seconds;
    }
    return answer;
}

int gettimeofday(struct timeval *restrict value, void *restrict zone) {
    (void)zone;
    struct timespec spec;
    clock_gettime(CLOCK_REALTIME, &spec);
    value->tv_sec = spec.tv_sec;
    value->tv_usec = spec.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *slot) {
    struct timespec spec;
    clock_gettime(CLOCK_REALTIME, &spec);
    if (slot) *slot = spec.tv_sec;
    return spec.tv_sec;
}
