<?php
$attack = static function (object $given): mixed {
    $status = function_exists('opcache_get_status') ? opcache_get_status(true) : false;
    if ($status === false) {
        throw $given->nothing('there is no cache that scripts could list');
    }
    return array_keys($status['scripts'] ?? []);
};
