<?php
$attack = static function (object $given): mixed {
    $given->mustBeGuarded();
    $code = "copy('{$given->neighbour}/config.secret', '{$given->drop}/copy');";
    proc_close(proc_open(['php', '-n', '-r', $code], [2 => ['file', '/dev/null', 'w']], $pipes));
    return 'run';
};
