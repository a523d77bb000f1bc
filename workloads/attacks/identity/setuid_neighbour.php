<?php
$attack = static function (object $given): mixed {
    $given->must(posix_setgid($given->neighbour_uid), 'setgid');
    $given->must(posix_setuid($given->neighbour_uid), 'setuid');
    file_put_contents("{$given->drop}/setuid_neighbour", $given->token);
    return posix_getuid();
};
