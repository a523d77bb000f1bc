<?php
$attack = static function (object $given): mixed {
    posix_kill(posix_getpid(), 9);
    return 'killed';
};
