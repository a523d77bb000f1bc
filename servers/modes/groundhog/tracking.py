"""Whether this kernel tells which pages of a process were written, as the keeper needs to know."""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import struct

from servers.errors import Unavailable

TYPE_CHECKING = False  # what mypy believes to be true, as that of `typing`
if TYPE_CHECKING:
    from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_SYS_USERFAULTFD: Final = 323  # of x86-64
# linux/userfaultfd.h and linux/fs.h of Linux 6.7
_USER_MODE_ONLY: Final = 1
_UFFDIO_API: Final = 0xC018AA3F
_API: Final = struct.Struct("<QQQ")
_VERSION: Final = 0xAA
_WP_ASYNC: Final = 1 << 15
_PAGEMAP_SCAN: Final = 0xC0606610
_SCAN: Final = struct.Struct("<12Q")
_PAGE_IS_PRESENT: Final = 1 << 3


def check() -> None:
    """Raise Unavailable where the keeper's means are missing."""
    if platform.machine() != "x86_64" or _PAGE != 4096:
        raise Unavailable(
            "restoring a worker is implemented for the registers of x86-64 only",
            "run the other modes, such as router, on this processor",
        )
    try:
        _track_writes()
    except OSError as error:
        raise Unavailable(
            f"the kernel does not report which pages were written: {error.strerror} "
            "(UFFD_FEATURE_WP_ASYNC)",
            "use Linux 6.7 or newer with CONFIG_USERFAULTFD and CONFIG_PTE_MARKER_UFFD_WP, and in "
            "a container a seccomp profile that allows userfaultfd",
        ) from error
    try:
        _scan_pages()
    except OSError as error:
        raise Unavailable(
            f"the kernel does not list a process's pages: {error.strerror} (PAGEMAP_SCAN)",
            "use Linux 6.7 or newer with CONFIG_PROC_PAGE_MONITOR",
        ) from error


def _track_writes() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(ctypes.c_long(_SYS_USERFAULTFD), os.O_CLOEXEC | _USER_MODE_ONLY)
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    try:
        fcntl.ioctl(descriptor, _UFFDIO_API, _API.pack(_VERSION, _WP_ASYNC, 0))
    finally:
        os.close(descriptor)


def _scan_pages() -> None:
    """Ask for nothing, but by the right call."""
    descriptor = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        place = ctypes.create_string_buffer(24)
        first = ctypes.addressof(place) & -_PAGE
        numbers = [_SCAN.size, 0, first, first + _PAGE, 0, ctypes.addressof(place), 1, 0, 0, 0]
        fcntl.ioctl(descriptor, _PAGEMAP_SCAN, _SCAN.pack(*numbers, _PAGE_IS_PRESENT, 1 << 3))
    finally:
        os.close(descriptor)
