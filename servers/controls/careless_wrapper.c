/*
 * A wrapper as suexec.c must not be: it does what it is told to, whoever calls.
 *
 *     wrapper UID GID PROGRAM ...
 */
#define _GNU_SOURCE /* setgroups */

#include <grp.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
    if (argc < 4 || setgroups(0, NULL) != 0 || setgid(atoi(argv[2])) != 0 ||
        setuid(atoi(argv[1])) != 0)
        return 1;
    execv(argv[3], argv + 3);
    return 255;
}
