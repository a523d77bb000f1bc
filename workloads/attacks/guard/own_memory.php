<?php
$attack = static function (object $given): mixed {
    $given->mustBeGuarded();
    fopen('/proc/self/mem', 'r+b');
    return "opened by {$given->token}";
};
