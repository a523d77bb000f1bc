<?php
$attack = static function (object $given): mixed {
    if (!function_exists('shmop_open')) {
        throw $given->nothing('PHP has no functions for shared memory here');
    }
    shmop_open((int) hexdec(substr($given->token, 0, 7)), 'n', 0600, 4096);
    return 'made';
};
