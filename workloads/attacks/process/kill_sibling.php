<?php
$attack = static function (object $given): mixed {
    $given->must(posix_kill($given->sibling, 9), 'kill');
    return $given->sibling;
};
