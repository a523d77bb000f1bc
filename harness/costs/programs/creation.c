/*
 * Makes and reaps processes from a process of a chosen size, and says how long each took; also how
 * long a change of identity takes, there and back, in the process itself.
 *
 *     creation MIB small|huge STATIC DYNAMIC ID CGROUP
 *
 * MIB of anonymous memory are mapped and written, page by page, in small pages or, by madvise(2),
 * in huge ones. Then each line of standard input, "NAME LEAST MOST BUDGET_US", asks for one way of
 * creation: at least LEAST times, at most MOST times, and no new one after BUDGET_US. It is
 * answered by one line,
 *
 *     ok FAULTS USER_US SYSTEM_US CALL_NS:WHOLE_NS CALL_NS:WHOLE_NS ...
 *
 * with the page faults and the CPU time of parent and child, on average of one, and for each how
 * long the call took and how long all took until the child was reaped; or by "no ERRNO".
 * STATIC and DYNAMIC are programs to execute, ID a user and group to become, CGROUP a directory
 * of cgroup v2, or "-".
 *
 * It is a program of its own, since what is measured is the size of the process that forks: the
 * harness itself, with its libraries, is larger than most of what is asked for here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/sched.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 20000

static char *static_program;
static char *dynamic_program;
static id_t other_id;
static int cgroup = -1;
static pthread_t thread;

static int64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

/* Each way returns the child's process id, 0 for a thread, NO_CHILD, or -errno. */
#define NO_CHILD INT_MAX

static pid_t by_fork(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child < 0 ? -errno : child;
}

static pid_t by_vfork(void)
{
    pid_t child = vfork();
    if (child == 0)
        _exit(0);
    return child < 0 ? -errno : child;
}

static pid_t by_posix_spawn(void)
{
    extern char **environ;
    char *arguments[] = {static_program, NULL};
    pid_t child;
    int failure = posix_spawn(&child, static_program, NULL, NULL, arguments, environ);
    return failure ? -failure : child;
}

/* By the system call itself: glibc has no clone3(), and its fork() runs handlers besides. */
static pid_t by_clone3(uint64_t flags)
{
    struct clone_args how = {.flags = flags, .exit_signal = SIGCHLD};
    if (flags & CLONE_INTO_CGROUP)
        how.cgroup = (uint64_t)cgroup;
    pid_t child = (pid_t)syscall(SYS_clone3, &how, sizeof how);
    if (child == 0)
        _exit(0);
    return child < 0 ? -errno : child;
}

static pid_t plain(void) { return by_clone3(0); }
static pid_t into_cgroup(void) { return cgroup < 0 ? -ENOENT : by_clone3(CLONE_INTO_CGROUP); }
static pid_t user_namespace(void) { return by_clone3(CLONE_NEWUSER); }
static pid_t pid_namespace(void) { return by_clone3(CLONE_NEWPID); }
static pid_t mount_namespace(void) { return by_clone3(CLONE_NEWNS); }
static pid_t net_namespace(void) { return by_clone3(CLONE_NEWNET); }
static pid_t ipc_namespace(void) { return by_clone3(CLONE_NEWIPC); }
static pid_t uts_namespace(void) { return by_clone3(CLONE_NEWUTS); }

static void *nothing(void *argument) { return argument; }

static pid_t by_thread(void) { return -pthread_create(&thread, NULL, nothing, NULL); }

/* Groups, then gid, then uid; then all are read back. */
static void become_another(void)
{
    uid_t uids[3];
    gid_t gids[3];
    if (setgroups(0, NULL) || setresgid(other_id, other_id, other_id)
        || setresuid(other_id, other_id, other_id))
        _exit(errno & 127);
    if (getresuid(&uids[0], &uids[1], &uids[2]) || getresgid(&gids[0], &gids[1], &gids[2]))
        _exit(errno & 127);
    for (int i = 0; i < 3; i++)
        if (uids[i] != other_id || gids[i] != other_id)
            _exit(EPERM);
    _exit(0);
}

static pid_t fork_and_setuid(void)
{
    pid_t child = fork();
    if (child == 0)
        become_another();
    return child < 0 ? -errno : child;
}

/* As a worker does that becomes a tenant for one request: groups, gid and uid, and back. */
static pid_t there_and_back(void)
{
    gid_t groups[NGROUPS_MAX];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int count = getgroups(NGROUPS_MAX, groups);
    if (count < 0 || setgroups(0, NULL) || setresgid(-1, other_id, -1)
        || setresuid(-1, other_id, -1))
        return -errno;
    int became = geteuid() == other_id && getegid() == other_id;
    if (setresuid(-1, uid, -1) || setresgid(-1, gid, -1) || setgroups((size_t)count, groups))
        return -errno;
    return became && geteuid() == uid && getegid() == gid ? NO_CHILD : -EPERM;
}

static pid_t fork_and_exec(char *const arguments[])
{
    pid_t child = fork();
    if (child == 0) {
        execv(arguments[0], arguments);
        _exit(errno & 127);
    }
    return child < 0 ? -errno : child;
}

static pid_t exec_static(void) { return fork_and_exec((char *[]){static_program, NULL}); }
static pid_t exec_dynamic(void) { return fork_and_exec((char *[]){dynamic_program, NULL}); }
static pid_t exec_sh(void) { return fork_and_exec((char *[]){"/bin/sh", "-c", ":", NULL}); }

static const struct {
    const char *name;
    pid_t (*create)(void);
} ways[] = {
    {"identity", there_and_back},
    {"thread", by_thread},
    {"vfork", by_vfork},
    {"fork", by_fork},
    {"clone3", plain},
    {"clone3_into_cgroup", into_cgroup},
    {"fork_setuid", fork_and_setuid},
    {"posix_spawn", by_posix_spawn},
    {"fork_exec_static", exec_static},
    {"fork_exec_dynamic", exec_dynamic},
    {"fork_exec_sh", exec_sh},
    {"user_namespace", user_namespace},
    {"pid_namespace", pid_namespace},
    {"mount_namespace", mount_namespace},
    {"net_namespace", net_namespace},
    {"ipc_namespace", ipc_namespace},
    {"uts_namespace", uts_namespace},
};

/* Waits for the end of what was created. Returns 0, or the errno that it ended with. */
static int reap(pid_t child)
{
    int status;
    if (child == NO_CHILD)
        return 0;
    if (child == 0)
        return pthread_join(thread, NULL);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

struct used {
    int64_t faults, user_us, system_us;
};

static void add(struct used *sum, int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    sum->faults += usage.ru_minflt + usage.ru_majflt;
    sum->user_us += usage.ru_utime.tv_sec * 1000000LL + usage.ru_utime.tv_usec;
    sum->system_us += usage.ru_stime.tv_sec * 1000000LL + usage.ru_stime.tv_usec;
}

static struct used used_so_far(void)
{
    struct used sum = {0, 0, 0};
    add(&sum, RUSAGE_SELF);
    add(&sum, RUSAGE_CHILDREN);
    return sum;
}

static int once(pid_t (*create)(void), int64_t *call_ns, int64_t *whole_ns)
{
    int64_t start = now_ns();
    pid_t child = create();
    *call_ns = now_ns() - start;
    if (child < 0)
        return -child;
    int failure = reap(child);
    *whole_ns = now_ns() - start;
    return failure;
}

static int measure(pid_t (*create)(void), int least, int most, int64_t budget_us)
{
    static int64_t call_ns[MOST], whole_ns[MOST];
    int made = 0;
    /* The first fork after the memory was written finds every page writable and has to change
       that; the later ones do not. It is not counted, whichever way comes first. */
    int failure = once(create, &call_ns[0], &whole_ns[0]);
    struct used before = used_so_far();
    int64_t start = now_ns();
    while (!failure && made < most && (made < least || now_ns() - start < budget_us * 1000)) {
        failure = once(create, &call_ns[made], &whole_ns[made]);
        made++;
    }
    struct used after = used_so_far();
    if (failure)
        return failure;
    printf("ok %f %f %f", (double)(after.faults - before.faults) / made,
           (double)(after.user_us - before.user_us) / made,
           (double)(after.system_us - before.system_us) / made);
    for (int i = 0; i < made; i++)
        printf(" %lld:%lld", (long long)call_ns[i], (long long)whole_ns[i]);
    printf("\n");
    return 0;
}

static int answer(const char *name, int least, int most, int64_t budget_us)
{
    if (least < 1 || most < least || most > MOST)
        return EINVAL;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(ways[i].name, name) == 0)
            return measure(ways[i].create, least, most, budget_us);
    return ENOSYS;
}

/* Writes to each page, so that all of them are there. Returns 0 or errno. */
static int fill(size_t bytes, int advice)
{
    /* Room to begin where a huge page can: 2 MiB on most machines. */
    const size_t alignment = 2 << 20;
    char *memory = mmap(NULL, bytes + alignment, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return errno;
    memory += -(uintptr_t)memory & (alignment - 1);
    /* A kernel without huge pages refuses either advice, and has only small ones. */
    madvise(memory, bytes, advice);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t at = 0; at < bytes; at += page)
        memory[at] = 1;
    return 0;
}

int main(int count, char **arguments)
{
    char name[64];
    int least, most, failure;
    long long budget_us;
    if (count != 7)
        return 2;
    static_program = arguments[3];
    dynamic_program = arguments[4];
    other_id = (id_t)atol(arguments[5]);
    if (strcmp(arguments[6], "-") != 0)
        cgroup = open(arguments[6], O_PATH | O_DIRECTORY | O_CLOEXEC);
    int huge = strcmp(arguments[2], "huge") == 0;
    failure = fill((size_t)atol(arguments[1]) << 20, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    if (failure) {
        fprintf(stderr, "%s MiB: %s\n", arguments[1], strerror(failure));
        return 1;
    }
    /* Unbuffered before every fork: a child must not have anything of ours to write. */
    printf("ready\n");
    fflush(stdout);
    while (scanf("%63s %d %d %lld", name, &least, &most, &budget_us) == 4) {
        failure = answer(name, least, most, budget_us);
        if (failure)
            printf("no %d\n", failure);
        fflush(stdout);
    }
    return 0;
}
