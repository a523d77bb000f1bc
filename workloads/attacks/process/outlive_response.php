<?php
$attack = static function (object $given): mixed {
    $command = "(sleep 0.5; touch {$given->drop}/still_here) </dev/null >/dev/null 2>&1 &";
    proc_close(proc_open(['setsid', 'sh', '-c', $command], [], $pipes));
    return 'started';
};
