<?php
$attack = static function (object $given): mixed {
    $opened = [];
    for ($count = 0; $count < 4000; $count++) {
        $opened[] = fopen('/dev/null', 'rb');
    }
    touch("{$given->drop}/opened");
    $deadline = microtime(true) + 8;
    while (!file_exists("{$given->drop}/counted") && microtime(true) < $deadline) {
        usleep(10000);
        clearstatcache();
    }
    return count($opened);
};
