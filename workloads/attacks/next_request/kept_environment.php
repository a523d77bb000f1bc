<?php
$attack = static function (object $given): mixed {
    putenv("LEFT={$given->token}");
    return 'left';
};
