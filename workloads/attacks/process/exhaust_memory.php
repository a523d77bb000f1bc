<?php
$attack = static function (object $given): mixed {
    // What is allocated in one piece is promised, and used at every 16th page.
    try {
        ini_set('memory_limit', '-1');
    } catch (ErrorException) {
        // It is set for good.
    }
    $memory = str_repeat('x', 768 << 20);
    touch("{$given->drop}/taken");
    $deadline = microtime(true) + 8;
    while (!file_exists("{$given->drop}/counted") && microtime(true) < $deadline) {
        usleep(10000);
        clearstatcache();
    }
    return strlen($memory);
};
