/*
 * suexec: run one tenant's program as that tenant.
 *
 *     suexec UID GID PROGRAM
 *
 * A re-enactment of Apache's support/suexec.c. Installed setuid root, mode 4750 root:www, and
 * called by a server worker (user www) whose working directory is the script's. It asks
 * every question that Apache's wrapper asks, in Apache's order and with Apache's exit codes,
 * becomes the tenant for good, and executes the program. Each check below reads the same way:
 * one comment in plain words, one test, one message on stderr, one exit code.
 *
 *     102  caller is unknown                 113  document root not found
 *     101  wrong number of arguments         114  directory outside the document root
 *     103  caller is not the server          115  directory cannot be looked at
 *     104  program named outside directory   116  directory writable by others
 *     105  target uid is not a number        117  program is no regular file
 *     106  target gid is not a number        118  program writable by others
 *     107  target uid is forbidden           119  program is setuid or setgid
 *     108  target gid is forbidden           120  directory or program of another owner
 *     109  changing the groups failed        121  program is not executable
 *     110  changing the user failed          122  no clean start: descriptors, environment
 *     111  working directory unknown         255  exec failed
 *
 * Of Apache's codes, 112 alone is not used: it is about ~user sites, which do not exist here.
 *
 * Where it differs from Apache's, and why:
 *   - Tenants are numbers and need no entry in /etc/passwd: ids are read, never looked up.
 *   - Supplementary groups become the empty set: without names there is none to initialise.
 *   - A site's group may be the server's (SUEXEC_SERVER_GID). Then the file system does not tell
 *     the gid of its owner, and the only one that is let pass is the number of the uid, as with user
 *     private groups, and as servers/sites.py has it: see check 120.
 *   - The program is opened once, checked and executed through that descriptor, so that what was
 *     checked is what runs. Apache's lstat-then-execv can be raced (CVE-2007-1741).
 *   - The document root is compared by whole path components (CVE-2007-1742): see check 114.
 *   - There is no log file: messages go to stderr, which is the server's error log.
 *
 * Settings are fixed when compiling, so that no caller can change them at run time.
 */
#define _GNU_SOURCE /* O_PATH, AT_EMPTY_PATH, getresuid, setgroups, environ */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SUEXEC_CALLER
#error "name the only user who may call: -DSUEXEC_CALLER=<uid of the server>"
#elif SUEXEC_CALLER < 1
#error "SUEXEC_CALLER must not be root: a root server has no need of suexec"
#endif

#ifndef SUEXEC_SERVER_GID
#error "name the group that sites may share: -DSUEXEC_SERVER_GID=<gid of the server>"
#endif

#ifndef SUEXEC_DOC_ROOT
#error "name the directory that holds the sites: -DSUEXEC_DOC_ROOT='\"/srv/sites\"'"
#endif

#ifndef SUEXEC_UID_MIN
#error "name the smallest uid of a tenant: -DSUEXEC_UID_MIN=<number>"
#elif SUEXEC_UID_MIN < 1
#error "SUEXEC_UID_MIN must be at least 1: no tenant is root"
#endif

#ifndef SUEXEC_GID_MIN
#error "name the smallest gid of a tenant: -DSUEXEC_GID_MIN=<number>"
#elif SUEXEC_GID_MIN < 1
#error "SUEXEC_GID_MIN must be at least 1: no tenant is in root's group"
#endif

static const uid_t caller_uid = SUEXEC_CALLER;
static const gid_t server_gid = SUEXEC_SERVER_GID;
static const uid_t uid_min = SUEXEC_UID_MIN;
static const gid_t gid_min = SUEXEC_GID_MIN;

static const char safe_path[] = "/usr/local/bin:/usr/bin:/bin";
static const mode_t program_umask = S_IWGRP | S_IWOTH;

/* (uid_t)-1 means "leave it alone" to the kernel, so it is nobody's number: credentials(7). */
static const uint64_t largest_id = UINT32_MAX - 1;

/* Where the program's own file stands when it starts: see execute(). */
enum { PROGRAM_DESCRIPTOR = 3 };
static const char program_by_descriptor[] = "/dev/fd/3";

struct target {
    uid_t uid;
    gid_t gid;
};

/* Refusing. The messages hold no text of the caller's, so that a log line cannot be forged. */

_Noreturn __attribute__((format(printf, 2, 3))) static void refuse(int code, const char *format,
                                                                    ...)
{
    va_list arguments;

    fputs("suexec: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(code);
}

/* Environment: what RFC 3875 section 4.1 defines and what Apache adds; everything else goes. */

static const char *const safe_names[] = {
    "AUTH_TYPE",               "CONTENT_LENGTH",          "CONTENT_TYPE",
    "CONTEXT_DOCUMENT_ROOT",   "CONTEXT_PREFIX",          "DATE_GMT",
    "DATE_LOCAL",              "DOCUMENT_NAME",           "DOCUMENT_ROOT",
    "DOCUMENT_URI",            "GATEWAY_INTERFACE",       "HTTPS",
    "LAST_MODIFIED",           "PATH_INFO",               "PATH_TRANSLATED",
    "QUERY_STRING",            "REDIRECT_HANDLER",        "REDIRECT_QUERY_STRING",
    "REDIRECT_STATUS",         "REDIRECT_URL",            "REMOTE_ADDR",
    "REMOTE_HOST",             "REMOTE_IDENT",            "REMOTE_PORT",
    "REMOTE_USER",             "REQUEST_METHOD",          "REQUEST_SCHEME",
    "REQUEST_URI",             "SCRIPT_FILENAME",         "SCRIPT_NAME",
    "SCRIPT_URI",              "SCRIPT_URL",              "SERVER_ADDR",
    "SERVER_ADMIN",            "SERVER_NAME",             "SERVER_PORT",
    "SERVER_PROTOCOL",         "SERVER_SIGNATURE",        "SERVER_SOFTWARE",
    "TZ",                      "UNIQUE_ID",               "USER_NAME",
};

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_named(const char *variable, const char *name)
{
    return begins_with(variable, name) && variable[strlen(name)] == '=';
}

static bool is_safe(const char *variable)
{
    /* Programs would take a client's "Proxy:" header for a proxy of their own: CVE-2016-5385. */
    if (is_named(variable, "HTTP_PROXY"))
        return false;
    if (begins_with(variable, "HTTP_") || begins_with(variable, "SSL_"))
        return strchr(variable, '=') != NULL;
    for (size_t i = 0; i < sizeof safe_names / sizeof *safe_names; i++)
        if (is_named(variable, safe_names[i]))
            return true;
    return false;
}

/* Before anything else, as in Apache: no library function shall see the caller's settings. */
static void clean_environment(void)
{
    char **kept = environ;

    for (char **variable = environ; *variable != NULL; variable++)
        if (is_safe(*variable))
            *kept++ = *variable;
    *kept = NULL;

    /* 122: the program needs a PATH, and not the caller's. */
    if (setenv("PATH", safe_path, 1) != 0)
        refuse(122, "cannot set PATH: %s", strerror(errno));
}

/* A file opened later must not become the program's input, output or error log by accident. */
static void open_standard_descriptors(void)
{
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
        /* 122: open() takes the lowest free number, which is this one. */
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", O_RDWR) != descriptor)
            refuse(122, "cannot open /dev/null in place of a closed standard descriptor");
    }
}

/* What the caller ignores or blocks, the program would ignore or block as well: execve(2). */
static void heed_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* fails for SIGKILL and SIGSTOP, and for no others */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * A new session keyring, since whoever called may have put keys into the old one, for the program
 * to find, or have been left some. While still root, whose keys the kernel does not count so
 * narrowly. Where the kernel has no keys there is nothing to leave behind: keyctl(2).
 */
static void leave_keyring(void)
{
#ifdef SYS_keyctl
    (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
#endif
}

/* Who calls, and what do they ask for? */

/* Strict decimal: digits only. strtoul() would let a sign or a space lead, and wrap "-1" round. */
static bool parse_id(const char *text, uint32_t *id)
{
    uint64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = 10 * value + (uint64_t)(*text - '0');
        if (value > largest_id)
            return false;
    }
    *id = (uint32_t)value;
    return true;
}

/* The number by which the kernel shows any user that this user namespace does not map. */
static bool read_overflow_uid(uint32_t *uid)
{
    char text[16];
    FILE *file = fopen("/proc/sys/kernel/overflowuid", "r");

    if (file == NULL)
        return false;
    bool found = fgets(text, sizeof text, file) != NULL;
    fclose(file);
    if (!found)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return parse_id(text, uid);
}

/* "..", "../x", "x/../y", "x/..": one component that is exactly two dots. */
static bool climbs(const char *path)
{
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        if (length == 2 && begins_with(path, ".."))
            return true;
        path += length + (path[length] == '/');
    }
    return false;
}

/* Apache asks 102 before 101: who calls comes before what they ask. */
static struct target check_request(int argc, char *argv[])
{
    uint32_t unknown_uid, uid, gid;

    /* 102: the caller must be someone. Where tenants have no names, a user namespace is the
       one place where a caller can be nobody in particular. */
    if (!read_overflow_uid(&unknown_uid))
        refuse(102, "caller cannot be told apart: /proc/sys/kernel/overflowuid is not readable");
    if (getuid() == unknown_uid)
        refuse(102, "caller is unknown: uid %u stands for every user not mapped here", unknown_uid);

    /* 101: all three must be given, and no more. Apache hands further words to the program
       (ISINDEX queries), where a query string can pass for an option: CVE-2012-1823. */
    if (argc != 4)
        refuse(101, "wrong number of arguments; usage: suexec UID GID PROGRAM");

    /* 103: nobody but the server may call. */
    if (getuid() != caller_uid)
        refuse(103, "caller is uid %u, not the server", getuid());

    /* 104: the program must be named from the working directory downwards. */
    if (argv[3][0] == '/' || climbs(argv[3]))
        refuse(104, "program is named by an absolute path or through ..");

    /* 105, 106: the target must be given in numbers. */
    if (!parse_id(argv[1], &uid))
        refuse(105, "target uid is not a number from 0 to %u", (unsigned)largest_id);
    if (!parse_id(argv[2], &gid))
        refuse(106, "target gid is not a number from 0 to %u", (unsigned)largest_id);

    /* 107: the target must not be root or a user of the system. */
    if (uid == 0 || uid < uid_min)
        refuse(107, "target uid %u is forbidden: the smallest allowed is %u", uid, uid_min);

    /* 108: nor may the target's group be root's or a group of the system. */
    if (gid == 0 || gid < gid_min)
        refuse(108, "target gid %u is forbidden: the smallest allowed is %u", gid, gid_min);

    return (struct target){.uid = uid, .gid = gid};
}

/* Becoming the target: supplementary groups, then gid, then uid, each read back. */

static bool groups_are(gid_t expected)
{
    gid_t real, effective, saved;

    return getgroups(0, NULL) == 0 && getresgid(&real, &effective, &saved) == 0 &&
           real == expected && effective == expected && saved == expected;
}

static bool user_is(uid_t expected)
{
    uid_t real, effective, saved;

    return getresuid(&real, &effective, &saved) == 0 && real == expected &&
           effective == expected && saved == expected;
}

/* As in Apache, before the files are looked at: what the target may not see, suexec will not. */
static void become(struct target target)
{
    /* 109: without the setuid bit or CAP_SETGID this is where it ends. */
    if (setgroups(0, NULL) != 0 || setgid(target.gid) != 0)
        refuse(109, "cannot change to gid %u: %s", target.gid, strerror(errno));
    if (!groups_are(target.gid))
        refuse(109, "the change to gid %u did not hold", target.gid);

    /* 110: for root, setuid() also sets the real and the saved uid: setuid(2). */
    if (setuid(target.uid) != 0)
        refuse(110, "cannot change to uid %u: %s", target.uid, strerror(errno));
    if (!user_is(target.uid))
        refuse(110, "the change to uid %u did not hold", target.uid);

    /* 110: there must be no way back. A caller with SECBIT_NO_SETUID_FIXUP set would leave the
       capabilities in place: capabilities(7). */
    if (setuid(0) == 0)
        refuse(110, "the change to uid %u can be undone", target.uid);
}

/* Is the working directory a site? */

/*
 * Apache compares strings, so that a document root of /www lets /www-evil pass. A path is inside
 * only if a separator follows, which also leaves the root itself outside, and everything outside
 * for a root of "/".
 */
static bool is_inside(const char *path, const char *root)
{
    return begins_with(path, root) && path[strlen(root)] == '/';
}

static struct stat check_directory(void)
{
    char directory[PATH_MAX], root[PATH_MAX];
    struct stat info;

    /* 111: the working directory must have a name, that is, still exist. */
    if (getcwd(directory, sizeof directory) == NULL)
        refuse(111, "cannot tell the working directory: %s", strerror(errno));

    /* 113: so must the document root, here without its symlinks. Apache goes there and comes
       back; since suexec never leaves, it cannot fail to return. */
    if (realpath(SUEXEC_DOC_ROOT, root) == NULL)
        refuse(113, "cannot find the document root: %s", strerror(errno));

    /* 114: only sites are served. */
    if (!is_inside(directory, root))
        refuse(114, "working directory is not inside the document root");

    /* 115: look at the directory itself and not at its name, which may have moved meanwhile. */
    if (fstatat(AT_FDCWD, "", &info, AT_EMPTY_PATH) != 0 || !S_ISDIR(info.st_mode))
        refuse(115, "cannot look at the working directory");

    /* 116: whoever can write here can put another program in place. */
    if (info.st_mode & (S_IWGRP | S_IWOTH))
        refuse(116, "working directory is writable by others");

    return info;
}

/* Is the program the target's own? */

/* With the server's group a program could read what every tenant keeps for the server alone. */
static bool belongs_to(const struct stat *file, struct target target)
{
    gid_t gid = file->st_gid == server_gid ? (gid_t)target.uid : file->st_gid;

    return file->st_uid == target.uid && target.gid == gid && target.gid != server_gid;
}

/*
 * Returns an open descriptor of the program. O_PATH opens without reading, so that a FIFO cannot
 * hold us up and a program that may be executed but not read still works; with O_NOFOLLOW it opens
 * a symlink itself: open(2). Symlinks among the directories of PROGRAM are followed, as in Apache:
 * wherever they lead, the file found must pass the checks.
 */
static int check_program(const char *program, const struct stat *directory, struct target target)
{
    struct stat info;
    int descriptor = open(program, O_PATH | O_NOFOLLOW);

    /* 117: the program must be there, and be a file and nothing that stands for one. */
    if (descriptor < 0 || fstat(descriptor, &info) != 0)
        refuse(117, "cannot look at the program: %s", strerror(errno));
    if (S_ISLNK(info.st_mode))
        refuse(117, "program is a symlink");
    if (!S_ISREG(info.st_mode))
        refuse(117, "program is not a regular file");

    /* 118: whoever can write it decides what runs as the target. */
    if (info.st_mode & (S_IWGRP | S_IWOTH))
        refuse(118, "program is writable by others");

    /* 119: the program must run as the target, not as its file's owner or group. */
    if (info.st_mode & (S_ISUID | S_ISGID))
        refuse(119, "program is setuid or setgid");

    /* 120: directory and program must both be the target's, as in Apache the target's group, too.
       Where they have the server's group, since a site is 0750 tenant:www so that the server can
       read it, the owner's own gid is the number of its uid. Nobody gets a say by that group in
       what runs: 116 and 118 forbid group writing. */
    if (!belongs_to(directory, target))
        refuse(120, "working directory does not belong to uid %u and gid %u", target.uid,
               target.gid);
    if (!belongs_to(&info, target))
        refuse(120, "program does not belong to uid %u and gid %u", target.uid, target.gid);

    /* 121: its owner must mean it to be executed; a clearer word than exec's would be. */
    if (!(info.st_mode & S_IXUSR))
        refuse(121, "program is not executable by its owner");

    return descriptor;
}

/* Starting the program with nothing of the server's in its hands. */

/* Linux before 5.9 has no close_range(2); there, close what /proc lists. */
static void close_listed_above(int last)
{
    DIR *listing = opendir("/proc/self/fd");

    /* 122: what cannot be listed cannot be closed. */
    if (listing == NULL)
        refuse(122, "cannot list the open descriptors: %s", strerror(errno));
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        int descriptor = atoi(entry->d_name); /* 0 for "." and "..", which stays open */
        if (descriptor > last && descriptor != dirfd(listing))
            close(descriptor);
    }
    closedir(listing);
}

static void close_all_above(int last)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, last + 1, UINT_MAX, 0) == 0)
        return;
#endif
    close_listed_above(last);
}

/*
 * Executes the file that was checked, whatever its name leads to by now. For a script the kernel
 * starts the interpreter with /dev/fd/3 as the file to read, so 3 has to stay open across the
 * exec, and is the only descriptor beyond the standard ones that does: execveat(2).
 */
_Noreturn static void execute(int descriptor, char *program)
{
    char *arguments[] = {program, NULL};

    /* 122: if something inherited holds the number, dup2() takes it away. */
    if (dup2(descriptor, PROGRAM_DESCRIPTOR) < 0)
        refuse(122, "cannot move the program's descriptor: %s", strerror(errno));
    close_all_above(PROGRAM_DESCRIPTOR);
    umask(program_umask);

    /* 255: else the interpreter would fail, in words that are hard to understand. */
    if (access(program_by_descriptor, F_OK) != 0)
        refuse(255, "cannot execute: %s is missing; /dev/fd must lead to /proc/self/fd",
               program_by_descriptor);

    fexecve(PROGRAM_DESCRIPTOR, arguments, environ);

    /* 255: still here. */
    refuse(255, "cannot execute the program: %s", strerror(errno));
}

int main(int argc, char *argv[])
{
    clean_environment();
    open_standard_descriptors();

    struct target target = check_request(argc, argv);
    heed_signals();
    leave_keyring();
    become(target);

    struct stat directory = check_directory();
    int program = check_program(argv[3], &directory, target);
    execute(program, argv[3]);
}
