<?php
$attack = static function (object $given): mixed {
    $given->must(posix_kill($given->victim, 9), 'kill');
    return $given->victim;
};
