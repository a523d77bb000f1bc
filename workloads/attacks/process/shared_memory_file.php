<?php
$attack = static function (object $given): mixed {
    file_put_contents("/dev/shm/isobench-{$given->token}", 'left');
    return 'left';
};
