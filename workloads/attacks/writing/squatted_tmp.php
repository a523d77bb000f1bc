<?php
$attack = static function (object $given): mixed {
    $path = "/tmp/isobench-squat-{$given->port}";
    touch($path);
    chmod($path, 0666);
    return 'taken';
};
