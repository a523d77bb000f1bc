<?php
$attack = static function (object $given): mixed {
    $given->must(posix_kill($given->helper, 9), 'kill');
    return $given->helper;
};
