/* The keeper of one worker: gives it a request, takes its answer, and puts it back.

   A library that the worker's makers load (keeping.py). The process that calls `begin` is the
   parent of the worker and the first process of their pid namespace; no script ever runs there.
   `submit` and `rest` are called in the worker, before any script has run there.

   What the kernel tells the keeper, and no script can hide or forge:

   - which pages were written: userfaultfd(2) with UFFD_FEATURE_WP_ASYNC and the PAGEMAP_SCAN
     ioctl (Documentation/admin-guide/mm/pagemap.rst), both of Linux 6.7;
   - which calls were made that change what is not memory: a seccomp filter with user
     notification (seccomp_unotify(2)). The keeper looks at registers only, which nobody can
     change meanwhile, never at what a pointer points to.

   A change that `put_back` does not undo dooms the worker: it ends with this answer.  */

#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the keeper knows the registers of x86-64 only"
#endif

/* linux/userfaultfd.h and linux/fs.h of 6.7, which a distribution's headers may precede */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define WP_ASYNC (1ULL << 15)
#define WRITE_PROTECTED (1ULL << 1)     /* UFFDIO_REGISTER_MODE_WP */
struct page_region { uint64_t start, end, categories; };
struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN _IOWR('f', 16, struct scan)
#define WP_ALLOWED (1 << 0)
#define WRITTEN (1 << 1)
#define PROTECT_MATCHING (1 << 0)

#ifndef __NR_map_shadow_stack
#define __NR_map_shadow_stack 453       /* asm/unistd_64.h of 6.6 and 6.10 */
#endif
#ifndef __NR_mseal
#define __NR_mseal 462
#endif

#define SYNC_WAKE_UP _IOW('!', 4, uint64_t)     /* SECCOMP_IOCTL_NOTIF_SET_FLAGS of 6.6 */

#define PAGE 4096UL
#define MOST_AREAS 1024
#define MOST_REGIONS 2048
#define MOST_STACK (16 * 1024 * 1024UL)
#define MOST_LEFT_OPEN 2048     /* pages */
#define REQUESTS_LEFT_OPEN 64
#define FIRST_FREE_DESCRIPTOR 3

/* What a worker says by the one call that means nothing else here, vhangup(2). */
enum { RESTS = 1, ANSWERS = 2, ASKS_BACK = 3 };
/* What its inbox begins with; then comes the message. */
struct inbox { uint64_t length; };

#define EVERY_SIGNAL 64
struct action { unsigned long handler, flags, restorer, mask; };        /* the kernel's */
static struct action actions[EVERY_SIGNAL + 1]; /* as they were in the worker at its first rest */
static const struct itimerval no_timer;
static stack_t alternative;     /* likewise */

/* The calls that the keeper hears of. WATCH: each; FD: on descriptors 0 to 2; and so on. */

#define NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define LOW(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define HIGH(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]) + 4)
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, what)
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define TELL RETURN(SECCOMP_RET_USER_NOTIF)
#define LET RETURN(SECCOMP_RET_ALLOW)
#define WATCH(call) IF(__NR_##call, 0, 1), TELL
/* if argument n, an int, is at most 2 */
#define WATCH_LOW(call, n)                                                                        \
    IF(__NR_##call, 0, 4), LOW(n), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 2, 1, 0), TELL, LET
/* unless pointer n is NULL */
#define WATCH_SET(call, n)                                                                        \
    IF(__NR_##call, 0, 6), LOW(n), IF(0, 0, 2), HIGH(n), IF(0, 1, 0), TELL, LET

static struct sock_filter program[] = {
    /* Another ABI's calls are refused by the filter that comes next (seccomp.py). */
    NUMBER,
    WATCH_LOW(close, 0),
    /* ioctl: FIOCLEX, FIONCLEX of these three, and FIONBIO of any, since there may be copies */
    IF(__NR_ioctl, 0, 8), LOW(1), IF(0x5421, 5, 0), IF(0x5451, 1, 0), IF(0x5450, 0, 2),
    LOW(0), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 2, 0, 1), LET, TELL,
    /* fcntl, but for F_GETFD, F_GETFL, F_DUPFD, F_DUPFD_CLOEXEC, F_GETLK, seals, the size of a
       pipe; and for F_SETLK, F_SETLKW, F_SETFD above 2. A lock of an open file is one by whatever
       number, and outlives that. */
    IF(__NR_fcntl, 0, 17), LOW(1), IF(F_GETFD, 14, 0), IF(F_GETFL, 13, 0), IF(F_DUPFD, 12, 0),
    IF(F_DUPFD_CLOEXEC, 11, 0), IF(F_GETLK, 10, 0), IF(F_OFD_GETLK, 9, 0), IF(F_ADD_SEALS, 8, 0),
    IF(F_GET_SEALS, 7, 0), IF(F_GETPIPE_SZ, 6, 0), IF(F_SETLK, 2, 0), IF(F_SETLKW, 1, 0),
    IF(F_SETFD, 0, 2), LOW(0), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 2, 1, 0), TELL, LET,
    WATCH(mmap), WATCH(munmap), WATCH(mremap), WATCH(mprotect), WATCH(brk), WATCH(madvise),
    WATCH_SET(rt_sigaction, 1),
    WATCH_SET(prlimit64, 2),
    WATCH(clone), WATCH(fork), WATCH(vfork), WATCH(execve), WATCH(execveat),
    WATCH_LOW(dup2, 1), WATCH_LOW(dup3, 1), WATCH_LOW(close_range, 0), WATCH(flock),
    WATCH_LOW(lseek, 0), WATCH_LOW(ftruncate, 0), WATCH_LOW(fchmod, 0), WATCH_LOW(fchown, 0),
    WATCH(mlock), WATCH(mlock2), WATCH(munlock), WATCH(membarrier),
    WATCH(map_shadow_stack), WATCH(mseal),
    WATCH(setitimer), WATCH(alarm), WATCH(timer_create), WATCH_SET(sigaltstack, 0),
    WATCH(rt_sigreturn),        /* it can set an alternative stack: sigreturn(2) */
    WATCH(setpriority), WATCH(setsid), WATCH(setpgid), WATCH(setrlimit), WATCH(prctl),
    WATCH(arch_prctl), WATCH(set_tid_address), WATCH(set_robust_list), WATCH(rseq),
    WATCH(landlock_restrict_self), WATCH(vhangup),
    LET,
};

/* In the worker */

/* Wait for a request; comes back once for each, and each time to the same state. */
void rest(void)
{
    if (syscall(__NR_vhangup, RESTS, NULL, 0, 0))
        _exit(1);       /* ENOSYS: the keeper is gone */
}

/* Say something to the keeper, and be put back. */
void say(long what, const void *content, size_t length)
{
    syscall(__NR_vhangup, what, content, length);
    _exit(1);
}

static int send_descriptors(int socket, const int *descriptors, int count)
{
    char byte = 0, control[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* Put this process into the keeper's hands, by a socket that ends with it. The calls that the
   keeper hears of wait for it from here on. Returns 0, or an errno. */
int submit(int socket)
{
    struct uffdio_api api = {.api = UFFD_API, .features = WP_ASYNC};
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    int descriptors[2];

    for (int number = 1; number <= EVERY_SIGNAL; number++)
        if (syscall(__NR_rt_sigaction, number, NULL, &actions[number], 8) && errno != EINVAL)
            return errno;
    if (sigaltstack(NULL, &alternative))
        return errno;
    descriptors[0] = syscall(__NR_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    if (descriptors[0] < 0 || ioctl(descriptors[0], UFFDIO_API, &api))
        return errno;
    descriptors[1] = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
                             SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
    if (descriptors[1] < 0 || send_descriptors(socket, descriptors, 2))
        return errno;
    close(descriptors[0]);
    close(descriptors[1]);
    close(socket);
    return 0;
}

/* In the keeper. Whatever goes wrong ends it, and with it all processes of its namespace. */

/* The pool holds pages of the snapshot. The keeper writes it, the worker sees it and cannot write
   it. It begins with the list of what the worker is to copy, and a page of zeros. */
struct copy { uint64_t to, from, length; };
#define MOST_COPIES 2047        /* and one that ends the list */
#define FIRST_SLOT 12           /* in pages: what the list takes */
#define ZEROS FIRST_SLOT
#define REFERRED 0              /* the page is as it is in the reference */
static char *pool, *pool_in_worker;
static uint32_t pool_pages, next_slot;

static struct area {
    uint64_t start, end;        /* of the mapping; below `start` a stack may grow, down to `low` */
    uint64_t low;
    uint32_t *slots;            /* of each page from `low`, or NULL where nobody can write */
} areas[MOST_AREAS];
static int area_count;
static uint64_t lowest, highest;        /* of what is written to */

/* Pages that the kernel may empty at any time (MAP_DROPPABLE, Linux 6.11), and no userfaultfd takes.
   The vDSO's state of getrandom(2) is in such, with glibc 2.41 and later: whoever knew or chose it
   would know the next visitor's random numbers. So they are emptied with each request. */
#define MOST_DROPPABLE 256
static struct iovec droppable[MOST_DROPPABLE], emptiness[MOST_DROPPABLE];
static int droppable_count;
static int since_protected;             /* requests */

/* What the last scan has found, and until when that holds: see `may_have_written`. */
static struct copy found[MOST_COPIES];
static int found_count;
static uint64_t faults_then, letter_then;

static pid_t worker, reference;
static int channel, faults, told, counters, death, pagemap, maps, memory, memory_before, listing,
     flags_of[FIRST_FREE_DESCRIPTOR];
static FILE *details;
static uint64_t inbox, inbox_size, longest, letter_length;
static unsigned long break_at;
static struct user_regs_struct registers;       /* as they are when a rest is over */
static char extended[16 * 1024];                /* the same, of the rest of them (XSAVE) */
static size_t extended_size;
static uint64_t no_signals;

/* What has happened since the worker was last put back. */
static struct { int doomed, mapped, forked, timed, flagged, stacked; uint64_t handled; } seen;

static _Noreturn void give_up(const char *what)
{
    dprintf(2, "[keeper] %s: %s\n", what, strerror(errno));
    _exit(1);
}

static int overlaps(uint64_t start, uint64_t length)
{
    uint64_t end = start + ((length + PAGE - 1) & ~(PAGE - 1));
    if (end < start)
        return 1;
    for (int i = 0; i < area_count; i++)
        if (start < areas[i].end && areas[i].low < end)
            return 1;
    return 0;
}

static int makes_thread(uint64_t flags)
{
    int shares = CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_PARENT | CLONE_PTRACE;
    return (flags & shares) || ((flags & CLONE_VM) && !(flags & CLONE_VFORK));
}

static int is_harmless(uint64_t option)
{
    switch ((uint32_t)option) {
    case PR_GET_PDEATHSIG: case PR_GET_DUMPABLE: case PR_GET_KEEPCAPS: case PR_GET_NAME:
    case PR_CAPBSET_READ: case PR_GET_SECUREBITS: case PR_GET_TIMERSLACK: case PR_GET_SECCOMP:
    case PR_GET_NO_NEW_PRIVS: case PR_GET_CHILD_SUBREAPER: case PR_GET_THP_DISABLE:
        return 1;
    default:
        return 0;
    }
}

/* What a child may set that borrows the worker's memory. */
static int is_of_one_process(uint64_t option)
{
    switch ((uint32_t)option) {
    case PR_SET_PDEATHSIG: case PR_SET_KEEPCAPS: case PR_SET_NAME: case PR_SET_SECCOMP:
    case PR_SET_TIMERSLACK: case PR_SET_CHILD_SUBREAPER: case PR_SET_NO_NEW_PRIVS:
        return 1;
    default:
        return 0;
    }
}

/* Note what a call changes that is about to be made; return an errno to refuse it. Those of
   the worker's children, which have memory and descriptors of their own, matter less. */
static int judge(const struct seccomp_notif *call)
{
    const __u64 *a = call->data.args;
    int own = call->pid == (uint32_t)worker;
    uint32_t number = a[0];     /* of a signal: the kernel does not look at the upper half */

    switch (call->data.nr) {
    case __NR_mmap:
        seen.mapped = 1;
        if ((a[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED && overlaps(a[0], a[1]))
            seen.doomed = 1;
        if (a[3] & (MAP_GROWSDOWN | MAP_LOCKED))
            seen.doomed = 1;
        return 0;
    case __NR_munmap: case __NR_mprotect: case __NR_madvise:
        if (overlaps(a[0], a[1]))
            seen.doomed = 1;
        return 0;
    case __NR_mremap:
        seen.mapped = 1;
        if (overlaps(a[0], a[1]) || ((a[3] & MREMAP_FIXED) && overlaps(a[4], a[2])))
            seen.doomed = 1;
        return 0;
    case __NR_brk:
        seen.mapped = 1;
        if (a[0] && a[0] < break_at)
            seen.doomed = 1;
        return 0;
    case __NR_clone:
        seen.forked = 1;
        /* A child that borrows the memory until it executes something holds the worker up;
           its own such child would not. */
        if (makes_thread(a[0]) || ((a[0] & CLONE_VFORK) && !own))
            seen.doomed = 1;
        return 0;
    case __NR_vfork:
        seen.forked = 1;
        if (!own)
            seen.doomed = 1;
        return 0;
    case __NR_fork:
        seen.forked = 1;
        return 0;
    case __NR_rt_sigaction:
        if (own && number >= 1 && number <= EVERY_SIGNAL)
            seen.handled |= 1ULL << (number - 1);
        return 0;
    case __NR_rt_sigreturn:
        seen.stacked |= own;
        return 0;
    case __NR_flock:
        seen.flagged = 1;
        return 0;
    case __NR_setitimer: case __NR_alarm:
        seen.timed |= own;
        return 0;
    case __NR_ioctl:
        if ((uint32_t)a[1] == FIONBIO)
            seen.flagged = 1;
        else
            seen.doomed |= own;
        return 0;
    case __NR_fcntl:
        switch ((uint32_t)a[1]) {
        case F_SETFL: case F_SETLK: case F_SETLKW: case F_OFD_SETLK: case F_OFD_SETLKW:
            seen.flagged = 1;
            return 0;
        case F_GETOWN: case F_GETSIG: case F_GETOWN_EX: case F_GETLEASE: case F_SETPIPE_SZ:
            return 0;
        case F_SETFD:
            seen.doomed |= own;
            return 0;
        default:
            seen.doomed = 1;
            return 0;
        }
    case __NR_prlimit64:
        if ((pid_t)a[0] == getpid() || (pid_t)a[0] == reference)
            return EPERM;
        if (own || (pid_t)a[0] == worker)
            seen.doomed = 1;
        return 0;
    case __NR_setpriority:
        seen.doomed = 1;        /* nor may it be the keeper's, as that of a group or a user is */
        return (int)a[0] != PRIO_PROCESS || (pid_t)a[1] == getpid() ? EPERM : 0;
    case __NR_prctl:
        if ((uint32_t)a[0] == PR_SET_DUMPABLE)
            return EPERM;       /* or the keeper could not even read the answer */
        if (!is_harmless(a[0]) && (own || !is_of_one_process(a[0])))
            seen.doomed = 1;
        return 0;
    case __NR_arch_prctl:
        if (own || (a[0] & 0xf000) == 0x4000)   /* of the address space: asm/prctl.h */
            seen.doomed = 1;
        return 0;
    case __NR_vhangup:
        return EPERM;
    case __NR_setsid: case __NR_setpgid: case __NR_setrlimit: case __NR_execve: case __NR_execveat:
    case __NR_close: case __NR_dup2: case __NR_dup3: case __NR_close_range: case __NR_sigaltstack:
    case __NR_set_tid_address: case __NR_set_robust_list: case __NR_rseq:
    case __NR_landlock_restrict_self: case __NR_timer_create:
        seen.doomed |= own;
        return 0;
    default:
        seen.doomed = 1;
        return 0;
    }
}

/* Wait for a call. Returns 0 if there will be none: the worker has ended, or whoever asks. */
static int hear(struct seccomp_notif *call)
{
    struct pollfd of[3] = {{told, POLLIN, 0}, {death, POLLIN, 0}, {channel, 0, 0}};
    for (;;) {
        if (poll(of, 3, -1) < 0)
            continue;
        if (of[1].revents || of[2].revents || of[0].revents & (POLLHUP | POLLERR))
            return 0;
        memset(call, 0, sizeof *call);
        if (ioctl(told, SECCOMP_IOCTL_NOTIF_RECV, call) == 0)
            return 1;
        if (errno != ENOENT && errno != EINTR)
            give_up("cannot hear of a call");
    }
}

/* Let a call be made, or have it fail. */
static void let(const struct seccomp_notif *call, int error)
{
    struct seccomp_notif_resp response = {
        .id = call->id, .error = -error,
        .flags = error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    if (ioctl(told, SECCOMP_IOCTL_NOTIF_SEND, &response) && errno != ENOENT)
        give_up("cannot answer a call");
}

/* Wait until the worker says something; judge what it does meanwhile. Returns 0 at its end. */
static int run(struct seccomp_notif *said)
{
    while (hear(said)) {
        if (said->data.nr == __NR_vhangup && said->pid == (uint32_t)worker)
            return 1;
        let(said, judge(said));
    }
    return 0;
}

/* The worker as it stands */

/* Whether it has stopped for a signal that is ignored, but for those who trace (signal(7)). */
static int is_about_a_child(int status)
{
    return WSTOPSIG(status) == SIGCHLD && status >> 16 == 0;
}

static void stop(void)
{
    int status;
    if (ptrace(PTRACE_SEIZE, worker, NULL, (void *)PTRACE_O_EXITKILL))
        give_up("cannot trace the worker");
    if (ptrace(PTRACE_INTERRUPT, worker, NULL, NULL))
        give_up("cannot stop the worker");
    do {
        if (waitpid(worker, &status, __WALL) != worker || !WIFSTOPPED(status))
            _exit(0);
    } while (is_about_a_child(status) && !ptrace(PTRACE_CONT, worker, NULL, NULL));
    if (status >> 16 != PTRACE_EVENT_STOP)
        _exit(0);       /* a signal was on its way to it */
}

static void set_registers(struct user_regs_struct *values)
{
    struct iovec vector = {values, sizeof *values};
    if (ptrace(PTRACE_SETREGSET, worker, (void *)NT_PRSTATUS, &vector))
        give_up("cannot set registers");
}

static void keep_registers(void)
{
    struct iovec vector = {&registers, sizeof registers};
    if (ptrace(PTRACE_GETREGSET, worker, (void *)NT_PRSTATUS, &vector))
        give_up("cannot read registers");
    registers.rax = 0;
    registers.orig_rax = -1;    /* no call, so that none is begun again */
    vector = (struct iovec){extended, sizeof extended};
    if (ptrace(PTRACE_GETREGSET, worker, (void *)NT_X86_XSTATE, &vector))
        give_up("cannot read extended registers");
    extended_size = vector.iov_len;
}

/* Make one system call in the stopped worker, whose code is where its `rest` ends. */
static long have_called(long number, long first, long second, long third, long fourth)
{
    struct user_regs_struct values = registers;
    struct pollfd of[2] = {{told, POLLIN, 0}, {death, POLLIN, 0}};
    struct seccomp_notif call = {0};
    int status;

    values.rip -= 2;    /* the instruction `syscall` */
    values.rax = number;
    values.rdi = first;
    values.rsi = second;
    values.rdx = third;
    values.r10 = fourth;
    set_registers(&values);
    if (ptrace(PTRACE_SINGLESTEP, worker, NULL, NULL))
        give_up("cannot step");
    if (number == __NR_munmap || number == __NR_brk || number == __NR_rt_sigaction
        || number == __NR_setitimer || number == __NR_sigaltstack) {
        if (poll(of, 2, 1000) < 1 || of[1].revents || ioctl(told, SECCOMP_IOCTL_NOTIF_RECV, &call))
            _exit(0);
        let(&call, 0);
    }
    do {
        if (waitpid(worker, &status, __WALL) != worker || !WIFSTOPPED(status))
            _exit(0);
    } while (is_about_a_child(status) && !ptrace(PTRACE_SINGLESTEP, worker, NULL, NULL));
    if (WSTOPSIG(status) != SIGTRAP)
        _exit(0);
    struct iovec vector = {&values, sizeof values};
    if (ptrace(PTRACE_GETREGSET, worker, (void *)NT_PRSTATUS, &vector))
        give_up("cannot read registers");
    return values.rax;
}

/* Not by process_vm_readv(2), which pins what it reads: of pages that two processes share since a
   fork the kernel then makes copies (FOLL_PIN and unsharing in mm/gup.c). */
static void read_worker(uint64_t address, void *to, size_t length)
{
    if (pread(memory, to, length, address) != (ssize_t)length)
        give_up("cannot read the worker's memory");
}

static int find_pages(struct page_region *regions, uint64_t *from, uint64_t to, uint64_t all)
{
    struct scan scan = {.size = sizeof scan, .start = *from, .end = to,
                        .vec = (uint64_t)regions, .vec_len = MOST_REGIONS,
                        .category_mask = all, .return_mask = all};
    int count = ioctl(pagemap, SCAN, &scan);
    if (count < 0)
        give_up("cannot scan the worker's memory");
    *from = scan.walk_end;
    return count;
}

/* Memory mappings, as proc_pid_maps(5) has them */

struct mapping { uint64_t start, end; int writable, shared, of_file, is_stack, is_break; };
static char listed[512 * 1024];

static int read_mappings(int file, struct mapping *mappings, int most)
{
    size_t length = 0;
    ssize_t count;
    int found = 0;
    if (lseek(file, 0, SEEK_SET))
        give_up("cannot read the worker's mappings");
    while (length < sizeof listed - 1
           && (count = read(file, listed + length, sizeof listed - 1 - length)) > 0)
        length += count;
    if (length == sizeof listed - 1) {
        errno = E2BIG;
        give_up("too many mappings");
    }
    listed[length] = 0;
    for (char *line = listed, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = 0;
        struct mapping *m = &mappings[found];
        unsigned long inode;
        char *next;
        if (found++ == most) {
            errno = E2BIG;
            give_up("too many mappings");
        }
        m->start = strtoul(line, &next, 16);
        m->end = strtoul(next + 1, &next, 16);
        m->writable = next[2] == 'w';
        m->shared = next[4] == 's';
        strtoul(next + 6, &next, 16);           /* offset */
        next = strchr(next + 1, ' ');           /* device */
        inode = strtoul(next, &next, 10);
        m->of_file = inode != 0;
        m->is_stack = strstr(next, "[stack]") != NULL;
        m->is_break = strstr(next, "[heap]") != NULL;
    }
    return found;
}

/* The reference is a process that was forked from the same as the worker was, and has done nothing
   since: what the two have in common is kept there, at no cost. */
static int read_reference(uint64_t address, char *to)
{
    return pread(memory_before, to, PAGE, address) == PAGE;
}

static uint32_t *slot_of(const struct area *area, uint64_t address)
{
    return &area->slots[(address - area->low) / PAGE];
}

static char *new_slot(uint32_t *slot)
{
    if (next_slot == pool_pages) {
        errno = ENOSPC;
        give_up("a script's code is too much to keep");
    }
    *slot = next_slot++;
    return pool + *slot * PAGE;
}

/* Keep what one page of the worker's holds now. */
static void keep_page(const struct area *area, uint64_t address, int is_first)
{
    static char content[PAGE], before[PAGE];
    uint32_t *slot = slot_of(area, address);
    if (*slot != ZEROS && *slot != REFERRED) {
        read_worker(address, pool + *slot * PAGE, PAGE);
        return;
    }
    read_worker(address, content, PAGE);
    if (is_first && read_reference(address, before) && !memcmp(content, before, PAGE))
        *slot = REFERRED;
    else
        memcpy(new_slot(slot), content, PAGE);
}

static void keep_written(const struct area *area, int is_first)
{
    static struct page_region regions[MOST_REGIONS];
    for (uint64_t from = area->start; from < area->end;) {
        int count = find_pages(regions, &from, area->end, WP_ALLOWED | WRITTEN);
        for (int i = 0; i < count; i++)
            for (uint64_t at = regions[i].start; at < regions[i].end; at += PAGE)
                keep_page(area, at, is_first);
    }
}

/* What proc_pid_smaps(5) says of the mapping that begins there. */
static int is_droppable(uint64_t start)
{
    static char *line;
    static size_t room;
    int is_there = 0;
    uint64_t from, to;
    rewind(details);
    while (getline(&line, &room, details) > 0)
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            is_there = from == start;
        else if (is_there && !strncmp(line, "VmFlags:", 8))
            return strstr(line, " dp") != NULL;
    return 0;
}

/* Return whether what is written there is known from now on. */
static int watch(const struct mapping *mapping)
{
    struct uffdio_register range = {{mapping->start, mapping->end - mapping->start},
                                    WRITE_PROTECTED, 0};
    if (!ioctl(faults, UFFDIO_REGISTER, &range))
        return 1;
    int reason = errno;
    if (reason != EINVAL || mapping->of_file || !is_droppable(mapping->start)) {
        errno = reason;
        give_up("cannot watch the worker's memory");
    }
    return 0;
}

static void note_droppable(uint64_t start, uint64_t end)
{
    static char zeros[PAGE];
    for (uint64_t at = start; at < end; at += PAGE) {
        if (droppable_count == MOST_DROPPABLE) {
            errno = E2BIG;
            give_up("too much memory that the kernel may drop");
        }
        emptiness[droppable_count] = (struct iovec){zeros, PAGE};
        droppable[droppable_count++] = (struct iovec){(void *)at, PAGE};
    }
}

/* The kernel writes zeros, so that it need not be told to drop them. */
static void empty_droppable(void)
{
    if (droppable_count
        && process_vm_writev(worker, emptiness, droppable_count, droppable, droppable_count, 0)
               != droppable_count * (ssize_t)PAGE)
        give_up("cannot empty the worker's memory");
}

/* Begin with what is known of an area: each page is zeros, or as it was in the snapshot before. */
static void make_slots(struct area *area, const struct area *old, int old_count)
{
    uint64_t count = (area->end - area->low) / PAGE;
    area->slots = mmap(NULL, count * sizeof *area->slots, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area->slots == MAP_FAILED)
        give_up("no memory for a snapshot");
    for (uint64_t i = 0; i < count; i++)
        area->slots[i] = ZEROS;
    for (int i = 0; i < old_count; i++) {
        uint64_t from = old[i].low > area->low ? old[i].low : area->low;
        uint64_t to = old[i].end < area->end ? old[i].end : area->end;
        if (old[i].slots && from < to)
            memcpy(slot_of(area, from), slot_of(&old[i], from),
                   (to - from) / PAGE * sizeof *area->slots);
    }
}

static void keep_area(struct area *area, const struct mapping *mapping, const struct area *old,
                      int old_count)
{
    area->start = area->low = mapping->start;
    area->end = mapping->end;
    area->slots = NULL;
    if (mapping->is_stack && area->end - MOST_STACK < area->start)
        area->low = area->end - MOST_STACK;
    if (!mapping->writable || mapping->shared)
        return;
    if (!watch(mapping)) {
        note_droppable(area->start, area->end);
        return;
    }
    make_slots(area, old, old_count);
    if (mapping->of_file && !old_count)
        /* Pages that are not there yet are the file's. */
        for (uint64_t at = area->start; at < area->end; at += PAGE)
            keep_page(area, at, 1);
    else
        keep_written(area, !old_count);
    if (area->low < lowest)
        lowest = area->low;
    if (area->end > highest)
        highest = area->end;
}

static void protect_all(void)
{
    struct scan scan = {.size = sizeof scan, .flags = PROTECT_MATCHING,
                        .start = lowest, .end = highest, .category_mask = WP_ALLOWED | WRITTEN};
    if (ioctl(pagemap, SCAN, &scan) < 0)
        give_up("cannot protect the worker's memory");
    since_protected = 0;
}

/* Take the state that the worker is to be put back into, from now on: that of this rest. */
static void take_snapshot(void)
{
    static struct mapping mappings[MOST_AREAS];
    static struct area old[MOST_AREAS];
    int old_count = area_count;
    memcpy(old, areas, sizeof areas);
    keep_registers();
    area_count = read_mappings(maps, mappings, MOST_AREAS);
    droppable_count = 0;
    lowest = ~0UL;
    highest = 0;
    for (int i = 0; i < area_count; i++) {
        keep_area(&areas[i], &mappings[i], old, old_count);
        if (mappings[i].is_break)
            break_at = mappings[i].end;
    }
    for (int i = 0; i < old_count; i++)
        if (old[i].slots)
            munmap(old[i].slots, (old[i].end - old[i].low) / PAGE * sizeof *old[i].slots);
    empty_droppable();
    protect_all();
    set_registers(&registers);
    memset(&seen, 0, sizeof seen);
}

/* Putting back */

/* Whether a mapping begins where an area does; a stack may have grown. */
static int begins(const struct mapping *m, const struct area *area)
{
    return m->start == area->start
        || (m->end == area->end && m->start >= area->low && m->start < area->start);
}

/* Mappings of before may have become one, if they are alike. But one that is part old and part new,
   or lies where a stack may grow, is not for `put_memory_back` to handle. */
static void put_mappings_back(void)
{
    static struct mapping mappings[4 * MOST_AREAS];
    if (have_called(__NR_brk, break_at, 0, 0, 0) != (long)break_at)
        _exit(0);
    int next = 0, count = read_mappings(maps, mappings, 4 * MOST_AREAS);
    for (int i = 0; i < count; i++) {
        struct mapping *m = &mappings[i];
        if (next == area_count || m->end <= areas[next].start) {
            if (have_called(__NR_munmap, m->start, m->end - m->start, 0, 0))
                _exit(0);
            continue;
        }
        if (!begins(m, &areas[next]))
            _exit(0);
        uint64_t at = areas[next++].end;
        while (at < m->end && next < area_count && areas[next].start == at)
            at = areas[next++].end;
        if (at != m->end)
            _exit(0);
    }
    if (next < area_count)
        _exit(0);
}

static const struct area *area_at(uint64_t address)
{
    int low = 0, high = area_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (areas[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < area_count && areas[low].low <= address ? &areas[low] : NULL;
}

/* What the stopped worker executes: no more than this, on these registers, and of memory nothing but
   the pool. So it does not matter what a script has done to the rest. */
void copy_pages(void);
__asm__(".text\n"
        ".globl copy_pages\n"
        ".type copy_pages, @function\n"
        "copy_pages:\n"
        "1: mov (%rbx), %rdi\n"
        "   mov 8(%rbx), %rsi\n"
        "   mov 16(%rbx), %rcx\n"
        "   test %rcx, %rcx\n"
        "   jz 2f\n"
        "   rep movsb\n"
        "   add $24, %rbx\n"
        "   jmp 1b\n"
        "2: int3\n"
        "   jmp 2b\n");

static void have_copied(int count)
{
    struct copy *list = (struct copy *)pool;
    struct user_regs_struct values = registers;
    int status;
    list[count].length = 0;
    values.rip = (uint64_t)copy_pages;
    values.rbx = (uint64_t)pool_in_worker;
    set_registers(&values);
    if (ptrace(PTRACE_CONT, worker, NULL, NULL))
        give_up("cannot go on");
    if (waitpid(worker, &status, __WALL) != worker || !WIFSTOPPED(status)
        || WSTOPSIG(status) != SIGTRAP)
        _exit(0);
    memset(list, 0, count * sizeof *list);      /* it tells what the request has written to */
}

/* Return where the worker finds what a page is to hold. */
static uint64_t source_of(uint64_t address)
{
    const struct area *area = area_at(address);
    if (!area || !area->slots) {
        errno = EFAULT;
        give_up("a page was written that there was not");
    }
    uint32_t *slot = slot_of(area, address);
    if (*slot == REFERRED && !read_reference(address, new_slot(slot)))
        give_up("cannot read the reference's memory");
    return (uint64_t)pool_in_worker + *slot * PAGE;
}

static void find_and_put_back(void)
{
    static struct page_region regions[MOST_REGIONS];
    struct copy *list = (struct copy *)pool;
    int n = 0, all = 0, is_long = 0;
    for (uint64_t from = lowest; from < highest;) {
        int count = find_pages(regions, &from, highest, WP_ALLOWED | WRITTEN);
        for (int i = 0; i < count; i++)
            for (uint64_t at = regions[i].start; at < regions[i].end; at += PAGE, all++) {
                uint64_t source = source_of(at);
                if (n && list[n - 1].to + list[n - 1].length == at
                    && list[n - 1].from + list[n - 1].length == source) {
                    list[n - 1].length += PAGE;
                    continue;
                }
                if (n == MOST_COPIES) {
                    have_copied(n);
                    n = 0;
                    is_long = 1;
                }
                list[n++] = (struct copy){at, source, PAGE};
            }
    }
    if (all > MOST_LEFT_OPEN || is_long)
        since_protected = REQUESTS_LEFT_OPEN - 1;
    memcpy(found, list, n * sizeof *list);
    found_count = n;
    have_copied(n);
}

/* Return how many page faults the stopped worker has had: proc_pid_stat(5). */
static uint64_t faults_now(void)
{
    char text[1024];
    uint64_t minor, major;
    ssize_t length = pread(counters, text, sizeof text - 1, 0);
    if (length < 0)
        give_up("cannot count the worker's page faults");
    text[length] = 0;
    char *after_name = strrchr(text, ')');
    if (!after_name || sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %lu %*u %lu", &minor,
                              &major) != 2) {
        errno = EPROTO;
        give_up("cannot count the worker's page faults");
    }
    return minor + major;
}

/* Whether there may be pages written to that the last scan has not found. To write to a protected
   page, or to one that is not there, takes a page fault. It counts for who makes it (mm/memory.c,
   mm_account_fault): for the worker, but where a child has borrowed its memory, and where the
   keeper has written a letter. */
static int may_have_written(void)
{
    uint64_t count = faults_now();
    int may = count != faults_then || !since_protected || seen.forked || seen.mapped
        || letter_length > letter_then;
    faults_then = count;
    if (may)
        letter_then = letter_length;
    return may;
}

static void have_copied_again(void)
{
    memcpy(pool, found, found_count * sizeof *found);
    have_copied(found_count);
}

/* Pages that one request has written to, the next is likely to write to as well. They are left as
   they are, and copied again, which costs less than the fault. */
static void put_memory_back(void)
{
    if (may_have_written())
        find_and_put_back();
    else
        have_copied_again();
    if (++since_protected == REQUESTS_LEFT_OPEN)
        protect_all();
}

static int has_pending(int shared)
{
    struct { uint64_t offset; uint32_t flags; int32_t count; } which = {0, shared, 1};
    siginfo_t signal;
    return ptrace(PTRACE_PEEKSIGINFO, worker, &which, &signal) != 0;
}

static void put_handlers_back(void)
{
    for (int number = 1; number <= EVERY_SIGNAL; number++)
        if (seen.handled >> (number - 1) & 1 && number != SIGKILL && number != SIGSTOP)
            have_called(__NR_rt_sigaction, number, (long)&actions[number], 0, 8);
}

static void put_timers_back(void)
{
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++)
        have_called(__NR_setitimer, which, (long)&no_timer, 0, 0);
}

/* End all processes but these two; return how many there were. */
static int kill_others(void)
{
    char entries[4096];
    long length;
    int found = 0, directory = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        give_up("cannot read /proc");
    /* struct linux_dirent64: getdents(2) */
    while ((length = syscall(__NR_getdents64, directory, entries, sizeof entries)) > 0)
        for (char *entry = entries; entry < entries + length; entry += *(uint16_t *)(entry + 16)) {
            pid_t process = atoi(entry + 19);
            if (process <= 0 || process == getpid() || process == worker
                || process == reference)
                continue;
            found++;
            kill(process, SIGKILL);
            waitpid(process, NULL, WNOHANG | __WALL);
        }
    close(directory);
    return found;
}

/* The same, for good, and have the worker wait for those that are its children. */
static void end_others(void)
{
    for (int attempt = 0; kill_others(); attempt++) {
        while (have_called(__NR_wait4, -1, 0, WNOHANG | __WALL, 0) > 0)
            ;
        if (attempt > 2)
            usleep(1000);
        if (attempt > 1000)
            _exit(0);
    }
}

static int open_descriptors(void)
{
    struct stat status;
    if (fstat(listing, &status))
        _exit(0);
    return status.st_size;      /* since Linux 6.2 (proc_pid_fd(5)) */
}

/* Return the flags of one of the worker's open files; -1 where it holds a lock. */
static int flags_now(int number)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", worker, number);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, text, sizeof text - 1) < 0)
        _exit(0);
    close(file);
    char *flags = strstr(text, "flags:");
    return flags && !strstr(text, "lock:") ? (int)strtol(flags + 6, NULL, 8) : -1;
}

/* Put the stopped worker back into the state of the snapshot; or end, if that cannot be done. */
static void undo(void)
{
    if (seen.doomed || waitpid(reference, NULL, WNOHANG))   /* a script can kill the reference */
        _exit(0);
    if (ptrace(PTRACE_SETSIGMASK, worker, (void *)8, &no_signals))
        give_up("cannot set the mask of signals");
    if (seen.forked)
        end_others();
    if (open_descriptors() != FIRST_FREE_DESCRIPTOR
        && have_called(__NR_close_range, FIRST_FREE_DESCRIPTOR, ~0U, 0, 0))
        _exit(0);
    if (seen.flagged)
        for (int number = 0; number < FIRST_FREE_DESCRIPTOR; number++)
            if (flags_now(number) != flags_of[number])
                _exit(0);
    if (seen.mapped)
        put_mappings_back();
    put_memory_back();
    empty_droppable();
    if (seen.handled)
        put_handlers_back();
    if (seen.timed)
        put_timers_back();
    if (seen.stacked && have_called(__NR_sigaltstack, (long)&alternative, 0, 0, 0))
        _exit(0);
    if (has_pending(0) || has_pending(1))
        _exit(0);
    set_registers(&registers);
    struct iovec vector = {extended, extended_size};
    if (ptrace(PTRACE_SETREGSET, worker, (void *)NT_X86_XSTATE, &vector))
        give_up("cannot set extended registers");
    memset(&seen, 0, sizeof seen);
}

/* What the keeper's interpreter calls */

/* What comes and goes on the channel: see messages.py. The front is trusted, and reads with care. */
#define NUMBER_AT 1
#define NUMBER_BYTES 4
#define FLAGS_AT 5
#define STAYS 1
#define IS_LAST 2
#define MOST_INSIDE (64 * 1024UL)

static struct inbox *letter;    /* here: as the worker will have it in its inbox */
static char *packet;            /* the answer */

static char *content_of(struct inbox *of)
{
    return (char *)(of + 1);
}

/* Read what is too long for a packet, and comes as a file. */
static void read_file(int file)
{
    size_t most = inbox_size - sizeof *letter;
    off_t at = 0;
    ssize_t count;
    while (letter->length < most
           && (count = pread(file, content_of(letter) + letter->length, most - letter->length,
                             at)) > 0) {
        letter->length += count;
        at += count;
    }
    close(file);
}

/* Wait for a request and take it. Returns 1; 0 when the worker has ended, -1 when the channel has. */
int take_request(void)
{
    struct pollfd of[2] = {{channel, POLLIN, 0}, {death, POLLIN, 0}};
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec vector = {content_of(letter), inbox_size - sizeof *letter};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = CMSG_LEN(sizeof(int))};
    while (poll(of, 2, -1) < 1)
        ;
    if (of[1].revents)
        return 0;
    ssize_t count = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    if (count <= FLAGS_AT)
        return -1;
    letter->length = count;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
        read_file(*(int *)CMSG_DATA(header));
    return 1;
}

uint32_t number_of_request(void)
{
    uint32_t number;
    memcpy(&number, content_of(letter) + NUMBER_AT, sizeof number);
    return number;
}

/* Put `letter` into the inbox of the stopped worker, let it run, and wait until it says something.
   Returns what, or 0 at its end. */
static struct seccomp_notif said;
static int send_letter(struct inbox *of)
{
    struct iovec ours = {of, sizeof *of + of->length}, its = {(void *)inbox, ours.iov_len};
    letter_length = its.iov_len;
    if (its.iov_len > inbox_size
        || process_vm_writev(worker, &ours, 1, &its, 1, 0) != (ssize_t)its.iov_len)
        return 0;
    if (ptrace(PTRACE_DETACH, worker, NULL, NULL) || !run(&said))
        return 0;
    return said.data.args[0];
}

/* Ask the worker what was taken. */
int ask(void)
{
    return send_letter(letter);
}

/* Ask it something of the keeper's own. */
int have_done(const void *content, size_t length)
{
    static struct { struct inbox head; char content[64 * 1024]; } own;
    if (length > sizeof own.content)
        return 0;
    own.head.length = length;
    memcpy(own.content, content, length);
    return send_letter(&own.head);
}

/* Return what the worker's last words refer to, or NULL if that is too long, or is not there. */
const char *last_words(size_t *length)
{
    static char *words;
    static size_t room;
    uint64_t address = said.data.args[1], size = said.data.args[2];
    struct iovec ours, its = {(void *)address, size};
    if (size > longest)
        return NULL;
    if (size >= room) {
        if (words)
            munmap(words, room);
        room = (size | 0xffff) + 1;
        words = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (words == MAP_FAILED)
            give_up("no memory for an answer");
    }
    ours = (struct iovec){words, size};
    if (size && process_vm_readv(worker, &ours, 1, &its, 1, 0) != (ssize_t)size)
        return NULL;
    *length = size;
    return words;
}

/* Answer with the worker's last words: flags, and what a CGI program prints. Returns whether the
   worker may be put back; -1 if the words are none, -2 if they are too long for a packet. */
int send_answer(void)
{
    uint64_t size = said.data.args[2];
    struct iovec ours = {packet + FLAGS_AT, size}, its = {(void *)said.data.args[1], size};
    if (size < 1 || size > longest)
        return -1;
    if (size > MOST_INSIDE)
        return -2;
    if (process_vm_readv(worker, &ours, 1, &its, 1, 0) != (ssize_t)size)
        return -1;
    packet[0] = 'A';
    memcpy(packet + NUMBER_AT, content_of(letter) + NUMBER_AT, NUMBER_BYTES);
    packet[FLAGS_AT] &= STAYS | IS_LAST;
    if (seen.doomed)
        packet[FLAGS_AT] |= IS_LAST;
    if (send(channel, packet, FLAGS_AT + size, MSG_NOSIGNAL) < 0)
        _exit(0);       /* there is nobody to answer any more */
    return !(packet[FLAGS_AT] & IS_LAST);
}

/* Whether the worker cannot be put back. */
int is_doomed(void)
{
    return seen.doomed;
}

/* Stop the worker, and put it back into the state of the snapshot; or end this process. */
void put_back(void)
{
    stop();
    undo();
}

/* Serve requests, as long as the worker just answers and can be put back. Returns what it says that
   a caller has to see to: ANSWERS for one that is too long for a packet; or 0 at the worker's end, -1
   where there is nothing more to serve. */
int serve(void)
{
    for (;;) {
        int taken = take_request(), heard, sent;
        if (taken != 1)
            return taken;
        if ((heard = ask()) != ANSWERS)
            return heard;
        sent = send_answer();
        if (sent == -2)
            return ANSWERS;
        if (sent != 1)
            return sent ? 0 : -1;
        put_back();
    }
}

/* Take another snapshot of a worker that rests, and has run no script since it was put back. */
void keep_rest(void)
{
    stop();
    if (seen.doomed || seen.forked || seen.handled || seen.timed || seen.flagged || seen.stacked
        || open_descriptors() != FIRST_FREE_DESCRIPTOR)
        _exit(0);
    take_snapshot();
}

static void *memory_for(size_t length)
{
    void *memory_ = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED)
        give_up("no memory for messages");
    return memory_;
}

static int open_of(pid_t process, const char *name, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", process, name);
    int descriptor = open(path, flags | O_CLOEXEC);
    if (descriptor < 0)
        give_up(path);
    return descriptor;
}

static void receive_descriptors(int socket)
{
    char byte, control[CMSG_SPACE(2 * sizeof(int))];
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
        _exit(1);        /* the worker has said why */
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
        _exit(1);
    faults = ((int *)CMSG_DATA(header))[0];
    told = ((int *)CMSG_DATA(header))[1];
    close(socket);
}

static void get_ready(int socket)
{
    receive_descriptors(socket);
    /* The worker waits for whoever hears of its call: let it take its place (Linux 6.6). */
    ioctl(told, SYNC_WAKE_UP, 1UL);
    death = syscall(__NR_pidfd_open, worker, 0);
    pagemap = open_of(worker, "pagemap", O_RDONLY);
    maps = open_of(worker, "maps", O_RDONLY);
    details = fdopen(open_of(worker, "smaps", O_RDONLY), "r");
    if (!details)
        give_up("cannot read the worker's mappings");
    memory = open_of(worker, "mem", O_RDONLY);
    memory_before = open_of(reference, "mem", O_RDONLY);
    listing = open_of(worker, "fd", O_RDONLY | O_DIRECTORY);
    counters = open_of(worker, "stat", O_RDONLY);
    read_worker((uint64_t)actions, actions, sizeof actions);
}

static void note_descriptors(void)
{
    if (open_descriptors() != FIRST_FREE_DESCRIPTOR) {
        errno = EMFILE;
        give_up("the worker's descriptors cannot be counted");
    }
    for (int number = 0; number < FIRST_FREE_DESCRIPTOR; number++)
        flags_of[number] = flags_now(number);
}

/* Begin to keep the worker `process`, which has been forked and submits itself by a socket. What it
   shares with the process `like` is not copied. Sizes are in bytes: of the inbox, the pool, the
   longest answer. Returns 0 if it ends before it rests. */
int begin(int from, int socket, int process, int like, void *its_inbox, void *our_pool,
          void *its_pool, const size_t *sizes)
{
    channel = from;
    worker = process;
    reference = like;
    inbox = (uint64_t)its_inbox;
    pool = our_pool;
    pool_in_worker = its_pool;
    inbox_size = sizes[0];
    pool_pages = sizes[1] / PAGE;
    longest = sizes[2];
    next_slot = ZEROS + 1;
    letter = memory_for(inbox_size);
    packet = memory_for(FLAGS_AT + MOST_INSIDE);
    get_ready(socket);
    if (!run(&said) || said.data.args[0] != RESTS)
        return 0;
    stop();
    note_descriptors();
    take_snapshot();
    return 1;
}
