/*
 * The least that a program can be: with an argument, it prints CLOCK_MONOTONIC in nanoseconds as
 * its first act. Compiled twice, statically and dynamically linked.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    struct timespec at;
    char text[32];
    (void)arguments;
    if (count > 1) {
        clock_gettime(CLOCK_MONOTONIC, &at);
        int length = snprintf(text, sizeof text, "%lld",
                              at.tv_sec * 1000000000LL + at.tv_nsec);
        return write(1, text, (size_t)length) != length;
    }
    return 0;
}
