<?php
$attack = static function (object $given): mixed {
    try {
        set_time_limit(0);
    } catch (ErrorException) {
        // It is set for good.
    }
    ignore_user_abort(true);
    $deadline = microtime(true) + 3 * $given->limit;
    while (microtime(true) < $deadline) {
        array_sum(range(0, 1000));
    }
    touch("{$given->drop}/still_here");
    return 'over';
};
