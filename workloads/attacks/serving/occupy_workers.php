<?php
$attack = static function (object $given): mixed {
    touch("{$given->drop}/began-{$given->hand}");
    try {
        set_time_limit(0);
    } catch (ErrorException) {
        // It is set for good.
    }
    ignore_user_abort(true);
    $deadline = microtime(true) + 5 * $given->limit;
    while (microtime(true) < $deadline) {
        sleep(1);
    }
    return 'over';
};
