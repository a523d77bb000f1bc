<?php
$attack = static function (object $given): mixed {
    $given->must(posix_kill($given->master, 9), 'kill');
    $given->must(posix_kill($given->master, 15), 'kill');
    return $given->master;
};
