<?php
$attack = static function (object $given): mixed {
    $given->mustBeGuarded();
    return (string) shell_exec('cat ' . escapeshellarg("{$given->neighbour}/config.secret") . ' 2>&1');
};
