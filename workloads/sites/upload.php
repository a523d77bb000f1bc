<?php
// Take an upload and answer its length and digest, as upload.py does.
$data = file_get_contents('php://input');
$groups = posix_getgroups();
sort($groups);
$proof = 'isobench tenant=@tenant@ uid=' . posix_geteuid() . ' gid=' . posix_getegid()
    . ' groups=' . implode(',', $groups);
header('Content-Type: text/plain');
echo "$proof\n@tenant@ received ", strlen($data), " bytes\nsha256 ", hash('sha256', $data), "\n";
