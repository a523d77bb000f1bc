<?php
// Say hello, as hello.py does.
$groups = posix_getgroups();
sort($groups);
$proof = 'isobench tenant=@tenant@ uid=' . posix_geteuid() . ' gid=' . posix_getegid()
    . ' groups=' . implode(',', $groups);
header('Content-Type: text/plain');
echo "$proof\nHello from @tenant@\n";
