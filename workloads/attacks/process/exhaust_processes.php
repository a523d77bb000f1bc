<?php
$attack = static function (object $given): mixed {
    $children = [];
    $none = ['file', '/dev/null', 'r+'];
    for ($count = 0; $count < 151; $count++) {
        $children[] = proc_open(['sleep', '9'], [$none, $none, $none], $pipes);
    }
    touch("{$given->drop}/forked");
    $deadline = microtime(true) + 8;
    while (!file_exists("{$given->drop}/counted") && microtime(true) < $deadline) {
        usleep(10000);
        clearstatcache();
    }
    foreach ($children as $child) {
        proc_terminate($child, 9);
        proc_close($child);
    }
    return count($children);
};
