<?php
$attack = static function (object $given): mixed {
    $given->must(posix_setuid(0), 'setuid');
    file_put_contents("{$given->drop}/setuid_root", $given->token);
    return posix_getuid();
};
