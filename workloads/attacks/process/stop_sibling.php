<?php
$attack = static function (object $given): mixed {
    $given->must(posix_kill($given->sibling, 19), 'kill');
    return $given->sibling;
};
