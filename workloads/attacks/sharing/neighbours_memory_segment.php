<?php
$attack = static function (object $given): mixed {
    if (!function_exists('shmop_open')) {
        throw $given->nothing('PHP has no functions for shared memory here');
    }
    $segment = shmop_open((int) hexdec(substr($given->token, 0, 7)), 'a', 0, 0);
    return shmop_read($segment, 0, 200);
};
