<?php
$attack = static function (object $given): mixed {
    $words = 'there is no other identity';
    foreach ([0, $given->www_uid, posix_getuid()] as $uid) {
        if ($uid === posix_geteuid()) {
            continue;
        }
        if (posix_seteuid($uid)) {
            file_put_contents("{$given->drop}/saved_uid", $given->token);
            return $uid;
        }
        $words = 'seteuid: ' . posix_strerror(posix_get_last_error());
    }
    throw new RuntimeException($words);
};
