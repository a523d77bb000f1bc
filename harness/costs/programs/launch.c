/*
 * Executes a program again and again, and says what each time took.
 *
 *     launch LEAST MOST BUDGET_US CPU PROGRAM ARGUMENT...
 *
 * At least LEAST times, at most MOST times, and no new one after BUDGET_US; on processor CPU, while
 * this program waits on the others. For each time it prints a line,
 *
 *     FIRST_NS EXIT_NS USER_US SYSTEM_US FAULTS PEAK_KIB KIND STATUS
 *
 * FIRST_NS: from just before execve(2) to the first line of the script. The script writes to its
 * standard output: CLOCK_MONOTONIC in nanoseconds (KIND is "clock"), or anything else, whose first
 * byte is what counts (KIND is "byte"; it includes the way through the pipe). -1 if it wrote
 * nothing. EXIT_NS: from the same moment until it was reaped. STATUS as of waitpid(2); if the
 * program cannot be executed, one line "no ERRNO" is all.
 *
 * It is small, since a child's peak memory counts from before its exec (fs/exec.c, exec_mmap), and
 * it starts the child by vfork(2), so that nothing of the creation is in the times.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

/* What the child leaves behind for its parent, whose memory it shares until the exec. */
static volatile int64_t executed_ns;
static volatile int failure;

static void execute(char **arguments, int output, int null, const cpu_set_t *cpus)
{
    sched_setaffinity(0, sizeof *cpus, cpus);
    dup2(null, 0);
    dup2(output, 1);
    dup2(null, 2);
    executed_ns = now_ns();
    execv(arguments[0], arguments);
    failure = errno;
    _exit(127);
}

/* Reads the child's output to its end. Returns when its first byte came, 0 if none did. */
static int64_t read_all(int output, char *text, size_t size)
{
    char rest[4096];
    int64_t first = 0;
    size_t length = 0;
    ssize_t got;
    while ((got = read(output, rest, sizeof rest)) > 0) {
        if (!first)
            first = now_ns();
        if (length + (size_t)got < size) {
            memcpy(text + length, rest, (size_t)got);
            length += (size_t)got;
        }
    }
    text[length] = '\0';
    return first;
}

static int64_t us(struct timeval time) { return time.tv_sec * 1000000LL + time.tv_usec; }

static int once(char **arguments, int null, const cpu_set_t *cpus)
{
    int ends[2], status;
    char text[64];
    struct rusage usage;
    if (pipe2(ends, O_CLOEXEC))
        return errno;
    failure = 0;
    pid_t child = vfork();
    if (child == 0)
        execute(arguments, ends[1], null, cpus);
    close(ends[1]);
    if (child < 0 || failure)
        return child < 0 ? errno : failure;
    int64_t byte_ns = read_all(ends[0], text, sizeof text);
    close(ends[0]);
    if (wait4(child, &status, 0, &usage) < 0)
        return errno;
    int64_t exit_ns = now_ns() - executed_ns;
    char *end;
    long long clock_ns = strtoll(text, &end, 10);
    /* A number that is no time of this child's life is no clock. */
    int is_clock = end != text && clock_ns >= executed_ns && clock_ns <= byte_ns;
    int64_t first_ns = byte_ns ? (is_clock ? clock_ns : byte_ns) - executed_ns : -1;
    printf("%lld %lld %lld %lld %ld %ld %s %d\n", (long long)first_ns, (long long)exit_ns,
           (long long)us(usage.ru_utime), (long long)us(usage.ru_stime),
           usage.ru_minflt + usage.ru_majflt, usage.ru_maxrss, is_clock ? "clock" : "byte",
           status);
    return 0;
}

int main(int count, char **arguments)
{
    cpu_set_t cpus;
    if (count < 6)
        return 2;
    int least = atoi(arguments[1]), most = atoi(arguments[2]);
    int64_t budget_ns = atoll(arguments[3]) * 1000;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    CPU_ZERO(&cpus);
    CPU_SET(atoi(arguments[4]), &cpus);
    int64_t start = now_ns();
    for (int made = 0; made < most && (made < least || now_ns() - start < budget_ns); made++) {
        int refused = once(arguments + 5, null, &cpus);
        if (refused) {
            printf("no %d\n", refused);
            return 0;
        }
    }
    return 0;
}
