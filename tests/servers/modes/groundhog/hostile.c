/* A keeper under AddressSanitizer and UndefinedBehaviorSanitizer, whose worker does what it is
 * told, for fuzzing.py: see there.
 *
 * The first argument is a file with the filter of system calls that scripts have. Each packet from
 * the standard input is a request: a list of `struct deed`. Its outcome is a packet to the standard
 * output, a letter and words:
 *
 *   K   the worker was put back, and is as it was
 *   D   it was doomed
 *   E   it has ended, or the keeper has ended it
 *   T   it did not come to an end, and was killed
 *   X   it was kept, and is not as it was: the words say where
 *   S   the keeper has crashed, or a sanitizer objects
 *
 * Keeper, reference and worker are in namespaces of their own, and nobody. The second argument
 * `deaf` makes a keeper that forgets what it has heard: the positive control. */
#include "keeper.c"

#include <dirent.h>
#include <grp.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <ucontext.h>

#define NOBODY 65534
#define POOL (24 * 1024 * 1024UL)
#define INBOX (64 * 1024UL)
#define LONGEST_ANSWER (64 * 1024UL)
#define SANITIZERS_STATUS 77
#define HEAD 8        /* what a message begins with: kind, number, and what nobody reads here */
#define RESULTS 64
#define PLACES 11
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 8       /* linux/mman.h of 6.11 */
#endif

/* What a request has the worker do. `forms` has four bits for each argument. */
struct deed { uint64_t what, call, forms, arguments[6]; };
enum { CALL, STORE, CHILD, EXTENSIONS, SEGMENT, KEYS, DEEPER, SAY, LOOK };
enum { PLAIN, IN_SCRATCH, RESULT, PLACE };

#define IN_WORKER __attribute__((no_sanitize("address", "undefined"), noinline))

/* In the worker: nothing that a sanitizer has instrumented, since its shadow is gone. */

static volatile uint64_t results[RESULTS];
static volatile uint64_t places[PLACES];
static char scratch[64 * 1024] __attribute__((aligned(4096)));
static volatile struct inbox *its_letter;

IN_WORKER static long raw(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                          uint64_t f)
{
    long result;
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    __asm__ volatile("syscall" : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* A handler that has the kernel set another alternative stack when it returns: sigreturn(2). */
IN_WORKER static void alter_stack(int number, siginfo_t *info, void *context)
{
    ucontext_t *of = context;
    (void)number, (void)info;
    of->uc_stack.ss_sp = scratch + 32768;
    of->uc_stack.ss_size = 16384;
    of->uc_stack.ss_flags = 0;
}

void back_from_handler(void);
__asm__(".text\n"
        ".globl back_from_handler\n"
        "back_from_handler:\n"
        "   mov $15, %eax\n"
        "   syscall\n");

IN_WORKER static uint64_t argument(volatile struct deed *deed, int n)
{
    uint64_t value = deed->arguments[n];
    switch (deed->forms >> 4 * n & 15) {
    case IN_SCRATCH: return (uint64_t)scratch + value % sizeof scratch;
    case RESULT: return results[value % RESULTS] + (value >> 8);
    case PLACE: return places[value % PLACES] + (value >> 8);
    default: return value;
    }
}

IN_WORKER static void disturb_extensions(uint64_t value)
{
    uint32_t control = 0x1f80 | (value & 3) << 13;      /* how to round */
    uint16_t of_387 = 0x37f | (value & 3) << 10;
    __asm__ volatile("ldmxcsr %0" :: "m"(control));
    __asm__ volatile("fldcw %0\n fld1" :: "m"(of_387) : "st");
    __asm__ volatile("movq %0, %%xmm7\n vpbroadcastq %%xmm7, %%ymm15" :: "r"(value)
                     : "xmm7", "xmm15");
    __asm__ volatile("std");
}

IN_WORKER static void disturb_segment(uint64_t value)
{
    __asm__ volatile("wrgsbase %0" :: "r"(value));
}

IN_WORKER static void disturb_keys(uint64_t value)
{
    __asm__ volatile(".byte 0x0f, 0x01, 0xef" :: "a"((uint32_t)value), "c"(0), "d"(0));
}

IN_WORKER static void deepen(uint64_t pages)
{
    volatile char *at = __builtin_frame_address(0);
    for (uint64_t i = 0; i < pages % 1024; i++)
        at[-(long)(i * PAGE)] = 1;
}

/* What the worker can find out about itself, and the keeper cannot: into the results. */
IN_WORKER static void look(void)
{
    volatile uint64_t *to = (uint64_t *)(scratch + 8192);
    for (int i = 0; i < 1024; i++)
        to[i] = 0;
    for (int i = 0; i < 3; i++)
        to[i] = raw(__NR_getitimer, i, (uint64_t)&to[4 + 4 * i], 0, 0, 0, 0);
    to[20] = raw(__NR_sigaltstack, 0, (uint64_t)&to[21], 0, 0, 0, 0);
    to[26] = raw(__NR_rt_sigpending, (uint64_t)&to[27], 8, 0, 0, 0, 0);
    to[28] = raw(__NR_rt_sigprocmask, 0, 0, (uint64_t)&to[29], 8, 0, 0);
    to[30] = raw(__NR_brk, 0, 0, 0, 0, 0, 0);
    to[31] = raw(__NR_prctl, PR_GET_PDEATHSIG, (uint64_t)&to[32], 0, 0, 0, 0);
    to[33] = raw(__NR_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0, 0);
    to[34] = raw(__NR_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0, 0);
    to[35] = raw(__NR_prctl, PR_GET_CHILD_SUBREAPER, (uint64_t)&to[36], 0, 0, 0, 0);
    to[37] = raw(__NR_prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0, 0);
    to[38] = raw(__NR_get_robust_list, 0, (uint64_t)&to[39], (uint64_t)&to[40], 0, 0, 0);
    to[41] = raw(__NR_getpriority, PRIO_PROCESS, 0, 0, 0, 0, 0);
    to[42] = raw(__NR_wait4, -1, 0, WNOHANG | __WALL, 0, 0, 0);
    for (int i = 1; i <= EVERY_SIGNAL; i++)
        raw(__NR_rt_sigaction, i, 0, (uint64_t)&to[64 + 4 * i], 8, 0, 0);
    for (int i = 0; i < 16; i++)
        raw(__NR_getrlimit, i, (uint64_t)&to[400 + 2 * i], 0, 0, 0, 0);
    say(ANSWERS, scratch + 8192, 8192);
}

IN_WORKER static void do_deed(volatile struct deed *deed, int number)
{
    uint64_t a[6];
    for (int i = 0; i < 6; i++)
        a[i] = argument(deed, i);
    switch (deed->what) {
    case CALL:
        results[number % RESULTS] = raw(deed->call, a[0], a[1], a[2], a[3], a[4], a[5]);
        break;
    case STORE: *(volatile uint64_t *)(a[0] & ~7UL) = a[1]; break;
    case EXTENSIONS: disturb_extensions(a[0]); break;
    case SEGMENT: disturb_segment(a[0]); break;
    case KEYS: disturb_keys(a[0]); break;
    case DEEPER: deepen(a[0]); break;
    case SAY: raw(__NR_vhangup, a[0], a[1], a[2], 0, 0, 0); break;
    case LOOK: look();
    }
}

IN_WORKER static void do_all(volatile struct deed *deeds, int count)
{
    int is_child = 0, until = count;
    for (int i = 0; i < until; i++) {
        if (deeds[i].what != CHILD) {
            do_deed(&deeds[i], i);
            continue;
        }
        int its = deeds[i].arguments[1] % 8;
        long process = raw(__NR_clone, deeds[i].arguments[0], 0, 0, 0, 0, 0);
        if (process == 0) {
            is_child = 1;
            until = i + 1 + its < until ? i + 1 + its : until;
        } else
            i += its;
    }
    if (is_child)
        raw(__NR_exit_group, 0, 0, 0, 0, 0, 0);
}

/* AddressSanitizer's shadow (x86-64, asan_mapping.h): terabytes that nobody could keep. */
#define SHADOW 0x7fff8000UL
#define SHADOW_END 0x10007fff8000UL

IN_WORKER static void work(void)
{
    raw(__NR_munmap, SHADOW, SHADOW_END - SHADOW, 0, 0, 0, 0);
    for (;;) {
        rest();
        do_all((volatile struct deed *)((char *)(its_letter + 1) + HEAD),
               its_letter->length / sizeof(struct deed));
        say(ANSWERS, scratch, 64);
    }
}

static void put(size_t at, const void *content, size_t length)
{
    memcpy(scratch + at, content, length);
}

/* What calls can point to. */
static void fill_scratch(void)
{
    struct action altering = {(unsigned long)alter_stack, 0x04000000 | SA_SIGINFO,
                              (unsigned long)back_from_handler, 0};
    struct action ignoring = {(unsigned long)SIG_IGN, 0, 0, 0};
    struct itimerval minutes = {{60, 0}, {60, 0}};
    struct rlimit limit = {57, 57};
    stack_t stack = {scratch + 16384, 0, 16384};
    uint64_t all = ~0UL, rules = 2;
    struct sock_filter allow = {6, 0, 0, SECCOMP_RET_ALLOW};
    struct sock_fprog filter = {1, (struct sock_filter *)(scratch + 320)};
    put(0, &altering, sizeof altering);
    put(64, &ignoring, sizeof ignoring);
    put(128, &minutes, sizeof minutes);
    put(192, &limit, sizeof limit);
    put(224, &stack, sizeof stack);
    put(256, &all, sizeof all);
    put(288, &rules, sizeof rules);
    put(320, &allow, sizeof allow);
    put(352, &filter, sizeof filter);
    strcpy(scratch + 384, "/dev/null");
    strcpy(scratch + 448, "/tmp/file");
}

/* Such as glibc has for random numbers; before Linux 6.11, which lacks it, any other. */
static char *droppable_memory(void)
{
    char *at = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        at = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        _exit(1);
    memset(at, 77, PAGE + 1);
    return at;
}

static struct sock_fprog scripts_filter;

static void live(int socket, char *ours, char *its)
{
    close(channel);
    if (dup2(socket, FIRST_FREE_DESCRIPTOR) < 0)
        _exit(1);
    close_range(FIRST_FREE_DESCRIPTOR + 1, ~0U, 0);
    munmap(ours, POOL);
    int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, 0);
    dup2(nothing, 1);
    close(nothing);
    setsid();
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    fill_scratch();
    places[0] = (uint64_t)__builtin_frame_address(0);
    places[1] = (uint64_t)results;
    places[2] = (uint64_t)sbrk(0);
    places[3] = (uint64_t)its_letter;
    places[4] = (uint64_t)its;
    places[5] = (uint64_t)rest & ~4095UL;
    places[6] = ((uint64_t)__builtin_frame_address(0) & ~4095UL) - 4 * 1024 * 1024;
    places[7] = (uint64_t)its + POOL - PAGE;
    places[8] = (uint64_t)write & ~4095UL;
    places[9] = ((uint64_t)its & ~((2UL << 20) - 1)) + (2UL << 20);
    places[10] = (uint64_t)droppable_memory();
    if (submit(FIRST_FREE_DESCRIPTOR))
        _exit(1);
    if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &scripts_filter))
        _exit(1);
    work();
}

static void stay(void)
{
    close_range(0, ~0U, 0);
    for (;;)
        pause();
}

/* How the worker is, by all that the kernel tells and the keeper does not use */

#define MOST_SEEN (4 * 1024 * 1024)
struct sight { size_t length; char *text; };
static struct sight first, later;

static void add_line(struct sight *sight, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_line(struct sight *sight, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(sight->text + sight->length, MOST_SEEN - sight->length, format,
                           arguments);
    va_end(arguments);
    sight->length += length;
    if (sight->length >= MOST_SEEN)
        give_up("too much to see");
}

static char *file_of(const char *name)
{
    static char content[2 * 1024 * 1024];
    char path[300];
    size_t length = 0;
    ssize_t count;
    snprintf(path, sizeof path, "/proc/%d/%s", worker, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return strcpy(content, "cannot be opened\n");
    while ((count = read(file, content + length, sizeof content - 1 - length)) > 0)
        length += count;
    close(file);
    content[length] = 0;
    return content;
}

static int is_one_of(const char *line, const char *const *names)
{
    for (; *names; names++)
        if (!strncmp(line, *names, strlen(*names)))
            return 1;
    return 0;
}

static void see_lines(struct sight *sight, const char *file, const char *const *names)
{
    for (char *line = strtok(file_of(file), "\n"); line; line = strtok(NULL, "\n"))
        if (!names || is_one_of(line, names))
            add_line(sight, "%s: %s\n", file, line);
}

static uint64_t sum_of(const char *content, size_t length)
{
    uint64_t sum = 14695981039346656037ULL;     /* FNV-1a, by words */
    for (size_t i = 0; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, content + i, 8);
        sum = (sum ^ word) * 1099511628211ULL;
    }
    return sum;
}

/* A page that was never there reads as one of zeros. */
static void see_pages(struct sight *sight, uint64_t start, uint64_t end)
{
    static const char zeros[PAGE];
    static char page[PAGE];
    static struct page_region regions[MOST_REGIONS];
    for (uint64_t from = start; from < end;) {
        struct scan scan = {.size = sizeof scan, .start = from, .end = end,
                            .vec = (uint64_t)regions, .vec_len = MOST_REGIONS,
                            .category_anyof_mask = 1 << 3 | 1 << 4,     /* present, swapped */
                            .return_mask = 1 << 3};
        int count = ioctl(pagemap, SCAN, &scan);
        if (count < 0)
            give_up("cannot see pages");
        from = scan.walk_end;
        for (int i = 0; i < count; i++)
            for (uint64_t at = regions[i].start; at < regions[i].end; at += PAGE) {
                if (pread(memory, page, PAGE, at) != PAGE)
                    add_line(sight, "page %lx cannot be read\n", at);
                else if (memcmp(page, zeros, PAGE))
                    add_line(sight, "page %lx: %lx\n", at, sum_of(page, PAGE));
            }
    }
}

/* A stack may have grown, by pages of zeros. */
static void see_mappings(struct sight *sight)
{
    static char listing[2 * 1024 * 1024];
    char *saved, kind[5], name[256];
    uint64_t start, end, offset, inode;
    strcpy(listing, file_of("smaps"));
    for (char *line = strtok_r(listing, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved)) {
        char *soft;
        if (!strncmp(line, "VmFlags:", 8)) {
            if ((soft = strstr(line, " sd")))
                memset(soft, ' ', 3);
            add_line(sight, "%s\n", line);
            continue;
        }
        *name = 0;
        if (sscanf(line, "%lx-%lx %4s %lx %*x:%*x %lu %255s", &start, &end, kind, &offset, &inode,
                   name) < 5)
            continue;
        if (strcmp(name, "[stack]"))
            add_line(sight, "mapping %lx-%lx %s %lx %lu %s\n", start, end, kind, offset, inode, name);
        else
            add_line(sight, "mapping -%lx %s\n", end, kind);
        if (kind[0] == 'r' && kind[3] == 'p' && !strstr(name, "[vvar"))
            see_pages(sight, start, end);
    }
}

static void see_registers(struct sight *sight)
{
    static struct user_regs_struct values;
    static char more[16 * 1024];
    struct iovec vector = {&values, sizeof values};
    if (ptrace(PTRACE_GETREGSET, worker, (void *)NT_PRSTATUS, &vector))
        give_up("cannot see registers");
    add_line(sight, "registers %lx, stack at %llx\n", sum_of((char *)&values, sizeof values),
             values.rsp);
    vector = (struct iovec){more, sizeof more};
    if (ptrace(PTRACE_GETREGSET, worker, (void *)NT_X86_XSTATE, &vector))
        give_up("cannot see extended registers");
    add_line(sight, "extended registers %lx\n", sum_of(more, vector.iov_len));
}

static void see_directory(struct sight *sight, const char *path, int only_numbers)
{
    struct dirent *entry;
    DIR *directory = opendir(path);
    if (!directory)
        give_up(path);
    while ((entry = readdir(directory)))
        if (!only_numbers || (entry->d_name[0] >= '0' && entry->d_name[0] <= '9'))
            add_line(sight, "%s has %s\n", path, entry->d_name);
    closedir(directory);
}

static void see(struct sight *sight)
{
    static const char *const of_status[] = {
        "Name", "Uid", "Gid", "Groups", "NSsid", "NSpgid", "VmLck", "VmPin", "Threads", "SigQ",
        "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "Cap", "NoNewPrivs", "Seccomp", "THP",
        "Cpus_allowed:", "Mems_allowed:", "CoreDumping", "Speculation", NULL};
    static const char *const of_descriptor[] = {"flags", "mnt_id", "ino", "lock", NULL};
    char path[64];
    sight->length = 0;
    see_registers(sight);
    see_lines(sight, "status", of_status);
    see_lines(sight, "limits", NULL);
    see_lines(sight, "timers", NULL);
    see_lines(sight, "coredump_filter", NULL);
    see_lines(sight, "oom_score_adj", NULL);
    snprintf(path, sizeof path, "/proc/%d/task", worker);
    see_directory(sight, path, 1);
    snprintf(path, sizeof path, "/proc/%d/fd", worker);
    see_directory(sight, path, 1);
    for (int number = 0; number < FIRST_FREE_DESCRIPTOR; number++) {
        char link[256] = "";
        snprintf(path, sizeof path, "/proc/%d/fd/%d", worker, number);
        if (readlink(path, link, sizeof link - 1) < 0)
            strcpy(link, "nothing");
        add_line(sight, "descriptor %d is %s\n", number, link);
        snprintf(path, sizeof path, "fdinfo/%d", number);
        see_lines(sight, path, of_descriptor);
    }
    see_directory(sight, "/proc", 1);
    see_mappings(sight);
    add_line(sight, "end\n");
}

/* In the keeper */

static char first_look[8192];

static void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void answer(const char *format, ...)
{
    static char words[16 * 1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    if (send(channel, words, strlen(words), MSG_NOSIGNAL) < 0)
        _exit(0);
}

/* Name the first lines that are in only one of the two. */
static void tell_difference(void)
{
    static char words[8 * 1024];
    char *a = first.text, *b = later.text;
    size_t length = 0;
    int told_lines = 0;
    while (*a && *b && told_lines < 12) {
        size_t of_a = strcspn(a, "\n"), of_b = strcspn(b, "\n");
        if (of_a != of_b || memcmp(a, b, of_a)) {
            length += snprintf(words + length, sizeof words - length, "\n  %.*s -> %.*s",
                               (int)(of_a < 200 ? of_a : 200), a,
                               (int)(of_b < 200 ? of_b : 200), b);
            told_lines++;
        }
        a += of_a + 1;
        b += of_b + 1;
    }
    answer("X%s", words);
    _exit(0);
}

static const char *have_looked(void)
{
    struct { char head[HEAD]; struct deed deed; } letter_ = {.deed.what = LOOK};
    size_t length;
    if (have_done(&letter_, sizeof letter_) != ANSWERS)
        give_up("cannot have the worker look");
    const char *words = last_words(&length);
    if (!words || length != sizeof first_look)
        give_up("cannot have what the worker saw");
    return words;
}

static void compare(void)
{
    see(&later);
    if (strcmp(first.text, later.text))
        tell_difference();
    const char *words = have_looked();
    for (size_t i = 0; i < sizeof first_look; i += 8)
        if (memcmp(first_look + i, words + i, 8)) {
            answer("X what the worker sees at %zu: %lx -> %lx", i / 8,
                   *(uint64_t *)(first_look + i), *(uint64_t *)(words + i));
            _exit(0);
        }
    put_back();
    answer("K");
}

static void serve_one(int deaf)
{
    if (take_request() < 1 || ask() != ANSWERS)
        _exit(0);
    if (deaf)
        memset(&seen, 0, sizeof seen);
    int goes_on = send_answer();
    if (goes_on == -1)
        _exit(0);
    if (is_doomed()) {
        answer("D");
        _exit(0);
    }
    put_back();
    compare();
}

static void become_nobody(void)
{
    if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY)
        || setresuid(NOBODY, NOBODY, NOBODY) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        give_up("cannot become nobody");
}

static char *new_memory(int file, size_t size, int protection)
{
    char *memory = mmap(NULL, size, protection, file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED,
                        file, 0);
    if (memory == MAP_FAILED)
        give_up("no memory");
    return memory;
}

static void keep(int deaf)
{
    int sockets[2], file = memfd_create("pool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t sizes[] = {INBOX, POOL, LONGEST_ANSWER};
    if (file < 0 || ftruncate(file, POOL) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets))
        give_up("cannot begin");
    char *ours = new_memory(file, POOL, PROT_READ | PROT_WRITE);
    /* As resting_worker.py has it. */
    if (fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE))
        give_up("cannot seal");
    char *its = new_memory(file, POOL, PROT_READ);
    its_letter = (struct inbox *)new_memory(-1, INBOX, PROT_READ | PROT_WRITE);
    first.text = new_memory(-1, MOST_SEEN, PROT_READ | PROT_WRITE);
    later.text = new_memory(-1, MOST_SEEN, PROT_READ | PROT_WRITE);
    if (sbrk(16 * PAGE) == (void *)-1)       /* sanitizers' own allocator does without */
        give_up("no heap");
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    pid_t like = fork();
    if (like == 0)
        stay();
    pid_t process = fork();
    if (process == 0)
        live(sockets[1], ours, its);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    close(sockets[1]);
    close(file);
    if (like < 0 || process < 0
        || !begin(channel, sockets[0], process, like, (void *)its_letter, ours, its, sizes))
        give_up("the worker does not rest");
    memcpy(first_look, have_looked(), sizeof first_look);
    put_back();
    see(&first);
    answer("R");
    for (;;)
        serve_one(deaf);
}

/* Outside */

static void enter_namespaces(void)
{
    if (getpid() != 1)
        give_up("not the first process of a namespace");
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL)
        || mount("tmpfs", "/tmp", "tmpfs", 0, "size=4m,mode=1777"))
        give_up("cannot mount");
}

static pid_t start(int *door, int deaf)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
        give_up("no socket");
    pid_t keeper = syscall(__NR_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
    if (keeper < 0)
        give_up("no namespaces");
    if (keeper == 0) {
        channel = sockets[1];
        close(sockets[0]);
        close(*door);
        dup2(2, 0);
        dup2(2, 1);
        enter_namespaces();
        become_nobody();
        keep(deaf);
    }
    close(sockets[1]);
    *door = sockets[0];
    return keeper;
}

/* Return how many bytes of a keeper's words came, 0 at its end, -1 when it takes too long. */
static ssize_t await(int door, char *words, size_t most, int milliseconds)
{
    struct pollfd of = {door, POLLIN, 0};
    int found = poll(&of, 1, milliseconds);
    if (found <= 0)
        return -1;
    ssize_t count = recv(door, words, most, 0);
    if (count > 0 && *words == 'A')     /* what the front would have got */
        return await(door, words, most, milliseconds);
    return count < 0 ? 0 : count;
}

static char how_it_ended(pid_t keeper)
{
    int status;
    if (waitpid(keeper, &status, __WALL) != keeper)
        give_up("cannot wait for the keeper");
    return WIFEXITED(status) && WEXITSTATUS(status) < SANITIZERS_STATUS ? 'E' : 'S';
}

static void tell(char letter_, const char *words, ssize_t length)
{
    char kind = letter_;
    struct iovec parts[2] = {{&kind, 1}, {(void *)words, length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (sendmsg(1, &message, 0) < 0)
        _exit(0);
}

static void read_filter(const char *path)
{
    static struct sock_filter instructions[4096];
    int file = open(path, O_RDONLY);
    ssize_t length = read(file, instructions, sizeof instructions);
    if (length <= 0)
        give_up(path);
    close(file);
    scripts_filter = (struct sock_fprog){length / sizeof *instructions, instructions};
}

int main(int count, char **words)
{
    static char request[INBOX], said_by_it[MOST_INSIDE + 1024];
    int deaf = count > 2 && !strcmp(words[2], "deaf"), door = -1, patience = 1500;
    pid_t keeper = 0;
    ssize_t length, heard;
    if (count < 2 || unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS))
        give_up("takes a file with a filter, and root");
    read_filter(words[1]);
    while ((length = recv(0, request, sizeof request, 0)) > 0) {
        if (!keeper) {
            keeper = start(&door, deaf);
            if (await(door, said_by_it, sizeof said_by_it, 10000) < 1 || *said_by_it != 'R') {
                kill(keeper, SIGKILL);
                how_it_ended(keeper);
                tell('S', "it did not begin", 16);
                keeper = 0;
                continue;
            }
        }
        heard = send(door, request, length, MSG_NOSIGNAL) < 0
            ? 0 : await(door, said_by_it, sizeof said_by_it, patience);
        if (heard > 0 && *said_by_it == 'K') {
            tell('K', "", 0);
            continue;
        }
        if (heard < 0)
            kill(keeper, SIGKILL);
        char end = how_it_ended(keeper);
        keeper = 0;
        if (heard < 0)
            tell('T', "", 0);
        else if (end == 'S' || heard == 0)
            tell(end, "", 0);
        else
            tell(*said_by_it, said_by_it + 1, heard - 1);
    }
    if (keeper)
        kill(keeper, SIGKILL);
    return 0;
}
